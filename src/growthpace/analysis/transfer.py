"""What training on one ability does for another: the transfer matrix, from runs on parts of one dataset.

table = transfer(item_grades, study.transfer, study.abilities, confidence=0.95)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from growthpace.analysis.matrix import Block, blocks
from growthpace.analysis.scores import OVERALL
from growthpace.analysis.uncertainty import POINTS, Noise, Term, contrast, covers, holm
from growthpace.study import Transfer
from growthpace.study.transfer import ALONE, Part

COLUMNS = [
    "suite", "model", "parameters", "source", "volume", "kind", "trained", "tested", "in_domain", "items_trained",
    "effect", "standard_error", "item_error", "seed_error", "df", "low", "high", "minimum_detectable", "p", "p_holm",
    "cells", "stands", "seeds", "seeds_other", "items", "clusters", "confidence", "uncertainty",
]  # fmt: skip


def transfer(
    item_grades: pd.DataFrame, settings: Transfer, abilities: Sequence[str], confidence: float
) -> pd.DataFrame:
    """One row per suite, model, kind, trained and tested ability: the transfer matrix, in points (100 x score).

    kind `alone`: score(tested | trained on the ability alone) - score(tested | untuned), what the ability's items give.
    kind `all_but`: score(tested | full dataset) - score(tested | all but the ability), what its items add to the rest.
    Where trained equals tested this is what an ability does for itself. Both are contrasts with coefficients +100 and
    -100 over the same items, so that what an item does to both cancels (as in `compare`); the seeds of both sides add
    to the error, with the between-seed dispersion pooled over the full dataset and its parts. Tested is an ability of
    the suite, or `overall` (the mean over the study's own).

    Interval: at level `confidence`, of one cell by itself. minimum_detectable: the true effect that such a cell would
    find four times in five, uncorrected (as in `compare`). p: two-sided, by Student's t. p_holm: corrected by Holm's
    method over the `cells` of one matrix: the same suite, model and kind, trained times tested; `overall` is a family
    of its own. stands: p_holm is below 1 - confidence.

    Columns: suite, model, parameters, source, volume (of the full dataset), kind, trained, tested, in_domain,
    items_trained (of the part), effect, standard_error, item_error, seed_error, df, low, high, minimum_detectable, p,
    p_holm, cells, stands, seeds (runs of the minuend), seeds_other (of the subtrahend; 1 for an untuned model), items,
    clusters, confidence, uncertainty. A cell of which a side is missing has no row.
    """
    rows = []
    parts = settings.parts(abilities)
    for block in blocks(item_grades):
        noise = block.noise_of(block.runs["dataset"].isin([settings.full, *(part.name for part in parts)]))
        for model in block.runs["model"].unique():
            for part in parts:
                rows += _cell(block, model, part, settings, noise, confidence)
    table = pd.DataFrame(rows, columns=COLUMNS)
    if table.empty:
        return table
    family = [table["suite"], table["model"], table["kind"], table["tested"] == OVERALL]
    table["p_holm"] = table.groupby(family)["p"].transform(lambda p: holm(p.to_numpy()))
    table["cells"] = table.groupby(family)["p"].transform("count").astype(int)
    table["stands"] = table["p_holm"] < 1 - confidence
    order = {ability: place for place, ability in enumerate(abilities)}
    keys = table.assign(_kind=table["kind"] != ALONE, _trained=table["trained"].map(order))
    by = ["suite", "parameters", "model", "_kind", "_trained"]
    return table.loc[keys.sort_values(by, kind="stable").index].reset_index(drop=True)


def _cell(
    block: Block, model: str, part: Part, settings: Transfer, noise: Noise, confidence: float
) -> Iterator[dict[str, Any]]:
    own = block.columns(model=model, dataset=part.name)
    alone = part.kind == ALONE
    other = block.columns(model=model, **({"kind": "untuned"} if alone else {"dataset": settings.full}))
    if not len(own) or not len(other):
        return
    first, second = (own, other) if alone else (other, own)
    terms = [Term(POINTS, first), Term(-POINTS, second, trained=not alone)]
    estimate = contrast(block.sample, block.values, terms, noise)
    low, high = estimate.interval(confidence)
    yield {
        "suite": block.suite, "model": model, "parameters": int(block.runs["parameters"].iloc[own[0]]),
        "source": settings.source, "volume": settings.volume, "kind": part.kind, "trained": part.ability,
        "tested": block.ability, "in_domain": block.in_domain, "items_trained": part.volume,
        "effect": estimate.value, "standard_error": estimate.standard_error, "item_error": estimate.item_error,
        "seed_error": estimate.seed_error, "df": estimate.df, "low": low, "high": high,
        "minimum_detectable": estimate.minimum_detectable(confidence), "p": estimate.differs(), "p_holm": float("nan"),
        "cells": 0, "stands": False, "seeds": len(first), "seeds_other": len(second), "items": len(block.items),
        "clusters": block.sample.clusters, "confidence": confidence,
        "uncertainty": covers(noise.df > 0, estimate),
    }  # fmt: skip


def matrix_of(table: pd.DataFrame, trained: Sequence[str], tested: Sequence[str], column: str = "effect") -> np.ndarray:
    """[trained, tested] values of a column of the rows of one suite, model and kind; NaN where there is no row."""
    found = table.set_index(["trained", "tested"])[column]
    return np.array([[found.get((row, place), np.nan) for place in tested] for row in trained], float)
