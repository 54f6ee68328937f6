"""How sure a number is where only scores and numbers of items are known: binomial errors, no pairing.

The same contrasts as in `uncertainty`, sum_k c_k * (mean score of the runs of term k), from scores alone. Term k is the
mean over n_k runs, p_k its score, m_k its items (the fewest of its runs), and

    s_k^2 = p_k (1 - p_k) / m_k

the binomial variance; a score of 0 or 1 gets Agresti and Coull's (1998, American Statistician 52), p (1 - p) / (m + 4)
with p = 2 / (m + 4). Runs of one term are taken to answer the same items alike, so that more seeds do not make items
more. Between terms, nobody knows how much the grades of an item move together. With one correlation r between any two
terms the items' variance is

    V_items(r) = (1 - r) * sum_k c_k^2 s_k^2 + r * (sum_k c_k s_k)^2

(r = 0: independent samples; pairing earns the rest, Miller 2024, arXiv 2411.00640, section 4.2). `unknown` takes the
larger of V_items(0) and V_items(1), which is the worst of all r from 0 to 1, since V is linear in r: a difference or a
pace gets independent samples', conservative where both answered the same items. A number that averages over many runs
of one model against many of another (size gains) needs more care, since a model's runs may agree with each other more
than with another model's: `any` takes the worst of all correlations from 0 to 1, equal or not,

    V_items = (sum of c_k s_k over c_k > 0)^2 + (sum over c_k < 0)^2

for runs of one sign that move as one and apart from the others. Seeds add, as in `uncertainty`,

    V_seeds = dispersion * sum_k c_k^2 p_k (1 - p_k) / n_k

with the dispersion between seeds pooled over cells. What items flicker from seed to seed is in both and cannot be told
apart without item grades: it is counted twice, which is conservative too. The binomial's variance is known once p is,
so it has infinite degrees of freedom; a level without seeds gets Wilson's interval itself.

`Counted` is a `Sample` that judges contrasts so, and `ScoreBlock` a `Block` with it: what is made of contrasts (points,
paces, comparisons) is made of scores by the same code.

`overall` is the mean over A abilities, whose items are different ones: its V_items is the sum of theirs over A^2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from growthpace.analysis.matrix import RUN, Block
from growthpace.analysis.observed import Curve, points_of
from growthpace.analysis.paired import Cells, Differences
from growthpace.analysis.scores import OVERALL
from growthpace.analysis.uncertainty import Estimate, Noise, Sample, Term, contrast, quantile

UNKNOWN, ANY = "unknown", "any"
KEYS = ["model", "dataset", "seed"]


@dataclass(frozen=True)
class Counted(Sample):
    """A sample whose items are known by their number alone; its values are scores [A abilities, runs]."""

    counts: np.ndarray
    """[A, runs] items above 0."""
    correlation: float | str
    """Of an item's grades in two runs, from 0 to 1; or `unknown`, or `any`."""

    @classmethod
    def of(cls, counts: np.ndarray, correlation: float | str) -> Counted:
        each = np.arange(len(counts))
        return cls(np.full(len(counts), 1 / len(counts)), each, each, each, each, counts, correlation)

    @property
    def clusters(self) -> int:
        """Items that every run answered at least; over abilities their sum."""
        return self.counted(np.arange(self.counts.shape[1]))

    def counted(self, columns: np.ndarray) -> int:
        """Items of a term: the fewest that any of its runs answered, over abilities their sum."""
        return int(self.counts[:, columns].min(axis=1).sum())

    def deviations(self, values: np.ndarray, columns: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """(s_k, whether term k's score is 0 or 1), both [A, K]."""
        scores = np.stack([values[:, own].mean(axis=1) for own in columns], axis=1)
        counts = np.stack([self.counts[:, own].min(axis=1) for own in columns], axis=1)
        pinned = (scores <= 0) | (scores >= 1)
        share = np.where(pinned, 2 / (counts + 4), scores)
        return np.sqrt(share * (1 - share) / np.where(pinned, counts + 4, counts)), pinned

    def items_variance(self, weighted: np.ndarray) -> float:
        """V_items from c_k s_k [A, K]."""
        apart, together = ends(weighted)
        if self.correlation == ANY:
            signs = weighted.clip(min=0).sum(axis=1), weighted.clip(max=0).sum(axis=1)
            return float((np.array(signs) ** 2).sum()) / len(weighted) ** 2
        if self.correlation == UNKNOWN:
            return max(apart, together)
        return (1 - self.correlation) * apart + self.correlation * together

    def judged(self, values: np.ndarray, terms: list[Term], noise: Noise, offset: np.ndarray | None) -> Estimate:
        """The contrast of `terms`, less the mean of `offset` [A]; the formulas stand above."""
        coefficients = np.array([term.coefficient for term in terms])
        columns = [term.columns for term in terms]
        levels = np.array([values[:, own].mean() for own in columns])
        value = float(levels @ coefficients) - (0.0 if offset is None else float(np.mean(offset)))
        deviations, pinned = self.deviations(values, columns)
        items = self.items_variance(coefficients * deviations)
        unseen = self.items_variance(coefficients * deviations * pinned)
        trained = np.array([term.trained for term in terms])
        spread = float((coefficients**2 * levels * (1 - levels) / list(map(len, columns)))[trained].sum())
        known = noise.df > 0 or not trained.any()
        seeds = (noise.dispersion * spread if trained.any() else 0.0) if known else float("nan")
        total = items + (seeds if known else 0.0)
        df = max(1.0, (total / seeds) ** 2 * noise.df) if known and seeds > 0 else float("inf")
        return Estimate(value, *map(float, (np.sqrt(total), df, np.sqrt(items), np.sqrt(seeds))), unseen > items / 2)


class ScoreBlock(Block):
    """A block of scores: `items` has one row per ability, `values` are the scores [A, runs] of `sample`'s counts."""

    def __init__(self, suite, ability, in_domain, items, runs, values, sample: Counted):
        super().__init__(suite, ability, in_domain, items, runs, values)
        self.__dict__["sample"] = sample

    def cautious(self) -> ScoreBlock:
        """The same with the worst of all correlations, where none is stated."""
        correlation = ANY if self.sample.correlation == UNKNOWN else self.sample.correlation
        sample = replace(self.sample, correlation=correlation)
        return ScoreBlock(
            self.suite, self.ability, self.in_domain, self.items, self.runs, self.values, sample
        )  # fmt: skip

    def needed_correlation(self, terms: list[Term], level: float) -> float:
        """The least correlation between the terms' grades at which the contrast's interval excludes 0; 0 where it does
        without any, NaN where none would do."""
        estimate = contrast(self.sample, self.values, terms, self.noise)
        coefficients = np.array([term.coefficient for term in terms])
        deviations, _ = self.sample.deviations(self.values, [term.columns for term in terms])
        apart, together = ends(coefficients * deviations)
        seeds = 0.0 if np.isnan(estimate.seed_error) else estimate.seed_error**2
        room = (estimate.value / quantile((1 + level) / 2, estimate.df)) ** 2 - seeds
        if apart < room:
            return 0.0
        return float((apart - room) / (apart - together)) if together < room else float("nan")

    def cells(self, columns: list[np.ndarray]) -> ScoreCells:
        """What `paired.cells_of` is of item grades."""
        deviations, pinned = self.sample.deviations(self.values, columns)
        levels = np.array([self.values[:, own].mean() for own in columns])
        spread = levels * (1 - levels) / list(map(len, columns))
        return ScoreCells(
            self.sample, self.values, levels, np.array([np.diag(own**2) for own in deviations]), deviations * pinned,
            spread, self.noise, deviations,
        )  # fmt: skip

    def curve(self, source: str, models: list[str]) -> Curve | None:
        """The growth curve of `models` on a source, with a covariance that no equal correlation from 0 to 1 exceeds in
        any direction; None without runs.

        With D the diagonal of s_k^2 and s their roots, D and s s' are the two ends; the least matrix above both is
        D + (K - 1) / K * s s' (they share their directions once D is taken for the unit). A stated correlation gives
        (1 - r) D + r s s'. Order of points as in `observed.curve_of`.
        """
        found = points_of(self.runs, source, models)
        if found is None:
            return None
        volumes, sizes, columns = found
        deviations, _ = self.sample.deviations(self.values, columns)
        count, stated = len(columns), self.sample.correlation
        alone, shared = (1.0, (count - 1) / count) if stated == UNKNOWN else (1 - stated, stated)
        parts = [alone * np.diag(own**2) + shared * np.outer(own, own) for own in deviations]
        levels = np.array([self.values[:, own].mean() for own in columns])
        fewest = min(self.sample.counted(own) for own in columns)
        return Curve(
            np.asarray(volumes, float), np.asarray(sizes, float), levels, sum(parts) / len(parts) ** 2,
            levels * (1 - levels) / list(map(len, columns)), float(self.chances.mean()), fewest - len(parts),
            self.noise,
        )  # fmt: skip


@dataclass(frozen=True)
class ScoreCells(Cells):
    """K datasets of one model whose scores are all that is known."""

    deviations: np.ndarray
    """[A, K] s_k."""

    def differences(self, coefficients: np.ndarray) -> Differences:
        """The contrasts with `coefficients` [..., K], as `Counted.judged` gives each."""
        rows = coefficients.reshape(-1, coefficients.shape[-1])
        items = np.array([self.sample.items_variance(row * self.deviations) for row in rows]).reshape(
            coefficients.shape[:-1]
        )
        known = self.noise.df > 0
        seeds = (coefficients**2 @ self.spread) * (self.noise.dispersion if known else 0.0)
        total = items + seeds
        with np.errstate(divide="ignore", invalid="ignore"):
            df = np.where(seeds > 0, np.maximum((total / seeds) ** 2 * self.noise.df, 1.0), np.inf)
        return Differences(np.round(coefficients @ self.scores, 12), np.sqrt(total), df)


def ends(weighted: np.ndarray) -> tuple[float, float]:
    """(V_items(0), V_items(1)) from c_k s_k [A, K]."""
    strata = len(weighted) ** 2
    return float((weighted**2).sum()) / strata, float((weighted.sum(axis=1) ** 2).sum()) / strata


def score_blocks(cells: pd.DataFrame, in_domain: list[str], correlation: float | str) -> list[ScoreBlock]:
    """The blocks of every suite: its abilities in the table's order, then `overall` over the runs that have all of
    `in_domain` (left out where there are none). `cells` as `chosen.choose` gives them."""
    found = []
    for suite, own in cells.groupby("suite", sort=False):
        runs = own[RUN].drop_duplicates().reset_index(drop=True)
        keys = pd.MultiIndex.from_frame(runs[KEYS])
        table = {}
        for ability, rows in own.groupby("ability", sort=False):
            place = keys.get_indexer(pd.MultiIndex.from_frame(rows[KEYS]))
            both = np.full((2, len(runs)), np.nan)
            both[:, place] = rows["score"], rows["items"]
            table[ability] = (both, float(rows["chance"].iloc[0]))
        for ability in table:
            found.append(_block(str(suite), ability, [ability], ability in in_domain, runs, table, correlation))
        if in_domain and set(in_domain) <= set(table):
            found.append(_block(str(suite), OVERALL, in_domain, True, runs, table, correlation))
    return [block for block in found if len(block.runs)]


def _block(suite, ability, abilities, in_domain, runs, table, correlation) -> ScoreBlock:
    """The runs that have a score for all of `abilities`."""
    scores, counts = np.stack([table[one][0] for one in abilities], axis=1)
    known = np.flatnonzero(~np.isnan(scores).any(axis=0))
    items = pd.DataFrame({
        "ability": abilities, "item_id": abilities, "group": "", "chance": [table[one][1] for one in abilities],
        "in_domain": in_domain,
    })  # fmt: skip
    sample = Counted.of(counts[:, known].astype(int), correlation)
    own = runs.iloc[known].reset_index(drop=True)
    return ScoreBlock(suite, ability, in_domain, items, own, scores[:, known], sample)
