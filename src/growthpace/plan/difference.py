"""What one plan has more or less than another."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from growthpace.errors import InputError
from growthpace.files import read_json
from growthpace.plan.making import SCHEMA
from growthpace.plan.view import Content, hours


def read_plan(path: Path) -> Content:
    """A plan that was written before; `InputError` for anything else."""
    if not path.exists():
        raise InputError(f"{path}: no such file (allowed: a plan.json of growthpace plan)")
    try:
        found = read_json(path)
    except ValueError:
        raise InputError(f"{path}: not JSON (allowed: a plan.json of growthpace plan)") from None
    if not isinstance(found, dict) or not {"version", "study", "cells", "stages"} <= found.keys():
        raise InputError(f"{path}: no plan (allowed: a plan.json of growthpace plan)")
    if found["version"] != SCHEMA:
        raise InputError(f"{path}: a plan of version {found['version']!r} (allowed: {SCHEMA})")
    return found


def difference(before: Content, after: Content) -> dict[str, Any]:
    """Cells whose state changed, came or went, jobs to do by stage, and GPU hours: `after` against `before`."""
    old, new = ({cell["run"]: cell["state"] for cell in plan["cells"]} for plan in (before, after))
    jobs: Counter[str] = Counter()
    for sign, plan in ((-1, before), (1, after)):
        for row in plan["stages"]:
            jobs[row["stage"]] += sign * row["jobs"]
    hours_of = [plan["totals"]["gpu_hours"] for plan in (before, after)]
    return {
        "changed": {run: [old[run], state] for run, state in new.items() if run in old and old[run] != state},
        "added": {run: state for run, state in new.items() if run not in old},
        "removed": {run: state for run, state in old.items() if run not in new},
        "jobs": {stage: number for stage, number in jobs.items() if number},
        "gpu_hours": None if None in hours_of else hours_of[1] - hours_of[0],
    }


def difference_lines(found: dict[str, Any], most: int = 20) -> list[str]:
    """The difference in words; of cells at most `most` of a kind are named."""
    lines = []
    changes = Counter(f"{old} -> {new}" for old, new in found["changed"].values())
    for change, number in changes.most_common():
        runs = [run for run, states in found["changed"].items() if " -> ".join(states) == change]
        lines.append(f"{number} {change}: {_some(runs, most)}")
    for kind in ("added", "removed"):
        if found[kind]:
            lines.append(f"{len(found[kind])} {kind}: {_some(list(found[kind]), most)}")
    if found["jobs"]:
        lines.append("jobs to do: " + ", ".join(f"{stage} {number:+,}" for stage, number in found["jobs"].items()))
    if found["gpu_hours"] is None:
        lines.append("GPU hours: unknown in one of the plans")
    elif found["gpu_hours"]:
        sign = "+" if found["gpu_hours"] > 0 else "-"
        lines.append(f"GPU hours: {sign}{hours(abs(found['gpu_hours']))}")
    return lines or ["the plans agree"]


def _some(names: list[str], most: int) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
