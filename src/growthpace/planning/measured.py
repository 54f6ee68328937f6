"""What finished jobs of a study tell: their throughput, and how many tokens a dataset has."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from growthpace.files import read_json
from growthpace.paths import Paths
from growthpace.study import Training

AT_MOST = 20
"""Files read for one number: the largest ones, which are those of the longest runs and so of the least start-up."""
KEYS = {"items", "steps", "steps_per_epoch", "tokens", "tokens_per_second", "device"}

BEFORE = {"offload": False, "compile": False, "method": "full"}
"""What a run was trained with whose settings do not say."""


@dataclass(frozen=True)
class Trained:
    """A finished run."""

    dataset: str
    items: int
    tokens: float
    """Of one epoch."""
    tokens_per_second: float | None
    """Of one device."""
    device: str
    settings: dict[str, Any]


def trained(paths: Paths, model: str = "*", dataset: str = "*") -> list[Trained]:
    """Finished runs of a model (of all when `*`) on a dataset."""
    found = (paths.root / "runs").glob(f"{model}/{dataset}/seed-*/training.json")
    largest = sorted((-path.stat().st_size, path) for path in found)[:AT_MOST]
    records = [(path.parts[-3], read_json(path)) for _, path in largest]
    return [_trained(name, record) for name, record in records if record.keys() >= KEYS and record["steps"]]


def _trained(dataset: str, record: dict[str, Any]) -> Trained:
    speed = record["tokens_per_second"]
    return Trained(
        dataset,
        record["items"],
        record["tokens"] * record["steps_per_epoch"] / record["steps"],
        speed / record.get("devices", 1) if speed else None,
        record["device"],
        record.get("settings", {}),
    )


def throughput(
    runs: Iterable[Trained], recipe: Training, gpus: Iterable[str] | None, method: str = "full"
) -> tuple[float, str, int] | None:
    """Median tokens/s of one device, the device, and of how many runs; None where no run tells.

    Only runs with the model's method and the recipe's precision, checkpointing (as it is written: `auto` is like
    `auto`), row length, offload and compilation count; what a run's settings do not name is as it was before there was
    a choice. gpus: types of the site's GPUs; runs on
    other GPUs count only where none was on these, and runs on a CPU only where it is empty; None: the runs of the
    device that has most.
    """
    keys = ("precision", "gradient_checkpointing", "microbatch_tokens", "offload", "compile")
    wanted = {key: getattr(recipe, key) for key in keys} | {"method": method}
    speeds: dict[str, list[float]] = {}
    for run in runs:
        if run.tokens_per_second and all(run.settings.get(k, BEFORE.get(k)) == v for k, v in wanted.items()):
            speeds.setdefault(run.device, []).append(run.tokens_per_second)
    if gpus is not None:
        types = [_plain(gpu) for gpu in gpus]
        speeds = {device: found for device, found in speeds.items() if device.startswith("CPU") != bool(types)}
        same = {d: found for d, found in speeds.items() if any(t in _plain(d) or _plain(d) in t for t in types)}
        speeds = same or speeds
    if not speeds:
        return None
    device = max(speeds, key=lambda name: (len(speeds[name]), name))
    return median(speeds[device]), device, len(speeds[device])


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def items_per_second(paths: Paths, model: str, suite: str) -> tuple[float, int] | None:
    """Median items/s of a model's predictions of a suite that tell how far they are, and how many those are."""
    found = (paths.root / "predictions").glob(f"{model}/*/seed-*/epoch-*/{suite}.state/progress.json")
    speeds = [read_json(path).get("items_per_second") for path in sorted(found)[:AT_MOST]]
    speeds = [speed for speed in speeds if speed]
    return (median(speeds), len(speeds)) if speeds else None


def state_seconds(state: Path) -> float:
    """Seconds of training up to the newest whole state in a run's state folder, 0 where there is none."""
    if not any(state.glob("checkpoint-*")):
        return 0.0
    from growthpace.training.states import History, is_complete, states, step_of

    whole = [step_of(folder) for folder in states(state) if is_complete(folder)]
    done = max(whole, default=0)
    return sum(step["seconds"] for step in History(state / "history.jsonl").read()[:done])
