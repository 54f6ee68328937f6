"""One training: a base model tuned on a dataset, resumable at any moment with the same result.

`train` leaves a Hugging Face folder per needed epoch (`epoch-{epoch}/`), a small marker beside each
(`epoch-{epoch}.json`) and, last, `training.json`. Progress lives in `state/` (see `interruptible`).
Run it by hand: `growthpace train CONFIG MODEL/DATASET/seed-N`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from transformers import set_seed

from growthpace.conversation import Encoder
from growthpace.data.items import read_items
from growthpace.errors import InputError
from growthpace.files import fingerprint, read_json, write_json
from growthpace.grid import SELECTED, Grid, Run
from growthpace.interruptible import StateFolder, Stopped, remove_partial
from growthpace.models.base import quiet_libraries, weights_hash
from growthpace.models.kernels import steady_kernels
from growthpace.models.tokenizer import load_tokenizer
from growthpace.paths import Paths
from growthpace.planning.fitting import decide_checkpointing, device_fault
from growthpace.planning.shape import of_folder
from growthpace.study import Study
from growthpace.training.batches import Steps, encode_items
from growthpace.training.devices import device_memory, device_name, peak_of
from growthpace.training.methods import load_for_training
from growthpace.training.ranks import Ranks
from growthpace.training.record import figures, operations, software, summary
from growthpace.training.states import History, newest_whole, states, step_of
from growthpace.training.tracking import check_tracking, prepare_tracking
from growthpace.training.trainer import PackedTrainer, training_arguments
from growthpace.training.weights import write_checkpoint
from growthpace.training.zero import uses_deepspeed

Report = Callable[[str], None]


def needed_epochs(study: Study, run: Run, paths: Paths, trained: bool) -> list[int]:
    """Epochs whose weights are needed; all of them where the study keeps all.

    trained: the run has been trained with its present settings, so that predictions and a selection that are there
    are of these weights, and only what is missing needs any. Otherwise they are of other weights and count for nothing.
    """
    grid = Grid(study)
    if study.keep_checkpoints == "all" or not trained:
        return grid.evaluated_epochs(run)
    needed: set[int] = set()
    for suite, epoch in grid.evaluations(run):
        if paths.prediction(run, suite, epoch).exists():
            continue
        if epoch != SELECTED:
            needed.add(epoch)
        elif paths.selected(run).exists():
            needed.add(read_json(paths.selected(run))["epoch"])
        else:
            needed.update(grid.candidates(run))
    return sorted(needed)


def train(study: Study, run: Run, paths: Paths, report: Report) -> dict[str, Any]:
    """Trains a run and returns what `training.json` says.

    Raises `InputError` for bad input, `Busy` where another job trains this run, `Stopped` after a signal (the state
    is saved, the next call goes on from it), FloatingPointError for a loss that is not finite.
    """
    processes = study.models[run.model].processes
    ranks = Ranks.join(run.model, processes, study.threads, uses_deepspeed(study.training, processes))
    found = _train(study, run, paths, report if ranks.leads else _silent, ranks)
    ranks.wait()  # rank 0 is where the others meet: none may be left asking for it
    return found


def _silent(line: str) -> None:
    """A report of another rank than the one that speaks."""


def _train(study: Study, run: Run, paths: Paths, report: Report, ranks: Ranks) -> dict[str, Any]:
    grid, folder = Grid(study), paths.run(run)
    base, manifest = read_json(paths.model(run.model) / "base.json"), read_json(paths.manifest(run.dataset, run.seed))
    identity = grid.training_identity(run, base["weights_sha256"], manifest["items_sha256"])
    state = StateFolder(folder / "state", fingerprint(identity))
    finished = state.folder / "finished.json"

    def look() -> tuple[dict | None, list[int]]:
        """What is known of the finished training, and the epochs whose weights are needed and not there."""
        known = read_json(finished) if finished.exists() else None
        needed = needed_epochs(study, run, paths, trained=known is not None)
        lost = [e for e in needed if weights_hash(paths.weights(run, e)) != _known_hash(known, e)] if known else needed
        return known, lost

    def finish() -> None:
        remove_partial(folder)
        for leftover in states(state.folder):
            shutil.rmtree(leftover)
        for epoch in known["epochs"]:
            write_json(paths.marker(run, epoch["epoch"]), epoch)
        write_json(paths.training(run), known)

    with ExitStack() as held, ranks.together():
        ranks.first(lambda: held.enter_context(state) and None)
        known, lost = ranks.first(look)
        if known and not lost:
            report(f"{run}: every weight that is needed is there, nothing to train")
        else:
            if known:
                report(f"{run}: the weights of epoch {', '.join(map(str, lost))} are gone and needed, training again")
            known = _Training(study, run, paths, state, identity, lost, known, report, ranks).run()
            ranks.first(lambda: write_json(finished, known))
        ranks.first(finish)
        return known


def _known_hash(known: dict | None, epoch: int) -> str | None:
    return next((e["weights_sha256"] for e in known["epochs"] if e["epoch"] == epoch), None) if known else None


class _Training:
    """The pieces of one call of `train`, from dataset to checkpoints."""

    def __init__(
        self, study, run, paths, state: StateFolder, identity, wanted: list[int], known, report: Report, ranks: Ranks
    ):
        self.study, self.run_, self.paths, self.state = study, run, paths, state
        self.identity, self.wanted, self.known, self.report = identity, wanted, known, report
        self.ranks = ranks
        self.stopping = False
        """Whether the ranks have decided to save and stop."""
        self.recipe = study.training.effective
        self.settings, self.base = study.models[run.model], paths.model(run.model)
        self.shape = of_folder(self.base)
        self.device = device_name(study.threads)
        self.peak = peak_of(self.device, self.recipe.precision)
        self.grid = Grid(study)
        self._notes_path = state.folder / "notes.json"
        self.notes: dict[str, Any] = read_json(self._notes_path) if self._notes_path.exists() else {}
        """What has been decided and found in whatever attempt: `gradient_checkpointing`, `optimiser`."""
        self._saved_path = state.folder / "epochs.json"
        self.saved: dict[str, str] = read_json(self._saved_path) if self._saved_path.exists() else {}
        """Hash of the weights of every epoch that was written with these settings, in whatever attempt."""

    def run(self) -> dict[str, Any]:
        quiet_libraries()
        check_tracking(self.recipe.tracking)
        torch.set_num_threads(self.study.threads)
        steady_kernels()
        set_seed(self.run_.seed)
        self.tokenizer = load_tokenizer(self.base, self.settings.trust_remote_code)
        encoder = Encoder(self.tokenizer, self.study.format)
        items = read_items(self.paths.dataset(self.run_.dataset, self.run_.seed))
        examples, self.lengths = encode_items(items, encoder, self.recipe.max_length, self.recipe.overlong)
        epochs, world = self.grid.epochs(self.run_), self.ranks.world
        self.steps = Steps(
            examples, self.run_.seed, epochs, self.recipe.batch_size, self.recipe.microbatch_tokens, world
        )
        self.history = History(self.state.folder / "history.jsonl")
        complete, resume = self.ranks.first(self._look_for_state)
        if complete:
            return self.ranks.first(self._describe)
        done = step_of(resume) if resume else 0
        recomputed = self.ranks.first(self._decide_checkpointing)
        arguments = training_arguments(self.recipe, len(self.steps), self.run_.seed, str(self.state.folder), self.ranks)
        if self.recipe.tracking:
            arguments.project, arguments.run_name = self.study.study, str(self.run_)
            prepare_tracking(self.paths.run(self.run_), self.study.study, str(self.run_), fingerprint(self.identity))
        model = load_for_training(
            self.study, self.run_.model, self.base, self.tokenizer, uses_deepspeed(self.recipe, world)
        )
        context = getattr(model.config, "max_position_embeddings", None)
        if context and self.recipe.max_length > context:
            raise InputError(
                f"training.max_length: {self.recipe.max_length} is above the context of {self.run_.model} ({context})"
            )
        if recomputed:
            model.activation_checkpointing_enable()
        if done:
            self.report(f"{self.run_}: resuming after step {done} of {len(self.steps)}")
        self._log(f"starts at step {done} of {len(self.steps)}")
        self.trainer = PackedTrainer(self, arguments, model)
        if self.ranks.rank:
            set_seed(self.run_.seed + self.ranks.rank)  # dropout is of each rank's own
        self.trainer.train(resume_from_checkpoint=str(resume) if resume else None)
        if self.stopping and self.trainer.state.global_step < self.last_step:
            self._log(f"stopped at step {self.trainer.state.global_step}")
            raise Stopped(f"{self.run_}: stopped after step {self.trainer.state.global_step}, run it again to go on")
        self._log("done")
        return self.ranks.first(self._describe)

    def _decide_checkpointing(self) -> bool:
        """Whether activations are recomputed: as the run began, so that one that goes on elsewhere does the same.

        Raises `InputError` where the device is too small for the model.
        """
        if self.recipe.precision == "fp16" and not torch.cuda.is_available():
            raise InputError("training.precision: fp16 needs a GPU (allowed on a CPU: fp32, bf16)")
        free = device_memory(int(os.environ.get("LOCAL_WORLD_SIZE", 1)))
        if fault := self.shape and device_fault(self.shape, self.study, self.run_.model, free, self.device):
            raise InputError(fault)
        if "gradient_checkpointing" not in self.notes:
            setting = self.recipe.gradient_checkpointing
            if setting == "auto":
                known = self.shape is not None
                setting = known and decide_checkpointing(self.shape, self.study, self.run_.model, free, self.device)
            self.note("gradient_checkpointing", setting)
        return self.notes["gradient_checkpointing"]

    def note(self, key: str, value: Any) -> None:
        """Keeps something for `training.json` and for later attempts."""
        self.notes[key] = value
        if self.ranks.leads:
            write_json(self._notes_path, self.notes)

    def _look_for_state(self) -> tuple[bool, Path | None]:
        """Whether everything that is needed had been trained; otherwise the state to go on from, if there is one."""
        # A state behind an epoch whose weights are gone is of no use: training would never come past that epoch again.
        gone = [e for e in self.wanted if weights_hash(self.paths.weights(self.run_, e)) != self.saved.get(str(e), "")]
        if not gone and len(self.history.read()) >= self.last_step:  # killed between the last weights and their record
            self.history.cut(self.last_step)
            self.state.log("everything that is needed had been trained")
            return True, None
        resume = newest_whole(self.state.folder, below=gone[0] * self.steps.per_epoch if gone else self.last_step)
        self.history.cut(step_of(resume) if resume else 0)
        return False, resume

    def _log(self, line: str) -> None:
        if self.ranks.leads:
            self.state.log(line)

    @property
    def last_step(self) -> int:
        """The step after which everything wanted is there."""
        return max(self.wanted, default=self.steps.epochs) * self.steps.per_epoch

    def progress(self, step: dict[str, Any]) -> dict[str, float]:
        """What a step of the history says, in numbers."""
        work = operations([step], self.shape, self.settings.method)
        return figures(step, self.ranks.world, work, self.peak)

    def save_epoch(self, epoch: int) -> None:
        """Writes an epoch's weights."""
        whole = self.trainer.whole_weights()
        self.ranks.first(lambda: self._write_epoch(whole, epoch))

    def _write_epoch(self, whole: dict[str, torch.Tensor], epoch: int) -> None:
        target = self.paths.weights(self.run_, epoch)
        if self.saved.get(str(epoch), "") == weights_hash(target):  # killed between these and the state behind them
            return
        model = self.trainer.accelerator.unwrap_model(self.trainer.model)
        when = f"after step {epoch * self.steps.per_epoch} of {self.run_}, the last of epoch {epoch}"
        write_checkpoint(target, model, whole, self.tokenizer, self.base, self.settings, self.recipe.precision, when)
        self.saved[str(epoch)] = weights_hash(target)
        write_json(self._saved_path, self.saved)
        self.state.log(f"epoch {epoch} written")

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
        if self.known:  # trained again for lost weights: what the first training recorded stays
            again = self.known.get("seconds_again", 0) + sum(step["seconds"] for step in steps)
            return {**self.known, "epochs": [found[epoch] for epoch in sorted(found)], "seconds_again": round(again, 3)}
        method = self.settings.method
        return {
            "run": str(self.run_),
            "study": self.study.study,
            "settings": self.identity,
            "items": len(self.steps.examples),
            "lengths": self.lengths,
            "data_order": self.steps.order_hash(),
            "steps_per_epoch": self.steps.per_epoch,
            "epochs": [found[epoch] for epoch in sorted(found)],
            **self.notes,
            **summary(steps, self.device, self.ranks.world, operations(steps, self.shape, method), self.peak),
            **software(self.recipe, method),
        }
