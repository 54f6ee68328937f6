"""What the files of a study say of each of its runs, and who is at work on it. Nothing is changed, nothing planned."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from growthpace.cluster import progress
from growthpace.files import fingerprint, read_json
from growthpace.grid import Grid, Run
from growthpace.paths import Paths
from growthpace.study import UNTUNED, Study

STATES = ("done", "running", "pending", "failed", "resumable", "trained", "to do")
"""Of a run, in the order of telling. `trained`: only answers are missing, and nothing is at work on them."""


def train_cell(run: Run) -> str:
    """A training's name for people, as in `growthpace.needs.Needs.cell`."""
    return f"train {run}"


def predict_cell(run: Run, suite: str, epoch: int | str) -> str:
    """A prediction's name for people."""
    return f"predict {run} {suite} {epoch}"


class Survey:
    """The runs of a study as their files tell, and the states of what is unfinished."""

    def __init__(self, study: Study, paths: Paths):
        self.study, self.paths, self.grid = study, paths, Grid(study)
        self._known: dict[Path, str | None] = {}
        self.trained, self.outdated = cache(self.trained), cache(self.outdated)

    @cached_property
    def unfinished(self) -> dict[str, Path]:
        """State folders of what has begun and has no result: {cell: folder}."""
        found = {}
        for run in self.grid.runs:
            state = self.paths.run(run) / "state"
            if state.exists() and not self.trained(run):
                found[train_cell(run)] = state
        for run, missing in self._missing.items():
            for suite, epoch in missing if self._begun(run) else []:
                state = self.paths.prediction(run, suite, epoch).with_suffix(".state")
                if state.exists():
                    found[predict_cell(run, suite, epoch)] = state
        return found

    @cached_property
    def predicted(self) -> dict[Run, int]:
        """How many predictions of each run are there."""
        return {run: len(self.grid.evaluations(run)) - len(missing) for run, missing in self._missing.items()}

    @cached_property
    def _missing(self) -> dict[Run, list[tuple[str, int | str]]]:
        # Tens of thousands of files: their names are put together as text, since paths would take a second.
        found, names = {}, {}
        for run in self.runs:
            wanted = self.grid.evaluations(run)
            for suite, epoch in wanted:
                if (suite, epoch) not in names:
                    names[suite, epoch] = str(self.paths.prediction(run, suite, epoch)).split(str(run))
            begun, name = self._begun(run), str(run)
            found[run] = [one for one in wanted if not begun or not os.path.exists(name.join(names[one]))]
        return found

    def _begun(self, run: Run) -> bool:
        """Whether a run has ever been evaluated."""
        return (self.paths.root / "predictions" / str(run)).exists()

    @property
    def runs(self) -> list[Run]:
        """All runs, the untuned models first."""
        return [*self.grid.untuned_runs, *self.grid.runs]

    def trained(self, run: Run) -> bool:
        """Whether a run has been trained with its present settings, as far as its files tell."""
        return run.dataset == UNTUNED or (self.paths.training(run).exists() and not self.outdated(run))

    def outdated(self, run: Run) -> bool:
        """Whether what a run's state folder holds is of other settings, another base model or another dataset."""
        known = self.paths.run(run) / "state" / "fingerprint"
        base = self._value(self.paths.model(run.model) / "base.json", "weights_sha256")
        items = self._value(self.paths.manifest(run.dataset, run.seed), "items_sha256")
        if base is None or items is None or not known.exists():
            return False
        identity = self.grid.training_identity(run, base, items)
        return known.read_text() != fingerprint(identity)

    def _value(self, path: Path, key: str) -> str | None:
        if path not in self._known:
            self._known[path] = read_json(path)[key] if path.exists() else None
        return self._known[path]

    @cached_property
    def working(self) -> dict[str, str]:
        """Who is at work on what, by the locks of the state folders: {cell: process and host}."""
        found = {}
        for cell, state in self.unfinished.items():
            lock = state.with_name(state.name + ".lock")
            # The holder writes its name into the file and empties it at its end.
            if lock.exists() and lock.stat().st_size and (who := progress.holder(state)):
                found[cell] = who
        return found

    def rows(self, live: Mapping[str, str], failed: Mapping[str, Any]) -> list[dict[str, Any]]:
        """One row per run; live: {cell: running or pending} of SLURM jobs; failed: cells that failed for good."""
        busy: dict[str, set[str]] = {}
        for cell, state in [*live.items(), *((cell, "running") for cell in self.working)]:
            busy.setdefault(run_of(cell), set()).add(state)
        broken = {run_of(cell) for cell in failed}
        return [self._row(run, busy.get(str(run), set()), str(run) in broken) for run in self.runs]

    def _row(self, run: Run, busy: set[str], broken: bool) -> dict[str, Any]:
        trained, predicted, needed = self.trained(run), self.predicted[run], len(self.grid.evaluations(run))
        state = self.unfinished.get(train_cell(run))
        usable = state is not None and not self.outdated(run)
        step = progress.saved_step(state) if usable else None
        of = begun[-1].of if usable and (begun := progress.attempts(state)) else None
        if trained and predicted == needed:
            name = "done"
        elif busy:
            name = "running" if "running" in busy else "pending"
        elif broken:
            name = "failed"
        elif trained and run.dataset != UNTUNED:
            name = "trained"
        else:
            name = "resumable" if step else "to do"
        return {
            "run": str(run),
            "model": run.model,
            "dataset": run.dataset,
            "seed": run.seed,
            "state": name,
            "trained": trained,
            "step": step,
            "of": of,
            "predictions": predicted,
            "predictions_needed": needed,
            "other_settings": run.dataset != UNTUNED and self.paths.training(run).exists() and not trained,
        }


def run_of(cell: str) -> str:
    """The run that a cell belongs to; for others (`base_model 7b`) what comes after its kind."""
    return cell.split()[1]
