"""Mixes beside balanced datasets: a table of scores and differences as a figure, after tables 2 and 3 of the paper."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from growthpace.analysis.scores import OVERALL
from growthpace.figures.axes import LETTER
from growthpace.figures.drawing import blank, finish, readable, short, styled
from growthpace.figures.summary import signed
from growthpace.figures.tables import Tables
from growthpace.study import Figures

TEXT, NOTHING = "#1f2328", "#f3f4f6"
"""Text on cells, and cells without a difference. Unlike the colours of `drawing`, a dark page keeps these: the cells
stay light there."""
LEAST_SPAN = 5.0
"""Points that the shades reach to at least, so that noise does not look like a finding."""


LINE, TWO_LINES = 0.21, 0.35
"""Inches that a row is high, without and with differences."""
LARGEST, LABEL_LETTER, WIDEST = 7.5, 0.062, 4.6
"""Font size of the table, inches of a letter of a row's label, and the widest text of a cell, `+10.8*`, in ems."""


@dataclass(frozen=True)
class Row:
    """A dataset of the table, and the balanced one that its differences are from."""

    dataset: str
    reference: str | None = None

    @property
    def height(self) -> float:
        """Inches."""
        return LINE if self.reference is None else TWO_LINES

    @property
    def label(self) -> str:
        name = short(self.dataset, 28)
        return name if self.reference is None else f"{name}\nless {short(self.reference, 24)}"


def mixes(tables: Tables, settings: Figures, title: str) -> Figure:
    """One table per model: rows untuned, balanced datasets and mixes; columns overall and abilities, of all suites."""
    with styled(settings):
        points, differences = tables.everywhere("points"), tables.everywhere("comparisons")
        differences = differences[differences["kind"] == "mix"]
        mixed = points[points["kind"] == "mix"]
        if mixed.empty:
            return blank(title, "No mix has been graded yet.", settings)
        models = list(mixed.sort_values(["parameters", "model"])["model"].drop_duplicates())
        columns = _columns(mixed, tables.suite)
        rows = {model: _rows(points[points["model"] == model], differences[differences["model"] == model])
                for model in models}  # fmt: skip
        heights = [sum(row.height for row in rows[model]) for model in models]
        figure = Figure(figsize=(settings.panel_width * settings.columns, sum(heights) + 0.35 * len(models) + 1.6))
        axes = list(figure.subplots(len(models), 1, squeeze=False, gridspec_kw={"height_ratios": heights}).flat)
        span = max(LEAST_SPAN, float(differences["difference"].abs().max())) if len(differences) else LEAST_SPAN
        for axis, model in zip(axes, models, strict=True):
            own = points[points["model"] == model]
            _table(axis, own, differences[differences["model"] == model], rows[model], columns, span)
            if len(models) > 1:
                height = sum(row.height for row in rows[model])
                axis.set_ylabel(short(model, max(6, int(height / LETTER))), fontsize=9, fontweight="bold")
        _column_names(axes[0], columns)
        legend = [
            Patch(facecolor=_shade(span, span), label=f"{span:.0f} points better"),
            Patch(facecolor=_shade(-span, span), label=f"{span:.0f} points worse"),
            Line2D([], [], ls="", marker="$*$", color=TEXT, label="stands above noise"),
        ]
        return finish(figure, axes, [legend], title, (None, None), settings)


def _columns(mixed: pd.DataFrame, suite: str) -> list[tuple[str, str, str]]:
    """(suite, ability, label), the mean over the study's abilities first, then its own abilities, then the others."""
    found = mixed[["suite", "ability", "in_domain"]].drop_duplicates()
    found = found[(found["suite"] == suite) | ~found["in_domain"].astype(bool)]
    keys = [(row.suite, row.ability) for row in found.itertuples()]
    keys.sort(key=lambda key: (key[0] != suite, key[1] != OVERALL))
    abilities = [ability for _, ability in keys]
    return [(s, a, readable(a) if abilities.count(a) == 1 else f"{readable(a)} ({s})") for s, a in keys]


def _rows(points: pd.DataFrame, differences: pd.DataFrame) -> list[Row]:
    """The untuned model, each balanced dataset with the mixes that it is compared with, then mixes without one."""
    found = [Row(name) for name in points.loc[points["kind"] == "untuned", "dataset"].drop_duplicates()]
    pairs = differences[["first", "second"]].drop_duplicates()
    for reference, own in pairs.groupby("second", sort=False):
        found += [Row(str(reference)), *(Row(mix, str(reference)) for mix in own["first"])]
    alone = points.loc[points["kind"] == "mix", "dataset"].drop_duplicates()
    return found + [Row(mix) for mix in alone if mix not in set(pairs["first"])]


def _table(
    axis: Axes, points: pd.DataFrame, differences: pd.DataFrame, rows: list[Row], columns: list, span: float
) -> None:
    scores = points.set_index(["dataset", "suite", "ability"])["score"]
    found = differences.set_index(["first", "second", "suite", "ability"])
    stands = "stands_corrected" if "stands_corrected" in differences else "stands"
    labels = [row.label for row in rows]
    letters = max(len(line) for label in labels for line in label.split("\n"))
    cell = (axis.get_figure().get_figwidth() - 0.4 - LABEL_LETTER * letters) / len(columns)
    size = min(LARGEST, cell * 72 / WIDEST)
    y = 0.0
    middles = []
    for row in rows:
        below, middle = y + row.height, y + row.height / 2
        middles.append(middle)
        for x, (suite, ability, _) in enumerate(columns):
            score = scores.get((row.dataset, suite, ability), np.nan)
            key = (row.dataset, row.reference, suite, ability)
            compared = found.loc[key] if key in found.index else None
            shade = NOTHING if compared is None else _shade(compared["difference"], span)
            axis.fill([x, x + 1, x + 1, x], [y, y, below, below], facecolor=shade, edgecolor="white", lw=1.2)
            text = "\N{EN DASH}" if np.isnan(score) else f"{100 * score:.1f}"
            _write(axis, x, middle if compared is None else middle - 0.073, text, size)
            if compared is not None:
                text, bold = signed(compared["difference"]), bool(compared[stands])
                _write(axis, x, middle + 0.073, f"{text}*" if bold else text, size, bold)
        y = below
    axis.set_xlim(0, len(columns))
    axis.set_ylim(y, 0)
    axis.grid(False)
    for side in axis.spines.values():
        side.set_visible(False)
    axis.set_xticks([])
    axis.set_yticks(middles, labels, fontsize=LARGEST)
    axis.tick_params(length=0, pad=2)


def _write(axis: Axes, x: float, y: float, text: str, size: float, bold: bool = False) -> None:
    weight = "bold" if bold else "normal"
    axis.text(x + 0.5, y, text, ha="center", va="center", fontsize=size, color=TEXT, fontweight=weight)


def _column_names(axis: Axes, columns: list) -> None:
    """The columns' names above a table."""
    axis.set_xticks(np.arange(len(columns)) + 0.5, [short(label, 26) for _, _, label in columns], rotation=45,
                    ha="left", rotation_mode="anchor", fontsize=LARGEST)  # fmt: skip
    axis.tick_params(axis="x", length=0, top=False, labeltop=True, labelbottom=False, pad=2)


def _shade(difference: float, span: float) -> tuple:
    """Purple where a mix is better, orange where it is worse (told apart in most colour blindness), always light."""
    return matplotlib.colormaps["PuOr"](0.5 + 0.26 * float(np.clip(difference / span, -1, 1)))
