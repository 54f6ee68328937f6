"""Many contrasts among the datasets of one model at once, and curves that are straight between their volumes.

An interval for a volume is found by asking of many volumes whether a difference there can be told from 0. Each answer
is a contrast; this module gives thousands of them from one covariance, where `uncertainty.contrast` goes through the
items each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.special import stdtrit

from growthpace.analysis.matrix import Block
from growthpace.analysis.uncertainty import Noise, Sample, covers, stratum_means, weighted_mean

STEPS = 16
"""Places looked at between two volumes; ends of intervals are interpolated between them."""
CHUNK = 2_000_000
"""Answers looked at together: about 16 MB."""


@dataclass(frozen=True)
class Cells:
    """K datasets of one model: mean scores over seeds, and how sure any difference among them is."""

    sample: Sample
    means: np.ndarray
    """[n, K] each item's mean grade."""
    scores: np.ndarray
    """[K], fractions."""
    covariances: np.ndarray
    """[A, K, K] of each of A strata: the items' part, without floors."""
    unseen: np.ndarray
    """[A, K] variance of what is pinned at 0 or 1 (see `uncertainty.contrast`)."""
    spread: np.ndarray
    """[K] p (1 - p) / seeds."""
    noise: Noise

    def differences(self, coefficients: np.ndarray) -> Differences:
        """The contrasts with `coefficients` [..., K], each row summing to 0: the same as `uncertainty.contrast` gives
        (a test compares them), floors and all. Values are rounded to 12 decimals, so that equal scores differ by 0."""
        count = self.sample.clusters_by_stratum.astype(float)
        squares = coefficients**2
        seen = np.einsum("...k,akl,...l->...a", coefficients, self.covariances, coefficients, optimize=True)
        unseen = squares @ self.unseen.T
        least = squares.sum(axis=-1, keepdims=True) / (count + 2) ** 2 / len(count) ** 2 - unseen
        low = (least > seen).any(axis=-1)
        if low.any():  # the floor is for strata in which next to nothing differs, so only these are looked at
            few = self._few_differ(coefficients[low])
            seen[low] = np.where(few, np.maximum(seen[low], least[low]), seen[low])
        seeds, dispersion, flicker = squares @ self.spread, self.noise.dispersion, self.noise.flicker
        known = self.noise.df > 0
        total = seen.sum(axis=-1) + unseen.sum(axis=-1) + (seeds * max(0.0, dispersion - flicker) if known else 0.0)
        shared = seeds * dispersion if known and dispersion > flicker else np.zeros_like(seeds)
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = ((seen**2 + unseen**2) / (count - 1)).sum(axis=-1) + shared**2 / max(self.noise.df, 1)
            df = np.maximum(total**2 / weight, 1.0)
        return Differences(np.round(coefficients @ self.scores, 12), np.sqrt(total), df)

    def _few_differ(self, coefficients: np.ndarray) -> np.ndarray:
        """[R, A] whether fewer than two clusters of a stratum differ from its median item, for each of R contrasts."""
        sample, found = self.sample, []
        for some in np.array_split(coefficients, 1 + len(coefficients) * len(self.means) // CHUNK):
            answers = self.means @ some.T
            differs = np.empty(answers.shape, bool)
            for stratum in range(sample.strata_count):
                inside = sample.strata == stratum
                apart = np.abs(answers[inside] - np.median(answers[inside], axis=0))
                differs[inside] = apart > 1e-9 * np.abs(some).sum(axis=1)
            clusters = np.logical_or.reduceat(differs[sample.order], sample.starts, axis=0)
            bounds = np.flatnonzero(np.diff(sample.cluster_strata, prepend=-1))
            found.append(np.add.reduceat(clusters.astype(int), bounds, axis=0).T < 2)
        return np.concatenate(found)


@dataclass(frozen=True)
class Differences:
    """Contrasts of any one shape, in units of score."""

    value: np.ndarray
    error: np.ndarray
    df: np.ndarray

    def half(self, level: float) -> np.ndarray:
        """Half the width of each two-sided interval; NaN where one cluster leaves the error unknown."""
        return stdtrit(np.minimum(self.df, 1e9), (1 + level) / 2) * self.error


def cells_of(block: Block, columns: list[np.ndarray]) -> Cells:
    """The cells whose runs are the columns of each of K arrays; all of them trained. A block without item grades
    (`elsewhere.binomial`) makes its own."""
    if (own := getattr(block, "cells", None)) is not None:
        return own(columns)
    sample = block.sample
    means = np.stack([block.values[:, own].mean(axis=1) for own in columns], axis=1)
    weighted = sample.weights[:, None] * (means - stratum_means(sample, means)[sample.strata])
    sums = np.add.reduceat(weighted[sample.order], sample.starts, axis=0)
    covariances, unseen = [], []
    for stratum, count in enumerate(sample.clusters_by_stratum.tolist()):
        own, inside = sums[sample.cluster_strata == stratum], means[sample.strata == stratum]
        factor = count / (count - 1) if count > 1 else np.nan
        covariances.append(factor * own.T @ own)
        pinned = ((inside == 0).all(axis=0) | (inside == 1).all(axis=0)) & (count > 1)
        share = 2 / (count + 4)
        unseen.append(pinned * share * (1 - share) / (count + 4) / sample.strata_count**2)
    scores, runs = weighted_mean(sample, means), np.array([len(own) for own in columns])
    spread = scores * (1 - scores) / runs
    return Cells(sample, means, scores, np.array(covariances), np.array(unseen), spread, block.noise)


@dataclass(frozen=True)
class Curves:
    """The growth curves of one model in a block: for each source its volumes, ascending, and where they stand in
    `cells`."""

    model: str
    parameters: int
    cells: Cells
    volumes: dict[str, np.ndarray]
    places: dict[str, np.ndarray]

    def at(self, source: str, logs: np.ndarray) -> np.ndarray:
        """[..., K] coefficients of the score of `source` at the logarithms [...] of volumes, which lie in its range:
        between two volumes of the sweep the curve is straight in log volume."""
        knots, places = np.log(self.volumes[source]), self.places[source]
        found = np.zeros((*np.shape(logs), len(self.cells.scores)))
        right = np.clip(np.searchsorted(knots, logs), 1, len(knots) - 1)
        share = np.clip((logs - knots[right - 1]) / (knots[right] - knots[right - 1]), 0.0, 1.0)
        np.put_along_axis(found, places[right - 1][..., None], (1 - share)[..., None], axis=-1)
        np.put_along_axis(found, places[right][..., None], share[..., None], axis=-1)
        return found

    def swept(self, source: str) -> np.ndarray:
        """[V, K] coefficients of the score of `source` at each of its volumes."""
        return np.eye(len(self.cells.scores))[self.places[source]]


def models_of(block: Block) -> Iterator[Curves]:
    """The curves of each model of a block, in the table's order; models without runs of the grid are left out."""
    grid = block.runs[block.runs["kind"] == "grid"]
    for model, runs in grid.groupby("model", sort=False):
        columns, volumes, places = [], {}, {}
        for source, own in runs.groupby("source", sort=False):
            by_volume = {int(volume): rows.index.to_numpy() for volume, rows in own.groupby("volume")}
            volumes[str(source)] = np.array(list(by_volume), float)
            places[str(source)] = np.arange(len(columns), len(columns) + len(by_volume))
            columns += by_volume.values()
        parameters = int(runs["parameters"].iloc[0])
        yield Curves(str(model), parameters, cells_of(block, columns), volumes, places)


def rows_of_pairs(
    blocks: Iterable[Block],
    pairs: Callable[[Iterable[str], int], Iterable[tuple[str, str]]],
    say: Callable[[Curves, str, str, float], list[dict[str, Any]]],
    confidence: float,
) -> list[dict[str, Any]]:
    """What `say` tells of each pair of sources, beside what is known of the pair: rows of a table.

    pairs: `itertools.combinations`, or `permutations` where the order matters.
    """
    rows = []
    for block in blocks:
        for curves in models_of(block):
            known = {
                "suite": block.suite, "ability": block.ability, "in_domain": block.in_domain, "model": curves.model,
                "parameters": curves.parameters, "items": len(block.items), "confidence": confidence,
                "uncertainty": covers(block.noise.df > 0, None),
            }  # fmt: skip
            for first, second in pairs(curves.volumes, 2):
                rows += [{**known, **row} for row in say(curves, first, second, confidence)]
    return rows


def steps_between(knots: np.ndarray) -> np.ndarray:
    """[(K - 1) * STEPS + 1] places from the first of K >= 2 ascending `knots` to the last, the knots among them."""
    inner = [np.linspace(low, high, STEPS, endpoint=False) for low, high in pairwise(knots)]
    return np.concatenate([*inner, knots[-1:]])


def not_told_apart(x: np.ndarray, value: np.ndarray, half: np.ndarray) -> tuple[float, float]:
    """The outermost places between which a difference cannot be told from 0: (low, high), NaN where it always can.

    `x` [G] ascending, `value` [G] the difference there and `half` [G] half its interval: not told apart where value -
    half <= 0 <= value + half, both straight between neighbours. A NaN in `half` counts as not told apart.
    """
    begins, ends = np.zeros(len(x) - 1), np.ones(len(x) - 1)
    for over in (value - half, -value - half):  # above 0 where the interval lies on one side of 0
        left, right = over[:-1], over[1:]
        with np.errstate(divide="ignore", invalid="ignore"):
            turn = left / (left - right)
        begins = np.where((left > 0) & (right <= 0), np.maximum(begins, turn), begins)
        ends = np.where((left <= 0) & (right > 0), np.minimum(ends, turn), ends)
        ends = np.where((left > 0) & (right > 0), -1.0, ends)
    kept = begins <= ends
    if not kept.any():
        return float("nan"), float("nan")
    steps = np.diff(x)
    return float((x[:-1] + begins * steps)[kept].min()), float((x[:-1] + ends * steps)[kept].max())


def falling_through_zero(x: np.ndarray, value: np.ndarray) -> float:
    """Where a difference that is straight between its knots turns from above 0 to below; NaN where it never does.

    `x` [K] ascending, `value` [K] there. Of several such places the one with the least length of x on its wrong sides
    (below 0 before it, above 0 after it), the first of equals: noise that makes a curve dip does not move it far. A
    difference that begins at exactly 0 and then falls turns at its beginning.
    """
    places = []
    above = value > 0
    for left in np.flatnonzero(above[:-1] & ~above[1:]):
        places.append(x[left] + (x[left + 1] - x[left]) * value[left] / (value[left] - value[left + 1]))
    other = value[value != 0]
    if value[0] == 0 and len(other) and other[0] < 0:
        places.append(x[0])
    if not places:
        return float("nan")
    turns = _turns(x, value)
    middles = (turns[:-1] + turns[1:]) / 2
    signs, lengths = np.sign(np.interp(middles, x, value)), np.diff(turns)
    wrong = [lengths[np.where(middles < place, signs < 0, signs > 0)].sum() for place in sorted(places)]
    return float(sorted(places)[int(np.argmin(np.round(wrong, 9)))])


def _turns(x: np.ndarray, value: np.ndarray) -> np.ndarray:
    """The knots and the zeros between them, ascending."""
    zeros = [
        x[left] + (x[left + 1] - x[left]) * value[left] / (value[left] - value[left + 1])
        for left in np.flatnonzero(value[:-1] * value[1:] < 0)
    ]
    return np.unique(np.concatenate([x, zeros]))
