"""What a larger model gains: points per doubling of parameters, at equal data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from growthpace.analysis.matrix import Block, blocks
from growthpace.analysis.uncertainty import POINTS, Estimate, Term, contrast, covers

FITTED, DIFFERENCE, ONE_SIZE = "fitted", "difference of two sizes", "one size"
NAN = float("nan")
NUMBERS = ["size_gain", "low", "high", "standard_error", "df", "minimum_detectable", "bend", "bend_low", "bend_high"]
COLUMNS = [
    "suite", "ability", "in_domain", "source", "volume", "volumes", "models", "sizes", *NUMBERS, "status", "items",
    "clusters", "confidence", "uncertainty",
]  # fmt: skip


def size_gains(item_grades: pd.DataFrame | Sequence[Block], confidence: float) -> pd.DataFrame:
    """One row per suite, ability (and `overall`), source and volume of the grid, then one over all its volumes.

    The size gain is the least squares slope of the models' scores at one volume against log2 of their parameters:

        size_gain = 100 * sum_m w_m * score_m      w_m = (x_m - mean x) / sum_m (x_m - mean x)^2      x_m = log2(n_m)

    a contrast as a pace is one: all models answer the same items, so the items' part is that of per-item slopes
    (clustered), and seeds add theirs. The row without a volume (NaN) is the mean of the gains at all volumes that
    models of two sizes share, one contrast too. Models are compared as they are: what differs between them besides
    size (family, pretraining data) is in the gain.

    bend: with three sizes or more, the coefficient of x^2 when a parabola is fitted instead, in points per doubling
    squared. Where its interval excludes 0, a straight line in log2(n) is wrong and the gain depends on the size.

    Columns: suite, ability, in_domain, source, volume, volumes (how many are averaged), models, sizes (distinct
    parameter counts; the least over the averaged volumes), size_gain, low, high, standard_error (points per doubling),
    df, minimum_detectable (see `Estimate`), bend, bend_low, bend_high, status (`fitted`, `difference of two sizes`
    which nothing is left to contradict, or `one size`: no number), items, clusters, confidence, uncertainty.
    """
    rows = []
    for block in blocks(item_grades):
        grid = block.runs[block.runs["kind"] == "grid"]
        for source, of_source in grid.groupby("source", sort=False):
            several = []
            for volume, runs in of_source.groupby("volume"):
                if runs["parameters"].nunique() > 1:
                    several.append(runs)
                rows.append(_row(block, source, [runs], confidence, volume=float(volume)))
            rows.append(_row(block, source, several, confidence, volume=NAN))
    return pd.DataFrame(rows, columns=COLUMNS)


def size_terms(runs: pd.DataFrame, degree: int, share: float = 1.0) -> list[Term]:
    """The terms of the leading coefficient of a polynomial of `degree` over log2(parameters), times `share`, in points,
    fitted by least squares to the models' scores, each model once. `runs`: rows of `Block.runs` of one volume.

    The weights are w = r / (r @ x^degree), r being what least squares leaves of x^degree with all lower powers.
    """
    index, parameters = runs.index.to_numpy(), runs["parameters"].to_numpy(float)
    places = runs.groupby("model", sort=False).indices.values()
    columns = [index[own] for own in places]
    x = np.log2([parameters[own[0]] for own in places])
    x = x - x.mean()
    lower = np.stack([x**power for power in range(degree)], axis=1)
    left = x**degree - lower @ np.linalg.lstsq(lower, x**degree, rcond=None)[0]
    weights = POINTS * share * left / (left @ x**degree)
    return [Term(weight, own) for weight, own in zip(weights, columns, strict=True)]


def _row(block: Block, source: str, cells: list[pd.DataFrame], confidence: float, volume: float) -> dict[str, Any]:
    sizes = min((runs["parameters"].nunique() for runs in cells), default=1)
    gain: Estimate | None = None
    numbers = dict.fromkeys(NUMBERS, NAN)
    if sizes > 1:
        gain = _mean(block, cells, 1)
        low, high = gain.interval(confidence)
        numbers |= {
            "size_gain": gain.value, "low": low, "high": high, "standard_error": gain.standard_error, "df": gain.df,
            "minimum_detectable": gain.minimum_detectable(confidence),
        }  # fmt: skip
    if sizes > 2:
        bend = _mean(block, cells, 2)
        numbers |= dict(zip(("bend", "bend_low", "bend_high"), (bend.value, *bend.interval(confidence)), strict=True))
    models = len({model for runs in cells for model in runs["model"]})
    return {
        "suite": block.suite, "ability": block.ability, "in_domain": block.in_domain, "source": source,
        "volume": volume, "volumes": len(cells), "models": models, "sizes": sizes, **numbers,
        "status": {1: ONE_SIZE, 2: DIFFERENCE}.get(sizes, FITTED), "items": len(block.items),
        "clusters": block.sample.clusters, "confidence": confidence,
        "uncertainty": covers(block.noise.df > 0, gain),
    }  # fmt: skip


def _mean(block: Block, cells: list[pd.DataFrame], degree: int) -> Estimate:
    terms = [term for runs in cells for term in size_terms(runs, degree, 1 / len(cells))]
    return contrast(block.sample, block.values, terms, block.noise)
