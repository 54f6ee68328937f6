"""Made-up item grades of a study with runs on parts of its dataset `curated-600`, with known effects."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from made_up import grades_of

from growthpace.analysis.scores import CHECKPOINT
from growthpace.study import Transfer
from growthpace.study.transfer import ALONE

ABILITIES = ("biology", "code", "math")
SETTINGS = Transfer(source="curated", volume=600, alone=True, all_but_one=True)
START, CHANCE = 0.3, 0.25


def score_of(gains: np.ndarray, kept: list[bool]) -> np.ndarray:
    """Expected scores by ability of a run on some abilities: gains [trained, tested] of what is kept add up."""
    return START + gains[np.array(kept, bool)].sum(axis=0)


def item_grades(
    gains: np.ndarray,
    seed: int = 0,
    settings: Transfer = SETTINGS,
    abilities: tuple[str, ...] = ABILITIES,
    models: Mapping[str, int] | None = None,
    seeds: tuple[int, ...] = (0, 1, 2),
    items: int = 400,
    missing: tuple[tuple[str, str, int], ...] = (),
) -> pd.DataFrame:
    """As `scores.collect` gives them; `missing`: (model, dataset, seed)."""
    rng = np.random.default_rng(seed)
    difficulty = {name: rng.normal(size=items) for name in abilities}
    frames = []

    def run(model, parameters, dataset, kind, volume, number, expected):
        if (model, dataset, number) in missing:
            return
        source = "" if kind == "untuned" else settings.source
        checkpoint = (model, parameters, dataset, kind, source, volume, number, 3 if volume else 0, True, "test")
        for name, score in zip(abilities, expected, strict=True):
            about = dict(zip(CHECKPOINT, checkpoint, strict=True))
            shock = {"shared": 0.0} if kind == "untuned" else {}  # no seed had a part in it: it is what it is
            grades = grades_of(rng, score, difficulty[name], **shock)
            rows = {"item_id": [f"{name}-{i}" for i in range(items)], "ability": name, "group": "", "grade": grades}
            known = {"chance": CHANCE, "cut": False, "in_domain": True, "abilities_in_study": len(abilities)}
            frames.append(pd.DataFrame({**about, **rows, **known}))

    for model, parameters in (models or {"tiny": 1000}).items():
        run(model, parameters, "untuned", "untuned", 0, 0, score_of(gains, [False] * len(abilities)))
        for number in seeds:
            run(model, parameters, settings.full, "grid", 600, number, score_of(gains, [True] * len(abilities)))
            for part in settings.parts(abilities):
                kept = [name in part.kept for name in abilities]
                run(model, parameters, part.name, "transfer", part.volume, number, score_of(gains, kept))
    return pd.concat(frames, ignore_index=True)


def expected_effects(gains: np.ndarray, abilities: tuple[str, ...] = ABILITIES) -> dict[tuple[str, str, str], float]:
    """{(kind, trained, tested): points}: both kinds of effect are the same where gains add up."""
    return {
        (kind, trained, tested): 100 * gains[row, column]
        for kind in (ALONE, "all_but")
        for row, trained in enumerate(abilities)
        for column, tested in enumerate(abilities)
    }
