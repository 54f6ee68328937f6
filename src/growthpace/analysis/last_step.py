"""Whether more of a source still helps at the end of its sweep: the growth from its last volume but one to its last."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from growthpace.analysis.curves import curves_of, equivalence_level, slope_terms
from growthpace.analysis.matrix import Block
from growthpace.analysis.uncertainty import POINTS, Estimate, Term, contrast, covers

STILL, NO_LONGER, CANNOT_TELL = "still helps", "no longer helps", "cannot tell"
COLUMNS = [
    "suite", "ability", "in_domain", "model", "parameters", "source", "from_volume", "to_volume", "gain",
    "standard_error", "df", "low", "high", "minimum_detectable", "verdict", "reason", "items", "confidence", "margin",
    "uncertainty",
]  # fmt: skip


def last_steps(blocks: Iterable[Block], confidence: float, margin: float) -> pd.DataFrame:
    """One row per suite, ability, model and source of the grid with two volumes or more.

    gain: the paired difference between the two largest volumes in points per fourfold data (a pace through two points:
    100 x difference / log4(to_volume / from_volume)), low to high its interval at `confidence`, minimum_detectable the
    true gain that such a step would show four times in five (`compare.detectable`). Verdict, as the advice has it:

    `no longer helps`: the interval at level 1 - 2 alpha ends below `margin` (a one-sided test at alpha = 1 -
    confidence), and the score at the largest volume is above chance at `confidence`: an ability that has not left
    chance may not have begun to grow. A gain that is sure but surely below the margin is no help; nor is a loss.
    `still helps`: else, where the interval lies wholly above 0. `cannot tell`: everything else.

    Columns: suite, ability, in_domain, model, parameters, source, from_volume, to_volume, gain, standard_error, df,
    low, high, minimum_detectable (points per fourfold data), verdict, reason, items, confidence, margin, uncertainty.
    """
    rows = []
    for block in blocks:
        for (model, source), runs in curves_of(block):
            volumes = {int(volume): own.index.to_numpy() for volume, own in runs.groupby("volume")}
            if len(volumes) < 2:
                continue
            before, largest = list(volumes)[-2:]
            terms = slope_terms({before: volumes[before], largest: volumes[largest]})
            gain = contrast(block.sample, block.values, terms, block.noise)
            level = [Term(POINTS, volumes[largest])]
            over_chance = contrast(block.sample, block.values, level, block.noise, POINTS * block.chances)
            verdict, reason = judge(gain, over_chance, confidence, margin)
            low, high = gain.interval(confidence)
            rows.append(
                {
                    "suite": block.suite, "ability": block.ability, "in_domain": block.in_domain, "model": model,
                    "parameters": int(runs["parameters"].iloc[0]), "source": source, "from_volume": before,
                    "to_volume": largest, "gain": gain.value, "standard_error": gain.standard_error, "df": gain.df,
                    "low": low, "high": high, "minimum_detectable": gain.minimum_detectable(confidence),
                    "verdict": verdict, "reason": reason, "items": len(block.items),
                    "confidence": confidence, "margin": margin,
                    "uncertainty": covers(block.noise.df > 0, gain),
                }
            )  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def judge(gain: Estimate, over_chance: Estimate, confidence: float, margin: float) -> tuple[str, str]:
    """(verdict, reason) by the rule stated in `last_steps`; both estimates in points."""
    low, high = gain.interval(confidence)
    if gain.interval(equivalence_level(confidence))[1] < margin:
        if over_chance.interval(confidence)[0] > 0:
            return NO_LONGER, "it lost" if high < 0 else f"shown to gain less than the margin of {margin:g}"
        return CANNOT_TELL, "no gain, but the score is not above chance: growth may not have begun"
    if low > 0:
        return STILL, "the gain is above 0"
    return CANNOT_TELL, "the interval holds 0 and reaches the margin"
