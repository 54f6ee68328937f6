"""Spec files: the few settings that a stage's results depend on, and nothing else.

A rule writes them, so that a change of a setting (or of a stage's code version) replans that stage and what follows,
and Snakemake names the setting with its old and new value. A job checks that the config file still says what was
planned: a config edited under a running sweep would otherwise train one thing and record another.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from growthpace.errors import InputError
from growthpace.files import read_json
from growthpace.grid import Grid
from growthpace.paths import Paths
from growthpace.study import Study


def spec_of(study: Study, paths: Paths, stage: str, name: str) -> tuple[Path, dict[str, Any]]:
    """Path and settings of a spec file: stage `run` (name: the run), `predict` (name: the suite), `judge`
    or `grade`."""
    grid = Grid(study)
    if stage == "run":
        run = grid.run(name)
        return paths.run(run) / "spec.json", grid.run_settings(run)
    if stage == "predict":
        grid.require(suite=name)
        return paths.root / "specs" / f"predict-{name}.json", grid.prediction_settings(name)
    if stage == "grade":
        return paths.root / "specs" / "grade.json", grid.grading_settings()
    if stage == "judge":
        return paths.root / "specs" / "judge.json", grid.judging_settings()
    raise InputError(f"spec: unknown stage {stage!r} (allowed: run, predict, judge, grade)")


def check_spec(study: Study, paths: Paths, stage: str, name: str) -> None:
    """Raises `InputError` naming the settings in which the config differs from the spec file that was planned with."""
    path, settings = spec_of(study, paths, stage, name)
    if not path.exists():  # called by hand, without a workflow
        return
    planned = read_json(path)
    changed = [k for k in sorted({*planned, *settings}) if planned.get(k) != _plain(settings.get(k))]
    if changed:
        what = ", ".join(f"{k} from {planned.get(k)!r} to {settings.get(k)!r}" for k in changed)
        raise InputError(f"the config has changed since this job was planned ({what}); start the study again")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
