"""The points of a growth curve with their joint covariance: what a form is fitted to.

All volumes answer the same items, so their scores move together. A fit that took them as independent would trust a
curve's level too much and its shape too little. The covariance of the mean scores y_k and y_l of two terms is

    S_kl = items_kl + [k = l] * max(0, dispersion - flicker) * p_k * (1 - p_k) / n_k

    items_kl = sum over strata of C / (C - 1) * sum over clusters of (sum_i u_i e_ik) * (sum_i u_i e_il)

with e_ik item i's mean grade over the n_k runs of term k, less its stratum's mean. For every contrast c, c' S c is the
variance that `uncertainty.contrast` gives (the flicker of single items is in the first part and counted once), but for
its floors, which stand here for all contrasts at once: a stratum where a term's grades are all 0 or all 1 gets Agresti
and Coull's variance on the diagonal, and no unit direction has less than 1 / (C + 2)^2, one pseudo-discordant item each
way (both derived in `contrast`). So S can always be inverted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from growthpace.analysis.curves import slope_weights
from growthpace.analysis.matrix import Block
from growthpace.analysis.uncertainty import Noise, Sample, satterthwaite, stratum_means, weighted_mean


@dataclass(frozen=True)
class Curve:
    """K points: mean scores over seeds, by volume and, for several models at once, by size."""

    volumes: np.ndarray
    """[K] training items, > 0."""
    sizes: np.ndarray
    """[K] parameters of the model, > 0."""
    scores: np.ndarray
    """[K] in [0, 1]."""
    items: np.ndarray
    """[K, K] covariance that comes from the choice of items."""
    spread: np.ndarray
    """[K] p (1 - p) / n: what the dispersion between seeds is a multiple of."""
    chance: float
    """Mean chance of the items, in [0, 1)."""
    item_df: int
    """Clusters less strata."""
    noise: Noise
    """What seeds do; its df is 0 where no cell has two seeds."""

    @property
    def seed_excess(self) -> float:
        """The dispersion between seeds that items' flicker does not explain; 0 where it is unknown."""
        return max(0.0, self.noise.dispersion - self.noise.flicker) if self.noise.df else 0.0

    @property
    def covariance(self) -> np.ndarray:
        """[K, K], positive definite; items only where seeds are unknown."""
        return self.items + np.diag(self.seed_excess * self.spread)

    @property
    def df(self) -> float:
        """Satterthwaite's degrees of freedom of the slope over log volume, in which what volumes share cancels, so that
        it rests on the seeds more than a level does: the cautious choice for all quantities of a fit."""
        weights = np.zeros(len(self.volumes))
        if len(np.unique(self.volumes)) > 1:
            weights = slope_weights(list(self.volumes))
        from_items = weights @ self.items @ weights
        excess = self.seed_excess
        from_seeds = self.noise.dispersion * (weights**2 @ self.spread) if excess else 0.0
        total = from_items + excess * (weights**2 @ self.spread)
        return satterthwaite([from_items, from_seeds], [self.item_df, max(self.noise.df, 1)], total)

    def only(self, kept: np.ndarray) -> Curve:
        """The curve of the points where the boolean `kept` [K] is true."""
        return replace(
            self, volumes=self.volumes[kept], sizes=self.sizes[kept], scores=self.scores[kept],
            items=self.items[np.ix_(kept, kept)], spread=self.spread[kept],
        )  # fmt: skip


def item_covariance(sample: Sample, means: np.ndarray) -> np.ndarray:
    """[K, K] covariance of the sample's mean of each column of `means` [n, K], from the choice of items, with floors.

    The formula stands above. NaN where a stratum has one cluster.
    """
    weighted = sample.weights[:, None] * (means - stratum_means(sample, means)[sample.strata])
    sums = np.add.reduceat(weighted[sample.order], sample.starts, axis=0)
    count = sample.clusters_by_stratum.astype(float)
    total = np.zeros((means.shape[1], means.shape[1]))
    for stratum in range(sample.strata_count):
        clusters, own = count[stratum], sums[sample.cluster_strata == stratum]
        if clusters < 2:
            return np.full_like(total, np.nan)
        part = clusters / (clusters - 1) * own.T @ own
        inside = means[sample.strata == stratum]
        pinned = (inside == 0).all(axis=0) | (inside == 1).all(axis=0)
        share = 2 / (clusters + 4)
        part += np.diag(pinned * share * (1 - share) / (clusters + 4) / sample.strata_count**2)
        values, vectors = np.linalg.eigh(part)
        least = 1 / (clusters + 2) ** 2 / sample.strata_count**2
        total += (vectors * np.maximum(values, least)) @ vectors.T
    return (total + total.T) / 2


def curve_from_arrays(
    sample: Sample, values: np.ndarray, columns: list[np.ndarray], volumes, sizes, chances: np.ndarray, noise: Noise
) -> Curve:
    """A curve from item grades `values` [n, runs]: term k is the mean over `columns[k]`, at volumes[k] and sizes[k].

    `chances` [n]. Raises ValueError for a volume that is not above 0.
    """
    volumes, sizes = np.asarray(volumes, float), np.asarray(sizes, float)
    if (volumes <= 0).any():
        raise ValueError("a form in log volume has no place for volume 0")
    means = np.stack([values[:, own].mean(axis=1) for own in columns], axis=1)
    scores = weighted_mean(sample, means)
    runs = np.array([len(own) for own in columns])
    chance = float(weighted_mean(sample, chances[:, None])[0])
    item_df = int(sample.clusters - sample.strata_count)
    return Curve(
        volumes, sizes, scores, item_covariance(sample, means), scores * (1 - scores) / runs, chance, item_df, noise
    )


def curve_of(block: Block, source: str, models: list[str]) -> Curve | None:
    """The growth curve of `models` (one, or several for a form in size and volume) on a source; None without runs.

    Points are in the order of the block's runs, volumes ascending within a model. A block without item grades
    (`elsewhere.binomial`) makes its own.
    """
    if (own := getattr(block, "curve", None)) is not None:
        return own(source, models)
    found = points_of(block.runs, source, models)
    if found is None:
        return None
    volumes, sizes, columns = found
    return curve_from_arrays(block.sample, block.values, columns, volumes, sizes, block.chances, block.noise)


def points_of(
    runs: pd.DataFrame, source: str, models: list[str]
) -> tuple[list[int], list[int], list[np.ndarray]] | None:
    """(volumes, sizes, places of the runs in the table) of a growth curve's points; None without runs of the grid."""
    own = runs[(runs["kind"] == "grid") & (runs["source"] == source) & runs["model"].isin(models)]
    points = [
        (volume, cell["parameters"].iloc[0], cell.index.to_numpy())
        for _, of_model in own.groupby("model", sort=False)
        for volume, cell in of_model.groupby("volume")
    ]
    return tuple(map(list, zip(*points, strict=True))) if points else None
