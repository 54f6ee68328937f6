"""How well two raters agree, beyond what their habits alone would bring: Cohen's kappa with its interval.

Used for people who review items (`growthpace.review`) and for a judge that is asked twice (`growthpace.judging`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from growthpace.analysis.uncertainty import quantile


@dataclass(frozen=True)
class Kappa:
    """Cohen's kappa and its interval. What cannot be told is None."""

    value: float | None
    """In [-1, 1]; None where it is undefined: fewer than two pairs, or both raters always say one and the same."""
    error: float | None
    """Standard error; None where `value` is, or where one cluster, or agreement everywhere, leaves it unknown."""
    low: float | None
    high: float | None


def differs(a: Any, b: Any) -> float:
    """Plain disagreement: 1 where two ratings are not the same."""
    return float(a != b)


def squared(a: float, b: float) -> float:
    """Disagreement of numbers, as quadratic weights have it."""
    return (a - b) ** 2


def kappa(
    pairs: Sequence[tuple[Any, Any]],
    confidence: float,
    groups: Sequence[Hashable] | None = None,
    disagreement: Callable[[Any, Any], float] = differs,
) -> Kappa:
    """Cohen's kappa of n pairs of ratings (first rater, second rater), with an interval of level `confidence`.

    kappa = 1 - D / E, with D the mean disagreement of the n pairs and E that of every first rating with every second
    (Cohen 1960, Educational and Psychological Measurement 20; with weights Cohen 1968, Psychological Bulletin 70).

    The standard error is that of the delta method for a table of counts (Fleiss, Cohen and Everitt 1969, Psychological
    Bulletin 72, eqs. 13 and 14), written as the variance of a mean: pair i moves kappa by

        z_i = -(d(a_i, b_i) - D - (1 - kappa) * (d(a_i, .) + d(., b_i) - 2 E)) / E

    with d(a_i, .) the mean disagreement of a_i with all second ratings. So it can be clustered: pairs with the same of
    `groups` (n of them; each pair its own when None) are not independent, and C clusters give
    C / (C - 1) * sum over clusters of (sum of z_i)^2 / n^2. Without groups that is the published variance times
    n / (n - 1). The interval is value -+ t * error with Student's t on C - 1 degrees of freedom, cut off at -1 and 1.

    Where all pairs agree there is a value, 1, but no error: the formula would say 0, which is no knowledge.
    """
    n = len(pairs)
    if n < 2:
        return Kappa(None, None, None, None)
    first, second = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    of_first = {a: math.fsum(m * disagreement(a, b) for b, m in second.items()) / n for a in first}
    of_second = {b: math.fsum(m * disagreement(a, b) for a, m in first.items()) / n for b in second}
    expected = math.fsum(m * of_first[a] for a, m in first.items()) / n
    if expected == 0:
        return Kappa(None, None, None, None)
    found = math.fsum(disagreement(a, b) for a, b in pairs) / n
    value = 1 - found / expected
    sums: dict[Hashable, float] = {}
    for place, (a, b) in enumerate(pairs):
        moved = disagreement(a, b) - found - (1 - value) * (of_first[a] + of_second[b] - 2 * expected)
        cluster = place if groups is None else groups[place]
        sums[cluster] = sums.get(cluster, 0.0) - moved / expected
    clusters = len(sums)
    if clusters < 2 or found == 0:
        return Kappa(value, None, None, None)
    error = math.sqrt(clusters / (clusters - 1) * math.fsum(total**2 for total in sums.values())) / n
    half = quantile((1 + confidence) / 2, clusters - 1) * error
    return Kappa(value, error, max(-1.0, value - half), min(1.0, value + half))


def told(found: Kappa) -> str:
    """The value with its interval, in words."""
    if found.value is None:
        return "undefined"
    if found.low is None:
        return f"{found.value:.2f} (interval not known)"
    return f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"
