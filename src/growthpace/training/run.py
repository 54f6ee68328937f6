"""One training: full fine-tuning of a base model on a dataset, resumable at any moment with the same result.

`train` leaves a Hugging Face folder per needed epoch (`epoch-{epoch}/`), a small marker beside each
(`epoch-{epoch}.json`) and, last, `training.json`. Progress lives in `state/` (see `interruptible`).
Run it by hand: `growthpace train CONFIG MODEL/DATASET/seed-N`.
"""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments, set_seed

from growthpace import __version__
from growthpace.conversation import Encoder
from growthpace.data.items import read_items
from growthpace.errors import InputError
from growthpace.files import fingerprint, read_json, write_json
from growthpace.grid import SELECTED, Grid, Paths, Run
from growthpace.interruptible import StateFolder, Stopped
from growthpace.models.base import quiet_libraries, weights_hash
from growthpace.models.tokenizer import load_tokenizer
from growthpace.study import Study
from growthpace.training.batches import Steps, encode_items
from growthpace.training.packing import IGNORED, Row
from growthpace.training.schedule import learning_rate_at
from growthpace.training.states import History, mark_complete, newest_whole, states, step_of

Report = Callable[[str], None]


def needed_epochs(study: Study, run: Run, paths: Paths, trained: bool) -> list[int]:
    """Epochs whose weights are needed; all of them where the study keeps all.

    trained: the run has been trained with its present settings, so that predictions and a selection that are there
    are of these weights, and only what is missing needs any. Otherwise they are of other weights and count for nothing.
    """
    grid = Grid(study)
    if study.keep_checkpoints == "all":
        return list(range(1, grid.epochs(run) + 1))
    needed: set[int] = set()
    for suite, epoch in grid.evaluations(run):
        if trained and paths.prediction(run, suite, epoch).exists():
            continue
        if epoch != SELECTED:
            needed.add(epoch)
        elif trained and paths.selected(run).exists():
            needed.add(read_json(paths.selected(run))["epoch"])
        else:
            needed.update(grid.candidates(run))
    return sorted(needed)


def train(study: Study, run: Run, paths: Paths, report: Report) -> dict[str, Any]:
    """Trains a run and returns what `training.json` says.

    Raises `InputError` for bad input, `Busy` where another job trains this run, `Stopped` after a signal (the state
    is saved, the next call goes on from it), FloatingPointError for a loss that is not finite.
    """
    grid, folder = Grid(study), paths.run(run)
    base, manifest = read_json(paths.model(run.model) / "base.json"), read_json(paths.manifest(run.dataset, run.seed))
    settings = grid.run_settings(run)
    identity = {**settings, "base_weights": base["weights_sha256"], "dataset": manifest["items_sha256"]}
    with StateFolder(folder / "state", fingerprint(identity)) as state:
        finished = state.folder / "finished.json"
        known = read_json(finished) if finished.exists() else None
        needed = needed_epochs(study, run, paths, trained=known is not None)
        lost = [e for e in needed if weights_hash(paths.weights(run, e)) != _known_hash(known, e)] if known else needed
        if known and not lost:
            report(f"{run}: every weight that is needed is there, nothing to train")
        else:
            if known:
                report(f"{run}: the weights of epoch {', '.join(map(str, lost))} are gone and needed, training again")
            known = _Training(study, run, paths, state, identity, lost, known, report).run()
            write_json(finished, known)
        for leftover in states(state.folder):
            shutil.rmtree(leftover)
        for epoch in known["epochs"]:
            write_json(paths.marker(run, epoch["epoch"]), epoch)
        write_json(paths.training(run), known)
        return known


def _known_hash(known: dict | None, epoch: int) -> str | None:
    return next((e["weights_sha256"] for e in known["epochs"] if e["epoch"] == epoch), None) if known else None


class _Training:
    """The pieces of one call of `train`, from dataset to checkpoints."""

    def __init__(self, study, run, paths, state: StateFolder, identity, wanted: list[int], known, report: Report):
        self.study, self.run_, self.paths, self.state = study, run, paths, state
        self.identity, self.wanted, self.known, self.report = identity, wanted, known, report
        self.recipe = study.training
        self.grid = Grid(study)
        self._saved_path = state.folder / "epochs.json"
        self.saved: dict[str, str] = read_json(self._saved_path) if self._saved_path.exists() else {}
        """Hash of the weights of every epoch that was written with these settings, in whatever attempt."""

    def run(self) -> dict[str, Any]:
        quiet_libraries()
        torch.set_num_threads(self.study.threads)
        set_seed(self.run_.seed)
        base = self.paths.model(self.run_.model)
        self.tokenizer = load_tokenizer(base)
        encoder = Encoder(self.tokenizer, self.study.format)
        items = read_items(self.paths.dataset(self.run_.dataset, self.run_.seed))
        examples, self.lengths = encode_items(items, encoder, self.recipe.max_length, self.recipe.overlong)
        epochs = self.grid.epochs(self.run_)
        self.steps = Steps(examples, self.run_.seed, epochs, self.recipe.batch_size, self.recipe.microbatch_tokens)
        self.history = History(self.state.folder / "history.jsonl")
        # A state behind an epoch whose weights are gone is of no use: training would never come past that epoch again.
        gone = [e for e in self.wanted if weights_hash(self.paths.weights(self.run_, e)) != self.saved.get(str(e), "")]
        if not gone and len(self.history.read()) >= self.last_step:  # killed between the last weights and their record
            self.history.cut(self.last_step)
            self.state.log("everything that is needed had been trained")
            return self._describe()
        resume = newest_whole(self.state.folder, below=gone[0] * self.steps.per_epoch if gone else self.last_step)
        done = step_of(resume) if resume else 0
        self.history.cut(done)
        # fp32 master weights: transformers would load the checkpoint's own precision.
        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, use_safetensors=True)
        context = getattr(model.config, "max_position_embeddings", None)
        if context and self.recipe.max_length > context:
            raise InputError(
                f"training.max_length: {self.recipe.max_length} is above the context of {self.run_.model} ({context})"
            )
        if self.recipe.gradient_checkpointing:
            model.activation_checkpointing_enable()
        if done:
            self.report(f"{self.run_}: resuming after step {done} of {len(self.steps)}")
        self.state.log(f"starts at step {done} of {len(self.steps)}, process {os.getpid()} on {platform.node()}")
        trainer = _PackedTrainer(self, model)
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
        if self.state.stop_requested and trainer.state.global_step < self.last_step:
            self.state.log(f"stopped at step {trainer.state.global_step}")
            raise Stopped(f"{self.run_}: stopped after step {trainer.state.global_step}, run it again to go on")
        self.state.log("done")
        return self._describe()

    @property
    def last_step(self) -> int:
        """The step after which everything wanted is there."""
        return max(self.wanted, default=self.steps.epochs) * self.steps.per_epoch

    def save_epoch(self, model, epoch: int) -> None:
        """Writes an epoch's weights aside, then puts them in place; in the precision that training ran in."""
        target = self.paths.weights(self.run_, epoch)
        aside = target.with_name(f".{target.name}.partial")
        shutil.rmtree(aside, ignore_errors=True)
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[self.recipe.precision]
        copies: dict[tuple, torch.Tensor] = {}  # tied weights stay one tensor, so that they are written once
        weights = {}
        for name, tensor in model.state_dict().items():
            place = (tensor.data_ptr(), tensor.shape)
            if place not in copies:
                copies[place] = tensor.detach().to("cpu", dtype)
                if not copies[place].isfinite().all():
                    raise FloatingPointError(
                        f"{self.run_}: {name} is not finite after step {epoch * self.steps.per_epoch}, the last of "
                        f"epoch {epoch}; lower training.learning_rate or look at the data"
                    )
            weights[name] = copies[place]
        model.save_pretrained(aside, state_dict=weights)
        # transformers writes the precision of the model in memory, which is not that of these weights.
        config = read_json(aside / "config.json")
        write_json(aside / "config.json", {**config, "dtype": str(dtype).removeprefix("torch.")})
        self.tokenizer.save_pretrained(aside)
        for path in aside.iterdir():
            with open(path, "rb+") as handle:
                os.fsync(handle.fileno())
        shutil.rmtree(target, ignore_errors=True)
        os.replace(aside, target)
        self.saved[str(epoch)] = weights_hash(target)
        write_json(self._saved_path, self.saved)

    def _describe(self) -> dict[str, Any]:
        found = {e["epoch"]: e for e in (self.known or {"epochs": []})["epochs"]}
        for epoch in self.wanted:
            digest = self.saved[str(epoch)]
            before = found.get(epoch, {}).get("weights_sha256")
            if before not in (None, digest):
                self.report(
                    f"{self.run_}: warning: epoch {epoch} trained again has other weights than before ({before[:8]} "
                    f"to {digest[:8]}): another device or library? Its old predictions are of the old ones"
                )
            found[epoch] = {"epoch": epoch, "folder": f"epoch-{epoch}", "weights_sha256": digest}
        steps = self.history.read()
        seconds = sum(step["seconds"] for step in steps)
        if self.known:  # trained again for lost weights: what the first training recorded stays
            again = self.known.get("seconds_again", 0) + seconds
            return {**self.known, "epochs": [found[epoch] for epoch in sorted(found)], "seconds_again": round(again, 3)}
        tokens = sum(step["tokens"] for step in steps)
        return {
            "run": str(self.run_),
            "study": self.study.study,
            "settings": self.identity,
            "items": len(self.steps.examples),
            "lengths": self.lengths,
            "data_order": self.steps.order_hash(),
            "steps": len(steps),
            "steps_per_epoch": self.steps.per_epoch,
            "epochs": [found[epoch] for epoch in sorted(found)],
            "loss": [step["loss"] for step in steps],
            "learning_rate": [step["learning_rate"] for step in steps],
            "tokens": tokens,
            "answer_tokens": sum(step["answer_tokens"] for step in steps),
            "seconds": round(seconds, 3),
            "tokens_per_second": round(tokens / seconds, 1) if seconds else None,
            "device": torch.cuda.get_device_name()
            if torch.cuda.is_available()
            else f"CPU, {self.study.threads} threads",
            "devices": 1,
            "versions": {"growthpace": __version__, "torch": torch.__version__, "python": platform.python_version()},
        }


class _PackedTrainer(Trainer):
    """transformers' Trainer, whose batch is one optimiser step: the packed rows of its items.

    The loss is the mean over the step's answer tokens, whatever rows they fall in, so that it does not depend on how
    a step is split.
    """

    def __init__(self, training: _Training, model):
        self.training = training
        recipe = training.recipe
        super().__init__(
            model=model,
            args=TrainingArguments(
                output_dir=str(training.state.folder),
                max_steps=len(training.steps),
                per_device_train_batch_size=1,
                learning_rate=recipe.learning_rate,
                adam_beta1=recipe.betas[0],
                adam_beta2=recipe.betas[1],
                adam_epsilon=recipe.epsilon,
                weight_decay=recipe.weight_decay,
                max_grad_norm=recipe.max_grad_norm,
                bf16=recipe.precision == "bf16",
                use_cpu=not torch.cuda.is_available(),  # bf16 on a CPU is refused unless it is asked for by name
                optim="adamw_torch",
                seed=training.run_.seed,
                save_strategy="no",
                save_total_limit=2,
                logging_strategy="no",
                report_to="none",
                disable_tqdm=True,
                remove_unused_columns=False,
                use_cache=True,  # what a saved checkpoint says to whoever loads it; training passes its own
                dataloader_pin_memory=False,
            ),
            train_dataset=training.steps,
            callbacks=[_Keeper(training)],
        )
        for callback in list(self.callback_handler.callbacks):
            if type(callback).__name__ == "PrinterCallback":
                self.remove_callback(callback)

    def get_train_dataloader(self):
        return DataLoader(self.training.steps, batch_size=1, shuffle=False, collate_fn=_tensors)

    def create_scheduler(self, num_training_steps, optimizer=None):
        recipe = self.training.recipe

        def factor(step: int) -> float:
            rate = learning_rate_at(
                step, num_training_steps, recipe.learning_rate, recipe.learning_rate_floor, recipe.warmup_steps
            )
            return rate / recipe.learning_rate

        self.lr_scheduler = LambdaLR(optimizer or self.optimizer, factor)
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def training_step(self, model, inputs, num_items_in_batch=None):
        model.train()
        rows = self._prepare_inputs(inputs)["rows"]
        answer_tokens = sum(int((row["labels"] != IGNORED).sum()) for row in rows)
        total = torch.zeros((), device=self.args.device)
        for row in rows:
            with self.compute_loss_context_manager():
                loss = answer_loss(model, row) / answer_tokens
            self.accelerator.backward(loss)
            total += loss.detach()
        self.last = {
            "loss": float(total),
            "tokens": sum(row["input_ids"].numel() for row in rows),
            "answer_tokens": answer_tokens,
            "learning_rate": self.lr_scheduler.get_last_lr()[0],
        }
        if not torch.isfinite(total):
            raise FloatingPointError(
                f"{self.training.run_}: the loss is {float(total)} at step {self.state.global_step + 1} "
                f"(learning rate {self.last['learning_rate']:.3g}); lower training.learning_rate or look at the data"
            )
        self.training.last = self.last
        return total

    def floating_point_ops(self, inputs):
        return 0  # Trainer's estimate assumes one tensor a batch


def answer_loss(model, row: dict[str, torch.Tensor]) -> torch.Tensor:
    """Summed negative log-likelihood (nats, fp32) of a packed row's learned tokens.

    Only positions that predict a learned token meet the vocabulary matrix: full logits would be most of the memory.
    """
    targets = row["labels"][0, 1:]
    positions = (targets != IGNORED).nonzero().squeeze(1)
    logits = model(
        input_ids=row["input_ids"], position_ids=row["position_ids"], logits_to_keep=positions, use_cache=False
    ).logits[0]
    return torch.nn.functional.cross_entropy(logits.float(), targets[positions], reduction="sum")


def _tensors(batch: list[list[Row]]) -> dict[str, Any]:
    (rows,) = batch
    return {
        "rows": [
            {
                "input_ids": torch.tensor([row.input_ids]),
                "position_ids": torch.tensor([row.position_ids]),
                "labels": torch.tensor([row.labels]),
            }
            for row in rows
        ]
    }


class _Keeper(TrainerCallback):
    """After each step: history, progress, the epoch's weights, and a state when one is due."""

    def __init__(self, training: _Training):
        self.training = training
        self.saved = self.spoken = time.monotonic()

    def on_step_begin(self, args, state, control, **kwargs):
        self.began = time.monotonic()

    def on_step_end(self, args, state, control, model=None, **kwargs):
        training, now = self.training, time.monotonic()
        training.history.add({**training.last, "seconds": now - self.began})
        step, per_epoch = state.global_step, training.steps.per_epoch
        epoch, within = divmod(step, per_epoch)
        if within == 0 and epoch in training.wanted:
            training.save_epoch(model, epoch)
        last = step >= training.last_step
        due = within == 0 or now - self.saved > 60 * training.recipe.save_minutes or training.state.stop_requested
        control.should_save = due and not last
        control.should_training_stop = last or training.state.stop_requested
        if now - self.spoken > 5 or last or step == 1:
            self.spoken = now
            rate = training.last["tokens"] / max(now - self.began, 1e-9)
            training.report(
                f"train {training.run_}: step {step} of {training.last_step}, epoch {-(-step // per_epoch)}, "
                f"loss {training.last['loss']:.3f}, {rate:,.0f} tokens/s"
            )

    def on_save(self, args, state, control, **kwargs):
        self.training.history.flush()
        mark_complete(self.training.state.folder / f"checkpoint-{state.global_step}")
        self.saved = time.monotonic()
