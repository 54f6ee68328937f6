"""The figures of a study, drawn from the tables of `growthpace.analysis.curves`; each takes
`(points, pace, settings, title)` and gives a matplotlib Figure.

points: rows of one suite of `curves.points`; pace: the same of `curves.pace`; settings: the study's `figures` section;
title: text above all panels, may be empty. Raw points with their intervals are always drawn; mixes are left out. A
model is a colour (and a marker), a source a line style, everywhere. Where a point rests on fewer seeds than the others,
its number of seeds stands beside it; a missing run is a gap in the line.

    figure = FIGURES["abilities"](points, pace, settings, "Growth curves, demo")
    save(figure, "abilities.svg", "abilities.png")
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import matplotlib

matplotlib.use("Agg")  # no display on a compute node

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from growthpace.analysis.curves import FITTED, RESISTANT, UNDECIDED
from growthpace.analysis.scores import OVERALL
from growthpace.figures.drawing import (
    INK,
    MUTED,
    PAPER,
    blank,
    finish,
    legend_of,
    look_of,
    readable,
    save,
    short,
    spread,
    styled,
)  # fmt: skip
from growthpace.study import Figures

CHANCE = Line2D([], [], color=MUTED, ls=(0, (4, 3)), lw=1, label="chance")

__all__ = ["CAPTIONS", "FIGURES", "abilities", "overall", "pace_ranking", "save", "sizes"]


def abilities(points: pd.DataFrame, pace: pd.DataFrame, settings: Figures, title: str) -> Figure:
    """One panel per ability: score (%) against volume (log), with chance and the untuned models' level."""
    with styled(settings):
        return _curves(points, _names(points), settings, title, settings.panel_width)


def overall(points: pd.DataFrame, pace: pd.DataFrame, settings: Figures, title: str) -> Figure:
    """The mean over the study's abilities against volume, in one large panel."""
    with styled(settings):
        if OVERALL not in set(points["ability"]):
            return blank(title, "No run has been graded on all abilities yet.", settings)
        figure = _curves(points, [OVERALL], settings, title, settings.panel_width * 1.9)
        if title and figure.axes:
            figure.axes[0].set_title("")  # the figure's own title says it
        return figure


def sizes(points: pd.DataFrame, pace: pd.DataFrame, settings: Figures, title: str) -> Figure:
    """One panel per ability: score (%) against parameters (log), one line per volume (shade) and source (style)."""
    with styled(settings):
        grid = points[points["kind"] == "grid"]
        names = [*_names(grid), *([OVERALL] if OVERALL in set(grid["ability"]) else [])]
        if not names:
            return blank(title, "No run of the grid has been graded yet.", settings)
        if grid["model"].nunique() < 2:
            return blank(title, "This figure needs two models or more.", settings)
        volumes = sorted(grid["volume"].unique())
        shades = matplotlib.colormaps["viridis"](np.linspace(0.05, 0.88, len(volumes)))
        look = look_of(points, settings)
        figure, axes = _panels(len(names), settings, settings.panel_width)
        for axis, name in zip(axes, names, strict=True):
            own = grid[grid["ability"] == name]
            for volume, shade, shift in zip(volumes, shades, np.exp(spread(len(volumes), 0.16)), strict=True):
                for source, line in look.lines.items():
                    rows = own[(own["volume"] == volume) & (own["source"] == source)].sort_values("parameters")
                    at = rows["parameters"] * shift
                    _dots(axis, at, rows, shade, look.source_markers[source], line, look.most_seeds)
            _decorate(axis, name, own)
            _parameter_axis(axis, sorted(points["parameters"].unique()))
        shaded = [Line2D([], [], color=c, lw=2, label=f"{v:,} items") for v, c in zip(volumes, shades, strict=True)]
        groups = [shaded, [*legend_of(look, markers="source")[1], CHANCE]]
        return finish(figure, axes, groups, title, ("Parameters of the model (log scale)", "Score (%)"), settings)


def pace_ranking(points: pd.DataFrame, pace: pd.DataFrame, settings: Figures, title: str) -> Figure:
    """Abilities by mean pace, one dot with interval per model and source; the band is what counts as no growth."""
    with styled(settings):
        fitted = pace[pace["status"] == FITTED]
        if fitted.empty:
            return blank(title, "No growth curve has three volumes yet, so no pace is given.", settings)
        look = look_of(points, settings)
        means = fitted.groupby("ability")["pace"].mean()
        ranked = [*means.drop(OVERALL, errors="ignore").sort_values(kind="stable").index]
        if OVERALL in means.index:
            ranked.insert(0, OVERALL)
        curves = [(model, source) for model in look.colours for source in look.lines]
        present = set(zip(fitted["model"], fitted["source"], strict=True))
        drawn = replace(
            look,
            colours={model: colour for model, colour in look.colours.items() if model in set(fitted["model"])},
            lines={source: line for source, line in look.lines.items() if source in set(fitted["source"])},
        )
        offsets = dict(zip(curves := [c for c in curves if c in present], spread(len(curves), 0.72), strict=True))
        figure = Figure(figsize=(settings.panel_width * 2.6, 1.4 + len(ranked) * (0.26 + 0.1 * len(curves))))
        axis = figure.subplots()
        margin = float(fitted["margin"].iloc[0])
        axis.axvspan(-margin, margin, color=MUTED, alpha=0.16, lw=0)
        axis.axvline(0, color=MUTED, lw=1)
        for row, kind in zip(fitted.itertuples(), fitted["class"], strict=True):
            height = ranked.index(row.ability) - offsets[(row.model, row.source)]
            colour = look.colours[row.model]
            told = kind != UNDECIDED
            axis.plot([row.low, row.high], [height, height], color=colour, ls=look.lines[row.source], lw=1.5)
            axis.plot(
                row.pace, height, look.source_markers[row.source], color=colour, ms=5.5,
                mfc=colour if told else axis.get_facecolor(), mew=1.4,
            )  # fmt: skip
        for place in range(len(ranked) - 1):
            axis.axhline(place + 0.5, color=MUTED, lw=0.5, alpha=0.45)
        axis.set_yticks(range(len(ranked)), [short(readable(name)) for name in ranked])
        axis.set_ylim(-0.55, len(ranked) - 0.45)
        axis.grid(False, axis="y")
        axis.set_xlabel("Pace (points per fourfold data)")
        classes = [
            Line2D([], [], ls="", marker="o", color=INK, ms=5.5, label="decided"),
            Line2D([], [], ls="", marker="o", color=INK, mfc="none", mew=1.4, ms=5.5, label=UNDECIDED),
            Patch(color=MUTED, alpha=0.25, lw=0, label=f"{RESISTANT} band, ±{margin:g}"),
        ]
        return finish(figure, [axis], [*legend_of(drawn, markers="source"), classes], title, (None, None), settings)


FIGURES: dict[str, Callable[[pd.DataFrame, pd.DataFrame, Figures, str], Figure]] = {
    "abilities": abilities,
    "overall": overall,
    "pace": pace_ranking,
    "sizes": sizes,
}
"""Every figure by name. Adding one is a function and a line here (and its caption below)."""

CAPTIONS = {
    "abilities": "Growth curves: score against training volume, one panel per ability. Dots are means over seeds, bars "
    "their intervals from items and seeds; dashed grey is chance; short dotted lines at the left are untuned models.",
    "overall": "The mean over the study's abilities against training volume.",
    "pace": "Pace of each growth curve, in points per fourfold data, with its interval. A hollow dot is an undecided "
    "curve; the grey band is the margin within which an ability counts as resistant.",
    "sizes": "Score against model size, one line per volume.",
}
"""What a reader should know about each figure, in words; also its text for screen readers."""


def _names(points: pd.DataFrame) -> list[str]:
    return [name for name in points["ability"].drop_duplicates() if name != OVERALL]


def _panels(count: int, settings: Figures, width: float) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels in rows; unused places are taken away."""
    columns = min(settings.columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(width * columns, width * 0.74 * rows + 1.2))
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in axes[count:]:
        axis.remove()
    return figure, axes[:count]


def _curves(points: pd.DataFrame, names: list[str], settings: Figures, title: str, width: float) -> Figure:
    grid, untuned = points[points["kind"] == "grid"], points[points["kind"] == "untuned"]
    if not names or points.empty or (grid.empty and untuned.empty):
        return blank(title, "Nothing has been graded yet.", settings)
    look = look_of(points, settings)
    volumes = sorted(grid["volume"].unique())
    curves = [(model, source) for model in look.colours for source in look.lines]
    step = np.log(volumes[1] / volumes[0]) if len(volumes) > 1 else np.log(4)
    # Curves stand a little beside each other, so that intervals at one volume can be told apart.
    shifts = dict(zip(curves, np.exp(spread(len(curves), 0.3) * min(step, np.log(4))), strict=True))
    figure, axes = _panels(len(names), settings, width)
    for axis, name in zip(axes, names, strict=True):
        own = points[points["ability"] == name]
        for model, source in curves:
            rows = grid[(grid["ability"] == name) & (grid["model"] == model) & (grid["source"] == source)]
            rows = rows.set_index("volume").reindex(_swept(grid, source)).reset_index()
            at = rows["volume"] * shifts[(model, source)]
            _dots(axis, at, rows, look.colours[model], look.markers[model], look.lines[source], look.most_seeds)
        _volume_axis(axis, volumes)
        for row in untuned[untuned["ability"] == name].itertuples():
            # One beside the other, so that equal levels do not hide each other.
            start = 0.012 + 0.07 / len(look.colours) * list(look.colours).index(row.model)
            axis.plot(
                [start, start + 0.045], [100 * row.score] * 2, transform=axis.get_yaxis_transform(), lw=2.2,
                color=look.colours[row.model], ls=(0, (1, 0.6)),
            )  # fmt: skip
        _decorate(axis, name, own)
    models, sources = legend_of(look)
    rest = [CHANCE] if untuned.empty else [CHANCE, Line2D([], [], color=INK, ls=(0, (1, 0.6)), lw=2.2, label="untuned")]
    return finish(
        figure, axes, [models, [*sources, *rest]], title, ("Training items (log scale)", "Score (%)"), settings
    )


def _swept(grid: pd.DataFrame, source: str) -> list[int]:
    """The volumes of a source. A curve gets an empty row where it lacks one, since a line must not bridge a gap."""
    return sorted(grid[grid["source"] == source]["volume"].unique())


def _dots(
    axis: Axes, at: pd.Series, rows: pd.DataFrame, colour: object, marker: str, line: object, most_seeds: int
) -> None:
    """Points with intervals and the line through them; the number of seeds beside those that have fewer."""
    if rows.empty:
        return
    at, score = np.asarray(at, float), 100 * rows["score"].to_numpy(float)
    below, above = score - 100 * rows["low"].to_numpy(float), 100 * rows["high"].to_numpy(float) - score
    axis.errorbar(
        at, score, yerr=[below.clip(min=0), above.clip(min=0)], color=colour, ls="", elinewidth=1.1, alpha=0.55
    )
    axis.plot(at, score, color=colour, ls=line, marker=marker, lw=1.5, ms=4.2, mew=0)
    for x, y, seeds in zip(at, score, rows["seeds"], strict=True):
        if seeds < most_seeds:
            axis.annotate(
                f"n={int(seeds)}", (x, y), xytext=(3, 4), textcoords="offset points", fontsize=6.5, color=INK,
                bbox={"facecolor": PAPER, "alpha": 0.8, "edgecolor": "none", "pad": 0.6},
            )  # fmt: skip


def _decorate(axis: Axes, name: str, own: pd.DataFrame) -> None:
    """Title, chance and the score axis of one panel."""
    outside = "" if bool(own["in_domain"].all()) else " (out of domain)"
    axis.set_title(short(readable(name), 30) + outside, fontsize=9.5, fontweight="bold", color=INK)
    chance = 100 * float(own["chance"].mean())
    axis.axhline(chance, color=MUTED, ls=(0, (4, 3)), lw=1, zorder=0)
    low = min(100 * own["low"].min(), chance)
    high = max(100 * own["high"].max(), chance)
    room = max(0.06 * (high - low), 1.5)
    axis.set_ylim(max(low - room, -3), min(high + room, 103))
    axis.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))


def _volume_axis(axis: Axes, volumes: list[int]) -> None:
    axis.set_xscale("log")
    if not volumes:
        axis.set_xlim(1, 10)
        axis.set_xticks([])
        return
    # Room at the left for the untuned level.
    axis.set_xlim(min(volumes) / 2.6, max(volumes) * 1.7)
    _log_ticks(axis, volumes)


def _parameter_axis(axis: Axes, parameters: list[int]) -> None:
    axis.set_xscale("log")
    axis.set_xlim(min(parameters) / 1.6, max(parameters) * 1.6)
    _log_ticks(axis, parameters)


def _log_ticks(axis: Axes, values: list[int]) -> None:
    """Ticks where there is data; where these would crowd, every other one."""
    kept = values if len(values) <= 5 else values[::-1][::2][::-1]
    axis.xaxis.set_major_locator(FixedLocator(kept))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _count(value)))


def _count(value: float) -> str:
    """2,560 as it is, 40,960 as 41k and 3,000,000 as 3M: short enough for a tick."""
    if value < 1e4:
        return f"{value:,.0f}"
    size, unit = next(pair for pair in ((1e9, "B"), (1e6, "M"), (1e3, "k")) if value >= pair[0])
    return f"{value / size:.3g}{unit}"
