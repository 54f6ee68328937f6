"""Plans of clean checkouts, stored to be compared with. `python tests/plan/golden.py` writes them anew."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from contextlib import chdir
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "workflow"))  # where projects.py is

from projects import new_project  # noqa: E402

from growthpace.plan.making import Planned  # noqa: E402

CONFIGS = ("config/demo.yaml", "config/doit.yaml", "tests/plan/configs/mixes.yaml", "tests/plan/configs/seeds.yaml")
COSTS = {"gpu_hours", "hours", "basis"}
"""Left out: they are the cost model's to test."""


def stored(config: str) -> Path:
    """Where a config's plan is kept."""
    return HERE / "golden" / f"{Path(config).stem}.json"


def clean_plan(config: str, folder: Path) -> dict[str, Any]:
    """The plan of a config in a new copy of the project, without costs."""
    project = new_project(folder)
    name = f"config/{Path(config).name}"
    shutil.copy(HERE.parents[1] / config, project.folder / name)
    with chdir(project.folder):
        content = Planned(Path(name)).content(None)

    def kept(row: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in row.items() if key not in COSTS}

    return {
        "totals": {key: content["totals"][key] for key in ("cells", "jobs")},
        "stages": [kept(row) for row in content["stages"]],
        "cells": [kept(row) for row in content["cells"]],
        "reasons": content["reasons"],
    }


if __name__ == "__main__":
    for config in CONFIGS:
        with tempfile.TemporaryDirectory() as folder:
            plan = clean_plan(config, Path(folder) / "project")
        lines = (
            json.dumps(plan, indent=None, separators=(",", ":"))
            .replace('{"run"', '\n{"run"')
            .replace('{"stage"', '\n{"stage"')
        )
        stored(config).write_text(lines + "\n")
        print(f"{stored(config)}: {plan['totals']['jobs']} jobs")
