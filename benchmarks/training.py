"""How fast growthpace trains, and in how much memory, beside the paper's way and beside TRL: one run, side by side.

    python benchmarks/training.py [--shape 30m] [--sides paper trl ours] [--steps 4] [--table benchmarks/training.md]
    python benchmarks/training.py gpu [--table benchmarks/training.md]

The same items (real ones, ../shared/data), tokenised alike, the same random weights, device, precision and AdamW. Each
side has a process of its own, and they take turns, an optimiser step each, so that whatever else the machine does
hits all of them alike. A step's seconds are all it takes: collating, forward, backward, clipping, AdamW. Useful tokens
are those of items; padding is none. Ratios are medians over the steps, of ours over theirs in the same round.

- paper: as the paper's released code trains. transformers' Trainer, batches of 8 left-padded to the longest (a multiple
  of 8), 8 of them a step, attention mask, the model's own loss over all logits. Without recomputing activations, which
  the paper did: that favours this side.
- trl: SFTTrainer(packing=True) with its defaults for all that is not the recipe, but batches of one packed row, since
  its default of 8 rows would be one row eight times as long, whose attention costs the square; and no recomputing.
  Loss on completions only, as it does for pretokenised items with a completion_mask.
- ours: `growthpace.training.run.train` on a study. Variants after commas, in any number: `ours,compile`, `ours,masked`
  (attention through a mask), `ours,4096` (tokens of a row).

gpu: tokens per second and model FLOP utilisation of models of the paper's sizes with random weights made in memory, on
random items of exactly 2,048 learned tokens, through the same `train` (`--shape tiny` tries it out without a GPU).

The last line is JSON: ratio_vs_paper, ratio_vs_trl, memory_ratio_vs_paper (ours over theirs, each process's peak).
"""

from __future__ import annotations

import argparse
import csv
import datetime
import itertools
import json
import os
import platform
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
BATCH, MICROBATCH = 64, 8
"""Items of an optimiser step, and of one forward pass of the paper's side."""
ABILITIES = ("math", "knowledge", "tales")
SHAPES: dict[str, dict[str, int]] = {
    # hidden_size, intermediate_size, num_hidden_layers, num_attention_heads; `fold`: ids are taken modulo this, for a
    # vocabulary that is as small a share of a small model as the paper's 49,957 tokens are of a large one
    "tiny": {"hidden": 32, "intermediate": 64, "layers": 2, "heads": 2, "fold": 512},
    "30m": {"hidden": 256, "intermediate": 688, "layers": 8, "heads": 8, "fold": 0},
    "share-of-7b": {"hidden": 384, "intermediate": 1024, "layers": 8, "heads": 6, "fold": 1024},
    "1.3b": {"hidden": 2048, "intermediate": 5504, "layers": 24, "heads": 16, "fold": 0},
    "7b": {"hidden": 4096, "intermediate": 11008, "layers": 32, "heads": 32, "fold": 0},
    "13b": {"hidden": 5120, "intermediate": 13824, "layers": 40, "heads": 40, "fold": 0},
}
POINTS = (("1.3b", "full"), ("7b", "full"), ("7b", "lora"), ("13b", "full"), ("13b", "lora"))
PAPER_VOCABULARY = 49_953 + 3
LIBRARIES = ("torch", "transformers", "trl", "accelerate", "peft")
RECIPE: dict[str, Any] = {
    "epochs": 1,
    "batch_size": BATCH,
    "learning_rate": 1e-5,
    "learning_rate_floor": 1e-5,  # constant, so that all sides learn alike
    "warmup_steps": 0,
    "betas": (0.9, 0.95),
    "epsilon": 1e-8,
    "weight_decay": 0.1,
    "max_grad_norm": 1.0,
    "overlong": "drop",
}


# --- items and models ------------------------------------------------------------------------------------------------


def data_folder() -> Path:
    """The folder of public data: GROWTHPACE_REAL_DATA, or `../shared/data` beside the project."""
    given = os.environ.get("GROWTHPACE_REAL_DATA")
    return Path(given) if given else PROJECT.parent / "shared" / "data"


def texts(data: Path) -> dict[str, list[tuple[str, str]]]:
    """Prompt and answer of every item, by ability."""
    with open(data / "gsm8k/train.jsonl", encoding="utf-8") as handle:
        math = [(row["question"], row["answer"]) for row in map(json.loads, handle)]
    knowledge, tales = [], []
    for path in sorted((data / "mmlu/data/test").glob("*.csv")):
        with open(path, encoding="utf-8", newline="") as handle:
            for question, *choices, answer in csv.reader(handle):
                lines = [question, *(f"{letter}. {text}" for letter, text in zip("ABCD", choices, strict=True))]
                knowledge.append(("\n".join([*lines, "Answer:"]), answer))
    for path in sorted((data / "fairytaleqa/data-by-train-split/section-stories/train").glob("*.csv")):
        with open(path, encoding="utf-8", newline="") as handle:
            sections = [row["text"] for row in csv.DictReader(handle)]
        tales += [(f"Continue the tale.\n{a}", b) for a, b in itertools.pairwise(sections)]
    return dict(zip(ABILITIES, (math, knowledge, tales), strict=True))


def make_items(number: int) -> list:
    """Items in equal parts of the three kinds, always the same."""
    from growthpace.data.items import Item, Message

    chosen = []
    for place, (ability, pairs) in enumerate(texts(data_folder()).items()):
        share = number // 3 + (place < number % 3)
        for index in random.Random(0).sample(range(len(pairs)), share):
            asked, reply = pairs[index]
            messages = (Message("user", asked), Message("assistant", reply))
            chosen.append(Item(f"{ability}-{index}", ability, messages, "none", origin=f"{ability}:{index}"))
    return chosen


def llama_config(shape: str, vocabulary: int):
    """A Llama's config; `vocabulary`: of its tokenizer."""
    from transformers import LlamaConfig

    size = SHAPES[shape]
    return LlamaConfig(
        vocab_size=size["fold"] or vocabulary,
        hidden_size=size["hidden"],
        intermediate_size=size["intermediate"],
        num_hidden_layers=size["layers"],
        num_attention_heads=size["heads"],
        num_key_value_heads=size["heads"],
        max_position_embeddings=2048,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=2,
        pad_token_id=0,
    )


def save_tokenizer(folder: Path):
    """Writes the paper's SentencePiece model with the format's tokens, and gives it."""
    from growthpace.conversation import PAPER_TOKENS
    from growthpace.models.tokenizer import load_tokenizer

    with tempfile.TemporaryDirectory() as name:
        shutil.copy(data_folder() / "chinese_llama_tokenizer/tokenizer.model", name)
        tokenizer = load_tokenizer(name)
        tokenizer.add_special_tokens({"extra_special_tokens": list(PAPER_TOKENS)})
        tokenizer.save_pretrained(folder)
    return load_tokenizer(folder)


def make_study(task: dict[str, Any]):
    """The study of one run: its model, its dataset's size and its recipe as the task has them."""
    from growthpace.study import Study

    files = {"importer": "alpaca", "folder": ".", "files": "{ability}.json"}
    pool = {**files, "files": "all.json"}
    suite = {"items": files, "epochs": "all", "max_new_tokens": 4}
    lora = {"rank": 16, "alpha": 32, "targets": "all-linear", "dropout": 0.0}
    method = {"method": "full"} if task["method"] == "full" else {"method": "lora", "lora": lora}
    return Study.model_validate(
        {
            "study": "benchmark",
            "description": "a study to measure training with",
            "abilities": list(ABILITIES),
            "seeds": [1],
            "format": "paper",
            "threads": task["threads"],
            "models": {"model": {"folder": Path("base").absolute(), **method}},
            "sources": {"curated": {"items": pool, "labelled": False, "volumes": [task["items"]]}},
            "untuned": False,
            "training": {
                **RECIPE,
                "batch_size": task["batch"],
                "max_length": task["max_length"],
                "microbatch_tokens": task["row"],
                "precision": task["precision"],
                "gradient_checkpointing": task["checkpointing"],
                "compile": task["compile"],
            },
            "suites": {"valid": suite, "test": suite},
            "selection": {"suite": "valid", "rule": "last"},
            "analysis": {"suite": "test", "confidence": 0.95, "margin": 2},
            "figures": {"palette": "colorblind", "style": "white", "panel_width": 3, "columns": 4},
            "keep_checkpoints": "selected",
        }
    )


def fold(examples: list, shape: str) -> list:
    """The examples with ids that the model of this shape has."""
    from dataclasses import replace

    size = SHAPES[shape]["fold"]
    return [replace(e, ids=tuple(i % size for i in e.ids)) for e in examples] if size else examples


def prepare(folder: Path, shape: str, number: int, max_length: int, seed: int = 1) -> dict[str, Any]:
    """Writes what all sides read into a folder: `base/`, a model and its tokenizer; `items.parquet`; and
    `examples.json`, the items' ids and masks in the order in which they are learned. Gives what there is of them."""
    import torch
    from transformers import LlamaForCausalLM

    from growthpace.conversation import Encoder
    from growthpace.data.items import write_items
    from growthpace.training.batches import Steps, encode_items

    tokenizer = save_tokenizer(folder / "base")
    torch.manual_seed(0)
    model = LlamaForCausalLM(llama_config(shape, len(tokenizer)))
    model.save_pretrained(folder / "base")
    encoder = Encoder(tokenizer, "paper")
    kept = [i for i in make_items(number + number // 4) if len(encoder.encode(i.messages).ids) <= max_length]
    items = random.Random(seed).sample(kept, number)
    write_items(folder / "items.parquet", items, {})
    examples, _ = encode_items(items, encoder, max_length, "refuse")
    order = Steps(examples, seed, 1, BATCH, max_length).order(0)
    ordered = [fold(examples, shape)[index] for index in order]
    rows = [{"ids": example.ids, "mask": example.mask} for example in ordered]
    (folder / "examples.json").write_text(json.dumps(rows))
    parameters = sum(weights.numel() for weights in model.parameters())
    head = model.lm_head.weight.numel()
    lengths = [len(example.ids) for example in ordered]
    return {
        "parameters": parameters,
        "vocabulary_share": round(head / (parameters - head), 3),
        "mean_tokens": round(statistics.mean(lengths), 1),
        "longest": max(lengths),
        "answer_share": round(sum(sum(e.mask) for e in ordered) / sum(lengths), 3),
    }


# --- a side, in a process of its own ---------------------------------------------------------------------------------


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
    from growthpace.grid import Grid, Paths
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


# --- the parent ------------------------------------------------------------------------------------------------------


class Side:
    """A side's process, seen from the parent."""

    def __init__(self, folder: Path, task: dict[str, Any], device: str):
        self.name, self.steps = task["side"], []
        self.log = folder / f"{self.name}.log"
        environment = {**os.environ, "OMP_NUM_THREADS": str(task["threads"]), "TOKENIZERS_PARALLELISM": "false"}
        if device == "cpu":
            environment["CUDA_VISIBLE_DEVICES"] = ""
        command = [sys.executable, str(Path(__file__).resolve()), "side", json.dumps(task)]
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                text=True,
            )  # fmt: skip
        self.loaded = self.hear()["loaded"]

    def hear(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            raise RuntimeError(f"{self.name} ended early:\n{self.log.read_text()[-3000:]}")
        return json.loads(line)

    def turn(self) -> None:
        """One optimiser step."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.steps.append(self.hear())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()

    def speeds(self, warmup: int, clock: str = "seconds") -> list[float]:
        """Useful tokens per second of every step after the warm-up."""
        return [step["tokens"] / step[clock] for step in self.steps[warmup:]]

    def numbers(self, warmup: int) -> dict[str, Any]:
        peak = max(step["peak"] for step in self.steps)
        return {
            "tokens_per_second": round(statistics.median(self.speeds(warmup)), 1),
            "tokens_per_processor_second": round(statistics.median(self.speeds(warmup, "worked")), 1),
            "seconds": [round(step["seconds"], 2) for step in self.steps],
            "tokens": [step["tokens"] for step in self.steps],
            "loss": [round(step["loss"], 5) for step in self.steps],
            "peak_mb": round(peak / 1e6),
            "training_mb": round((peak - self.loaded) / 1e6),
        }


def task_of(options: argparse.Namespace, shape: str, name: str) -> dict[str, Any]:
    """What a side's process is told."""
    variants = name.split(",")[1:]
    sizes = [int(v) for v in variants if v.isdigit()]
    return {
        "side": name,
        "shape": shape,
        "method": "full",
        "items": options.batch * options.steps,
        "steps": options.steps,
        "batch": options.batch,
        "threads": options.threads,
        "precision": options.precision,
        "max_length": options.max_length,
        "row": sizes[0] if sizes else options.row or options.max_length,
        "compile": "compile" in variants,
        "masked": "masked" in variants,
        "checkpointing": False,
        "in_memory": False,
    }


def side_by_side(options: argparse.Namespace, shape: str) -> dict[str, Any]:
    """Measures all sides on one shape."""
    with tempfile.TemporaryDirectory() as name:
        folder, sides = Path(name), []
        made = prepare(folder, shape, options.batch * options.steps, options.max_length)
        print(
            f"{shape}: {made['parameters'] / 1e6:.1f} M parameters, {options.batch * options.steps} items of "
            f"{made['mean_tokens']} tokens on average (longest {made['longest']}), {made['answer_share']:.0%} answers",
            flush=True,
        )
        try:
            for each in options.sides:
                sides.append(Side(folder, task_of(options, shape, each), options.device))
            for step in range(options.steps):
                for place in range(len(sides)):  # another side goes first in every round
                    sides[(place + step) % len(sides)].turn()
                lasts = [(each.name, each.steps[-1]) for each in sides]
                told = "; ".join(f"{name} {last['seconds']:.1f} s, loss {last['loss']:.4f}" for name, last in lasts)
                print(f"  step {step + 1}: {told}", flush=True)
        finally:
            for each in sides:
                each.close()
    return compared(made, sides, options.warmup)


def compared(made: dict[str, Any], sides: list[Side], warmup: int) -> dict[str, Any]:
    """The sides' numbers, and the ratios of every side that is ours to the others."""
    found: dict[str, Any] = {**made, "sides": {s.name: s.numbers(warmup) for s in sides}}
    named = {s.name: s for s in sides}

    def ratio(a: Side, b: Side, clock: str) -> float:
        pairs = zip(a.speeds(warmup, clock), b.speeds(warmup, clock), strict=True)
        return round(statistics.median(x / y for x, y in pairs), 2)

    for ours in (s for s in sides if s.name.startswith("ours")):
        mine = found["sides"][ours.name]
        for other in (name for name in named if name != ours.name):
            theirs = found["sides"][other]
            mine[f"ratio_vs_{other}"] = ratio(ours, named[other], "seconds")
            mine[f"processor_ratio_vs_{other}"] = ratio(ours, named[other], "worked")
            mine[f"memory_ratio_vs_{other}"] = round(mine["peak_mb"] / theirs["peak_mb"], 2)
            mine[f"training_memory_ratio_vs_{other}"] = round(mine["training_mb"] / theirs["training_mb"], 2)
    if {"paper", "ours"} <= named.keys():
        a, b = (found["sides"][name]["loss"][0] for name in ("paper", "ours"))
        found["loss_difference_at_step_1"] = abs(a - b)
        print(f"  loss of the same items at step 1: paper {a:.5f}, ours {b:.5f}")
    return found


# --- models of the paper's sizes -------------------------------------------------------------------------------------


def measure_point(options: argparse.Namespace, shape: str, method: str) -> dict[str, Any]:
    """One model by itself: tokens per second, model FLOP utilisation, memory; or why it could not be trained."""
    from growthpace.planning.formulas import model_operations
    from growthpace.planning.shape import of_folder
    from growthpace.training.devices import device_name, peak_of

    task = task_of(options, shape, "ours") | {"method": method, "checkpointing": "auto", "in_memory": True}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        llama_config(shape, len(save_tokenizer(folder / "base"))).save_pretrained(folder / "base")
        from growthpace.data.items import write_items

        write_items(folder / "items.parquet", make_items(3), {})  # never learned: random ones take their place
        size = of_folder(folder / "base")
        try:
            point = Side(folder, task, options.device)
            for _ in range(options.steps):
                point.turn()
            point.close()
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            print(f"{shape} {method}: not measured: {reason}", flush=True)
            return {"shape": shape, "method": method, "not_measured": reason}
    steps = point.steps[options.warmup :]
    tokens, seconds = (sum(step[key] for step in steps) for key in ("tokens", "seconds"))
    peak = peak_of(device_name(options.threads), options.precision)
    work = model_operations(size, tokens, tokens * options.max_length, method)
    found = {
        "shape": shape,
        "method": method,
        "parameters": size.parameters,
        "tokens_per_second": round(tokens / seconds, 1),
        "model_flop_utilisation": round(work / seconds / peak.tflops / 1e12, 4) if peak else None,
        "tflops": round(work / seconds / 1e12, 4),
        "peak_gb": round(point.steps[-1]["peak"] / 2**30, 2),
        "recomputed": point.steps[-1]["recomputed"],
        "losses": [round(step["loss"], 4) for step in point.steps],
    }
    print(f"{shape} {method}: {json.dumps(found)}", flush=True)
    return found


# --- what is written -------------------------------------------------------------------------------------------------


def circumstances(options: argparse.Namespace) -> dict[str, Any]:
    """Device, versions and date."""
    from growthpace.training.devices import device_name

    device = device_name(options.threads)
    if options.device == "cpu":
        names = re.findall(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
        device = f"{names[0] if names else platform.machine()}, {options.threads} threads"
    versions = {name: version(name) for name in LIBRARIES}
    date = datetime.date.today().isoformat()
    return {"device": device, "precision": options.precision, "versions": versions, "date": date}


TITLE = "# Training: speed and memory\n\nWritten by `benchmarks/training.py`; its docstring says what each side is.\n"
SIDES, GPU = "## Side by side", "## Models of the paper's sizes on a GPU"
NO_GPU = "No GPU was at hand when this was written: these cells are empty, and nothing in them was estimated."
GPU_HEADER = (
    "| model | trained | tokens/s | model FLOP utilisation | peak memory, GB | activations recomputed |\n"
    "|---|---|---|---|---|---|\n"
)


def write_section(path: Path, title: str, body: str) -> None:
    """Replaces one section of the table's file; the other one stays."""
    empty = "".join(f"| {shape} | {method} | | | | |\n" for shape, method in POINTS)
    sections = {SIDES: "", GPU: f"{NO_GPU} `python benchmarks/training.py gpu` measures them.\n\n{GPU_HEADER}{empty}"}
    if path.exists():
        parts = re.split(r"^(## .+)$", path.read_text(), flags=re.MULTILINE)
        sections |= {name: text.strip() + "\n" for name, text in zip(parts[1::2], parts[2::2], strict=True)}
    sections[title] = body
    path.write_text("\n".join([TITLE, *(f"{name}\n\n{text}" for name, text in sections.items() if text)]))


def said(around: dict[str, Any]) -> str:
    """Device, versions, date and command in words."""
    versions = ", ".join(f"{name} {number}" for name, number in around["versions"].items())
    command = " ".join(["python", "benchmarks/training.py", *sys.argv[1:]])
    return f"{around['date']}, {around['device']}, {around['precision']}; {versions}.\n\n    {command}\n"


def side_table(found: dict[str, dict[str, Any]], around: dict[str, Any]) -> str:
    """The section of sides in Markdown."""
    lines = [said(around)]
    for shape, one in found.items():
        lines.append(
            f"### {shape}\n\n{one['parameters'] / 1e6:.1f} M parameters; the vocabulary matrix is "
            f"{one['vocabulary_share']:.0%} as large as all layers together. Items of {one['mean_tokens']} tokens on "
            f"average, the longest {one['longest']}; {one['answer_share']:.0%} of the tokens are answers.\n".replace(
                "%", " %"
            )
        )
        others = [name for name in one["sides"] if not name.startswith("ours")]
        heads = ["side", "tokens/s", "peak memory, MB", "of it training, MB", "loss at step 1 and last"]
        heads += [f"speed over {name}" for name in others]
        lines += [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
        for name, side in one["sides"].items():
            cells = [name, f"{side['tokens_per_second']:,.0f}", f"{side['peak_mb']:,}", f"{side['training_mb']:,}"]
            cells.append(f"{side['loss'][0]:.4f}, {side['loss'][-1]:.4f}")
            cells += [f"{side[key]:.2f}" if (key := f"ratio_vs_{other}") in side else "" for other in others]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    lines.append(
        "Tokens/s: median over the steps. Speed over another: median over the steps of the ratio in the same round. "
        "Peak memory is each process's own (the most it ever held, libraries included); what is training's is the peak "
        "less what it had held before the model was loaded. paper's and ours's losses are of the same items at every "
        "step; trl packs the whole dataset before it divides it into steps, so that its steps hold others."
    )
    return "\n".join(lines) + "\n"


def gpu_table(points: list[dict[str, Any]], around: dict[str, Any]) -> str:
    """The section of models in Markdown."""
    rows = []
    for point in points:
        if reason := point.get("not_measured"):
            rows.append(f"| {point['shape']} | {point['method']} | not measured: {reason} | | | |")
            continue
        share = point["model_flop_utilisation"]
        cells = [point["shape"], point["method"], f"{point['tokens_per_second']:,.0f}"]
        cells += ["" if share is None else f"{100 * share:.1f} %", f"{point['peak_gb']:.1f}"]
        rows.append(f"| {' | '.join([*cells, 'yes' if point['recomputed'] else 'no'])} |")
    return said(around) + "\n" + GPU_HEADER + "\n".join(rows) + "\n"


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", nargs="?", choices=("compare", "gpu"), default="compare")
    parser.add_argument("--shape", nargs="+", choices=SHAPES, help="default: 30m share-of-7b; for gpu all its points")
    parser.add_argument("--sides", nargs="+", default=["paper", "trl", "ours"])
    parser.add_argument("--steps", type=int, default=5, help="optimiser steps, with those of the warm-up")
    parser.add_argument("--warmup", type=int, default=1, help="steps that are not counted")
    parser.add_argument("--batch", type=int, help=f"items of a step (default {BATCH}; for gpu 16)")
    parser.add_argument("--max-length", type=int, default=2048)
    parser.add_argument("--row", type=int, help="tokens of our packed rows (default: max-length)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--precision", choices=("fp32", "bf16"), help="default: fp32; for gpu bf16")
    parser.add_argument("--table", type=Path, help="Markdown file to write the results to")
    options = parser.parse_args(arguments)
    measured_alone = options.mode == "gpu"
    options.batch = options.batch or (16 if measured_alone else BATCH)
    options.precision = options.precision or ("bf16" if measured_alone else "fp32")
    if options.device == "auto":
        import torch

        options.device = "cuda" if torch.cuda.is_available() else "cpu"
    if options.batch % MICROBATCH or options.steps <= options.warmup:
        parser.error(f"--batch must be a multiple of {MICROBATCH}, and --steps more than --warmup")
    return options


def main(options: argparse.Namespace) -> None:
    around = circumstances(options)
    if options.mode == "gpu":
        wanted = [(shape, method) for shape in options.shape or () for method in ("full", "lora")] or POINTS
        points = [measure_point(options, *point) for point in wanted]
        if options.table:
            write_section(options.table, GPU, gpu_table(points, around))
        print(json.dumps({**around, "points": points}))
        return
    found = {shape: side_by_side(options, shape) for shape in options.shape or ("30m", "share-of-7b")}
    if options.table:
        write_section(options.table, SIDES, side_table(found, around))
    first = next(iter(found.values()))["sides"].get("ours", {})
    ratios = {key: first.get(key) for key in ("ratio_vs_paper", "ratio_vs_trl", "memory_ratio_vs_paper")}
    print(json.dumps({**ratios, **around, "shapes": found}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["side"]:
        side(json.loads(sys.argv[2]))
    else:
        main(parse(sys.argv[1:]))
