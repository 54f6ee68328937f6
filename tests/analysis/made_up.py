"""Made-up item grades with a known truth, as `scores.collect` would give them, and the same as grade files."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.special import ndtri

from growthpace.analysis.scores import CHECKPOINT, GRADES
from growthpace.files import write_table

ABILITIES = {"biology": 6.0, "code": 7.0, "math": 1.0, "ethics": 0.0}
"""Points per fourfold data."""


def grades_of(
    rng: np.random.Generator, target: float, difficulty: np.ndarray, shared: float = 0.015, flicker: float = 1.0
) -> np.ndarray:
    """0/1 grades of n items in one run whose expected score is `target`: a probit with the items' `difficulty` (of
    variance 1), a shock of this run and noise of every answer."""
    expected = np.clip(target + shared * rng.normal(), 0.002, 0.998)
    spread = np.sqrt(1.0 + flicker**2)
    return (ndtri(expected) * spread + difficulty + flicker * rng.normal(size=len(difficulty)) > 0).astype(float)


def item_grades(
    seed: int = 0,
    abilities: dict[str, float] = ABILITIES,
    outside: tuple[str, ...] = (),
    models: tuple[tuple[str, int], ...] = (("tiny", 200_000), ("small", 900_000)),
    sources: tuple[str, ...] = ("curated", "synthetic"),
    volumes: tuple[int, ...] = (40, 160, 640, 2560),
    seeds: tuple[int, ...] = (0, 1),
    items: int = 60,
    group_size: int = 1,
    untuned: bool = True,
    mixes: dict[str, int] | None = None,
    missing: tuple[tuple[str, str, int], ...] = (),
    chance: float = 0.25,
) -> pd.DataFrame:
    """A whole study on the suite `test`; `synthetic` has half the pace. `missing`: (model, dataset, seed)."""
    rng = np.random.default_rng(seed)
    names = [*abilities, *outside]
    difficulty = {name: rng.normal(size=items) for name in names}
    groups = [f"g{i // group_size}" if group_size > 1 else "" for i in range(items)]
    frames = []

    def run(model, parameters, dataset, kind, source, volume, number, size):
        if (model, dataset, number) in missing:
            return
        for name in names:
            steps = np.log(volume / 10) / np.log(4) if volume else 0.0
            pace = abilities.get(name, 3.0) * (0.5 if source == "synthetic" else 1.0)
            target = chance + 0.05 + 0.05 * size + pace * steps / 100
            checkpoint = (model, parameters, dataset, kind, source, volume, number, 3 if volume else 0, True, "test")
            frames.append(
                pd.DataFrame(
                    {
                        **dict(zip(CHECKPOINT, checkpoint, strict=True)),
                        "item_id": [f"{name}-{i:04d}" for i in range(items)],
                        "ability": name, "group": groups, "grade": grades_of(rng, target, difficulty[name]),
                        "chance": chance, "cut": False, "in_domain": name in abilities,
                        "abilities_in_study": len(abilities),
                    }
                )
            )  # fmt: skip

    for size, (model, parameters) in enumerate(models):
        if untuned:
            run(model, parameters, "untuned", "untuned", "", 0, 0, size)
        for source in sources:
            for volume in volumes:
                for number in seeds:
                    run(model, parameters, f"{source}-{volume}", "grid", source, volume, number, size)
        for mix, volume in (mixes or {}).items():
            for number in seeds:
                run(model, parameters, mix, "mix", mix, volume, number, size)
    return pd.concat(frames, ignore_index=True)


def write_grades(folder, frame: pd.DataFrame, study: str = "made-up", **about) -> list:
    """Writes a table of item grades as grade files, one per checkpoint and suite; gives their paths."""
    paths = []
    abilities = list(frame.loc[frame["in_domain"], "ability"].drop_duplicates())
    for number, (_, own) in enumerate(frame.groupby(["model", "dataset", "seed", "epoch", "suite"], sort=False)):
        metadata = {key: own[key].iloc[0] for key in CHECKPOINT}
        metadata = {key: value.item() if hasattr(value, "item") else value for key, value in metadata.items()}
        metadata |= {"study": study, "abilities_in_domain": abilities, **about}
        table = pa.Table.from_pandas(
            own[[*GRADES, *own.columns.intersection(["subject"])]].assign(parsed="A"), preserve_index=False
        )
        paths.append(folder / f"{number:04d}.parquet")
        write_table(paths[-1], table, metadata)
    return paths
