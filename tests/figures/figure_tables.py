"""Made-up tables for the tests of figures, as the analysis writes them, and studies of all kinds of completeness."""

from __future__ import annotations

import numpy as np
import pandas as pd
from made_up import item_grades

from growthpace.analysis.compare import compare
from growthpace.analysis.curves import pace, points
from growthpace.figures.tables import Tables
from growthpace.study import Figures

SETTINGS = Figures(palette="colorblind", style="whitegrid", panel_width=2.6, columns=3)
ABILITIES = {"biology": 6.0, "code": 7.0, "math": 1.0}
STUDIES = {
    "whole": {"outside": ("physics",), "mixes": {"reconstruct": 2560}},
    "one seed": {"seeds": (0,), "abilities": {"code": 5.0}},
    "one model": {"models": (("tiny", 200_000),), "sources": ("curated",), "abilities": {"code": 5.0}},
    "one volume": {"volumes": (40,), "abilities": {"code": 5.0}},
    "missing runs": {
        "missing": (("tiny", "curated-160", 0), ("tiny", "curated-160", 1), ("small", "curated-640", 1)),
        "mixes": {"reconstruct": 2560, "maximum": 9000}, "outside": ("physics",),
    },
    "untuned only": {"sources": (), "abilities": {"code": 5.0}},
    "no untuned": {"untuned": False, "abilities": {"code": 5.0}},
    "many": {
        "models": tuple((f"m{i}", 10**i) for i in range(3, 8)), "volumes": tuple(10 * 4**i for i in range(6)),
        "abilities": {"code": 5.0, "an_ability_whose_name_is_longer_than_any_panel_is_wide": 1.0},
        "sources": ("a", "b"), "seeds": (0,), "items": 8, "mixes": {"a-mix-of-many-sources-with-a-long-name": 2560},
        "outside": ("something_else_that_needs_two_lines",),
    },
}  # fmt: skip


def law_curves(dots: pd.DataFrame, pull: float = 0.0) -> pd.DataFrame:
    """A law for every growth curve of three volumes or more: the straight line in log volume through its points, and
    `pull` above it."""
    rows = []
    curves = dots[dots["kind"] == "grid"].groupby(["suite", "ability", "model", "source"], sort=False)
    for (suite, ability, model, source), own in curves:
        if len(own) < 3:
            continue
        slope, start = np.polyfit(np.log(own["volume"]), own["score"], 1)
        for volume in np.geomspace(own["volume"].min(), own["volume"].max(), 5):
            score = start + slope * np.log(volume) + pull
            key = {
                "suite": suite,
                "ability": ability,
                "model": model,
                "source": source,
                "form": "linear",
                "holds": True,
            }
            rows.append({**key, "volume": volume, "score": score, "low": score - 0.03, "high": score + 0.04})
    names = ["suite", "ability", "model", "source", "form", "holds", "volume", "score", "low", "high"]
    return pd.DataFrame(rows, columns=names)


def tables(laws: bool = True, **study) -> Tables:
    """All tables of a made-up study whose claims are about the suite `test`."""
    grades = item_grades(**{"abilities": ABILITIES, "items": 20, **study})
    dots = points(grades, 0.95)
    frames = {"points": dots, "pace": pace(grades, 0.95, 1.0), "comparisons": compare(grades, 0.95)}
    return Tables("test", frames | ({"law_curves": law_curves(dots)} if laws else {}))


def changed(found: Tables, **frames: pd.DataFrame) -> Tables:
    """The tables with other ones in place of some."""
    return Tables(found.suite, {**found.frames, **frames})


def empty(found: Tables) -> Tables:
    """The same tables without a row."""
    return Tables(found.suite, {name: frame.iloc[:0] for name, frame in found.frames.items()})


def texts_of(figure) -> list[str]:
    """All texts of a figure outside of its panels."""
    return [text.get_text() for text in figure.texts]


def panels_of(figure) -> dict:
    """The panels by their titles' first line."""
    return {axis.get_title().split("\n")[0]: axis for axis in figure.axes}


def marked(axis) -> list[np.ndarray]:
    """The heights of each line of a panel that has markers, missing ones left out."""
    lines = [line for line in axis.lines if line.get_marker() not in ("", "None", None)]
    return [heights[~np.isnan(heights)] for heights in (np.asarray(line.get_ydata(), float) for line in lines)]
