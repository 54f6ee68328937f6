"""Growth curves and their pace, with what is not known about them.

`points` gives the dots of a curve, `pace` the slope of each curve in points per fourfold data with its class. Both
take the item grades that `scores.collect` gives, use chosen epochs only, and never fill in a run that is missing: a
point says how many seeds it rests on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from growthpace.analysis.matrix import Block, blocks
from growthpace.analysis.scores import OVERALL
from growthpace.analysis.uncertainty import POINTS, Estimate, Term, contrast, covers, holm, score_interval

LEAST_VOLUMES = 3
"""A slope through two volumes has nothing left over to contradict it, so it is refused."""
FITTED, TOO_FEW = "fitted", "too few volumes"
RESPONSIVE, SATURATING, RESISTANT = "responsive", "saturating", "resistant"
DECLINING, UNDECIDED = "declining", "undecided"
CLASSES = (RESPONSIVE, SATURATING, RESISTANT, DECLINING, UNDECIDED)
CLAIMS = ("p_growth", "p_resistant", "p_saturating")
"""The p-values that classes rest on, each with `_corrected` beside it."""
NAN = float("nan")
POINT_COLUMNS = [
    "suite", "ability", "in_domain", "model", "parameters", "dataset", "kind", "source", "volume", "seeds", "items",
    "clusters", "score", "standard_error", "item_error", "seed_error", "df", "low", "high", "chance",
    "seed_variance_df", "uncertainty",
]  # fmt: skip
PACE_COLUMNS = [
    "suite", "ability", "in_domain", "model", "parameters", "source", "status", "volumes", "smallest", "largest",
    "seeds", "seeds_most", "items", "clusters", "pace", "standard_error", "item_error", "seed_error", "df", "low",
    "high", "equivalence_low", "equivalence_high", "minimum_detectable", "last_step", "last_step_low",
    "last_step_high", "class", "class_uncorrected", *CLAIMS, *(f"{claim}_corrected" for claim in CLAIMS),
    "confidence", "margin", "seed_variance_df", "uncertainty", "score_at_largest", "chance", "gain_over_chance",
    "gain_over_chance_error",
    "gain_over_chance_low", "gain_over_chance_high", "gain_over_untuned", "gain_over_untuned_error",
    "gain_over_untuned_low", "gain_over_untuned_high",
]  # fmt: skip


def points(item_grades: pd.DataFrame | Sequence[Block], confidence: float) -> pd.DataFrame:
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
        records = block.runs.to_dict("records")
        for columns in block.runs.groupby(["model", "dataset"], sort=False).indices.values():
            first = records[columns[0]]
            trained = first["kind"] != "untuned"
            estimate = contrast(block.sample, block.values, [Term(1.0, columns, trained)], block.noise)
            error = estimate.standard_error
            if estimate.value in (0.0, 1.0):  # Wilson's interval itself says what was not seen
                error = 0.0
            low, high = score_interval(estimate.value, error, estimate.df, block.sample.clusters, confidence)
            rows.append(
                {
                    "suite": block.suite, "ability": block.ability, "in_domain": block.in_domain,
                    **{name: first[name] for name in ("model", "parameters", "dataset", "kind", "source", "volume")},
                    "seeds": len(columns), "items": len(block.items), "clusters": block.sample.clusters,
                    "score": estimate.value, **_errors(estimate), "low": low, "high": high, "chance": chance,
                    **_known(block, trained, estimate),
                }
            )  # fmt: skip
    return pd.DataFrame(rows, columns=POINT_COLUMNS)


def pace(item_grades: pd.DataFrame | Sequence[Block], confidence: float, margin: float) -> pd.DataFrame:
    """One row per suite, ability (and `overall`), model and source of the grid: the pace of that growth curve.

    The pace is the ordinary least squares slope of the points (each volume above 0 counts once) against log4(volume):

        pace = 100 * sum_v w_v * score_v        w_v = (x_v - mean x) / sum_v (x_v - mean x)^2        x_v = log4(v)

    a contrast with coefficients 100 * w_v, so its standard error takes that the same items are answered at every volume
    (per-item slopes, clustered); seeds add 100^2 sum_v w_v^2 sigma_v^2 / seeds_v, less the flicker of single items that
    the first part already holds (see `uncertainty`). Its interval uses
    Student's t with Satterthwaite's degrees of freedom at level `confidence` = 1 - alpha.

    Class, at alpha = 1 - `confidence`, from three p-values:

        p_growth      two-sided t test of a pace of 0
        p_resistant   two one-sided tests that the pace lies within +-`margin` (Schuirmann 1987, Journal of
                      Pharmacokinetics and Biopharmaceutics 15): the larger of both p-values
        p_saturating  the larger of p_growth and of the two one-sided tests that the last step lies within +-`margin`:
                      a claim that needs both (an intersection-union test, Berger 1982, Technometrics 24)

    The last step is the growth from the largest volume but one to the largest, per fourfold data, as measured; no
    fitted form has a part in it. `resistant` if p_resistant <= alpha; else, if p_growth <= alpha, `declining` for a
    pace below 0, `saturating` (grew, and has flattened) if p_saturating <= alpha, `responsive` otherwise; else
    `undecided`. So an ability that grows, but provably by less than the margin, is resistant.

    `class` is decided by p-values corrected over abilities with Holm's method (`uncertainty.holm`): for each kind of
    claim, over the abilities of one suite, model and source, so that the chance of one wrong claim of that kind among
    them is at most alpha. `overall` is a claim of its own. `class_uncorrected` takes each ability for itself. With
    fewer than three volumes status is `too few volumes`, class `undecided`, no number.

    Columns: suite, ability, in_domain, model, parameters, source, status, volumes (how many), smallest, largest, seeds
    (least at any volume), seeds_most, items, clusters, pace, standard_error, item_error, seed_error, df, low, high,
    equivalence_low, equivalence_high (at level 1 - 2 alpha), minimum_detectable (the true pace that would be found four
    times in five, see `Estimate`), last_step, last_step_low, last_step_high (all in points per fourfold data), class,
    class_uncorrected, the p-values and, with _corrected, what Holm makes of them, confidence, margin, seed_variance_df,
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
            estimate = last = None
            if len(volumes) >= LEAST_VOLUMES:
                estimate = contrast(block.sample, block.values, slope_terms(volumes), block.noise)
                last = contrast(block.sample, block.values, slope_terms(last_two(volumes)), block.noise)
            row.update(_slope(estimate, last, confidence, margin))
            row.update(confidence=confidence, margin=margin, **_known(block, estimate=estimate))
            row.update(_gains(block, model, volumes[max(volumes)], confidence))
            rows.append(row)
    return _classified(pd.DataFrame(rows, columns=PACE_COLUMNS), 1 - confidence)


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


def last_two(volumes: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
    """The two largest of `volumes`, which must be in ascending order."""
    return dict(list(volumes.items())[-2:])


def classify(estimate: Estimate, confidence: float, margin: float) -> str:
    """The class of one pace by the rule stated in `pace`, uncorrected and without a look at its last step; `undecided`
    where the standard error is unknown."""
    return _class(estimate.value, estimate.differs(), estimate.within(margin), 1.0, 1 - confidence)


def _class(pace: float, p_growth: float, p_resistant: float, p_saturating: float, alpha: float) -> str:
    if p_resistant <= alpha:
        return RESISTANT
    if not p_growth <= alpha:
        return UNDECIDED
    if pace < 0:
        return DECLINING
    return SATURATING if p_saturating <= alpha else RESPONSIVE


def _classified(table: pd.DataFrame, alpha: float) -> pd.DataFrame:
    """The table of paces with corrected p-values and classes."""
    family = (table["status"] == FITTED) & (table["ability"] != OVERALL)
    for claim in CLAIMS:
        corrected = table[claim].astype(float)
        groups = table[family].groupby(["suite", "model", "source"], sort=False)[claim]
        corrected[family] = groups.transform(lambda own: holm(own.to_numpy(float)))
        table[f"{claim}_corrected"] = corrected
    for name, end in (("class", "_corrected"), ("class_uncorrected", "")):
        values = table[["pace", *(claim + end for claim in CLAIMS)]].to_numpy(float)
        table[name] = [_class(*row, alpha) for row in values]
    return table


def equivalence_level(confidence: float) -> float:
    """1 - 2 alpha, the level of the interval that two one-sided tests at alpha = 1 - `confidence` amount to."""
    return 1 - 2 * (1 - confidence)


def _slope(estimate: Estimate | None, last: Estimate | None, confidence: float, margin: float) -> dict[str, Any]:
    if estimate is None:
        names = ("pace", "standard_error", "item_error", "seed_error", "df", "low", "high", "equivalence_low",
                 "equivalence_high", "minimum_detectable", "last_step", "last_step_low", "last_step_high")  # fmt: skip
        return {"status": TOO_FEW, **dict.fromkeys((*names, *CLAIMS), NAN)}
    low, high = estimate.interval(confidence)
    inner_low, inner_high = estimate.interval(equivalence_level(confidence))
    last_low, last_high = last.interval(confidence)
    growth = estimate.differs()
    return {
        "pace": estimate.value, **_errors(estimate), "low": low, "high": high,
        "equivalence_low": inner_low, "equivalence_high": inner_high,
        "minimum_detectable": estimate.minimum_detectable(confidence),
        "last_step": last.value, "last_step_low": last_low, "last_step_high": last_high,
        "p_growth": growth, "p_resistant": estimate.within(margin),
        "p_saturating": float(np.maximum(growth, last.within(margin))),
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
