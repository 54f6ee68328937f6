"""The report's first paragraphs: what the tables say, in plain words with numbers, and nothing that they do not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from growthpace.analysis.curves import (
    DECLINING,
    FITTED,
    LEAST_VOLUMES,
    RESISTANT,
    RESPONSIVE,
    SATURATING,
    UNDECIDED,
)
from growthpace.analysis.scores import OVERALL
from growthpace.figures.drawing import readable

SENTENCES = {
    RESPONSIVE: "Grows with data",
    SATURATING: "Grew, and has flattened",
    RESISTANT: "Does not grow with data",
    DECLINING: "Falls with more data",
    UNDECIDED: "Cannot be told",
}
"""What each class of pace means to a reader."""


def summarise(
    suite: str,
    points: pd.DataFrame,
    pace: pd.DataFrame,
    comparisons: pd.DataFrame,
    completeness: Iterable[dict],
    tables: Mapping[str, Any] | None = None,
) -> list[dict]:
    """Sentences and lists for the top of the page: dicts with `text` and, where it has a list, `entries`, each a dict
    with `lead`, `class` and `text`.

    The tables hold rows of `suite` alone; `completeness` and `tables` (further ones, of all suites) as in
    `report.render`: each that is there is told of, none that is not.
    """
    tables = tables or {}
    runs = list(completeness)
    done = sum(bool(run["complete"]) for run in runs)
    found = [{"text": _runs(done, len(runs))}]
    fitted = pace[pace["status"] == FITTED]
    if fitted.empty:
        text = "No growth curve has three volumes yet, so nothing can be said about pace."
        return [*found, {"text": text}, *_too_few(pace)]
    found.append({"text": _overall(suite, fitted, points)})
    for source, curves in fitted[fitted["ability"] != OVERALL].groupby("source", sort=False):
        entries = []
        for kind in SENTENCES:
            entries += _abilities(curves, kind)
        found.append({"text": f"With data from {source}, on {suite}:", "entries": entries})
    found += _too_few(pace) + _sources(comparisons)
    for tell, key in ((_equivalence, "equivalence"), (_held_out, "laws")):
        if key in tables:
            found += tell(tables[key][tables[key]["suite"] == suite])
    found += _mixes(comparisons)
    if "selection_bias" in tables:
        found += _bias(tables["selection_bias"])
    if sentence := (tables.get("advice_check") or {}).get("sentence"):
        found.append({"text": sentence})
    if fitted["uncertainty"].str.startswith("items only").any():
        text = (
            "Nothing was trained with two seeds, so that intervals cover the choice of test items only, not that of "
            "seed and data, and are too narrow."
        )
        found.append({"text": text})
    return found


def _runs(done: int, planned: int) -> str:
    if done == planned:
        return f"All {planned} runs of this study are complete."
    return (
        f"{done} of {planned} runs are complete. The other {planned - done} are missing from every table and figure "
        "below; nothing stands in for them."
    )


def not_above_chance(pace: pd.DataFrame) -> pd.Series:
    """Which curves are classed as growing though their score at the largest volume is not told apart from chance, or
    is below it: the interval of the gain over chance does not lie above 0."""
    return pace["class"].isin([RESPONSIVE, SATURATING]) & ~(pace["gain_over_chance_low"] > 0)


def _too_few(pace: pd.DataFrame) -> list[dict]:
    """The sources, or single models on a source, that have too few volumes for a pace."""
    volumes = pace.groupby(["source", "model"], sort=False)["volumes"].max()
    found = []
    for source, own in volumes.groupby("source", sort=False):
        few = own[own < LEAST_VOLUMES]
        if len(few) == len(own) and few.nunique() == 1:
            found.append((str(source), few.iloc[0]))
        else:
            found += [(f"{model} on {source}", count) for (_, model), count in few.items()]
    return [{"text": f"{who}: {n} volume{'' if n == 1 else 's'}, too few for a pace."} for who, n in found]


def _overall(suite: str, fitted: pd.DataFrame, points: pd.DataFrame) -> str:
    """The mean over abilities at the ends of the grid, best model and source."""
    overall = fitted[fitted["ability"] == OVERALL]
    if overall.empty:
        return f"No run has been graded on all abilities of {suite}, so there is no overall curve."
    best = overall.loc[overall["score_at_largest"].idxmax()]
    own = points[(points["ability"] == OVERALL) & (points["model"] == best["model"])]
    first = own[(own["kind"] == "grid") & (own["source"] == best["source"])].sort_values("volume").iloc[0]
    untuned = own[own["kind"] == "untuned"]
    start = f"{100 * untuned['score'].iloc[0]:.0f} % untuned, " if len(untuned) else ""
    who = f"model {best['model']} tuned on {best['source']} data"
    lead = f"Averaged over all abilities, {who} does best"
    if not best["gain_over_chance_low"] > 0:
        where = "below chance" if best["gain_over_chance_high"] < 0 else "not told apart from chance"
        gain = f"{signed(best['gain_over_chance_low'])} to {signed(best['gain_over_chance_high'])} points from it"
        lead = (
            f"Averaged over all abilities, {who} has the highest score of the curves with a pace, but is {where} "
            f"({gain})"
        )
    return (
        f"{lead}: {start}"
        f"{100 * first['score']:.0f} % after {first['volume']:,} training items, "
        f"{100 * best['score_at_largest']:.0f} % after {best['largest']:,} (chance is {100 * best['chance']:.0f} %). "
        f"That is {signed(best['pace'])} points per fourfold data ({signed(best['low'])} to {signed(best['high'])}); "
        f"its class is {best['class']}."
    )


def _abilities(curves: pd.DataFrame, kind: str) -> list[dict]:
    """One entry for a class, if any ability has it: the abilities, each with its models and paces."""
    models = curves["model"].nunique()
    own = curves[curves["class"] == kind]
    if own.empty:
        return []
    spans = (
        own.assign(still=not_above_chance(own))
        .groupby("ability", sort=False)
        .agg(
            count=("model", "size"), low=("pace", "min"), high=("pace", "max"), inside=("in_domain", "all"),
            still=("still", "sum"),
        )
    )  # fmt: skip
    spans["middle"] = spans["low"] + spans["high"]
    parts = []
    for row in spans.sort_values(["count", "middle"], ascending=[False, kind == DECLINING], kind="stable").itertuples():
        which = "" if row.count == models else f" in {row.count} of {models} models"
        span = signed(row.low) if row.count == 1 else f"{signed(row.low)} to {signed(row.high)}"
        outside = "" if row.inside else ", out of domain"
        still = ", still not above chance" if row.still else ""
        if 0 < row.still < row.count:
            still += f" in {row.still} of {row.count} models"
        parts.append(f"{readable(str(row.Index))}{which} ({span}{outside}{still})")
    return [{"lead": SENTENCES[kind], "class": kind, "text": ", ".join(parts)}]


def _sources(comparisons: pd.DataFrame) -> list[dict]:
    """How sources differ at equal volume: counts over abilities, and the overall difference at the largest volume."""
    pairs = comparisons[comparisons["kind"] == "sources"]
    names = pairs[["first", "second"]].apply(lambda column: column.str.rsplit("-", n=1).str[0])
    found = []
    for (one, other), rows in pairs.groupby([names["first"], names["second"]], sort=False):
        single, overall = rows[rows["ability"] != OVERALL], rows[rows["ability"] == OVERALL]
        better = int((single["stands"] & (single["difference"] > 0)).sum())
        worse = int((single["stands"] & (single["difference"] < 0)).sum())
        text = (
            f"At equal volume, {one} is better than {other} in {better} of {len(single)} comparisons (ability by model "
            f"by volume), worse in {worse}, and {len(single) - better - worse} cannot be told apart."
        )
        if len(overall):
            last = overall[overall["volume"] == overall["volume"].max()]
            told = ", ".join(f"{_difference(row)} for {row.model}" for row in last.itertuples())
            at = f"{last['volume'].iloc[0]:,} items"
            text += f" Averaged over all abilities, at {at}, it is ahead by this many points: {told}."
        middle = float(np.median(single["minimum_detectable"])) if len(single) else float("nan")
        if np.isfinite(middle):
            size = in_points(round(middle))
            text += f" One such comparison would find a true difference of {size} four times in five."
        found.append({"text": text})
    return found


def _equivalence(table: pd.DataFrame) -> list[dict]:
    """How many items of the second source one of the first is worth, averaged over abilities, at the largest volume."""
    table = table[table["ability"] == OVERALL]
    pairs = list(dict.fromkeys(tuple(sorted(pair)) for pair in zip(table["first"], table["second"], strict=True)))
    found = []
    for first, second in pairs:
        parts = []
        own = table[(table["first"] == first) & (table["second"] == second)]
        for model, rows in own.groupby("model", sort=False):
            row = rows.loc[rows["volume"].idxmax()]
            at = f"for {model} at {row['volume']:,} {second} items"
            if row["status"] == "in range":
                span = f"{_worth(row['worth_low'])} to {_worth(row['worth_high'])}"
                parts.append(f"worth {_worth(row['worth'])} of {second} ({span}) {at}")
            elif row["status"] == "never in range":
                parts.append(f"not to be matched {at}: no volume in range scores the same")
            else:
                parts.append(f"worth a number that cannot be told {at}")
        if parts:
            found.append({"text": f"Averaged over all abilities, one item of {first} is {'; '.join(parts)}."})
    return found


def _held_out(laws: pd.DataFrame) -> list[dict]:
    """How often the fitted laws foretold the score at the largest volume from the smaller ones."""
    checked = laws[laws["held_out_held"].notna() & (laws["ability"] != OVERALL)]
    if checked.empty:
        return []
    held = int(checked["held_out_held"].astype(bool).sum())
    middle = float(np.median(checked["held_out_error"].abs()))
    text = (
        f"Laws fitted without the largest volume foretold the score there within their interval in {held} of "
        f"{len(checked)} curves; the middle error is {in_points(float(f'{middle:.1f}'))}."
    )
    return [{"text": text}]


def _bias(table: pd.DataFrame) -> list[dict]:
    """What choosing epochs does to the scores that they are chosen by."""
    means = table[(table["level"] == "mean") & table["optimism"].notna()]
    if means.empty:
        return []
    low, high = (signed(value) for value in (means["optimism"].min(), means["optimism"].max()))
    text = (
        f"Epochs are chosen by their scores on {means['suite'].iloc[0]}, which makes those scores too good by "
        f"{low if low == high else f'{low} to {high}'} points, from the least to the largest over models and sources; "
        "no score on this page is of those items."
    )
    return [{"text": text}]


def _worth(value: float) -> str:
    return "any number" if np.isinf(value) else f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _mixes(comparisons: pd.DataFrame) -> list[dict]:
    """Each mix against the balanced dataset of its volume, averaged over abilities."""
    rows = comparisons[(comparisons["kind"] == "mix") & (comparisons["ability"] == OVERALL)]
    entries = [
        {
            "lead": f"{row.first} against {row.second}",
            "class": UNDECIDED if not row.stands else RESPONSIVE if row.difference > 0 else DECLINING,
            "text": f"{_difference(row)} points for {row.model}" + ("" if row.stands else ", not told apart"),
        }
        for row in rows.itertuples()
    ]
    text = "Averaged over all abilities, mixes beside the balanced dataset of their volume:"
    return [{"text": text, "entries": entries}] if entries else []


def _difference(row) -> str:
    return f"{signed(row.difference)} ({signed(row.low)} to {signed(row.high)})"


def in_points(value: float) -> str:
    """`1 point`, `2 points`, `0.5 points`."""
    return f"{value:g} point{'' if value == 1 else 's'}"


def signed(value: float) -> str:
    """+2.3 or −0.4, with a real minus sign and never a negative zero; `not known` for NaN."""
    if np.isnan(value):
        return "not known"
    text = f"{value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")
