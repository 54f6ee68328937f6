"""What the panels of figures are made of: their grid, points with intervals, bands, titles and logarithmic axes."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from growthpace.analysis.scores import OVERALL
from growthpace.figures.drawing import INK, MUTED, PAPER, readable, short
from growthpace.study import Figures

CHANCE = Line2D([], [], color=MUTED, ls=(0, (4, 3)), lw=1, label="chance")
UNTUNED = Line2D([], [], color=INK, ls=(0, (1, 0.6)), lw=2.2, label="untuned")
TITLE_SIZE = 9.0
LEAST_WIDTH = 3.6
"""Inches of a figure of one panel or two, so that its title and legend have room."""
LETTER = 0.085
"""Inches that a letter of a bold panel title takes at most, on the average of a line."""
DIGIT = 0.068
"""Inches that a letter of a tick's label takes."""


def panels(count: int, settings: Figures, width: float) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels in rows; unused places are taken away."""
    columns = min(settings.columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(max(width * columns, LEAST_WIDTH), (width * 0.6 + 0.62) * rows + 1.1))
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in axes[count:]:
        axis.remove()
    return figure, axes[:count]


def swept(grid: pd.DataFrame, source: str) -> list[int]:
    """The volumes of a source. A curve gets an empty row where it lacks one, since a line must not bridge a gap."""
    return sorted(grid[grid["source"] == source]["volume"].unique())


def dots(
    axis: Axes,
    at: pd.Series,
    rows: pd.DataFrame,
    colour: object,
    marker: str,
    line: object,
    most_seeds: int,
    size: float = 4.2,
    fill: str = "full",
) -> None:
    """Points with intervals and the line through them; the number of seeds beside those that have fewer."""
    if rows.empty:
        return
    at, score = np.asarray(at, float), 100 * rows["score"].to_numpy(float)
    below, above = score - 100 * rows["low"].to_numpy(float), 100 * rows["high"].to_numpy(float) - score
    axis.errorbar(
        at, score, yerr=[below.clip(min=0), above.clip(min=0)], color=colour, ls="", elinewidth=1.1, alpha=0.55
    )
    axis.plot(
        at,
        score,
        color=colour,
        ls=line,
        marker=marker,
        lw=1.5,
        ms=size,
        mew=0 if fill == "full" else 1,
        fillstyle=fill,
        markerfacecoloralt=PAPER,
    )
    for x, y, seeds in zip(at, score, rows["seeds"], strict=True):
        if seeds < most_seeds:
            axis.annotate(
                f"n={int(seeds)}", (x, y), xytext=(3, 4), textcoords="offset points", fontsize=6.5, color=INK,
                bbox={"facecolor": PAPER, "alpha": 0.8, "edgecolor": "none", "pad": 0.6},
            )  # fmt: skip


def overall_first(points: pd.DataFrame) -> list[str]:
    """The abilities of a table, the mean over all of them before the others."""
    return sorted(points["ability"].drop_duplicates(), key=lambda name: name != OVERALL)


def in_lines(text: str, most: int) -> str:
    """The text in two lines at most, of `most` letters each; what is longer is cut with an ellipsis."""
    lines = textwrap.wrap(text, most)
    if len(lines) > 2:
        lines = [lines[0], " ".join(lines[1:])]
    return "\n".join(short(line, most) for line in lines)


def band(axis: Axes, law: pd.DataFrame, colour: object, shift: float = 1.0) -> None:
    """The interval of a fitted law as a pale band under everything else; `shift` is that of the curve's points."""
    if law.empty:  # no law could be fitted
        return
    law = law.sort_values("volume")
    axis.fill_between(
        law["volume"] * shift, 100 * law["low"], 100 * law["high"], color=colour, alpha=0.13, lw=0, zorder=0.5
    )


def panel_title(axis: Axes, name: str, outside: bool = False) -> None:
    """An ability's name above its panel, in two lines where it is long, and whether it is out of domain."""
    most = max(12, int((_place(axis) - 0.15) / LETTER))
    text = in_lines(readable(name), most) + ("\n(out of domain)" if outside else "")
    axis.set_title(text, fontsize=TITLE_SIZE, fontweight="bold", color=INK)


def decorate(axis: Axes, name: str, own: pd.DataFrame, outside: bool = True, laws: pd.DataFrame | None = None) -> None:
    """Title, chance and the score axis of one panel that shows the points `own`.

    outside: whether the title says that an ability is out of domain. laws: law curves that the panel has room for.
    """
    panel_title(axis, name, outside and not bool(own["in_domain"].all()))
    chance = 100 * float(own["chance"].mean())
    axis.axhline(chance, color=MUTED, ls=(0, (4, 3)), lw=1, zorder=0)
    shown = [own] if laws is None else [own, laws]
    low = min(*(100 * rows["low"].min() for rows in shown if len(rows)), chance)
    high = max(*(100 * rows["high"].max() for rows in shown if len(rows)), chance)
    room = max(0.06 * (high - low), 1.5)
    floor, roof = (-3 if low >= 0 else -np.inf), (103 if high <= 100 else np.inf)  # scores from elsewhere may be any
    axis.set_ylim(max(low - room, floor), min(high + room, roof))
    axis.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))


def volume_axis(axis: Axes, volumes: list[int]) -> None:
    """A logarithmic axis of volumes, with room at the left for the untuned level."""
    axis.set_xscale("log")
    if not volumes:
        axis.set_xlim(1, 10)
        axis.set_xticks([])
        return
    axis.set_xlim(min(volumes) / 2.6, max(volumes) * 1.7)
    _log_ticks(axis, volumes)


def parameter_axis(axis: Axes, parameters: list[int]) -> None:
    """A logarithmic axis of model sizes."""
    axis.set_xscale("log")
    axis.set_xlim(min(parameters) / 1.6, max(parameters) * 1.6)
    _log_ticks(axis, parameters)


def _place(axis: Axes) -> float:
    """Inches that a panel's column of the figure is wide."""
    return axis.get_figure().get_figwidth() / axis.get_gridspec().ncols


def _log_ticks(axis: Axes, values: list[int]) -> None:
    """Ticks where there is data, from the largest down, without those that would run into their neighbour."""
    low, high = np.log(axis.get_xlim())
    inches = (_place(axis) - 0.6) / (high - low)
    kept: list[int] = []
    for value in sorted(values, reverse=True):
        letters = (len(count(value)) + len(count(kept[-1]))) / 2 + 1.5 if kept else 0
        if not kept or np.log(kept[-1] / value) * inches > DIGIT * letters:
            kept.append(value)
    axis.xaxis.set_major_locator(FixedLocator(kept))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))


def count(value: float) -> str:
    """2,560 as it is, 40,960 as 41k and 3,000,000 as 3M: short enough for a tick."""
    if value < 1e4:
        return f"{value:,.0f}"
    size, unit = next(pair for pair in ((1e9, "B"), (1e6, "M"), (1e3, "k")) if value >= pair[0])
    return f"{value / size:.3g}{unit}"
