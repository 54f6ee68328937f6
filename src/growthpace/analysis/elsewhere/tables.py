"""What tables of scores without item grades say beside what the analysis of a study says.

`curves.points`, `curves.pace`, `sizes.size_gains` and `compare.compare` take `binomial.ScoreBlock`s as they are. Here
the numbers of items of each row are filled in, which differ from run to run, it is said how errors were got, and a
comparison gets the correlation that it would need.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd

from growthpace.analysis.compare import compare, equal_volume_pairs
from growthpace.analysis.crossing import crossings
from growthpace.analysis.curves import NAN, pace, points
from growthpace.analysis.elsewhere.binomial import UNKNOWN, ScoreBlock
from growthpace.analysis.equivalence import equivalence
from growthpace.analysis.last_step import last_steps
from growthpace.analysis.matrix import Block
from growthpace.analysis.sizes import size_gains
from growthpace.analysis.uncertainty import POINTS, Term

NEEDED = "correlation_needed"
"""A column that comparisons of scores have more: how much the grades of an item in the two runs would have to move
together for the difference to stand; 0 where it stands without, NaN where no correlation would do."""


def all_pairs(runs: pd.DataFrame) -> Iterator[tuple[str, pd.Series, pd.Series]]:
    """The pairs of `equal_volume_pairs`, then all others of a block's trained datasets, kind `pair`, the later one in
    the table's order first (a mix against the grid, a larger volume against a smaller)."""
    seen = set()
    for kind, first, second in equal_volume_pairs(runs):
        seen.add((first["model"], frozenset((first["dataset"], second["dataset"]))))
        yield kind, first, second
    trained = runs[runs["kind"] != "untuned"].drop_duplicates(["model", "dataset"])
    for model, own in trained.groupby("model", sort=False):
        for one, other in combinations(range(len(own)), 2):
            first, second = own.iloc[other], own.iloc[one]
            if (model, frozenset((first["dataset"], second["dataset"]))) not in seen:
                yield "pair", first, second


def compared(blocks: list[Block], confidence: float, every: bool) -> pd.DataFrame:
    """`compare.compare` of blocks of either kind, of all pairs where `every`."""
    return compare(blocks, confidence, all_pairs if every else equal_volume_pairs)


def of_scores(blocks: list[ScoreBlock], confidence: float, margin: float, every: bool) -> dict[str, pd.DataFrame]:
    """points, pace, sizes, comparisons (with `correlation_needed`), equivalence, crossings and last steps of scores
    alone. Rank agreement draws items anew and needs their grades."""
    by_key = {(block.suite, block.ability): block for block in blocks}
    made = {
        "points": points(blocks, confidence), "pace": pace(blocks, confidence, margin),
        "sizes": size_gains([block.cautious() for block in blocks], confidence),
        "comparisons": compared(blocks, confidence, every), "equivalence": equivalence(blocks, confidence),
        "crossings": crossings(blocks, confidence), "last_steps": last_steps(blocks, confidence, margin),
    }  # fmt: skip
    found = {}
    for name, table in made.items():
        owners = [by_key[key] for key in zip(table["suite"], table["ability"], strict=True)]
        rows = list(zip(owners, table.to_dict("records"), strict=True))
        items = [min(block.sample.counted(columns) for columns in _terms(block, row)) for block, row in rows]
        words = [f"{row['uncertainty']}, {how(block.sample.correlation)}" for block, row in rows]
        found[name] = table.assign(items=np.array(items, int), uncertainty=pd.Series(words, table.index, dtype=object))
        if "clusters" in table.columns:
            found[name]["clusters"] = found[name]["items"]
        if name == "comparisons":
            found[name][NEEDED] = np.array([_needed(block, row, confidence) for block, row in rows], float)
    return found


def how(correlation: float | str) -> str:
    """How errors were got, in words: what `uncertainty` says more than in a study."""
    if correlation == UNKNOWN:
        return "binomial, unpaired: same items not known to be shared; conservative"
    return f"binomial, with an assumed correlation of {correlation:g} between runs"


def _terms(block: ScoreBlock, row: dict) -> list[np.ndarray]:
    """The columns of each term that a row of a table is about."""
    if "worth" in row or "ahead_before" in row:
        return [
            own for side in ("first", "second") for own in _terms(block, {"model": row["model"], "source": row[side]})
        ]
    if "first" in row:
        return [block.columns(model=row["model"], dataset=row[side]) for side in ("first", "second")]
    if "dataset" in row:
        return [block.columns(model=row["model"], dataset=row["dataset"])]
    grid = block.runs[block.runs["kind"] == "grid"]
    own = grid[grid["source"] == row["source"]]
    if "model" in row:
        own = own[own["model"] == row["model"]]
    elif row["volume"] > 0:  # NaN: over all volumes
        own = own[own["volume"] == row["volume"]]
    return [rows.index.to_numpy() for _, rows in own.groupby("volume")]


def _needed(block: ScoreBlock, row: dict, confidence: float) -> float:
    if block.sample.correlation != UNKNOWN:
        return NAN  # it is given
    first, second = _terms(block, row)
    return block.needed_correlation([Term(POINTS, first), Term(-POINTS, second)], confidence)
