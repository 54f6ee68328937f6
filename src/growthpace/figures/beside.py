"""Figures of growth curves beside each other: of sources, and in domain beside out of domain."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from growthpace.analysis.scores import OVERALL
from growthpace.figures.axes import CHANCE, TITLE_SIZE, decorate, dots, overall_first, panels, swept, volume_axis
from growthpace.figures.drawing import INK, MUTED, PAPER, Look, blank, finish, look_of, short, spread, styled
from growthpace.figures.panels import growth_curves
from growthpace.figures.tables import Tables
from growthpace.study import Figures

IN_DOMAIN = "overall, in domain"
"""What the mean over the study's own abilities is called beside abilities that are not its own."""

OUTSIDE, SCORES, RANKS = "out of domain", "scores", "rank agreement of scores"
"""Names in the table `generalisation`: of the mean over what is out of domain, and of two statistics."""
FILLS = ("full", "none", "left", "right")
"""How the marks of sources are filled, so that they differ without colour."""


def sources(tables: Tables, settings: Figures, title: str) -> Figure:
    """One panel per ability: score (%) against volume (log), a colour per source, a marker per model.

    Points are single models; a line is the mean over the models that all sources have, with a gap where one of them is
    missing. There is no line where the sources have no model in common.
    """
    with styled(settings):
        points = tables["points"]
        grid = points[points["kind"] == "grid"]
        if grid["source"].nunique() < 2:
            return blank(title, "This figure needs two sources or more.", settings)
        look = look_of(points, settings)
        shared = _shared_models(grid, look)
        colours = dict(zip(look.lines, sns.color_palette(settings.palette, len(look.lines)), strict=True))
        fills = {source: FILLS[place % len(FILLS)] for place, source in enumerate(look.lines)}
        names = overall_first(grid)
        volumes = sorted(grid["volume"].unique())
        figure, axes = panels(len(names), settings, settings.panel_width)
        for axis, name in zip(axes, names, strict=True):
            own = grid[grid["ability"] == name]
            _sources(axis, own, grid, look, colours, fills, shared, volumes)
            volume_axis(axis, volumes)
            decorate(axis, name, own)
        lines = [
            Line2D(
                [],
                [],
                color=colour,
                ls=look.lines[source],
                lw=2,
                label=source,
                marker="o",
                ms=4.5,
                fillstyle=fills[source],
            )
            for source, colour in colours.items()
        ]
        present = [model for model in look.colours if model in set(grid["model"])]
        marks = [
            Line2D([], [], color=MUTED, ls="", marker=look.markers[model], ms=4.5, label=model) for model in present
        ]
        if shared and len(present) > 1:
            said = " and ".join(shared) if len(shared) < 3 else f"{len(shared)} models"
            marks.append(Line2D([], [], color=INK, lw=1.5, label=f"mean of {said}" if len(shared) > 1 else said))
        groups = [[*lines, CHANCE], marks]
        return finish(figure, axes, groups, title, ("Training items (log scale)", "Score (%)"), settings)


def out_of_domain(tables: Tables, settings: Figures, title: str) -> Figure:
    """Growth curves of every ability that is not the study's own, in all suites, after the mean over its own."""
    with styled(settings):
        points = tables.everywhere("points")
        names = _names(points, tables.suite)
        points = _renamed(points, names, tables.suite)
        if not set(names.values()) - {IN_DOMAIN}:
            return blank(title, "Nothing out of domain has been graded yet.", settings)
        laws = _renamed(tables.everywhere("law_curves"), names, tables.suite) if "law_curves" in tables else None
        more = _agreements(tables.everywhere("generalisation")) if "generalisation" in tables else []
        return growth_curves(
            points, laws, list(names.values()), settings, title, settings.panel_width, outside=False, more=more
        )


def _names(points: pd.DataFrame, suite: str) -> dict[tuple[str, str], str]:
    """{(suite, ability): what its panel is called}: the mean over the study's abilities, then what is none of them.

    An ability that two suites measure carries its suite's name.
    """
    outside = points.loc[~points["in_domain"].astype(bool), ["suite", "ability"]].drop_duplicates()
    twice = set(outside.loc[outside["ability"].duplicated(), "ability"])
    found = {(suite, OVERALL): IN_DOMAIN} if OVERALL in set(points.loc[points["suite"] == suite, "ability"]) else {}
    for row in outside.itertuples():
        found[row.suite, row.ability] = f"{row.ability} ({row.suite})" if row.ability in twice else row.ability
    return found


def _renamed(frame: pd.DataFrame, names: dict[tuple[str, str], str], suite: str) -> pd.DataFrame:
    """The rows of the abilities in `names`, called as it says, as if all were of one suite."""
    called = [names.get(key) for key in zip(frame["suite"], frame["ability"], strict=True)]
    found = frame.assign(ability=called, suite=suite)
    return found[found["ability"].notna()]


def _agreements(table: pd.DataFrame) -> list[Callable[[Axes, Look], None]]:
    """For each suite that has any, what draws its mean out of domain against the mean in domain."""
    own = table[table["ability"] == OUTSIDE]
    return [partial(_agreement, rows, str(suite)) for suite, rows in own.groupby("suite", sort=False)]


def _agreement(rows: pd.DataFrame, suite: str, axis: Axes, look: Look) -> None:
    scores = rows[rows["statistic"] == SCORES]
    fills = {source: FILLS[place % len(FILLS)] for place, source in enumerate(look.lines)}
    for row in scores.itertuples():
        swept_over = row.kind == "grid" and row.source in fills
        axis.plot(
            100 * row.in_domain_score, 100 * row.out_of_domain_score, color=look.colours.get(row.model, MUTED), ls="",
            marker=look.markers.get(row.model, "o") if swept_over else ".", ms=4.2 if swept_over else 3.5,
            fillstyle=fills[row.source] if swept_over else "full", markerfacecoloralt=PAPER, alpha=0.9,
        )  # fmt: skip
    ranks = rows[(rows["statistic"] == RANKS) & (rows["status"] == "given")]
    said = "No rank agreement given"
    if len(ranks):
        first = ranks.iloc[0]
        said = f"Rank agreement {first['value']:.2f}\n({first['low']:.2f} to {first['high']:.2f})"
    axis.set_title(said.replace("-", "\N{MINUS SIGN}"), fontsize=TITLE_SIZE, fontweight="bold", color=INK)
    axis.set_xlabel("Overall, in domain (%)", fontsize=8)
    axis.set_ylabel(f"Mean of {short(suite, 16)} (%)", fontsize=8)


def _shared_models(grid: pd.DataFrame, look: Look) -> list[str]:
    """The models that every source was swept over, smallest first."""
    models = [set(rows["model"]) for _, rows in grid.groupby("source")]
    return [model for model in look.colours if all(model in own for own in models)]


def _sources(
    axis: Axes,
    own: pd.DataFrame,
    grid: pd.DataFrame,
    look: Look,
    colours: dict,
    fills: dict[str, str],
    shared: list[str],
    volumes: list[int],
) -> None:
    """The points and lines of one ability, `own`."""
    pairs = [(source, model) for source in look.lines for model in look.colours]
    step = np.log(volumes[1] / volumes[0]) if len(volumes) > 1 else np.log(4)
    shifts = dict(zip(pairs, np.exp(spread(len(pairs), 0.36) * min(step, np.log(4))), strict=True))
    for source, model in pairs:
        rows = own[(own["source"] == source) & (own["model"] == model)].sort_values("volume")
        at = rows["volume"] * shifts[(source, model)]
        dots(axis, at, rows, colours[source], look.markers[model], "", look.most_seeds, 3.6, fills[source])
    for source, colour in colours.items():
        rows = own[(own["source"] == source) & own["model"].isin(shared)]
        table = rows.pivot_table(index="volume", columns="model", values="score", aggfunc="mean")
        mean = table.reindex(index=swept(grid, source), columns=shared).mean(axis=1, skipna=False)
        if shared:
            axis.plot(mean.index, 100 * mean, color=colour, ls=look.lines[source], lw=1.7, marker="_", ms=9)
