"""Whether advice held: the trained mix against the balanced dataset of the same volume, beside what was foretold.

Measured is the paired difference on shared items (`uncertainty.contrast`), averaged over models, on the suite that
claims are about. It is set against the foretold gain by the distance of the two, whose half interval is the root of the
sum of both half intervals' squares (on the side where they face each other; Zou and Donner 2008, Statistics in Medicine
27), as for two independent estimates. The two share the runs of the balanced dataset, and their items where the advice
was taken on the same suite; that is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from growthpace.analysis.matrix import Block, blocks
from growthpace.analysis.scores import OVERALL
from growthpace.analysis.uncertainty import POINTS, Term, contrast, quantile, satterthwaite

HELD, MORE, FAILED, CANNOT_TELL, NOT_MEASURED = "held", "more than foretold", "not held", "cannot tell", "not measured"
VERDICTS = {
    HELD: "the measured gain lies above 0 and agrees with what was foretold",
    MORE: "the measured gain lies above what was foretold",
    FAILED: "the measured gain lies below what was foretold, or below 0",
    CANNOT_TELL: "the measured gain agrees with what was foretold, and with none at all",
    NOT_MEASURED: "there is nothing to measure it by",
}
"""Every verdict and when it is given, in words."""


def check(
    item_grades: pd.DataFrame,
    allocation: Mapping[str, Any],
    mix: str,
    suite: str,
    confidence: float,
    stale: bool = False,
) -> dict[str, Any]:
    """The check of one mix, as plain values. `allocation` as `growthpace.advice.write_allocation` writes it; `stale`:
    the mix was trained by another division, so that there is nothing to hold this one against.

    Returns {mix, against, budget, suite, advice_suite, status (`checked`, `refused`: the advice was, `not measured`),
    predicted, predicted_low, predicted_high, measured, measured_low, measured_high (points of the weighted mean score;
    None where there is none), verdict, sentence, models: [{model, measured, measured_low, measured_high}]}.
    """
    against = f"{allocation['source']}-{allocation['budget']}"
    predicted = {key: allocation[name] for key, name in (
        ("predicted", "gain"), ("predicted_low", "low"), ("predicted_high", "high"))}  # fmt: skip
    found = {
        "mix": mix, "against": against, "budget": allocation["budget"], "suite": suite,
        "advice_suite": allocation["suite"], "confidence": confidence, **predicted,
    }  # fmt: skip
    own = [block for block in blocks(item_grades) if block.suite == suite and block.in_domain]
    weights = allocation["weights"]
    if len(set(weights.values())) == 1:
        own = [block for block in own if block.ability == OVERALL]
        shares = {OVERALL: 1.0}
    else:
        own = [block for block in own if weights.get(block.ability)]
        shares = {ability: weight / sum(weights.values()) for ability, weight in weights.items() if weight}
    models = _models(own, mix, against) if not stale and {block.ability for block in own} == set(shares) else []
    rows = [{"model": m, **_gain(own, shares, [m], mix, against, confidence)} for m in models]
    measured = _gain(own, shares, models, mix, against, confidence) if models else dict.fromkeys(
        ("measured", "measured_low", "measured_high"))  # fmt: skip
    found |= {**measured, "models": rows}
    verdict = _verdict(found) if models and allocation["status"] != "refused" else NOT_MEASURED
    status = "refused" if allocation["status"] == "refused" else "checked" if models else NOT_MEASURED
    return {**found, "status": status, "verdict": verdict, "sentence": _sentence(found, verdict, allocation, stale)}


def _models(own: list[Block], mix: str, against: str) -> list[str]:
    """Models that were trained on both, in every block."""
    sets = [
        set(block.runs["model"][block.runs["dataset"] == mix])
        & set(block.runs["model"][block.runs["dataset"] == against])
        for block in own
    ]
    return [model for model in dict.fromkeys(own[0].runs["model"]) if all(model in both for both in sets)]


def _gain(own: list[Block], shares, models: list[str], mix: str, against: str, confidence: float) -> dict[str, float]:
    """Mean over `models` of mix less balanced, in points. With unequal weights abilities count as independent."""
    values, variances, df = [], [], []
    for block in own:
        terms = []
        for model in models:
            for sign, dataset in ((1, mix), (-1, against)):
                coefficient = sign * POINTS * shares[block.ability] / len(models)
                terms.append(Term(coefficient, block.columns(model=model, dataset=dataset)))
        estimate = contrast(block.sample, block.values, terms, block.noise)
        values.append(estimate.value)
        variances.append(estimate.standard_error**2)
        df.append(estimate.df)
    half = quantile((1 + confidence) / 2, satterthwaite(variances, df)) * np.sqrt(sum(variances))
    middle = sum(values)
    ends = (middle, middle - half, middle + half)
    keys = ("measured", "measured_low", "measured_high")
    return {key: round(float(end), 3) if np.isfinite(end) else None for key, end in zip(keys, ends, strict=True)}


def _verdict(found: Mapping[str, Any]) -> str:
    if found["measured_low"] is None:
        return NOT_MEASURED
    apart = found["measured"] - found["predicted"]
    below = np.hypot(found["predicted"] - found["predicted_low"], found["measured_high"] - found["measured"])
    above = np.hypot(found["predicted_high"] - found["predicted"], found["measured"] - found["measured_low"])
    if found["measured_high"] < 0 or apart < -below:
        return FAILED
    if apart > above:
        return MORE
    return HELD if found["measured_low"] > 0 else CANNOT_TELL


def _sentence(found: Mapping[str, Any], verdict: str, allocation: Mapping[str, Any], stale: bool) -> str:
    budget, mix, against = found["budget"], found["mix"], found["against"]
    measured = ""
    if found["measured"] is not None:
        span = "" if found["measured_low"] is None else (
            f" ({found['measured_low']:+.1f} to {found['measured_high']:+.1f})")  # fmt: skip
        measured = f"{found['measured']:+.1f} points{span}"
    if allocation["status"] == "refused":
        told = f"The advice on {budget} items was refused ({allocation['reason']}), so {mix} is an equal division"
        return f"{told}. It scored {measured} against {against}." if measured else f"{told}."
    foretold = f"{found['predicted']:+.1f} points ({found['predicted_low']:+.1f} to {found['predicted_high']:+.1f})"
    start = f"The study's own advice on {budget} items foretold {foretold} over an equal division"
    if stale:
        return f"{start}. {mix} was trained by another division; start the study again to train this one."
    if not measured:
        return f"{start}. It was not measured: no model has been graded on both {mix} and {against}."
    same = found["suite"] == found["advice_suite"]
    where = f" on the suite {found['suite']}, which the advice was also taken on" if same else ""
    return f"{start}; trained, {mix} scored {measured} against {against}{where}: {verdict}, since {VERDICTS[verdict]}."
