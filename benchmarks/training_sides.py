"""A side of benchmarks/training.py, in a process of its own: the paper's way, TRL's trainer, and ours."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from training_items import MICROBATCH, PAPER_VOCABULARY, RECIPE, SHAPES, fold, make_study


def peak_bytes() -> int:
    """Most memory that this process has used: of its GPU or, without one, of the host.

    VmHWM, and not getrusage's ru_maxrss, which begins at what the parent used.
    """
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_reserved()
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024


class Turns:
    """Tells the parent what each step was, and waits for its word before the next one."""

    def __init__(self, channel):
        self.channel, self.loaded = channel, 0
        """loaded: peak memory before the model was loaded."""

    def say(self, **told: Any) -> None:
        print(json.dumps(told), file=self.channel, flush=True)

    def wait(self) -> None:
        if not sys.stdin.readline():
            raise SystemExit("the parent is gone")

    def callback(self, trainer, steps: int):
        """What transformers' Trainer calls; it leaves the process after the last step, before anything is saved."""
        import torch
        from transformers import TrainerCallback

        def clock() -> tuple[float, float]:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            return time.perf_counter(), time.process_time()

        turns = self

        class Callback(TrainerCallback):
            def begin(self):
                trainer.counted, trainer.losses = 0, []
                turns.wait()
                self.began = clock()

            def on_train_begin(self, args, state, control, **kwargs):
                turns.say(ready=True, loaded=turns.loaded)
                self.begin()

            def on_step_end(self, args, state, control, **kwargs):
                seconds, worked = (now - then for now, then in zip(clock(), self.began, strict=True))
                loss = float(sum(trainer.losses))
                turns.say(seconds=seconds, worked=worked, tokens=trainer.counted, loss=loss, peak=peak_bytes())
                if state.global_step == steps:
                    raise SystemExit
                self.begin()

        return Callback()


def watched(trainer: type, count: Callable[[dict], int], turns: Turns, steps: int) -> type:
    """A trainer's class that takes turns; `count`: tokens of items in what a call of its training_step gets."""

    class Watched(trainer):
        def __init__(self, *arguments, **named):
            super().__init__(*arguments, **named)
            self.callback_handler.callbacks.insert(0, turns.callback(self, steps))

        def training_step(self, model, inputs, *others, **named):
            self.counted += count(inputs)
            loss = super().training_step(model, inputs, *others, **named)
            self.losses.append(loss.detach())
            return loss

    return Watched


def common_arguments(task: dict[str, Any]) -> dict[str, Any]:
    """The recipe in transformers' words."""
    import torch

    return {
        "output_dir": "theirs",
        "max_steps": task["steps"],
        "learning_rate": RECIPE["learning_rate"],
        "lr_scheduler_type": "constant",
        "adam_beta1": RECIPE["betas"][0],
        "adam_beta2": RECIPE["betas"][1],
        "adam_epsilon": RECIPE["epsilon"],
        "weight_decay": RECIPE["weight_decay"],
        "max_grad_norm": RECIPE["max_grad_norm"],
        "bf16": task["precision"] == "bf16",
        "use_cpu": not torch.cuda.is_available(),
        "gradient_checkpointing": False,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }


def their_model(turns: Turns):
    import torch
    from transformers import AutoModelForCausalLM

    turns.loaded = peak_bytes()
    return AutoModelForCausalLM.from_pretrained("base", dtype=torch.float32)


def left_padded(examples: list[dict[str, list]]) -> dict[str, Any]:
    """A batch as the paper's code makes it."""
    import torch

    longest = -(-max(len(example["ids"]) for example in examples) // 8) * 8
    batch: dict[str, list] = {"input_ids": [], "attention_mask": [], "labels": []}
    for example in examples:
        ids, padding = example["ids"], longest - len(example["ids"])
        learned = [i if learn else -100 for i, learn in zip(ids, example["mask"], strict=True)]
        batch["input_ids"].append([0] * padding + ids)
        batch["attention_mask"].append([0] * padding + [1] * len(ids))
        batch["labels"].append([-100] * padding + learned)
    return {name: torch.tensor(rows) for name, rows in batch.items()}


def train_paper(task: dict[str, Any], turns: Turns) -> None:
    from transformers import Trainer, TrainingArguments

    arguments = TrainingArguments(
        per_device_train_batch_size=MICROBATCH,
        gradient_accumulation_steps=task["batch"] // MICROBATCH,
        optim="adamw_torch",
        logging_strategy="no",
        remove_unused_columns=False,
        train_sampling_strategy="sequential",  # the order is the file's
        **common_arguments(task),
    )
    trainer = watched(Trainer, lambda inputs: int(inputs["attention_mask"].sum()), turns, task["steps"])
    examples = json.loads(Path("examples.json").read_text())
    trainer(model=their_model(turns), args=arguments, train_dataset=examples, data_collator=left_padded).train()


def train_trl(task: dict[str, Any], turns: Turns) -> None:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from growthpace.models.tokenizer import load_tokenizer

    examples = json.loads(Path("examples.json").read_text())
    mean = statistics.mean(len(example["ids"]) for example in examples)
    rows = {"input_ids": [e["ids"] for e in examples], "completion_mask": [list(map(int, e["mask"])) for e in examples]}
    arguments = SFTConfig(
        per_device_train_batch_size=1,
        gradient_accumulation_steps=max(1, round(task["batch"] * mean / task["max_length"])),
        packing=True,
        max_length=task["max_length"],
        completion_only_loss=True,
        pad_token="<unk>",
        **common_arguments(task),
    )
    trainer = watched(SFTTrainer, lambda inputs: inputs["input_ids"].numel(), turns, task["steps"])
    tokenizer = load_tokenizer("base")
    data = Dataset.from_dict(rows)
    trainer(model=their_model(turns), args=arguments, train_dataset=data, processing_class=tokenizer).train()


def train_ours(task: dict[str, Any], turns: Turns) -> None:
    """`growthpace.training.run.train`, with a trainer that takes turns."""
    from growthpace.files import write_json
    from growthpace.grid import Grid
    from growthpace.paths import Paths
    from growthpace.training import methods, run
    from growthpace.training.attention import MASKED

    given = Path.cwd()
    Path(task["side"]).mkdir()  # a study of its own: no two processes may train the same run
    os.chdir(task["side"])
    study = make_study(task)
    paths, (cell,) = Paths(study), Grid(study).runs
    shutil.copytree(given / "base", paths.model("model"))
    write_json(paths.model("model") / "base.json", {"weights_sha256": "random"})
    paths.dataset(cell.dataset, cell.seed).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(given / "items.parquet", paths.dataset(cell.dataset, cell.seed))
    write_json(paths.manifest(cell.dataset, cell.seed), {"items_sha256": "any"})

    run.PackedTrainer = watched(
        run.PackedTrainer, lambda inputs: sum(r["input_ids"].numel() for r in inputs["rows"]), turns, task["steps"]
    )
    encode, load = run.encode_items, run.load_for_training

    def folded(*arguments):
        examples, counts = encode(*arguments)
        return fold(examples, task["shape"]), counts

    def watched_load(*arguments):
        turns.loaded = peak_bytes()
        return load(*arguments)

    run.encode_items, run.load_for_training = folded, watched_load
    if task["masked"]:
        methods.choose_attention = lambda *_: MASKED
    if task["in_memory"]:
        run.encode_items = lambda *_: (random_examples(task), {"truncated": 0, "dropped": 0})
        methods.load_weights = random_model
        keep = turns.say

        def say(**told):
            keep(**told, **({"recomputed": trained.notes.get("gradient_checkpointing")} if "seconds" in told else {}))

        class Training(run._Training):
            def __init__(self, *arguments):
                nonlocal trained
                super().__init__(*arguments)
                trained = self

        trained, run._Training, turns.say = None, Training, say
    run.train(study, cell, paths, lambda line: print(line, file=sys.stderr))


TRAIN = {"paper": train_paper, "trl": train_trl, "ours": train_ours}


def random_examples(task: dict[str, Any]) -> list:
    """Examples of exactly `max_length` tokens that are all learned, as published speeds are measured with."""
    from growthpace.training.batches import Example

    numbers, size = random.Random(0), SHAPES[task["shape"]]["fold"] or PAPER_VOCABULARY
    mask = (False, *[True] * (task["max_length"] - 1))
    return [
        Example(tuple(numbers.choices(range(size), k=task["max_length"])), mask, f"random-{number}")
        for number in range(task["items"])
    ]


def random_model(folder: Path, settings: Any, dtype: Any, **options: Any):
    """In place of loading weights: random ones of the folder's config, made on the device."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder), dtype=dtype)


def side(task: dict[str, Any]) -> None:
    """What a side's process does, in the folder that `prepare` filled."""
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not come between
    import torch

    torch.set_num_threads(task["threads"])
    TRAIN[task["side"].split(",")[0]](task, Turns(channel))


if __name__ == "__main__":
    side(json.loads(sys.argv[1]))
