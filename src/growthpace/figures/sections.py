"""The page's further tables: what each is called, what it says in plain words, and its columns under human names.

A table is shown where its file exists: another analysis adds its table here and nowhere else. Values are only written
down, never computed; what is NaN or None is said to be not known.

    shown("equivalence", frame, suite="test")    # {key, title, explanation, columns, rows} for the template
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from growthpace.analysis.scores import OVERALL
from growthpace.figures.drawing import readable

NOT_KNOWN = "not known"
KINDS = ("word", "text", "ability", "percent", "points", "decimal", "count", "number", "flag")
WORDS = ("word", "text", "ability", "flag")
"""How a value is written: as it is, in one line or several; with an ability's capital; a fraction as a percentage;
signed points; one decimal; a count with separators; three significant digits; yes or no."""


@dataclass(frozen=True)
class Column:
    """A column of the page, from one of a table's columns, with its interval below where it has one."""

    name: str
    label: str
    """What a reader sees, with the unit."""
    kind: str = "word"
    """One of KINDS."""
    bounds: tuple[str, str] = ("", "")
    """Names of the columns of the interval's two ends."""
    absent: str = NOT_KNOWN
    """What is said in place of NaN or None."""


@dataclass(frozen=True)
class Section:
    """One table of the page."""

    part: str
    """The part of the page that it stands in, one of PARTS."""
    title: str
    explanation: str
    """One sentence or two in plain words: what is compared, in which unit."""
    columns: tuple[Column, ...]
    all_suites: bool = False
    """Rows of other suites than the study's own are shown too."""


PARTS = {
    "laws": "Growth laws",
    "comparisons": "Comparisons",
    "generalisation": "Generalisation",
    "transfer": "Features of abilities, and transfer between them",
    "advice": "What to collect next",
}
"""Parts of the page and their titles, in the page's order."""


def _interval(name: str, label: str, kind: str, absent: str = NOT_KNOWN) -> Column:
    """A column whose interval ends are called after it."""
    return Column(name, label, kind, (f"{name}_low", f"{name}_high"), absent)


SUITE, ABILITY = Column("suite", "Suite"), Column("ability", "Ability", "ability")
MODEL, SOURCE, VOLUME = Column("model", "Model"), Column("source", "Source"), Column("volume", "Volume", "count")
FIRST, SECOND = Column("first", "First source"), Column("second", "Second source")
ENDS = ("low", "high")

SECTIONS: dict[str, Section] = {
    "laws": Section(
        "laws", "Fitted laws",
        "The form that predicts left-out volumes best, and what it says: where the curve would end (its ceiling), how "
        "many items bring it to 90 % of that, and how much a fourfold of data still gives at the largest volume. The "
        "held-out check fits without the largest volume and predicts it. What the points refute is drawn nowhere.",
        (
            ABILITY, MODEL, SOURCE, Column("form", "Form"), Column("growth", "Growth"), Column("status", "Status"),
            Column("reason", "Why refused, or what is not told", "text", absent="–"),
            Column("goodness", "Probability of such a scatter", "number"),
            _interval("ceiling", "Ceiling (%)", "percent", "none, or not identified"),
            _interval("prelearned", "Pre-learned (items)", "count", "none, or not identified"),
            _interval("volume_90", "Items to 90 % of the ceiling", "count"),
            Column("volume_90_status", "Is that in range?"),
            _interval("slope_at_largest", "Points per fourfold at the largest volume", "points"),
            Column("held_out_score", "Held out: score (%)", "percent"),
            _interval("held_out_predicted", "Held out: predicted (%)", "percent"),
            Column("held_out_error", "Held out: error (points)", "points"),
            Column("held_out_held", "Held out: inside the interval", "flag"),
        ),
    ),
    "sizes": Section(
        "laws", "What a larger model gives",
        "The mean gain of doubling a model's parameters, at one volume and over all. Models are compared as they are: "
        "what else differs between them is in it. The bend is how much the gain changes with each doubling.",
        (
            ABILITY, SOURCE, Column("volume", "Volume", "count", absent="mean of all"),
            Column("models", "Models", "count"),
            Column("size_gain", "Points per doubling of parameters", "points", ENDS),
            Column("minimum_detectable", "Minimum detectable", "decimal"), _interval("bend", "Bend", "points", "–"),
            Column("status", "Status"),
        ),
    ),
    "selection_bias": Section(
        "laws", "What choosing the best epoch does to scores",
        "The epoch is chosen by its score on held-back items, so that its score on those items is too good: by how "
        "much, estimated by drawing items anew and choosing again; and how far the chosen epoch is below the best on "
        "new items. The scores on this page are of other items.",
        (
            Column("level", "Of"), SUITE, MODEL, SOURCE, Column("dataset", "Dataset", absent="–"),
            Column("volume", "Volume", "count", absent="–"), Column("seed", "Seed", "count", absent="–"),
            Column("epoch", "Chosen epoch", "count", absent="–"), Column("epochs", "Epochs", "count"),
            Column("optimism", "Too good by (points)", "points", ENDS), Column("loss", "Below the best by", "points"),
            Column("other_epoch", "Another epoch would be chosen (%)", "percent"), Column("status", "Status"),
        ),
        all_suites=True,
    ),
    "equivalence": Section(
        "comparisons", "How many items of one source are worth one of another",
        "The volume of the first source that does as well as the stated volume of the second, and how many items of "
        "the second one item of the first is therefore worth there.",
        (
            ABILITY, MODEL, FIRST, SECOND, Column("volume", "Volume of the second", "count"),
            Column("status", "Status"), Column("equivalent", "Equal volume of the first", "count", ENDS),
            _interval("worth", "One of the first is worth (items of the second)", "number"),
            Column("reason", "Why", "text", absent="–"),
        ),
    ),
    "crossings": Section(
        "comparisons", "Where the curves of two sources cross",
        "The volume from which on the other source is the better one, where both are shown to be better somewhere.",
        (
            ABILITY, MODEL, FIRST, SECOND, Column("status", "Status"), Column("volume", "Volume", "count", ENDS, "–"),
            Column("ahead_before", "Better below", absent="–"), Column("ahead_after", "Better above", absent="–"),
            Column("reason", "Why", "text", absent="–"),
        ),
    ),
    "last_steps": Section(
        "comparisons", "Does more of a source still help?",
        "The gain from the largest volume but one to the largest, in points per fourfold data, and the true gain that "
        "such a step would show four times in five.",
        (
            ABILITY, MODEL, SOURCE, Column("from_volume", "From (items)", "count"),
            Column("to_volume", "To (items)", "count"), Column("gain", "Gain (points per fourfold)", "points", ENDS),
            Column("minimum_detectable", "Minimum detectable", "decimal"),
            Column("verdict", "Verdict"), Column("reason", "Why", "text", absent="–"),
        ),
    ),
    "generalisation": Section(
        "generalisation", "Abilities that nothing was trained on",
        "Scores on the study's own abilities beside those on others, checkpoint by checkpoint; and whether both rank "
        "them alike (Kendall's tau-b: 1 is the same order, 0 is no relation, −1 is the reverse; attainable is what "
        "true scores in the very same order would give with as many items and seeds).",
        (
            ABILITY, SUITE, Column("statistic", "Statistic", absent="–"), Column("model", "Model", absent="–"),
            Column("dataset", "Dataset", absent="–"), Column("source", "Source", absent="–"),
            Column("in_domain_score", "Own abilities (%)", "percent", absent="–"),
            Column("out_of_domain_score", "Other ability (%)", "percent", absent="–"),
            Column("in_domain_pace", "Own pace", "points", absent="–"),
            Column("out_of_domain_pace", "Other pace", "points", absent="–"),
            Column("value", "Value", "number", ENDS, "–"), Column("attainable", "Attainable", "number", absent="–"),
            Column("number", "Of how many", "count", absent="–"), Column("status", "Status", absent="–"),
            Column("reason", "Why", "text", absent="–"),
        ),
        all_suites=True,
    ),
    "transfer": Section(
        "transfer", "What training on one ability does to another",
        "Alone: what training on one ability alone gives the tested one, against the untuned model. All but: what one "
        "ability's items add to the rest, the full dataset against one without them. In points of the tested ability.",
        (
            MODEL, Column("trained", "Trained on", "ability"), Column("tested", "Tested on", "ability"),
            Column("kind", "Kind"), Column("effect", "Effect (points)", "points", ENDS),
            Column("minimum_detectable", "Minimum detectable", "decimal"),
            Column("stands", "Stands, corrected over the matrix", "flag"), Column("seeds", "Seeds", "count"),
            Column("seeds_other", "Seeds beside", "count"),
        ),
    ),
    "features": Section(
        "transfer", "Features of abilities",
        "Numbers that describe each ability's items, by formulas of our own (see the documentation).",
        (
            ABILITY, SOURCE, MODEL, Column("group", "Kind"), Column("feature", "Feature", "ability"),
            Column("value", "Value", "number"), Column("unit", "Unit"), Column("formula", "Formula", "text"),
        ),
    ),
}  # fmt: skip
"""By the name of the table's file under `analysis/`."""

PLAIN: dict[str, tuple[str, str, str]] = {
    "feature_prediction": (
        "transfer", "Do features tell the pace?",
        "How well those features predict the pace of an ability that was left out, against what shuffled paces give.",
    ),
    "allocation": (
        "advice", "How a budget is best spent",
        "The numbers of items, by ability and source, that would give the highest expected mean score.",
    ),
    "advice_check": (
        "advice", "Did the advice hold?",
        "The mix that was advised, trained, and compared with the balanced dataset of the same budget.",
    ),
}  # fmt: skip
"""What is no table but nested values: {name: (part, title, explanation)}."""


def written(value: Any, kind: str, absent: str = NOT_KNOWN) -> str:
    """The value as the page shows it; `absent` for None and NaN. `ValueError` for an unknown kind."""
    if kind not in KINDS:
        raise ValueError(f"kind: {kind!r} (allowed: {', '.join(KINDS)})")
    if _missing(value):
        return absent
    if kind == "ability":
        return readable(str(value))
    if kind in ("word", "text"):
        return str(value) or "–"
    if kind == "flag":
        return "yes" if value else "no"
    if math.isinf(value):
        return "no bound"
    if kind == "percent":
        text = f"{100 * value:.1f}"
    elif kind == "points":
        text = f"{value:+.1f}"
        text = "0.0" if text in ("+0.0", "-0.0") else text
    elif kind == "decimal":
        text = f"{value:.1f}"
    elif kind == "count":
        text = f"{value:,.0f}"
    else:
        text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return text.replace("-", "−")


def shown(key: str, table: pd.DataFrame | Mapping[str, Any], suite: str) -> dict[str, Any] | None:
    """What the template needs of one table: {key, part, title, explanation} and either {columns, rows} or {plain}.

    None where nothing is to be shown: no rows of `suite`. Columns that the table lacks are left out.
    Rows are lists of {text, small, sort, word}; sort is a number or a text, None where it is not known.
    """
    if key in PLAIN:
        part, title, explanation = PLAIN[key]
        told = {name: value for name, value in dict(table).items() if name not in ("study", "code_version")}
        return {"key": key, "part": part, "title": title, "explanation": explanation, "plain": plain(told)}
    section = SECTIONS[key]
    if "suite" in table and not section.all_suites:
        table = table[table["suite"] == suite]
    if "ability" in table:
        table = table.sort_values("ability", key=lambda names: names != OVERALL, kind="stable")
    if table.empty:
        return None
    columns = [column for column in section.columns if column.name in table and not _unused(table[column.name], column)]
    rows = [[_cell(row, column) for column in columns] for row in table.to_dict("records")]
    abilities = [str(value) for value in table["ability"]] if "ability" in table else [""] * len(rows)
    return {
        "key": key, "part": section.part, "title": section.title, "explanation": section.explanation,
        "columns": columns, "rows": [{"ability": a, "cells": r} for a, r in zip(abilities, rows, strict=True)],
    }  # fmt: skip


def plain(value: Any, name: str = "") -> dict[str, Any]:
    """Nested values as blocks for the template: `pairs` of name and text, `tables`, and blocks within (`inside`).

    Lists of dicts become tables, other lists one text, dicts of plain values pairs.
    """
    block: dict[str, Any] = {"name": readable(name) if name else "", "pairs": [], "tables": [], "inside": []}
    if not isinstance(value, Mapping):
        value = {"": value}
    for key, inner in value.items():
        low, high = (value.get(f"{key}_{end}") for end in ("low", "high"))
        if str(key).endswith(("_low", "_high")) and str(key).rsplit("_", 1)[0] in value:
            continue  # stands beside what it is the interval of
        title = readable(str(key))
        if isinstance(inner, Mapping) and inner:
            block["inside"].append(plain(inner, str(key)))
        elif isinstance(inner, (list, tuple)) and inner and all(isinstance(entry, Mapping) for entry in inner):
            heads = list(dict.fromkeys(head for entry in inner for head in entry))
            rows = [[_plain_text(entry.get(head)) for head in heads] for entry in inner]
            block["tables"].append({"title": title, "heads": [readable(str(head)) for head in heads], "rows": rows})
        else:
            span = "" if _missing(low) or _missing(high) else f" ({_plain_text(low)} to {_plain_text(high)})"
            block["pairs"].append((title, _plain_text(inner) + span))
    return block


def _plain_text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if _missing(value):
        return NOT_KNOWN
    if isinstance(value, int):
        return f"{value:,}".replace("-", "−")
    if isinstance(value, float):
        return written(value, "number")
    if isinstance(value, Mapping):
        return ", ".join(f"{readable(str(key))}: {_plain_text(inner)}" for key, inner in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return (" to " if _is_interval(value) else ", ").join(map(_plain_text, value)) or "none"
    return str(value)


def _is_interval(value: list | tuple) -> bool:
    return len(value) == 2 and all(isinstance(end, float) for end in value) and value[0] <= value[1]


def _cell(row: dict[str, Any], column: Column) -> dict[str, Any]:
    value = row[column.name]
    low, high = (row.get(name) for name in column.bounds)
    small = "" if _missing(low) and _missing(high) else _span(low, high, column.kind)
    word = column.kind in WORDS
    sort = None if _missing(value) else str(value) if word else float(value)
    return {"text": written(value, column.kind, column.absent), "small": small, "sort": sort, "word": word}


def _span(low: Any, high: Any, kind: str) -> str:
    """An interval in words. A volume's ends of 0 and infinity are open: nothing bounds it on that side."""
    below, above = kind in ("count", "number") and low == 0, not _missing(high) and math.isinf(high)
    if below or above:
        return (
            "not bounded"
            if below and above
            else f"up to {written(high, kind)}"
            if below
            else f"{written(low, kind)} or more"
        )
    return f"{written(low, kind)} to {written(high, kind)}"


def _unused(values: pd.Series, column: Column) -> bool:
    """A column that says nothing in any row, beside others that do, such as the reason of a refusal."""
    return column.absent == "–" and all(_missing(value) or value == "" for value in values)


def _missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))
