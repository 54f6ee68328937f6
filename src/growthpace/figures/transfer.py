"""The transfer matrix as heat maps, one a model and kind.

figure = transfer(tables, settings, "Transfer, demo")     tables["transfer"]: what `growthpace.analysis.transfer` gives
"""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")  # no display on a compute node

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from growthpace.analysis.scores import OVERALL
from growthpace.analysis.transfer import matrix_of
from growthpace.figures.drawing import MUTED, blank, finish, readable, short, styled
from growthpace.figures.tables import Tables
from growthpace.study import Figures
from growthpace.study.transfer import ALL_BUT, ALONE

TITLES = {ALONE: "trained alone", ALL_BUT: "added to the others"}
PALETTE = "PuOr_r"
"""Diverging, told apart by all kinds of colour vision and in grey by its ends (ColorBrewer's PuOr)."""
DARK, LIGHT = "#16191d", "#fdfdfd"
"""Numbers on cells: not the page's own colours, since the cells stay as they are on a dark page."""
MOST_NUMBERS = 14
"""Abilities up to which cells hold their number."""


def transfer(tables: Tables, settings: Figures, title: str) -> Figure:
    """Heat maps of the effects of one suite's rows, trained x tested, with `overall` as the last column; all share one
    scale, symmetric about 0. Cells whose effect does not stand are hatched."""
    table = tables["transfer"]
    with styled(settings):
        if table.empty:
            return blank(title, "No part of the full dataset has been graded yet.", settings)
        kinds = [kind for kind in TITLES if kind in set(table["kind"])]
        models = table.drop_duplicates("model").sort_values(["parameters", "model"])["model"].tolist()
        tested = [name for name in table["tested"].drop_duplicates() if name != OVERALL]
        # In the study's order, which the rows of a model lack where a run is missing.
        trained = sorted(set(table["trained"]), key=lambda name: (tested.index(name) if name in tested else -1, name))
        tested += [OVERALL] if OVERALL in set(table["tested"]) else []
        side = max(settings.panel_width, 0.36 * len(tested) + 1.5)
        size = (side * len(kinds), (0.3 * len(trained) + 1.5) * len(models) + 1.0)
        figure = Figure(figsize=size)
        axes = figure.subplots(len(models), len(kinds), squeeze=False)
        limit = max(1.0, float(table["effect"].abs().max()))
        for row, model in enumerate(models):
            for column, kind in enumerate(kinds):
                own = table[(table["model"] == model) & (table["kind"] == kind)]
                _map(axes[row, column], own, trained, tested, limit)
                axes[row, column].set_title(f"{short(model)}, {TITLES[kind]}", fontsize=9.5, fontweight="bold")
        colours = sns.color_palette(PALETTE, as_cmap=True)
        scale = [(place, limit * (2 * place - 1)) for place in (0.0, 0.25, 0.5, 0.75, 1.0)]
        entries = [Patch(fc=colours(place), ec=MUTED, label=_number(value)) for place, value in scale]
        entries.append(Patch(fc="none", ec=MUTED, hatch="////", label="not told apart from 0"))
        labels = ("Tested on (effect in points)", "Trained on")
        return finish(figure, list(axes.flat), [entries], title, labels, settings)


def _map(axis: Axes, own: pd.DataFrame, trained: list[str], tested: list[str], limit: float) -> None:
    effects, stands = matrix_of(own, trained, tested), matrix_of(own, trained, tested, "stands")
    sns.heatmap(
        effects, ax=axis, cmap=sns.color_palette(PALETTE, as_cmap=True), vmin=-limit, vmax=limit, cbar=False,
        linewidths=0.6, linecolor=MUTED, mask=np.isnan(effects),
        xticklabels=[short(readable(name), 20) for name in tested],
        yticklabels=[short(readable(name), 20) for name in trained],
    )  # fmt: skip
    axis.tick_params(axis="x", rotation=60, labelsize=7.5)
    axis.tick_params(axis="y", rotation=0, labelsize=7.5)
    for label in axis.get_xticklabels():
        label.set_horizontalalignment("right")
        label.set_rotation_mode("anchor")
    for (down, across), effect in np.ndenumerate(effects):
        if np.isnan(effect):
            continue
        if stands[down, across] != 1:
            axis.add_patch(Rectangle((across, down), 1, 1, fill=False, ec=MUTED, lw=0, hatch="////", alpha=0.7))
        if len(tested) <= MOST_NUMBERS + 1:
            colour = LIGHT if abs(effect) > 0.62 * limit else DARK
            axis.text(across + 0.5, down + 0.5, _number(effect), ha="center", va="center", fontsize=6.5, color=colour)
    if OVERALL in tested:
        axis.axvline(len(tested) - 1, color=DARK, lw=1.2)


def _number(value: float) -> str:
    """A whole number of points with a real sign, 0 without one."""
    text = f"{value:+.0f}"
    return "0" if text in ("+0", "-0") else text.replace("-", "\N{MINUS SIGN}")
