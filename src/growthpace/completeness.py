"""Which cells of a study are there: what the report shows as missing instead of inventing it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from growthpace.files import read_json, read_metadata
from growthpace.grid import SELECTED, Grid
from growthpace.interruptible import failure
from growthpace.paths import Paths
from growthpace.study import Study


def existing_grades(study: Study, paths: Paths) -> list[Path]:
    """The grade files of the study that are there, in the study's order.

    A file for the selected epoch counts only if it is of the epoch that the run's selection names now.
    """
    grid, found = Grid(study), []
    for run in [*grid.runs, *grid.untuned_runs]:
        chosen = read_json(paths.selected(run))["epoch"] if paths.selected(run).exists() else None
        seen = set()
        for suite, epoch in grid.evaluations(run):
            path = paths.grades(run, suite, epoch)
            if not path.exists():
                continue
            number = read_metadata(path)["epoch"]
            if (epoch == SELECTED and number != chosen) or (suite, number) in seen:
                continue
            seen.add((suite, number))
            found.append(path)
    return found


def cells(study: Study, paths: Paths) -> list[dict[str, Any]]:
    """One row per run: model, dataset, seed, complete (bool) and what is missing (`training`, or the evaluations), with
    the error where its last attempt failed by itself."""
    grid = Grid(study)
    there = set(existing_grades(study, paths))
    rows = []
    for run in [*grid.untuned_runs, *grid.runs]:
        lacking = [
            f"{suite} at epoch {epoch}{_failed(paths.prediction(run, suite, epoch).with_suffix('.state'))}"
            for suite, epoch in grid.evaluations(run)
            if paths.grades(run, suite, epoch) not in there
        ]
        if lacking and run in grid.runs and not paths.training(run).exists():
            lacking = [f"training{_failed(paths.run(run) / 'state')}"]
        rows.append(
            {
                "model": run.model,
                "dataset": run.dataset,
                "seed": run.seed,
                "complete": not lacking,
                "missing": ", ".join(lacking),
            }
        )
    return rows


def _failed(state: Path) -> str:
    mark = failure(state)
    return f" (failed: {mark['error']})" if mark else ""
