"""The figures of what grows: each ability, all of them together, model sizes, and the pace.

Each is a function `(tables, settings, title)` of `figures.registry` and gives a matplotlib Figure. Raw points with
their intervals are always drawn; mixes are left out. A model is a colour (and a marker), a source a line style. Where a
point rests on fewer seeds than the others, its number of seeds stands beside it; a missing run is a gap in the line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import matplotlib

matplotlib.use("Agg")  # no display on a compute node

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from growthpace.analysis.curves import FITTED, RESISTANT, UNDECIDED
from growthpace.analysis.scores import OVERALL
from growthpace.figures.axes import (
    CHANCE,
    LEAST_WIDTH,
    UNTUNED,
    band,
    decorate,
    dots,
    in_lines,
    overall_first,
    panels,
    parameter_axis,
    swept,
    volume_axis,
)
from growthpace.figures.drawing import (
    INK,
    MUTED,
    Look,
    blank,
    finish,
    legend_of,
    look_of,
    readable,
    spread,
    styled,
)
from growthpace.figures.tables import Tables
from growthpace.study import Figures

MOST_BANDS = 8
"""Curves in a panel up to which laws are drawn as bands; more would lie on top of each other as mud."""
FIT = Patch(color=MUTED, alpha=0.3, lw=0, label="fitted law")


def abilities(tables: Tables, settings: Figures, title: str) -> Figure:
    """One panel per ability: score (%) against volume (log), with chance and the untuned models' level."""
    with styled(settings):
        points = tables["points"]
        return growth_curves(points, tables.get("law_curves"), _names(points), settings, title, settings.panel_width)


def overall(tables: Tables, settings: Figures, title: str) -> Figure:
    """The mean over the study's abilities against volume, in one large panel."""
    with styled(settings):
        points = tables["points"]
        if OVERALL not in set(points["ability"]):
            return blank(title, "No run has been graded on all abilities yet.", settings)
        figure = growth_curves(points, tables.get("law_curves"), [OVERALL], settings, title, settings.panel_width * 1.9)
        if title and figure.axes:
            figure.axes[0].set_title("")  # the figure's own title says it
        return figure


def sizes(tables: Tables, settings: Figures, title: str) -> Figure:
    """One panel per ability: score (%) against parameters (log), one line per volume (shade) and source (style)."""
    with styled(settings):
        points = tables["points"]
        grid = points[points["kind"] == "grid"]
        names = overall_first(grid)
        if not names:
            return blank(title, "No run of the grid has been graded yet.", settings)
        if grid["model"].nunique() < 2:
            return blank(title, "This figure needs two models or more.", settings)
        volumes = sorted(grid["volume"].unique())
        shades = matplotlib.colormaps["viridis"](np.linspace(0.05, 0.88, len(volumes)))
        look = look_of(points, settings)
        figure, axes = panels(len(names), settings, settings.panel_width)
        for axis, name in zip(axes, names, strict=True):
            own = grid[grid["ability"] == name]
            for volume, shade, shift in zip(volumes, shades, np.exp(spread(len(volumes), 0.16)), strict=True):
                for source, line in look.lines.items():
                    rows = own[(own["volume"] == volume) & (own["source"] == source)].sort_values("parameters")
                    at = rows["parameters"] * shift
                    dots(axis, at, rows, shade, look.source_markers[source], line, look.most_seeds)
            decorate(axis, name, own)
            parameter_axis(axis, sorted(points["parameters"].unique()))
        shaded = [Line2D([], [], color=c, lw=2, label=f"{v:,} items") for v, c in zip(volumes, shades, strict=True)]
        groups = [shaded, [*legend_of(look, markers="source")[1], CHANCE]]
        return finish(figure, axes, groups, title, ("Parameters of the model (log scale)", "Score (%)"), settings)


def pace_ranking(tables: Tables, settings: Figures, title: str) -> Figure:
    """Abilities by mean pace, one dot with interval per model and source; the band is what counts as no growth."""
    with styled(settings):
        points, pace = tables["points"], tables["pace"]
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
        width = max(settings.panel_width * 2.6, LEAST_WIDTH)
        figure = Figure(figsize=(width, 1.65 + len(ranked) * (0.17 + 0.075 * len(curves))))
        axis = figure.subplots()
        margin = float(fitted["margin"].iloc[0])
        axis.axvspan(-margin, margin, color=MUTED, alpha=0.16, lw=0)
        axis.axvline(0, color=MUTED, lw=1)
        for row, kind in zip(fitted.itertuples(), fitted["class"], strict=True):
            height = ranked.index(row.ability) - offsets[(row.model, row.source)]
            colour = look.colours[row.model]
            told = kind != UNDECIDED
            axis.plot([row.low, row.high], [height, height], color=colour, ls=look.lines[row.source], lw=1.3)
            axis.plot(
                row.pace, height, look.source_markers[row.source], color=colour, ms=4.6,
                mfc=colour if told else axis.get_facecolor(), mew=1.2,
            )  # fmt: skip
        for place in range(len(ranked) - 1):
            axis.axhline(place + 0.5, color=MUTED, lw=0.5, alpha=0.45)
        axis.set_yticks(range(len(ranked)), [in_lines(readable(name), 24) for name in ranked])
        axis.set_ylim(-0.55, len(ranked) - 0.45)
        axis.grid(False, axis="y")
        axis.xaxis.set_major_locator(MaxNLocator(nbins=int(width)))
        axis.set_xlabel("Pace (points per fourfold data)")
        classes = [
            Line2D([], [], ls="", marker="o", color=INK, ms=5.5, label="decided"),
            Line2D([], [], ls="", marker="o", color=INK, mfc="none", mew=1.4, ms=5.5, label=UNDECIDED),
            Patch(color=MUTED, alpha=0.25, lw=0, label=f"{RESISTANT} band, ±{margin:g}"),
        ]
        return finish(figure, [axis], [*legend_of(drawn, markers="source"), classes], title, (None, None), settings)


def growth_curves(
    points: pd.DataFrame,
    laws: pd.DataFrame | None,
    names: list[str],
    settings: Figures,
    title: str,
    width: float,
    outside: bool = True,
    more: Sequence[Callable[[Axes, Look], None]] = (),
) -> Figure:
    """A panel of growth curves for each ability of `names`, `width` inches wide.

    points: rows of one suite of `curves.points`. laws: fitted curves of the same (`law_curves`), drawn as bands under
    their points where they hold; None for none. outside: whether panels say which ability is out of domain.
    more: each draws one more panel, with labels of its own.
    """
    grid, untuned = points[points["kind"] == "grid"], points[points["kind"] == "untuned"]
    if not names or points.empty or (grid.empty and untuned.empty):
        return blank(title, "Nothing has been graded yet.", settings)
    look = look_of(points, settings)
    volumes = sorted(grid["volume"].unique())
    curves = [(model, source) for model in look.colours for source in look.lines]
    laws = None if laws is None or len(curves) > MOST_BANDS else laws[laws["holds"].astype(bool)]
    step = np.log(volumes[1] / volumes[0]) if len(volumes) > 1 else np.log(4)
    # Curves stand a little beside each other, so that intervals at one volume can be told apart.
    shifts = dict(zip(curves, np.exp(spread(len(curves), 0.3) * min(step, np.log(4))), strict=True))
    figure, axes = panels(len(names) + len(more), settings, width)
    for axis, draw in zip(axes[len(names) :], more, strict=True):
        draw(axis, look)
    for axis, name in zip(axes, names, strict=False):
        own = points[points["ability"] == name]
        drawn = None if laws is None else laws[laws["ability"] == name]
        for model, source in curves:
            if drawn is not None:
                of_curve = (drawn["model"] == model) & (drawn["source"] == source)
                band(axis, drawn[of_curve], look.colours[model], shifts[(model, source)])
            rows = grid[(grid["ability"] == name) & (grid["model"] == model) & (grid["source"] == source)]
            rows = rows.set_index("volume").reindex(swept(grid, source)).reset_index()
            at = rows["volume"] * shifts[(model, source)]
            dots(axis, at, rows, look.colours[model], look.markers[model], look.lines[source], look.most_seeds)
        volume_axis(axis, volumes)
        _levels(axis, untuned[untuned["ability"] == name], look)
        decorate(axis, name, own, outside, drawn)
    models, sources = legend_of(look)
    rest = [CHANCE] if untuned.empty else [CHANCE, UNTUNED]
    if laws is not None and laws["ability"].isin(names).any():
        rest.append(FIT)
    return finish(
        figure, axes, [models, [*sources, *rest]], title, ("Training items (log scale)", "Score (%)"), settings
    )


def _levels(axis: Axes, untuned: pd.DataFrame, look: Look) -> None:
    """The untuned models' scores at the left edge, one beside the other, so that equal ones do not hide each other."""
    for row in untuned.itertuples():
        start = 0.012 + 0.07 / len(look.colours) * list(look.colours).index(row.model)
        axis.plot(
            [start, start + 0.045], [100 * row.score] * 2, transform=axis.get_yaxis_transform(), lw=2.2,
            color=look.colours[row.model], ls=(0, (1, 0.6)),
        )  # fmt: skip


def _names(points: pd.DataFrame) -> list[str]:
    return [name for name in points["ability"].drop_duplicates() if name != OVERALL]
