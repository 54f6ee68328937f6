"""How far a run has come, and what stopped it: read from the state folders that jobs keep, changing nothing in them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from growthpace.files import fingerprint, read_json
from growthpace.grid import Grid, Run
from growthpace.interruptible import code_version, failure
from growthpace.paths import Paths
from growthpace.training.states import is_complete, states, step_of


@dataclass(frozen=True)
class Progress:
    """What a stopped job has saved."""

    done: int
    of: int | None
    """None where nothing tells."""
    unit: str
    """step or item."""

    def __str__(self) -> str:
        return f"{self.unit} {self.done}" + (f" of {self.of}" if self.of else "")


class States:
    """State folders of a study's jobs."""

    def __init__(self, grid: Grid, paths: Paths):
        self.grid, self.paths = grid, paths

    @cached_property
    def _code(self) -> str:
        return code_version()

    def training(self, run: Run) -> Progress | None:
        """The newest whole state that training would go on from; None where it would begin anew."""
        folder = self.paths.run(run) / "state"
        if self._stale(run, folder):
            return None
        whole = [state for state in states(folder) if is_complete(state)]
        if not whole:
            return None
        described = whole[-1] / "trainer_state.json"
        steps = read_json(described).get("max_steps") if described.exists() else None
        return Progress(step_of(whole[-1]), steps, "step")

    def prediction(self, run: Run, suite: str, epoch: int | str) -> Progress | None:
        """How many items of a suite have been answered; None where none has."""
        path = self.paths.prediction(run, suite, epoch).with_suffix(".state") / "progress.json"
        found = read_json(path) if path.exists() else {"done": 0}
        return Progress(found["done"], found["of"], "item") if found["done"] else None

    def training_failure(self, run: Run) -> str | None:
        """Why the last training of a run failed by itself, where the next one would fail in the same way."""
        folder = self.paths.run(run) / "state"
        return None if self._stale(run, folder) else self._failure(folder)

    def prediction_failure(self, run: Run, suite: str, epoch: int | str) -> str | None:
        """Why the last prediction failed by itself, where the next one would fail in the same way."""
        return self._failure(self.paths.prediction(run, suite, epoch).with_suffix(".state"))

    def _failure(self, folder: Path) -> str | None:
        found = failure(folder)
        if found is None or (found["kind"] == "defect" and found["code"] != self._code):
            return None
        return described(found)

    def _stale(self, run: Run, folder: Path) -> bool:
        """Whether a state belongs to other settings or data than a training that began now."""
        base, manifest = self.paths.model(run.model) / "base.json", self.paths.manifest(run.dataset, run.seed)
        known = folder / "fingerprint"
        if not (known.exists() and base.exists() and manifest.exists()):
            return True
        weights, items = read_json(base)["weights_sha256"], read_json(manifest)["items_sha256"]
        identity = self.grid.training_identity(run, weights, items)
        return known.read_text() != fingerprint(identity)


def described(found: dict) -> str:
    """A failure mark in one line."""
    where = f", at {found['where']}" if found.get("where") else ""
    return f"{found['error']} ({found['when']}{where})"
