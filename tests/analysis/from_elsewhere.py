"""A made-up table of scores and its map, for tests of `growthpace analyse`."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import yaml

COLUMNS = {
    "model": "model", "parameters": {"by": "model", "values": {"small": 1_000_000, "large": 8_000_000}},
    "source": "data", "volume": "n", "seed": "seed", "epoch": {"value": 3}, "suite": {"value": "test"},
    "ability": "task", "score": "acc", "items": "items", "chance": {"value": 0.25},
}  # fmt: skip
MAP = {
    "name": "made-up", "columns": COLUMNS, "scale": "fraction", "epochs": {"rule": "only"},
    "in_domain": ["code", "ethics"], "comparisons": "equal_volume", "confidence": 0.95, "margin": 2.0, "suite": "test",
}  # fmt: skip
PACES = {"code": 6.0, "ethics": 0.0}
"""Points per fourfold data."""


def rows(seeds=(1, 2), models=("small", "large"), items=400, volumes=(40, 160, 640, 2560), sources=("curated",)):
    """Scores that a binomial draws around straight lines; `synthetic` has half the pace."""
    rng = np.random.default_rng(5)
    found = []
    for model in models:
        for task, pace in PACES.items():
            level = 0.3 + 0.05 * (model == "large")
            untuned = rng.binomial(items, level) / items
            found.append({"model": model, "data": "", "n": 0, "seed": seeds[0], "task": task, "acc": untuned})
            for source in sources:
                for place, volume in enumerate(volumes):
                    for seed in seeds:
                        rise = pace * (0.5 if source == "synthetic" else 1) * place / 100
                        acc = rng.binomial(items, level + rise) / items
                        found.append(
                            {"model": model, "data": source, "n": volume, "seed": seed, "task": task, "acc": acc}
                        )
    return [{**row, "items": items} for row in found]


def write_csv(folder: Path, table: list[dict], name: str = "scores.csv") -> Path:
    path = folder / name
    with open(path, "w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, list(table[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
        writer.writeheader()
        writer.writerows(table)
    return path


def write_map(folder: Path, **changes) -> Path:
    """The map with some keys changed; a value of None takes one away."""
    content = {key: value for key, value in {**MAP, **changes}.items() if value is not None}
    path = folder / "map.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def columns(**changes) -> dict:
    return {**COLUMNS, **changes}
