"""Where the growth curves of two sources cross: with little data one is better, with much the other.

As in `equivalence`, a curve is straight in log volume between its volumes and nothing else is assumed; the difference
of two curves at any volume in the range of both is a paired contrast on shared items.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pandas as pd

from growthpace.analysis.equivalence import INFINITE, NAN, NEVER, UNDECIDED
from growthpace.analysis.matrix import Block
from growthpace.analysis.paired import Curves, falling_through_zero, not_told_apart, rows_of_pairs, steps_between

CROSSES = "crosses in range"
COLUMNS = [
    "suite", "ability", "in_domain", "model", "parameters", "first", "second", "status", "reason", "volume", "low",
    "high", "ahead_before", "ahead_after", "smallest", "largest", "items", "confidence", "uncertainty",
]  # fmt: skip


def crossings(blocks: Iterable[Block], confidence: float) -> pd.DataFrame:
    """For each suite, ability, model and pair of sources of the grid: a row for each crossing, or one that says no.

    `crosses in range`: of the K volumes in the range of both (those that either sweeps), the first is better at one and
    the second at another, each at level 1 - (1 - confidence) / K (Bonferroni over the volumes looked at, so that two
    curves that never cross are said to at most as often as 1 - confidence). Each turn from one such volume to the next
    is a row: `volume` is where the difference passes 0 between them, `low` to `high` spans where the curves cannot be
    told apart there.

    `never in range`: the same source is better at every volume of the common range, each at `confidence`; ahead_before
    and ahead_after name it, and volume, low and high are NaN.

    `undecided`: neither. low to high spans the volumes where the curves cannot be told apart, so that a crossing lies
    there if anywhere in range; low is 0 and high infinite where these reach the smallest or largest common volume. The
    volume is where the difference changes its sign if it does so once and low or high is there, else NaN.

    Columns: suite, ability, in_domain, model, parameters, first, second (sources, in the table's order), status,
    reason, volume, low, high, ahead_before, ahead_after (the better source below and above the crossing; empty where
    undecided), smallest, largest (of the common range; NaN without one), items, confidence, uncertainty.
    """
    return pd.DataFrame(rows_of_pairs(blocks, combinations, _pair, confidence), columns=COLUMNS)


def _pair(curves: Curves, first: str, second: str, confidence: float) -> list[dict[str, Any]]:
    both = [np.log(curves.volumes[source]) for source in (first, second)]
    knots = np.unique(np.concatenate(both))
    knots = knots[(knots >= max(own[0] for own in both)) & (knots <= min(own[-1] for own in both))]
    row = {"first": first, "second": second, "smallest": NAN, "largest": NAN, "volume": NAN, "low": 0.0,
           "high": INFINITE, "ahead_before": "", "ahead_after": ""}  # fmt: skip
    if len(knots) < 2:
        return [{**row, "status": UNDECIDED, "reason": "their volumes overlap in fewer than two"}]
    row["smallest"], row["largest"] = np.round(np.exp(knots[[0, -1]])).tolist()
    x = steps_between(knots)
    found = curves.cells.differences(curves.at(first, x) - curves.at(second, x))
    value, half = found.value, found.half(confidence)
    strict = found.half(1 - (1 - confidence) / len(knots))
    better = {1: first, -1: second}
    for sign, name in better.items():
        if (sign * value > half).all():
            ahead = {"ahead_before": name, "ahead_after": name, "low": NAN, "high": NAN}
            return [{**row, **ahead, "status": NEVER, "reason": f"{name} is better at every volume"}]
    sure = np.flatnonzero(np.isin(x, knots) & (np.abs(value) > strict))
    rows = []
    for left, right in pairwise(sure):
        sign = int(np.sign(value[left]))
        if sign == np.sign(value[right]):
            continue
        inner = slice(left, right + 1)
        low, high = np.exp(not_told_apart(x[inner], value[inner], half[inner])).tolist()
        rows.append(
            {
                **row, "status": CROSSES, "reason": "", "low": low, "high": high,
                "volume": float(np.exp(falling_through_zero(x[inner], sign * value[inner]))),
                "ahead_before": better[sign], "ahead_after": better[-sign],
            }
        )  # fmt: skip
    return rows or [{**row, **_undecided(x, value, half)}]


def _undecided(x: np.ndarray, value: np.ndarray, half: np.ndarray) -> dict[str, Any]:
    low, high = np.exp(not_told_apart(x, value, half)).tolist()
    turns = np.flatnonzero(np.diff(np.sign(value[value != 0])))
    told = np.abs(value[[0, -1]]) > half[[0, -1]]
    volume = NAN
    if len(turns) == 1 and told.any():
        sign = np.sign(value[value != 0][0])
        volume = float(np.exp(falling_through_zero(x, sign * value)))
    return {
        "status": UNDECIDED, "reason": "the curves cannot be told apart at enough volumes", "volume": volume,
        "low": low if told[0] else 0.0, "high": high if told[1] else INFINITE,
    }  # fmt: skip
