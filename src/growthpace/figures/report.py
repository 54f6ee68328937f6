"""The report: one self-contained HTML page that opens from disk, without a network, light and dark, wide and narrow.

Everything on it is given by the caller; nothing is computed here but rounding and counting, so that the page cannot
disagree with the tables. What is missing is shown as missing.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import jinja2
import pandas as pd

from growthpace.analysis.curves import FITTED
from growthpace.analysis.scores import OVERALL
from growthpace.figures.drawing import INK, MUTED, PAPER, RULE, readable
from growthpace.figures.embedded import LARGEST, Download, as_json, chart, download, shown_downloads, size
from growthpace.figures.registry import FIGURES
from growthpace.figures.sections import PARTS, PLAIN, SECTIONS, WORDS, shown
from growthpace.figures.summary import in_points, not_above_chance, signed, summarise

NAVIGATION = {
    "summary": "Summary", "runs": "Runs", "curves": "Curves", "figures": "Figures", "pace": "Pace", "laws": "Laws",
    "scores": "Scores", "comparisons": "Comparisons", "generalisation": "Generalisation",
    "transfer": "Features, transfer",
    "advice": "Advice", "examples": "Examples", "costs": "Costs", "judge": "Judge", "downloads": "Downloads",
    "provenance": "Provenance",
}  # fmt: skip
"""Sections and their links, in the page's order; those that a study has nothing for are left out."""
SCRIPTS = ("chart.js", "page.js")

TITLE_BAND = 24.0
"""Height that a figure keeps for its title (see `drawing.finish`), in points."""


def render(
    *,
    name: str,
    description: str,
    notice: str,
    suite: str,
    confidence: float,
    margin: float,
    points: pd.DataFrame,
    pace: pd.DataFrame,
    comparisons: pd.DataFrame,
    advice: Iterable[Mapping[str, Any]],
    completeness: Iterable[Mapping[str, Any]],
    figures: Mapping[str, str],
    costs: Iterable[Mapping[str, Any]],
    provenance: Mapping[str, Any],
    judge: Mapping[str, Any] | None = None,
    unbalanced: Iterable[str] = (),
    tables: Mapping[str, Any] | None = None,
    examples: Mapping[str, Any] | None = None,
    downloads: Iterable[Download] | None = None,
    palette: str = "colorblind",
) -> str:
    """The page as HTML text; equal input gives equal text.

    name, description: the study's. notice: shown above everything, empty for none.
    suite, confidence, margin: the study's `analysis` section; all tables are cut down to this suite.
    points, pace, comparisons: what `curves.points`, `curves.pace` and `compare.compare` give.
    advice: what `advise.advise` gives, once for each labelled source.
    completeness: one dict per planned run: model, dataset, seed, complete (bool) and, if not complete, missing (str:
    what is missing, such as `training` or `predictions on test`).
    figures: {name in registry.FIGURES: SVG text}, shown in this order.
    costs: one dict per run: model, dataset, seed, wall_seconds, tokens_per_second, device; None where unknown.
    provenance: {config: text of the study file, versions: {name: version}, hashes: {name: hash}}.
    judge: what `judging.stage.report_judge` gives; None where nothing is judged.
    unbalanced: names of the sources that are not labelled by ability.
    tables: further tables that are there, by the names in `sections.SECTIONS` (frames) and `sections.PLAIN` (nested
    values), and `law_curves`, which the interactive curves take; a name that is none of these is a `ValueError`.
    examples: {model, dataset, seed, epoch, suite, abilities: what `examples.choose` gives}; None for none.
    downloads: tables to take away; None gives the first three tables as CSV. palette: the figures' (seaborn).
    """
    tables = dict(tables or {})
    unknown = tables.keys() - SECTIONS.keys() - PLAIN.keys() - {"law_curves"}
    if unknown:
        raise ValueError(f"tables: the page knows none called {', '.join(sorted(unknown))}")
    if downloads is None:
        frames = {"points": points, "pace": pace, "comparisons": comparisons}
        downloads = [download(key, table) for key, table in frames.items()]
    completeness, costs = list(completeness), list(costs)
    runs = [dict(run) for run in completeness]
    points, pace, comparisons = (_of_suite(table, suite) for table in (points, pace, comparisons))
    environment = _environment()
    style, *scripts = (environment.loader.get_source(environment, name)[0] for name in ("style.css", *SCRIPTS))
    further = {part: [] for part in PARTS}
    for key in (*SECTIONS, *PLAIN):
        found = shown(key, tables[key], suite) if key in tables else None
        if found:
            further[found["part"]].append(found)
    curves = _of_suite(tables["law_curves"], suite) if "law_curves" in tables else None
    downloads = shown_downloads(list(downloads))
    optional = {"curves": len(points), "judge": judge, "examples": examples, "downloads": downloads}
    optional |= {part: further[part] for part in ("laws", "generalisation", "transfer")}
    return environment.get_template("report.html.j2").render(
        style=style, scripts=scripts,
        hashes=" ".join(map(_script_hash, scripts)), tables=further, parts=PARTS, words=WORDS, examples=examples,
        navigation=[(key, label) for key, label in NAVIGATION.items() if optional.get(key, True)],
        chart=as_json(chart(points, curves, palette)) if len(points) else "",
        has_laws=curves is not None and len(curves) > 0, downloads=downloads, largest=size(LARGEST),
        name=name, description=description, notice=notice, suite=suite, confidence=confidence, margin=margin,
        summary=summarise(suite, points, pace, comparisons, runs, tables), grid=_grid(runs), scores=_scores(points),
        pace=_pace(pace), classes=_classes(pace), corrected="class_uncorrected" in pace,
        comparisons=_records(comparisons[comparisons["kind"] == "sources"]),
        mixes=_records(comparisons[comparisons["kind"] == "mix"]), advice=[dict(entry) for entry in advice],
        figures=[
            {"name": key, "title": FIGURES[key].title, "caption": FIGURES[key].caption,
             "svg": inline_svg(text, key)}
            for key, text in figures.items()
        ],
        costs=[dict(row) for row in costs], total=_total(costs), provenance=provenance, judge=judge,
        unbalanced=list(unbalanced),
    )  # fmt: skip


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("growthpace.figures", "page"),
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters.update(signed=signed, percent=percent, readable=readable, decimal=decimal, wall=wall)
    environment.filters.update(count=count, in_points=in_points, shorten=shorten_hashes)
    return environment


def inline_svg(text: str, name: str) -> str:
    """An SVG file's text as an element of the page: its ids made its own, its greys taken from the page's colours.

    The figure's own title is taken away, since the page has one above it. So are declarations, metadata and namespaces
    (which hold addresses that nothing here should name); HTML needs none of them.
    """
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text, titled = re.subn(r'<g id="title">.*?</g>', "", text, flags=re.DOTALL)
    if titled:  # nor does it leave an empty band
        text = re.sub(
            r'viewBox="0 0 (\S+) (\S+)"',
            lambda box: f'viewBox="0 {TITLE_BAND:g} {box[1]} {float(box[2]) - TITLE_BAND:g}"',
            text,
            count=1,
        )
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text)
    text = text.replace("xlink:href=", "href=")
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    for colour, variable in ((INK, "ink"), (MUTED, "muted"), (RULE, "rule"), (PAPER, "paper")):
        text = text.replace(colour, f"var(--figure-{variable})")
    # The size in points would be a fixed one; the viewBox alone lets it shrink with the page.
    opening = re.sub(r'\s(width|height|version)="[^"]*"', "", text[: text.index(">")])
    width = float(re.search(r'viewBox="\S+ \S+ (\S+) \S+"', opening).group(1))
    full = f"{width * 4 / 3:.0f}px"
    opening += f' role="img" aria-labelledby="caption-{name}" style="--full: {full}; max-width: {full}"'
    return opening + text[text.index(">") :].strip()


def percent(value: float) -> str:
    """A fraction as a percentage without its sign, such as 43.5."""
    return "not known" if pd.isna(value) else f"{100 * value:.1f}"


def decimal(value: float) -> str:
    """A number with one decimal, or `not known`."""
    return "not known" if pd.isna(value) else f"{value:.1f}"


def shorten_hashes(text: Any) -> str:
    """The text with every hash in it (more than 16 hexadecimal digits in a row) cut to its first 16 digits."""
    return re.sub(r"\b([0-9a-f]{16})[0-9a-f]+\b", r"\1", str(text))


def wall(seconds: float | None) -> str:
    """Seconds as 45 s, 12 min or 3.4 h."""
    if seconds is None or pd.isna(seconds):
        return "not known"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def count(value: float | None) -> str:
    """A count with separators, or `not known`."""
    return "not known" if value is None or pd.isna(value) else f"{value:,.0f}"


def _script_hash(script: str) -> str:
    """What the page's policy lets run: this script and nothing that a study's text may bring in."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _of_suite(table: pd.DataFrame, suite: str) -> pd.DataFrame:
    """The rows of one suite, `overall` before the abilities: a reader wants it first."""
    own = table[table["suite"] == suite]
    return pd.concat([own[own["ability"] == OVERALL], own[own["ability"] != OVERALL]])


def _records(table: pd.DataFrame) -> list[dict]:
    return table.to_dict("records")


def _grid(runs: list[dict]) -> dict:
    """The planned runs as model x dataset x seed."""
    models = list(dict.fromkeys(run["model"] for run in runs))
    datasets = list(dict.fromkeys(run["dataset"] for run in runs))
    cells: dict[tuple, list[dict]] = {}
    for run in runs:
        cells.setdefault((run["model"], run["dataset"]), []).append(run)
    rows = [{"dataset": d, "cells": [cells.get((model, d), []) for model in models]} for d in datasets]
    missing = [run for run in runs if not run["complete"]]
    return {"models": models, "rows": rows, "planned": len(runs), "missing": missing}


def _scores(points: pd.DataFrame) -> dict:
    """Scores as one row per model and dataset, one column per ability, `overall` first."""
    names = list(points["ability"].drop_duplicates())
    most = int(points["seeds"].max()) if len(points) else 0
    rows = []
    for (model, dataset), own in points.groupby(["model", "dataset"], sort=False):
        cells = {row["ability"]: row for row in _records(own)}
        first = own.iloc[0]
        seeds = f"{int(own['seeds'].min())} of {most} seeds" if first["kind"] != "untuned" else ""
        rows.append(
            {
                "model": model, "dataset": dataset, "cells": [cells.get(name) for name in names], "seeds": seeds,
                "fewer": first["kind"] != "untuned" and own["seeds"].min() < most,
            }
        )  # fmt: skip
    chances = points.groupby("ability")["chance"].mean()
    outside = {name: not bool(own["in_domain"].all()) for name, own in points.groupby("ability")}
    return {"abilities": names, "rows": rows, "chances": [chances[n] for n in names], "outside": outside}


def _pace(pace: pd.DataFrame) -> list[dict]:
    rows = _records(pace.assign(not_above_chance=not_above_chance(pace)))
    for row in rows:
        row["fitted"] = row["status"] == FITTED
    return rows


def _classes(pace: pd.DataFrame) -> dict:
    """Abilities x (model, source): the class and pace of each curve, at a glance."""
    curves = list(dict.fromkeys(zip(pace["source"], pace["model"], strict=True)))
    curves.sort(key=lambda curve: curve[0])  # stable: models keep their order within a source
    rows = []
    for ability, own in pace.groupby("ability", sort=False):
        cells = {(row["source"], row["model"]): row for row in _pace(own)}
        outside = not own["in_domain"].all()
        rows.append({"ability": ability, "outside": outside, "cells": [cells.get(curve) for curve in curves]})
    sources: dict[str, int] = {}
    for source, _ in curves:
        sources[source] = sources.get(source, 0) + 1
    return {"curves": curves, "sources": sources, "rows": rows}


def _total(costs: Iterable[Mapping[str, Any]]) -> dict:
    known = [row["wall_seconds"] for row in costs if row["wall_seconds"] is not None]
    return {"seconds": float(sum(known)), "known": len(known)}
