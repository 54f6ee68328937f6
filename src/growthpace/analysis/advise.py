"""What the pace says about collecting more, ability by ability. The first, honest form: it allocates no budget yet.

For each ability of the study, on one labelled source, the pace is averaged over models (all models answer the same
items, so the average is one contrast and not a mean of separate fits), and so is the last step: the growth from the
largest volume but one to the largest, per fourfold data. A straight line can rise over a curve that has long been flat
at its end, so more data is advised only where both say so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from growthpace.analysis.curves import LEAST_VOLUMES, classify, equivalence_level, slope_weights
from growthpace.analysis.matrix import Block, blocks
from growthpace.analysis.scores import OVERALL
from growthpace.analysis.uncertainty import POINTS, Term, contrast
from growthpace.errors import InputError

COLLECT, ENOUGH, CANNOT_TELL = "collect", "enough", "cannot tell"
ADVISED, REFUSED = "advised", "refused"
RULE = (
    "collect: the pace is responsive, and the last step gave more than the margin. "
    "enough: the pace is resistant or declining, or the last step is shown to stay below the margin; and the score at "
    "the largest volume is above chance. "
    "cannot tell: everything else."
)


def advise(item_grades: pd.DataFrame, source: str, suite: str, confidence: float, margin: float) -> dict[str, Any]:
    """Advice on collecting more of `source`, as plain values that YAML and JSON can hold.

    `margin` in points per fourfold data, `confidence` the level of the intervals, `suite` what the claims are about.
    The last step is shown to stay below the margin where its interval at level 1 - 2 alpha ends below it (a one-sided
    test at alpha = 1 - confidence). A score is above chance where the interval of its gain over chance at the largest
    volume, averaged over models, lies above 0: an ability that has not left chance may not have begun to grow, so that
    it is never `enough`. The rule stands in the result as `rule`.

    Returns {source, suite, confidence, margin, rule, status, reason, abilities}; status is `advised`, or `refused`
    where no ability can be told or fewer than three volumes were swept. abilities: one dict for each with ability,
    advice (`collect`, `enough`, `cannot tell`), reason, class, models, and pace, low, high, last_step, last_step_low,
    last_step_high (points per fourfold data), score (at the largest volume, averaged over models, a fraction); the
    numbers are None where there are none.

    Raises `InputError` where `suite` has no grades at all.
    """
    found = [block for block in blocks(item_grades) if block.suite == suite]
    if not found:
        raise InputError(f"analysis.suite: no chosen run has been graded on {suite!r} yet")
    entries = [
        _advice(block, source, confidence, margin) for block in found if block.in_domain and block.ability != OVERALL
    ]
    told = [entry for entry in entries if entry["advice"] != CANNOT_TELL]
    if told:
        status, reason = ADVISED, f"{len(told)} of {len(entries)} abilities can be told"
    elif all(entry["pace"] is None for entry in entries):
        status, reason = REFUSED, f"no model has {LEAST_VOLUMES} volumes of {source!r} yet: too few for a pace"
    else:
        status, reason = REFUSED, "no ability's pace can be told from these items and seeds"
    return {
        "source": source, "suite": suite, "confidence": confidence, "margin": margin, "rule": RULE,
        "status": status, "reason": reason, "abilities": entries,
    }  # fmt: skip


def _advice(block: Block, source: str, confidence: float, margin: float) -> dict[str, Any]:
    runs = block.runs[(block.runs["kind"] == "grid") & (block.runs["source"] == source)]
    curves = []
    for _, own in runs.groupby("model", sort=False):
        volumes = {int(v): rows.index.to_numpy() for v, rows in own.groupby("volume")}
        if len(volumes) >= LEAST_VOLUMES:
            curves.append(volumes)
    entry: dict[str, Any] = {"ability": block.ability, "models": len(curves)}
    if not curves:
        numbers = ("pace", "low", "high", "last_step", "last_step_low", "last_step_high", "score")
        reason = f"fewer than {LEAST_VOLUMES} volumes"
        return {**entry, "advice": CANNOT_TELL, "reason": reason, "class": None, **dict.fromkeys(numbers)}

    share = POINTS / len(curves)
    slope, step, level = [], [], []
    for volumes in curves:
        for weight, columns in zip(slope_weights(list(volumes)), volumes.values(), strict=True):
            slope.append(Term(share * weight, columns))
        before, largest = list(volumes)[-2:]
        weights = slope_weights([before, largest])
        step += [Term(share * weights[0], volumes[before]), Term(share * weights[1], volumes[largest])]
        level.append(Term(share, volumes[largest]))
    pace = contrast(block.sample, block.values, slope, block.noise)
    last = contrast(block.sample, block.values, step, block.noise)
    score = contrast(block.sample, block.values, level, block.noise).value / POINTS
    gain = contrast(block.sample, block.values, level, block.noise, POINTS * block.chances)
    low, high = pace.interval(confidence)
    step_low, step_high = last.interval(confidence)
    step_top = last.interval(equivalence_level(confidence))[1]
    kind = classify(pace, confidence, margin)
    advice, reason = _judge(kind, pace.value, (low, high), last.value, step_top, margin)
    gain_low, gain_high = gain.interval(confidence)
    if advice == ENOUGH and not gain_low > 0:
        over = f"{_signed(gain.value)} points ({_signed(gain_low)} to {_signed(gain_high)}) at the largest volume"
        advice, reason = CANNOT_TELL, f"not above chance yet: {over}; {reason}"
    return {
        **entry, "advice": advice, "reason": reason, "class": kind,
        "pace": _rounded(pace.value), "low": _rounded(low), "high": _rounded(high),
        "last_step": _rounded(last.value), "last_step_low": _rounded(step_low), "last_step_high": _rounded(step_high),
        "score": None if np.isnan(score) else round(score, 4),
    }  # fmt: skip


def _judge(
    kind: str, pace: float, interval: tuple[float, float], step: float, step_top: float, margin: float
) -> tuple[str, str]:
    """(advice, reason) by `RULE`."""
    low, high = interval
    span = f"{_signed(pace)} points per fourfold data ({_signed(low)} to {_signed(high)})"
    if kind == "resistant":
        return ENOUGH, f"resistant: {span}, within the margin of {margin:g}"
    if kind == "declining":
        return ENOUGH, f"more data made it worse: {span}"
    if step_top < margin:
        return (
            ENOUGH,
            f"flat at the end: the last step gave {_signed(step)}, below the margin of {margin:g}; pace {span}",
        )
    if kind == "responsive" and step <= margin:
        return CANNOT_TELL, f"grew by {span}, but the last step gave {_signed(step)}: it may have ended"
    if kind == "responsive":
        return COLLECT, f"still growing: {span}; the last step gave {_signed(step)}"
    return CANNOT_TELL, f"the interval is too wide: {span}, margin {margin:g}"


def _signed(value: float) -> str:
    """+2.3 or -0.4, and 0.0 without a sign, as on the page; `not known` for NaN."""
    if np.isnan(value):
        return "not known"
    text = f"{value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def _rounded(value: float) -> float | None:
    """Two decimals of a point; None where there is no number, since YAML readers disagree about NaN."""
    return round(float(value), 2) if np.isfinite(value) else None
