"""Sources side by side at equal volume, and mixes beside balanced datasets: paired differences on shared items."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import combinations

import numpy as np
import pandas as pd

from growthpace.analysis.matrix import Block, blocks
from growthpace.analysis.scores import OVERALL
from growthpace.analysis.uncertainty import POINTS, Term, contrast, covers, holm

EQUAL_VOLUME = 1.05
"""A mix is set beside a grid dataset whose volume is within this factor of its own: a rest that does not divide leaves
a mix a few items off (the paper's `reconstruct` adds up to 10,001)."""
COLUMNS = [
    "kind", "suite", "ability", "in_domain", "model", "parameters", "volume", "volume_second", "first", "second",
    "difference", "standard_error", "df", "low", "high", "minimum_detectable", "stands", "p_value", "p_corrected",
    "stands_corrected", "seeds_first", "seeds_second", "items", "confidence", "uncertainty",
]  # fmt: skip


def compare(
    item_grades: pd.DataFrame | Iterable[Block],
    confidence: float,
    pairs: Callable[[pd.DataFrame], Iterable] | None = None,
) -> pd.DataFrame:
    """Every pair of sources at every volume both have, and every mix beside the grid's datasets of its volume.

    `pairs` gives others: (kind, first, second) for each comparison among the runs of a block, as `equal_volume_pairs`.

    A difference is `first` minus `second` in points (100 x score) for the same model, over the same items: a contrast
    with coefficients +100 and -100, so that what an item does to both cancels and the items' share of its variance is
    that of paired differences (Miller 2024, arXiv 2411.00640, section 4.2), clustered, plus the seeds of both sides.
    Runs that answer all items alike are not known to be equal: the items' variance then is 2 x 100^2 / (C + 2)^2 for C
    clusters (one pseudo-discordant item each way, Bonett and Price 2012; see `contrast`), and `uncertainty` says
    `items by a floor`.

    minimum_detectable: the true difference that a comparison of this size would find four times in five (see
    `Estimate.minimum_detectable`). `stands`: the interval excludes 0; p_value is that of the same test. p_corrected:
    Holm's, over all abilities of one suite, model and pair of datasets (those out of domain too; `overall` is one
    question by itself and keeps its p_value); stands_corrected: it lies below 1 - `confidence`. So where nothing
    differs between two datasets, the chance that any ability stands is at most that.
    Several volumes, models, suites and pairs are several families.

    Columns: kind (`sources` or `mix`), suite, ability, in_domain, model, parameters, volume, volume_second (equal but
    for mixes), first, second (dataset names), difference, standard_error, df, low, high, minimum_detectable, stands,
    p_value, p_corrected, stands_corrected, seeds_first, seeds_second, items, confidence, uncertainty. Empty where there
    is nothing to compare.
    """
    rows = []
    for block in blocks(item_grades):
        cells = block.runs.groupby(["model", "dataset"], sort=False).indices
        for kind, first, second in (pairs or equal_volume_pairs)(block.runs):
            columns = [cells[first["model"], side["dataset"]] for side in (first, second)]
            terms = [Term(POINTS, columns[0]), Term(-POINTS, columns[1])]
            estimate = contrast(block.sample, block.values, terms, block.noise)
            low, high = estimate.interval(confidence)
            rows.append(
                {
                    "kind": kind, "suite": block.suite, "ability": block.ability, "in_domain": block.in_domain,
                    "model": first["model"], "parameters": int(first["parameters"]), "volume": int(first["volume"]),
                    "volume_second": int(second["volume"]), "first": first["dataset"], "second": second["dataset"],
                    "difference": estimate.value, "standard_error": estimate.standard_error, "df": estimate.df,
                    "low": low, "high": high, "minimum_detectable": estimate.minimum_detectable(confidence),
                    "stands": bool(low > 0 or high < 0), "p_value": estimate.differs(), "seeds_first": len(columns[0]),
                    "seeds_second": len(columns[1]), "items": len(block.items), "confidence": confidence,
                    "uncertainty": covers(block.noise.df > 0, estimate),
                }
            )  # fmt: skip
    return _corrected(pd.DataFrame(rows, columns=COLUMNS), confidence)


def _corrected(rows: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """`rows` with p_corrected and stands_corrected; the families stand in `compare`."""
    rows = rows.astype({"p_value": float}).assign(p_corrected=rows["p_value"].astype(float))
    single = rows[rows["ability"] != OVERALL]
    families = single.groupby(["suite", "model", "first", "second"], sort=False)["p_value"]
    rows.loc[single.index, "p_corrected"] = families.transform(lambda of: holm(of.to_numpy()))
    return rows.assign(stands_corrected=(rows["p_corrected"] < 1 - confidence).astype(bool))[COLUMNS]


def equal_volume_pairs(runs: pd.DataFrame) -> Iterator[tuple[str, pd.Series, pd.Series]]:
    """(kind, first, second) for each comparison among the runs of a block, model by model."""
    datasets = runs.drop_duplicates(["model", "dataset"])
    for _, own in datasets.groupby("model", sort=False):
        grid, mixes = own[own["kind"] == "grid"], own[own["kind"] == "mix"]
        for _, same in sorted(grid.groupby("volume"), key=lambda pair: pair[0]):
            for one, other in combinations(range(len(same)), 2):
                yield "sources", same.iloc[one], same.iloc[other]
        for _, mix in mixes.iterrows():
            for _, of_source in grid.groupby("source", sort=False):
                factor = np.exp(np.abs(np.log(of_source["volume"].to_numpy(float) / mix["volume"])))
                if factor.min() <= EQUAL_VOLUME:
                    yield "mix", mix, of_source.iloc[int(factor.argmin())]
