"""The figures, the page and the spoken summary of scores from elsewhere (see `growthpace.analysis.elsewhere`)."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from growthpace.analysis.curves import FITTED, LEAST_VOLUMES
from growthpace.analysis.elsewhere.stage import Analysis
from growthpace.analysis.scores import OVERALL
from growthpace.figures.registry import FIGURES, Entry
from growthpace.figures.summary import signed
from growthpace.files import write_text, written_aside

SHOWN = 12
"""Lines of a kind that are printed; the tables have them all."""
NOTICE = (
    "These scores come from elsewhere: growthpace trained and evaluated nothing here, and knows only what the files "
    "and their map say."
)
UNPAIRED = (
    "Only scores and numbers of items are known, so errors are binomial, and two runs count as independent samples "
    "although they may have answered the same items: intervals of differences and paces are wider than they would be "
    "with item grades."
)


def write_page(found: Analysis, map_file: Path, out: Path) -> None:
    """Draws the figures (`figures/*.svg`, `*.png`) and writes `report.html`, as a study's are, to the folder `out`."""
    from growthpace.figures.drawing import save
    from growthpace.figures.embedded import download
    from growthpace.figures.report import render
    from growthpace.figures.sections import SECTIONS
    from growthpace.figures.tables import Tables

    score_map, tables, figures = found.score_map, found.tables, {}
    for entry in _figures(tables, score_map.suite):
        figure = entry.draw(Tables(score_map.suite, tables), score_map.figures, f"{entry.title}, {score_map.name}")
        target = out / "figures" / f"{entry.name}.svg"
        with written_aside(target) as svg, written_aside(target.with_suffix(".png")) as png:
            save(figure, svg, png)
        figures[entry.name] = target.read_text(encoding="utf-8")
    runs = found.scores[["model", "dataset", "seed"]].drop_duplicates().to_dict("records")
    versions = {"Python": platform.python_version(), "growthpace": version("growthpace"), "scipy": version("scipy")}
    every = {"scores": found.scores, **tables}
    page = render(
        name=score_map.name, description=score_map.description,
        notice=NOTICE if found.item_grades is not None else f"{NOTICE} {UNPAIRED}", suite=score_map.suite,
        confidence=score_map.confidence, margin=score_map.margin, points=tables["points"], pace=tables["pace"],
        comparisons=tables["comparisons"], advice=found.advice,
        completeness=[{**run, "complete": True} for run in runs], figures=figures, costs=[],
        provenance={"config": map_file.read_text(encoding="utf-8"), "versions": versions, "hashes": found.hashes},
        tables={name: table for name, table in tables.items() if name in SECTIONS or name == "law_curves"},
        downloads=[download(name, table, out / f"{name}.parquet", f"{name}.parquet") for name, table in every.items()],
        palette=score_map.figures.palette,
    )  # fmt: skip
    write_text(out / "report.html", page)


def _figures(tables: dict[str, pd.DataFrame], suite: str) -> list[Entry]:
    """The figures that these tables have anything for, in the page's order; a study asks its config instead."""
    points = tables["points"]
    own = points[points["suite"] == suite]
    grid = own[own["kind"] == "grid"]
    there = {
        "overall": (own["ability"] == OVERALL).any(), "sizes": grid["model"].nunique() > 1,
        "sources": grid["source"].nunique() > 1, "mixes": (own["kind"] == "mix").any(),
        "out_of_domain": not points["in_domain"].all(), "residuals": len(tables["law_curves"]) > 0,
    }  # fmt: skip
    return [entry for entry in FIGURES.values() if set(entry.tables) <= set(tables) and there.get(entry.name, True)]


def told(found: Analysis) -> Iterator[str]:
    """What was found, in plain words with numbers: lines for the one who called."""
    scores, score_map = found.scores, found.score_map
    runs = len(scores[["model", "dataset", "seed"]].drop_duplicates())
    kinds = (("model", "models"), ("dataset", "datasets"), ("ability", "abilities"), ("suite", "suites"))
    parts = [_count(scores[name].nunique(), name, many) for name, many in kinds]
    yield f"{_count(len(scores), 'score', 'scores')} of {_count(runs, 'run', 'runs')}: {', '.join(parts)}"
    if found.left_out:
        yield f"left out, since the map does not name them: {', '.join(found.left_out)}"
    yield UNPAIRED if found.item_grades is None else "Items are paired: every run answered the same ones."
    if (found.tables["points"]["seed_variance_df"] == 0).all():
        yield "No run has a second seed: intervals cover items only, not what another seed or draw of data would do."
    yield f"On {score_map.suite}, with {score_map.confidence:.0%} intervals:"
    yield from _paces(found.of_suite("pace"))
    yield from _differences(found.of_suite("comparisons"))
    every = found.tables["comparisons"]
    if len(every) and every["suite"].nunique() > 1:
        yield f"On all suites {int(every['stands'].sum())} of {_count(len(every), 'difference', 'differences')} stand."


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _paces(pace: pd.DataFrame) -> Iterator[str]:
    fitted = pace[pace["status"] == FITTED]
    if len(few := pace[pace["status"] != FITTED]):
        yield f"- {_count(len(few), 'curve has', 'curves have')} fewer than {LEAST_VOLUMES} volumes, too few for a pace"
    for row in fitted.head(SHOWN).to_dict("records"):
        span = f"{signed(row['pace'])} points per fourfold data ({signed(row['low'])} to {signed(row['high'])})"
        yield f"- {row['ability']}, {row['model']} on {row['source']}: {span}, {row['class']}"
    if len(fitted) > SHOWN:
        yield f"- and {_count(len(fitted) - SHOWN, 'pace', 'paces')} more, in pace.csv"


def _differences(rows: pd.DataFrame) -> Iterator[str]:
    if rows.empty:
        yield "- there are no two datasets to compare"
        return
    stand = rows[rows["stands"]]
    stand = stand.loc[(stand["difference"].abs() / stand["standard_error"]).sort_values(ascending=False).index]
    total = _count(len(rows), "difference", "differences")
    yield f"- {len(stand)} of {total} between datasets {'stands' if len(stand) == 1 else 'stand'} above noise"
    for row in stand.head(SHOWN).itertuples():
        span = f"{signed(row.difference)} points ({signed(row.low)} to {signed(row.high)})"
        yield f"  {row.ability}, {row.model}: {row.first} less {row.second}: {span}"
    if len(stand) > SHOWN:
        yield f"  and {len(stand) - SHOWN} more, in comparisons.csv"
    if len(within := rows[~rows["stands"]]):
        least, most = within["minimum_detectable"].min(), within["minimum_detectable"].max()
        yield f"  the others would have been found four times in five only from {least:.1f} to {most:.1f} points on"
