"""What fitted growth laws leave unexplained."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from growthpace.figures.axes import overall_first, panel_title, panels, swept, volume_axis
from growthpace.figures.drawing import INK, MUTED, PAPER, blank, finish, legend_of, look_of, spread, styled
from growthpace.figures.tables import Tables
from growthpace.study import Figures

CURVE = ["ability", "model", "source"]


def residuals(tables: Tables, settings: Figures, title: str) -> Figure:
    """One panel per ability: observed less fitted score (points) against volume (log), with one standard error."""
    with styled(settings):
        points = tables["points"]
        grid = points[points["kind"] == "grid"]
        left = left_over(grid, tables["law_curves"])
        if left.empty:
            return blank(title, "No growth law has been fitted: curves have too few volumes or items.", settings)
        look = look_of(points, settings)
        names, volumes = overall_first(left), sorted(left["volume"].unique())
        curves = [(model, source) for model in look.colours for source in look.lines]
        step = np.log(volumes[1] / volumes[0]) if len(volumes) > 1 else np.log(4)
        shifts = dict(zip(curves, np.exp(spread(len(curves), 0.5) * min(step, np.log(4))), strict=True))
        figure, axes = panels(len(names), settings, settings.panel_width)
        for axis, name in zip(axes, names, strict=True):
            own = left[left["ability"] == name]
            axis.axhline(0, color=MUTED, lw=1, zorder=0)
            for (model, source), rows in own.groupby(["model", "source"], sort=False):
                rows = rows.set_index("volume").reindex(swept(grid, source)).reset_index()
                at = rows["volume"].to_numpy(float) * shifts[(model, source)]
                axis.errorbar(
                    at, rows["residual"], yerr=rows["error"], color=look.colours[model], ls="", elinewidth=1.1,
                    alpha=0.55,
                )  # fmt: skip
                first = source == next(iter(look.lines))
                axis.plot(
                    at, rows["residual"], color=look.colours[model], marker=look.markers[model], ms=4.2, lw=0.9,
                    ls=look.lines[source], mew=0.9, mfc=look.colours[model] if first else PAPER,
                )  # fmt: skip
            volume_axis(axis, volumes)
            most = float((own["residual"].abs() + own["error"].fillna(0)).max())
            axis.set_ylim(-1.1 * max(most, 1.0), 1.1 * max(most, 1.0))
            axis.yaxis.set_major_locator(MaxNLocator(nbins=4))
            panel_title(axis, name, not bool(own["in_domain"].all()))
        models, sources = legend_of(look)
        for place, handle in enumerate(sources):
            handle.set(marker="o", markerfacecolor=INK if place == 0 else PAPER)
        rest = [Line2D([], [], color=INK, lw=1.1, alpha=0.6, label="one standard error")]
        labels = ("Training items (log scale)", "Observed less fitted (points)")
        return finish(figure, axes, [models, [*sources, *rest]], title, labels, settings)


def left_over(grid: pd.DataFrame, law_curves: pd.DataFrame) -> pd.DataFrame:
    """The points of the grid that have a fitted law, with `residual` and `error` (points).

    law_curves: columns ability, model, source, volume and score (fitted), of the same suite; a law is read between its
    volumes on a straight line in log volume.
    """
    found = []
    laws = dict(list(law_curves.groupby(CURVE, sort=False)))
    for key, rows in grid.groupby(CURVE, sort=False):
        if key not in laws:
            continue
        law = laws[key].sort_values("volume")
        rows = rows.sort_values("volume")
        fitted = np.interp(np.log(rows["volume"].to_numpy(float)), np.log(law["volume"].to_numpy(float)), law["score"])
        found.append(rows.assign(residual=100 * (rows["score"] - fitted), error=100 * rows["standard_error"]))
    return pd.concat(found, ignore_index=True) if found else grid.iloc[:0].assign(residual=[], error=[])
