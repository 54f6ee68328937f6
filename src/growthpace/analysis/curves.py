"""Growth curves and their pace, with what is not known about them.

`points` gives the dots of a curve, `pace` the slope of each curve in points per fourfold data with its class. Both
take the item grades that `scores.collect` gives, use chosen epochs only, and never fill in a run that is missing: a
point says how many seeds it rests on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from growthpace.analysis.matrix import Block, blocks
from growthpace.analysis.uncertainty import POINTS, Estimate, Term, contrast, covers, score_interval

LEAST_VOLUMES = 3
"""A slope through two volumes has nothing left over to contradict it, so it is refused."""
FITTED, TOO_FEW = "fitted", "too few volumes"
RESPONSIVE, RESISTANT, DECLINING, UNDECIDED = "responsive", "resistant", "declining", "undecided"
CLASSES = (RESPONSIVE, RESISTANT, DECLINING, UNDECIDED)
NAN = float("nan")
POINT_COLUMNS = [
    "suite", "ability", "in_domain", "model", "parameters", "dataset", "kind", "source", "volume", "seeds", "items",
    "clusters", "score", "standard_error", "item_error", "seed_error", "df", "low", "high", "chance",
    "seed_variance_df", "uncertainty",
]  # fmt: skip
PACE_COLUMNS = [
    "suite", "ability", "in_domain", "model", "parameters", "source", "status", "volumes", "smallest", "largest",
    "seeds", "seeds_most", "items", "clusters", "pace", "standard_error", "item_error", "seed_error", "df", "low",
    "high", "equivalence_low", "equivalence_high", "class", "confidence", "margin", "seed_variance_df",
    "uncertainty", "score_at_largest", "chance", "gain_over_chance", "gain_over_chance_error",
    "gain_over_chance_low", "gain_over_chance_high", "gain_over_untuned", "gain_over_untuned_error",
    "gain_over_untuned_low", "gain_over_untuned_high",
]  # fmt: skip


def points(item_grades: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """One row per suite, ability (and `overall`), model and dataset: the mean score over seeds.

    Columns: suite, ability, in_domain, model, parameters, dataset, kind, source, volume, seeds (how many runs), items,
    clusters, score, standard_error, item_error, seed_error (NaN: unknown, one seed only everywhere), df, low, high
    (Wilson at level `confidence`, see `score_interval`), chance, seed_variance_df (degrees of freedom of the pooled
    between-seed dispersion), uncertainty (what the interval covers, see `uncertainty.covers`). Scores and
    errors are fractions of 1; df are Satterthwaite's. The formulas stand in `uncertainty`.
    """
    rows = []
    for block in blocks(item_grades):
        chance = contrast(block.sample, block.chances[:, None], [Term(1.0, np.array([0]), False)], block.noise).value
        for _, runs in block.runs.groupby(["model", "dataset"], sort=False):
            first = runs.iloc[0]
            trained = first["kind"] != "untuned"
            estimate = contrast(block.sample, block.values, [Term(1.0, runs.index.to_numpy(), trained)], block.noise)
            error = estimate.standard_error
            if estimate.value in (0.0, 1.0):  # Wilson's interval itself says what was not seen
                error = 0.0
            low, high = score_interval(estimate.value, error, estimate.df, block.sample.clusters, confidence)
            rows.append(
                {
                    "suite": block.suite, "ability": block.ability, "in_domain": block.in_domain,
                    **first[["model", "parameters", "dataset", "kind", "source", "volume"]].to_dict(),
                    "seeds": len(runs), "items": len(block.items), "clusters": block.sample.clusters,
                    "score": estimate.value, **_errors(estimate), "low": low, "high": high, "chance": chance,
                    **_known(block, trained, estimate),
                }
            )  # fmt: skip
    return pd.DataFrame(rows, columns=POINT_COLUMNS)


def pace(item_grades: pd.DataFrame, confidence: float, margin: float) -> pd.DataFrame:
    """One row per suite, ability (and `overall`), model and source of the grid: the pace of that growth curve.

    The pace is the ordinary least squares slope of the points (each volume above 0 counts once) against log4(volume):

        pace = 100 * sum_v w_v * score_v        w_v = (x_v - mean x) / sum_v (x_v - mean x)^2        x_v = log4(v)

    a contrast with coefficients 100 * w_v, so its standard error takes that the same items are answered at every volume
    (per-item slopes, clustered); seeds add 100^2 sum_v w_v^2 sigma_v^2 / seeds_v, less the flicker of single items that
    the first part already holds (see `uncertainty`). Its interval uses
    Student's t with Satterthwaite's degrees of freedom at level `confidence` = 1 - alpha.

    Class: `resistant` if the interval at level 1 - 2 alpha lies within +-`margin` (two one-sided tests at alpha;
    Schuirmann 1987, Journal of Pharmacokinetics and Biopharmaceutics 15); else `responsive` if the interval lies wholly
    above 0, `declining` if wholly below 0, else `undecided`. So an ability that grows, but provably by less than the
    margin, is resistant. With fewer than three volumes status is `too few volumes`, class `undecided`, no number.

    Columns: suite, ability, in_domain, model, parameters, source, status, volumes (how many), smallest, largest, seeds
    (least at any volume), seeds_most, items, clusters, pace, standard_error, item_error, seed_error, df, low, high,
    equivalence_low, equivalence_high (points per fourfold data), class, confidence, margin, seed_variance_df,
    uncertainty, score_at_largest, chance (fractions), gain_over_chance, gain_over_untuned (points at the largest
    volume; the latter NaN without an untuned model) each with _error, _low and _high.
    """
    rows = []
    for block in blocks(item_grades):
        for (model, source), runs in curves_of(block):
            volumes = {int(v): rows.index.to_numpy() for v, rows in runs.groupby("volume")}
            seeds = [len(columns) for columns in volumes.values()]
            row = {
                "suite": block.suite, "ability": block.ability, "in_domain": block.in_domain, "model": model,
                "parameters": int(runs["parameters"].iloc[0]), "source": source, "status": FITTED,
                "volumes": len(volumes), "smallest": min(volumes), "largest": max(volumes),
                "seeds": min(seeds), "seeds_most": max(seeds),
                "items": len(block.items), "clusters": block.sample.clusters,
            }  # fmt: skip
            estimate = None
            if len(volumes) >= LEAST_VOLUMES:
                estimate = contrast(block.sample, block.values, slope_terms(volumes), block.noise)
            row.update(_slope(estimate, confidence, margin))
            row.update(confidence=confidence, margin=margin, **_known(block, estimate=estimate))
            row.update(_gains(block, model, volumes[max(volumes)], confidence))
            rows.append(row)
    return pd.DataFrame(rows, columns=PACE_COLUMNS)


def curves_of(block: Block):
    """((model, source), runs) of every growth curve of a block, in the table's order."""
    return block.runs[block.runs["kind"] == "grid"].groupby(["model", "source"], sort=False)


def slope_weights(volumes: list[int]) -> np.ndarray:
    """[V] least squares weights against log4(volume), for V >= 2 distinct volumes > 0: they sum to 0."""
    x = np.log(np.asarray(volumes, float)) / np.log(4)
    centred = x - x.mean()
    return centred / (centred @ centred)


def slope_terms(volumes: dict[int, np.ndarray], scale: float = POINTS) -> list[Term]:
    """The terms of a pace from the columns of each volume."""
    weights = slope_weights(list(volumes))
    return [Term(scale * w, columns) for w, columns in zip(weights, volumes.values(), strict=True)]


def classify(estimate: Estimate, confidence: float, margin: float) -> str:
    """The class of a pace by the rule stated in `pace`; `undecided` where the standard error is unknown."""
    low, high = estimate.interval(confidence)
    inner_low, inner_high = estimate.interval(equivalence_level(confidence))
    if -margin <= inner_low and inner_high <= margin:
        return RESISTANT
    if low > 0:
        return RESPONSIVE
    return DECLINING if high < 0 else UNDECIDED


def equivalence_level(confidence: float) -> float:
    """1 - 2 alpha, the level of the interval that two one-sided tests at alpha = 1 - `confidence` amount to."""
    return 1 - 2 * (1 - confidence)


def _slope(estimate: Estimate | None, confidence: float, margin: float) -> dict[str, Any]:
    if estimate is None:
        names = ("pace", "standard_error", "item_error", "seed_error", "df", "low", "high")
        nothing = dict.fromkeys((*names, "equivalence_low", "equivalence_high"), NAN)
        return {"status": TOO_FEW, **nothing, "class": UNDECIDED}
    low, high = estimate.interval(confidence)
    inner_low, inner_high = estimate.interval(equivalence_level(confidence))
    return {
        "pace": estimate.value, **_errors(estimate), "low": low, "high": high,
        "equivalence_low": inner_low, "equivalence_high": inner_high, "class": classify(estimate, confidence, margin),
    }  # fmt: skip


def _gains(block: Block, model: str, largest: np.ndarray, confidence: float) -> dict[str, float]:
    """Score at the largest volume, and what it is above chance and above the untuned model, in points."""
    at_largest = Term(POINTS, largest)
    score = contrast(block.sample, block.values, [at_largest], block.noise).value / POINTS
    over_chance = contrast(block.sample, block.values, [at_largest], block.noise, POINTS * block.chances)
    row = {"score_at_largest": score, "chance": score - over_chance.value / POINTS}
    row.update(_named("gain_over_chance", over_chance, confidence))
    untuned = block.columns(model=model, kind="untuned")
    over_untuned = None
    if len(untuned):
        terms = [at_largest, Term(-POINTS, untuned, trained=False)]
        over_untuned = contrast(block.sample, block.values, terms, block.noise)
    row.update(_named("gain_over_untuned", over_untuned, confidence))
    return row


def _named(name: str, estimate: Estimate | None, confidence: float) -> dict[str, float]:
    if estimate is None:
        return {name: NAN, f"{name}_error": NAN, f"{name}_low": NAN, f"{name}_high": NAN}
    low, high = estimate.interval(confidence)
    return {name: estimate.value, f"{name}_error": estimate.standard_error, f"{name}_low": low, f"{name}_high": high}


def _errors(estimate: Estimate) -> dict[str, float]:
    return {
        "standard_error": estimate.standard_error, "item_error": estimate.item_error,
        "seed_error": estimate.seed_error, "df": estimate.df,
    }  # fmt: skip


def _known(block: Block, trained: bool = True, estimate: Estimate | None = None) -> dict[str, Any]:
    """What the uncertainty of this ability's numbers covers."""
    known = block.noise.df > 0 or not trained
    return {"seed_variance_df": block.noise.df, "uncertainty": covers(known, estimate)}
