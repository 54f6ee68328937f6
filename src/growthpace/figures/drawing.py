"""How figures look: style, colours, legends outside of panels, and saving the same bytes every time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from growthpace.errors import InputError
from growthpace.files import write_text, written_aside
from growthpace.study import Figures

INK, MUTED, RULE, PAPER = "#22272e", "#7d8590", "#d8dee4", "#ffffff"
"""Text, chance and margins, grid lines, background. The report swaps these four for its own in a dark page."""
LINES = ("-", (0, (5, 1.6)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)), (0, (9, 2)), (0, (3, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
SETTINGS = {
    "svg.hashsalt": "growthpace",  # ids in the file depend on its content alone
    "svg.fonttype": "none",  # text stays text: small, searchable, read aloud
    "font.family": ["DejaVu Sans"], "font.size": 9, "text.color": INK, "axes.labelcolor": INK,
    "axes.edgecolor": MUTED, "axes.linewidth": 0.8, "grid.color": RULE, "grid.linewidth": 0.7,
    "xtick.color": INK, "ytick.color": INK, "xtick.labelsize": 8, "ytick.labelsize": 8,
    "figure.facecolor": PAPER, "axes.facecolor": PAPER, "legend.frameon": False, "legend.fontsize": 8.5,
    "axes.unicode_minus": True, "axes.titlepad": 4.0,
}  # fmt: skip


@contextmanager
def styled(settings: Figures) -> Iterator[None]:
    """Draws in the study's style, and leaves matplotlib as it was."""
    with matplotlib.rc_context():
        sns.set_theme(context="paper", style=settings.style, rc=SETTINGS)
        yield


@dataclass(frozen=True)
class Look:
    """Who has which colour, marker and line, the same in all panels of a figure."""

    colours: dict[str, Any]
    """By model, smallest first."""
    markers: dict[str, str]
    """By model: colour is never the only thing that tells two curves apart."""
    lines: dict[str, Any]
    """By source."""
    source_markers: dict[str, str]
    most_seeds: int
    """A point with fewer seeds says so."""


def look_of(points: pd.DataFrame, settings: Figures) -> Look:
    """The look of a study's models and sources. `InputError` for a palette that seaborn does not know."""
    if points["suite"].nunique() > 1:
        raise ValueError(f"points of one suite are needed, these are of {sorted(points['suite'].unique())}")
    models = points[["parameters", "model"]].drop_duplicates().sort_values(["parameters", "model"])["model"].tolist()
    grid = points[points["kind"] == "grid"]
    sources = sorted(grid["source"].unique())
    try:
        colours = sns.color_palette(settings.palette, max(len(models), 1))
    except ValueError as error:
        raise InputError(f"figures.palette: {settings.palette!r}: {error}") from None
    return Look(
        dict(zip(models, colours, strict=True)),
        {model: MARKERS[place % len(MARKERS)] for place, model in enumerate(models)},
        {source: LINES[place % len(LINES)] for place, source in enumerate(sources)},
        {source: MARKERS[place % len(MARKERS)] for place, source in enumerate(sources)},
        int(grid["seeds"].max()) if len(grid) else 1,
    )


def legend_of(look: Look, markers: str = "model") -> tuple[list[Artist], list[Artist]]:
    """Entries for models (colours) and sources (lines); `markers` says which of the two the markers belong to."""
    models = [
        Line2D([], [], color=colour, lw=2, ms=5, label=model, marker=look.markers[model] if markers == "model" else "")
        for model, colour in look.colours.items()
    ]
    sources = []
    for source, line in look.lines.items():
        marker = look.source_markers[source] if markers == "source" else ""
        sources.append(Line2D([], [], color=INK, ls=line, lw=1.5, marker=marker, ms=5, label=source))
    return models, sources


def finish(
    figure: Figure,
    axes: list[Axes],
    groups: list[list[Artist]],
    title: str,
    labels: tuple[str | None, str | None],
    settings: Figures,
) -> Figure:
    """Title and axis labels (x, y) around the panels and the legend below them, never on top of data.

    `groups` of legend entries stand in one row where they fit, else each group begins a row of its own.
    """
    x, y = labels
    for axis in axes:
        if settings.style in ("white", "ticks", "whitegrid"):
            for side in ("top", "right"):
                axis.spines[side].set_visible(False)
    width, height = figure.get_size_inches()
    groups = [group for group in groups if group]
    rows = _legend_rows([[entry for group in groups for entry in group]], width)
    if len(rows) > 1:
        rows = _legend_rows(groups, width)
    height += 0.24 * max(0, len(rows) - 2)  # figures have room for a legend of two rows
    figure.set_size_inches(width, height)
    foot = (0.24 * len(rows) + 0.14) / height
    head = (0.4 if title else 0.06) / height
    if title:
        figure.text(0.012, 1 - 0.08 / height, title, ha="left", va="top", fontsize=12, fontweight="bold", gid="title")
    left = bottom = 0.0
    if y:
        figure.text(0.012, (foot + 1 - head) / 2, y, rotation=90, ha="left", va="center", fontsize=9.5)
        left = 0.3 / width
    if x:
        figure.text((1 + left) / 2, foot + 0.06 / height, x, ha="center", va="bottom", fontsize=9.5)
        bottom = 0.2 / height
    for place, row in enumerate(reversed(rows)):
        figure.legend(
            handles=row, loc="lower center", ncols=len(row), bbox_to_anchor=(0.5, (0.24 * place + 0.02) / height),
            borderaxespad=0.2, handlelength=3.2, columnspacing=1.6,
        )  # fmt: skip
    figure.tight_layout(rect=(left, foot + bottom, 1, 1 - head), h_pad=0.9, w_pad=1.0)
    return figure


def _legend_rows(groups: list[list[Artist]], width: float) -> list[list[Artist]]:
    """The groups' entries in rows that fit into `width` inches, each group in rows of its own."""
    rows = []
    for group in groups:
        row, used = [], 0.0
        for entry in group:
            needed = 0.74 + 0.079 * len(entry.get_label())  # its line, the space after it, its letters
            if row and used + needed > width - 0.1:
                rows.append(row)
                row, used = [], 0.0
            row.append(entry)
            used += needed
        rows.append(row)
    return [row for row in rows if row]


def blank(title: str, message: str, settings: Figures) -> Figure:
    """A figure that says why there is nothing to draw."""
    figure = Figure(figsize=(settings.panel_width * 2, 1.6))
    figure.text(0.5, 0.42, message, ha="center", va="center", color=INK, fontsize=10, wrap=True)
    if title:
        figure.text(0.02, 0.92, title, ha="left", va="top", fontsize=12, fontweight="bold", gid="title")
    return figure


def save(figure: Figure, path_svg: str | Path, path_png: str | Path) -> None:
    """Writes the figure as SVG and PNG (150 dots per inch), without date: equal figures, equal bytes."""
    write_text(path_svg, svg(figure))
    with written_aside(path_png) as aside, matplotlib.rc_context(SETTINGS):
        figure.savefig(aside, format="png", dpi=150, metadata={"Software": None})


def svg(figure: Figure) -> str:
    """The figure as SVG text."""
    text = StringIO()
    with matplotlib.rc_context(SETTINGS):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def readable(name: str) -> str:
    """`logical_reasoning` as `Logical reasoning`, `stem` as `Stem`; names with capitals of their own stay."""
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]


def short(text: str, most: int = 26) -> str:
    """The text, cut with an ellipsis where it would run into its neighbour."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def spread(count: int, width: float) -> np.ndarray:
    """`count` offsets evenly over `width`, centred on 0; one is at 0 itself."""
    return (np.arange(count) - (count - 1) / 2) * (width / max(count, 2))
