"""Replicates of mean scores, and rank agreement over all replicates at once.

For what is no contrast, such as a rank agreement: there is no formula for its error, but it can be worked out again
from items drawn anew. Everything is one matrix product or one comparison of columns; no loop over replicates.
"""

from __future__ import annotations

import numpy as np
from scipy.special import chdtri

from growthpace.analysis.uncertainty import Sample

CHUNK = 4_000_000
"""Numbers drawn at once: about 32 MB."""


def item_replicates(sample: Sample, means: np.ndarray, replicates: int, rng: np.random.Generator) -> np.ndarray:
    """[B, K] the sample's mean of each column of `means` [n, K], with clusters of items drawn anew B times.

    In each stratum its C clusters are drawn with replacement, and the mean is over all items drawn. Its distance from
    the stratum's own mean is stretched by sqrt(C / (C - 1)), so that the replicates' variance is that of
    `cluster_variance` also where clusters are few (Rao and Wu 1988, Journal of the American Statistical Association
    83). NaN where a stratum has a single cluster.
    """
    total = np.zeros((replicates, means.shape[1]))
    sums = np.add.reduceat(means[sample.order], sample.starts, axis=0)
    sizes = np.diff(np.append(sample.starts, len(sample.order))).astype(float)
    for stratum in range(sample.strata_count):
        inside = sample.cluster_strata == stratum
        own = np.column_stack([sums[inside], sizes[inside]])
        count = len(own)
        level = own[:, :-1].sum(axis=0) / own[:, -1].sum()
        stretch = np.sqrt(count / (count - 1)) if count > 1 else np.nan
        for first in range(0, replicates, max(1, CHUNK // count)):
            some = min(max(1, CHUNK // count), replicates - first)
            drawn = rng.integers(count, size=(some, count)) + np.arange(some)[:, None] * count
            times = np.bincount(drawn.ravel(), minlength=some * count).reshape(some, count)
            found = times @ own
            total[first : first + some] += level + stretch * (found[:, :-1] / found[:, -1:] - level)
    return total / sample.strata_count


def kendall(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[B] Kendall's tau-b between the rows of `first` and `second` [B, K]; NaN where a row is all ties.

    (concordant - discordant) / sqrt((pairs - ties in first) (pairs - ties in second)), over K (K - 1) / 2 pairs
    (Kendall 1945, Biometrika 33). What differs by less than 1e-9 is a tie. The same as `scipy.stats.kendalltau` row by
    row (a test compares them), in one go.
    """
    first, second = (np.round(values.T, 9) for values in (first, second))
    agree, untied = np.zeros(first.shape[1]), np.zeros((2, first.shape[1]))
    for place in range(len(first) - 1):
        one, other = np.sign(first[place] - first[place + 1 :]), np.sign(second[place] - second[place + 1 :])
        agree += np.einsum("kb,kb->b", one, other)
        untied += np.stack([np.abs(one).sum(axis=0), np.abs(other).sum(axis=0)])
    with np.errstate(divide="ignore", invalid="ignore"):
        return agree / np.sqrt(untied[0] * untied[1])


def real_share(values: np.ndarray, replicates: np.ndarray, confidence: float) -> float:
    """How much of what differs among `values` [K] is no noise: 1 - T / S, a reliability in (0, 1).

    S is the sum of squares of values about their mean, T the mean over `replicates` [B, K] of the same for what noise
    adds (each replicate less `values`). NaN where S is no larger than noise alone would make it: S / T * (K - 1) not
    above the chi-squared quantile at `confidence` on K - 1 degrees of freedom.
    """
    noise = replicates - values
    noise = float(((noise - noise.mean(axis=1, keepdims=True)) ** 2).sum(axis=1).mean())
    found = float(((values - values.mean()) ** 2).sum())
    beyond = found * (len(values) - 1) > noise * chdtri(len(values) - 1, 1 - confidence)
    return 1 - noise / found if beyond else float("nan")
