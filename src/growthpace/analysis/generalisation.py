"""Does what is learned carry over? Out-of-domain abilities beside the mean of the study's own.

An ability is out of domain where the study does not list it, in whatever suite it is asked. Each such ability, and the
mean of those of a suite (`OUTSIDE`, each weighing the same), is set beside the study's `overall` in the suite that its
claims are about, over the runs that answered both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from growthpace.analysis.bootstrap import item_replicates, kendall, real_share
from growthpace.analysis.curves import LEAST_VOLUMES, slope_weights
from growthpace.analysis.matrix import Block
from growthpace.analysis.scores import OVERALL
from growthpace.analysis.uncertainty import POINTS, Estimate, Term, contrast, covers, quantile, weighted_mean

OUTSIDE = "out of domain"
"""The ability of rows about the mean of a suite's abilities out of domain; no ability's name holds a space."""
SCORES, RANKS, PACE_RANKS = "scores", "rank agreement of scores", "rank agreement of paces"
CARRIED = "points per in-domain point"
GIVEN, REFUSED = "given", "refused"
LEAST_PAIRS = 4
"""Three things stand in the same order by chance once in six times, four once in 24."""
NAN = float("nan")
COLUMNS = [
    "suite", "ability", "statistic", "model", "parameters", "dataset", "kind", "source", "volume", "seeds",
    "in_domain_score", "out_of_domain_score", "in_domain_pace", "out_of_domain_pace", "value", "low", "high",
    "attainable", "number", "status", "reason", "replicates", "confidence", "uncertainty",
]  # fmt: skip


def generalisation(
    blocks: Iterable[Block], suite: str, confidence: float, replicates: int, seed: int = 0
) -> pd.DataFrame:
    """Four statistics of each ability out of domain, and of their mean, in each suite; empty where there are none.

    `blocks` as `matrix.blocks` gives them; `suite` holds the study's own abilities. A checkpoint is a model and dataset
    (untuned, grid or mix) by its chosen epochs, a score its mean over the seeds that answered both.

    `scores`: a row for each checkpoint, in_domain_score beside out_of_domain_score (fractions); `value` is NaN.

    `rank agreement of scores`: Kendall's tau-b of the two over `number` checkpoints. `rank agreement of paces`: that of
    the two paces over `number` growth curves (model and source, with three volumes). The interval is value -+ normal
    quantile x the standard deviation over `replicates` draws of items (clusters within abilities, both sides by
    themselves) and of seeds (`_Pair.replicates`), cut off at -1 and 1. It is about these checkpoints and about the
    agreement that a study with as many items and seeds measures. Noise pulls that towards 0, so the agreement of true
    scores is stronger: `attainable` is about what true scores in the very same order would measure, 2 / pi *
    arcsin(sqrt(r_in r_out)) with r each side's share of real differences (`bootstrap.real_share`; attenuation after
    Spearman 1904, American Journal of Psychology 15, and Greiner's relation of tau to a correlation). Refused for fewer
    than `LEAST_PAIRS`, and where one side's values do not differ beyond noise: noise has no order to agree with.

    `points per in-domain point`: for each growth curve the pace out of domain over that in domain, with Fieller's
    interval (1954, Journal of the Royal Statistical Society B 16), Student's t with the lesser of both degrees of
    freedom. Refused where the so computed interval of the pace in domain is not above 0: a ratio to what may be nothing
    has no meaning.

    Columns: suite, ability, statistic, model, parameters, dataset, kind, source, volume, seeds (empty or null where a
    statistic is not about one), in_domain_score, out_of_domain_score, in_domain_pace, out_of_domain_pace (points per
    fourfold data), value, low, high, attainable, number (of checkpoints or curves), status (`given` or `refused`),
    reason, replicates (0: no draws), confidence, uncertainty (see `uncertainty.covers`).
    """
    found = list(blocks)
    reference = next((b for b in found if b.suite == suite and b.ability == OVERALL), None)
    rows = []
    for outside in _outside(found):
        known = {"suite": outside.suite, "ability": outside.ability, "confidence": confidence}
        pair = None if reference is None else _Pair.of(reference, outside)
        if pair is None:
            reason = f"no run answered it and all of the study's abilities in suite {suite}"
            rows.append({**known, **_refused(RANKS, reason)})
            continue
        own = [*pair.checkpoints(), *pair.agreements(confidence, replicates, seed), *pair.carried(confidence)]
        rows += [{**known, "uncertainty": covers(pair.seeds_known, None), **row} for row in own]
    table = pd.DataFrame(rows, columns=COLUMNS)
    words = ["model", "dataset", "kind", "source", "reason", "uncertainty"]
    counts = ["parameters", "volume", "seeds", "number", "replicates"]
    numbers = [
        name for name in COLUMNS if name.endswith(("_score", "_pace")) or name in ("value", "low", "high", "attainable")
    ]
    types = dict.fromkeys(counts, "Int64") | dict.fromkeys(numbers, float)
    return table.astype(types).fillna(dict.fromkeys(words, ""))


def _outside(blocks: list[Block]) -> list[Block]:
    """Each block out of domain, and after those of a suite that has several, their mean."""
    found = []
    for suite in dict.fromkeys(block.suite for block in blocks):
        own = [block for block in blocks if block.suite == suite and not block.in_domain]
        found += own
        if len(own) > 1:
            runs = own[0].runs
            for block in own[1:]:
                runs = runs.merge(block.runs[["model", "dataset", "seed"]])
            values = np.concatenate([block.values[:, _columns(block, runs)] for block in own])
            if len(runs):
                found.append(Block(suite, OUTSIDE, False, pd.concat([b.items for b in own]), runs, values))
    return found


def _columns(block: Block, runs: pd.DataFrame) -> np.ndarray:
    """Where `runs`, which it has, stand in a block."""
    names = ["model", "dataset", "seed"]
    return pd.MultiIndex.from_frame(block.runs[names]).get_indexer(pd.MultiIndex.from_frame(runs[names]))


def _refused(statistic: str, reason: str, **more) -> dict[str, Any]:
    return {"statistic": statistic, "status": REFUSED, "reason": reason, "replicates": 0, **more}


@dataclass(frozen=True)
class _Pair:
    """The runs that answered both: K checkpoints, with their columns in two blocks (in domain, out of domain)."""

    sides: tuple[Block, Block]
    runs: pd.DataFrame
    """[K] the first run of each checkpoint."""
    columns: tuple[list[np.ndarray], list[np.ndarray]]
    scores: np.ndarray
    """[2, K]."""

    @staticmethod
    def of(inside: Block, outside: Block) -> _Pair | None:
        """None where no run answered both."""
        runs = inside.runs.merge(outside.runs[["model", "dataset", "seed"]])
        if runs.empty:
            return None
        cells = list(runs.groupby(["model", "dataset"], sort=False).indices.values())
        places = [_columns(block, runs) for block in (inside, outside)]
        columns = tuple([own[rows] for rows in cells] for own in places)
        scores = [
            weighted_mean(block.sample, _means(block, own))
            for block, own in zip((inside, outside), columns, strict=True)
        ]
        return _Pair(
            (inside, outside), runs.iloc[[rows[0] for rows in cells]].reset_index(drop=True), columns, np.array(scores)
        )

    @property
    def seeds_known(self) -> bool:
        return all(block.noise.df > 0 for block in self.sides)

    @property
    def counts(self) -> np.ndarray:
        """[K] seeds of each checkpoint."""
        return np.array([len(own) for own in self.columns[0]])

    def seed_covariance(self) -> np.ndarray:
        """[K, 2, 2] what the choice of seeds does to both scores of each checkpoint, less the flicker of single items.

        The variances are those of `uncertainty.contrast`, 0 for an untuned model or where seeds are unknown. A run that
        came out well may be good at both, so there is a covariance, of the same shape: c * sqrt(p q (1 - p) (1 - q)) /
        seeds, with c pooled over checkpoints with several seeds like the dispersions, sum of products of the two
        scores' distances from their means over sum of (seeds - 1) sqrt(p q (1 - p) (1 - q)), and no larger than the
        two variances allow.
        """
        trained = (self.runs["kind"] != "untuned").to_numpy()
        spread = self.scores * (1 - self.scores)
        both = np.sqrt(spread[0] * spread[1])
        excess = [max(0.0, b.noise.dispersion - b.noise.flicker) if b.noise.df else 0.0 for b in self.sides]
        products = 0.0
        for place in np.flatnonzero(self.counts > 1):
            own = [
                weighted_mean(b.sample, b.values[:, c[place]]) for b, c in zip(self.sides, self.columns, strict=True)
            ]
            products += ((own[0] - own[0].mean()) * (own[1] - own[1].mean())).sum()
        scale = ((self.counts - 1) * both).sum()
        bound = np.sqrt(excess[0] * excess[1])
        shared = float(np.clip(products / scale, -bound, bound)) if scale > 0 else 0.0
        found = np.array([[excess[0] * spread[0], shared * both], [shared * both, excess[1] * spread[1]]])
        return (found * trained / self.counts).transpose(2, 0, 1)

    def replicates(self, number: int, seed: int) -> np.ndarray:
        """[2, number, K] both scores with items drawn anew (`bootstrap.item_replicates`, each side by itself) and with
        normal draws of what seeds do (`seed_covariance`): few seeds cannot be drawn anew themselves."""
        rng = np.random.default_rng(seed)
        found = np.stack(
            [
                item_replicates(block.sample, _means(block, own), number, rng)
                for block, own in zip(self.sides, self.columns, strict=True)
            ]
        )
        variances = self.seed_covariance()
        first = np.sqrt(variances[:, 0, 0])
        with np.errstate(divide="ignore", invalid="ignore"):
            along = np.where(first > 0, variances[:, 0, 1] / first, 0.0)
        rest = np.sqrt(np.maximum(variances[:, 1, 1] - along**2, 0.0))
        draws = rng.normal(size=(2, number, len(first)))
        return found + np.stack([draws[0] * first, draws[0] * along + draws[1] * rest])

    def checkpoints(self) -> list[dict[str, Any]]:
        """The rows `scores`."""
        named = self.runs[["model", "parameters", "dataset", "kind", "source", "volume"]].to_dict("records")
        return [
            {
                **own, "statistic": SCORES, "seeds": int(count), "in_domain_score": inside,
                "out_of_domain_score": outside, "status": GIVEN, "replicates": 0,
            }
            for own, count, inside, outside in zip(named, self.counts, *self.scores.tolist(), strict=True)
        ]  # fmt: skip

    def curves(self) -> list[tuple[dict[str, Any], np.ndarray, np.ndarray]]:
        """(model and source, places [V] of its checkpoints, weights [V] of its pace) of curves with three volumes."""
        grid = self.runs[self.runs["kind"] == "grid"]
        found = []
        for (model, source), own in grid.groupby(["model", "source"], sort=False):
            own = own.sort_values("volume")
            if len(own) >= LEAST_VOLUMES:
                named = {"model": model, "source": source, "parameters": int(own["parameters"].iloc[0])}
                found.append((named, own.index.to_numpy(), slope_weights(own["volume"].tolist())))
        return found

    def agreements(self, confidence: float, number: int, seed: int) -> list[dict[str, Any]]:
        """The rows of both rank agreements."""
        curves = self.curves()
        weights = np.zeros((len(curves), len(self.runs)))
        for row, (_, places, own) in zip(weights, curves, strict=True):
            row[places] = own
        asked = {RANKS: ("checkpoints", np.eye(len(self.runs))), PACE_RANKS: ("growth curves with a pace", weights)}
        drawn, rows = None, []
        for statistic, (what, of) in asked.items():
            if len(of) < LEAST_PAIRS:
                reason = f"{len(of)} {what}; a rank agreement needs {LEAST_PAIRS}"
                rows.append(_refused(statistic, reason, number=len(of)))
                continue
            drawn = self.replicates(number, seed) if drawn is None else drawn
            values, replicates = self.scores @ of.T, drawn @ of.T
            if np.isnan(replicates).any():
                rows.append(
                    _refused(statistic, "an ability has one group of items: its error is unknown", number=len(of))
                )
                continue
            shares = [real_share(*side, confidence) for side in zip(values, replicates, strict=True)]
            lacking = [name for name, share in zip(("in", "out of"), shares, strict=True) if np.isnan(share)]
            if lacking:
                reason = f"the {what} do not differ beyond noise {' and '.join(lacking)} domain"
                rows.append(_refused(statistic, reason, number=len(of)))
                continue
            value = float(kendall(*values[:, None])[0])
            half = quantile((1 + confidence) / 2, np.inf) * float(np.nanstd(kendall(*replicates), ddof=1))
            rows.append(
                {
                    "statistic": statistic, "value": value, "low": max(-1.0, value - half),
                    "high": min(1.0, value + half), "attainable": 2 / np.pi * np.arcsin(np.sqrt(np.prod(shares))),
                    "number": len(of), "status": GIVEN, "replicates": number,
                }
            )  # fmt: skip
        return rows

    def carried(self, confidence: float) -> list[dict[str, Any]]:
        """The rows `points per in-domain point`."""
        rows, shared = [], self.seed_covariance()[:, 0, 1]
        for named, places, weights in self.curves():
            inside, outside = (
                contrast(
                    b.sample, b.values, [Term(POINTS * w, c[p]) for p, w in zip(places, weights, strict=True)], b.noise
                )
                for b, c in zip(self.sides, self.columns, strict=True)
            )
            covariance = POINTS**2 * float(weights**2 @ shared[places])
            row = {**named, "in_domain_pace": inside.value, "out_of_domain_pace": outside.value}
            half = quantile((1 + confidence) / 2, min(inside.df, outside.df)) * inside.standard_error
            low, high = inside.value - half, inside.value + half
            if not low > 0:
                reason = f"the pace in domain is not shown to be above 0 ({low:+.1f} to {high:+.1f})"
                rows.append(_refused(CARRIED, reason, **row))
                continue
            low, high = fieller(outside, inside, covariance, confidence)
            value = outside.value / inside.value
            row |= {"statistic": CARRIED, "value": value, "low": low, "high": high, "status": GIVEN, "replicates": 0}
            rows.append(row)
        return rows


def _means(block: Block, columns: list[np.ndarray]) -> np.ndarray:
    """[n, K] each item's mean grade over the runs of each checkpoint."""
    return np.stack([block.values[:, own].mean(axis=1) for own in columns], axis=1)


def _pace(block: Block, columns: list[np.ndarray], weights: np.ndarray) -> Estimate:
    terms = [Term(POINTS * weight, own) for weight, own in zip(weights, columns, strict=True)]
    return contrast(block.sample, block.values, terms, block.noise)


def fieller(over: Estimate, under: Estimate, covariance: float, confidence: float) -> tuple[float, float]:
    """Fieller's interval for over / under: the ratios r for which over - r * under cannot be told from 0.

    With q the quantile of Student's t (the lesser df), a, b the values and v_aa, v_ab, v_bb their (co)variances:

        (a b - q^2 v_ab +- sqrt((a b - q^2 v_ab)^2 - (a^2 - q^2 v_aa) (b^2 - q^2 v_bb))) / (b^2 - q^2 v_bb)

    Raises ValueError where `under` cannot be told from 0 (b^2 <= q^2 v_bb): then the interval has no end.
    """
    square = quantile((1 + confidence) / 2, min(over.df, under.df)) ** 2
    denominator = under.value**2 - square * under.standard_error**2
    if not denominator > 0:
        raise ValueError("the lower part of a ratio cannot be told from 0")
    middle = over.value * under.value - square * covariance
    root = np.sqrt(max(0.0, middle**2 - (over.value**2 - square * over.standard_error**2) * denominator))
    return float((middle - root) / denominator), float((middle + root) / denominator)
