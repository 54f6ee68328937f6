"""Data equivalence: how many items of one source give the score that so many of another give.

No form of growth is assumed but that a curve is straight in log volume between two volumes that were swept. For a
volume v of the `second` source and any volume w in the range of the `first`, the paired difference

    d(w) = score_second(v) - [(1 - u) score_first(w_k) + u score_first(w_k+1)]      u = log(w / w_k) / log(w_k+1 / w_k)

is a contrast on shared items, so its standard error is known (`paired`, `uncertainty.contrast`). The interval for the
equivalent volume is what that test does not reject: the volumes w whose d(w) cannot be told from 0. This inverts a test
as Fieller's interval for a ratio does (1954, Journal of the Royal Statistical Society B 16), and like it may be open.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd

from growthpace.analysis.matrix import Block
from growthpace.analysis.paired import Curves, falling_through_zero, not_told_apart, rows_of_pairs, steps_between

IN_RANGE, NEVER, UNDECIDED = "in range", "never in range", "undecided"
NAN, INFINITE = float("nan"), float("inf")
COLUMNS = [
    "suite", "ability", "in_domain", "model", "parameters", "first", "second", "volume", "status", "reason",
    "equivalent", "low", "high", "worth", "worth_low", "worth_high", "smallest", "largest", "items", "confidence",
    "uncertainty",
]  # fmt: skip


def equivalence(blocks: Iterable[Block], confidence: float) -> pd.DataFrame:
    """One row per suite, ability, model, ordered pair of sources of the grid, and volume of the second.

    `blocks` as `matrix.blocks` gives them. With f the first's curve and s the second's score at `volume`:

    `in range`: at `confidence`, s lies above f at the first's smallest volume and below f at its largest. Then
    `equivalent` is where f passes s on its way up (of several such volumes the one that agrees with most of the curve,
    see `paired.falling_through_zero`), and `low` to `high` spans the volumes where f cannot be told from s.

    `never in range`: f can be told from s at every volume, on the same side. equivalent is NaN. Where s lies above f,
    low is the first's largest volume and high is infinite: it takes more, or no volume does. Where s lies below, low is
    0 and high the first's smallest volume.

    `undecided`: neither. low is 0 unless s lies above f at the smallest volume, high is infinite unless s lies below f
    at the largest, each at `confidence`; an end that is there still bounds the equivalent volume. equivalent is where f
    passes s on its way up if it does, and NaN if it does not or both ends are open.

    An open end (0, infinite) means that the sweep cannot bound that side. The intervals hold for one row at a time, for
    a curve that does not fall; where it falls they are still the volumes at which the scores cannot be told apart.
    `worth` = volume / equivalent: how many items of the second one of the first is worth, at that volume; worth_low =
    volume / high, worth_high = volume / low (0 and infinite where those are open).

    Columns: suite, ability, in_domain, model, parameters, first, second (sources), volume (of the second), status,
    reason (why undecided, or which side), equivalent, low, high (volumes of the first), worth, worth_low, worth_high,
    smallest, largest (volumes of the first), items, confidence, uncertainty (see `uncertainty.covers`).
    """
    return pd.DataFrame(rows_of_pairs(blocks, permutations, _pair, confidence), columns=COLUMNS)


def _pair(curves: Curves, first: str, second: str, confidence: float) -> list[dict[str, Any]]:
    """The rows of an ordered pair of sources, in ascending volumes of the second."""
    volumes = curves.volumes[first]
    named = {"first": first, "second": second, "smallest": int(volumes[0]), "largest": int(volumes[-1])}
    if len(volumes) < 2:
        reason = f"{first} has one volume: no curve to look the score up in"
        known = {**named, "status": UNDECIDED, "reason": reason}
        return [
            {**known, "volume": int(volume), **_spans(volume, NAN, 0.0, INFINITE)} for volume in curves.volumes[second]
        ]
    knots = np.log(volumes)
    x = steps_between(knots)
    coefficients = curves.swept(second)[:, None] - curves.at(first, x)[None]
    found = curves.cells.differences(coefficients)
    halves = found.half(confidence)
    rows = []
    for volume, value, half in zip(curves.volumes[second], found.value, halves, strict=True):
        status, reason, *spans = _solve(first, knots, x, value, half)
        rows.append({**named, "volume": int(volume), "status": status, "reason": reason, **_spans(volume, *spans)})
    return rows


def _solve(first: str, knots: np.ndarray, x: np.ndarray, value: np.ndarray, half: np.ndarray):
    """(status, reason, equivalent, low, high) from the differences `value` and the halves of their intervals at `x`."""
    smallest, largest = np.exp(knots[[0, -1]])
    if (value > half).all():
        return NEVER, f"above all of {first}'s scores", NAN, largest, INFINITE
    if (value < -half).all():
        return NEVER, f"below all of {first}'s scores", NAN, 0.0, smallest
    begins, ends = bool(value[0] > half[0]), bool(value[-1] < -half[-1])
    low, high = np.exp(not_told_apart(x, value, half))
    place = np.exp(falling_through_zero(x, value))
    if not begins and not ends:
        place = NAN  # where the curve happens to pass says nothing
    spans = place, low if begins else 0.0, high if ends else INFINITE
    if begins and ends:
        return IN_RANGE, "", *spans
    if value[0] < -half[0] and value[-1] > half[-1]:
        return UNDECIDED, f"{first}'s curve falls through the score", *spans
    open_ends = [name for name, closed in (("smallest", begins), ("largest", ends)) if not closed]
    return UNDECIDED, f"not bounded by {first}'s {' and '.join(open_ends)} volume", *spans


def _spans(volume: float, equivalent: float, low: float, high: float) -> dict[str, float]:
    with np.errstate(divide="ignore"):
        worth = np.float64(volume) / np.array([equivalent, high, low])
    return {
        "equivalent": float(equivalent), "low": float(low), "high": float(high),
        "worth": float(worth[0]), "worth_low": float(worth[1]), "worth_high": float(worth[2]),
    }  # fmt: skip
