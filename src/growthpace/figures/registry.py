"""Which figures there are, what each shows, and which of them a study has.

The Snakefile reads this whenever it is loaded, so nothing here imports pandas or matplotlib. A new figure is a function
`(tables, settings, title)` that gives a matplotlib Figure, and an entry in `FIGURES`:

    figure = FIGURES["pace"]
    drawn = figure.draw(tables, study.figures, "Pace of each ability, study demo")     # tables: figures.tables.Tables
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from growthpace.study import Figures, Study

if TYPE_CHECKING:
    from growthpace.figures.tables import Tables

WRITTEN = ("points", "pace", "comparisons", "law_curves", "generalisation", "transfer")
"""The tables of `analysis/` that rules write; a figure is planned once all that it needs are among them."""
LEAST_VOLUMES = 3
"""`curves.LEAST_VOLUMES`; a test compares them."""


@dataclass(frozen=True)
class Entry:
    """A figure."""

    name: str
    """Its file is `figures/{name}.svg`."""
    title: str
    caption: str
    """What it shows, in plain text, for the page and for Snakemake's report."""
    category: str
    """Where Snakemake's report lists it."""
    function: str
    """`module:function` in growthpace.figures, imported when the figure is drawn."""
    tables: tuple[str, ...]
    """The tables of `analysis/` that it needs."""
    beside: tuple[str, ...] = ()
    """Tables that it shows more with; it can be drawn without them."""
    applies: Callable[[Study], bool] = lambda study: True
    """Whether a study has anything to show in it."""

    def draw(self, tables: Tables, settings: Figures, title: str) -> Any:
        """The matplotlib Figure. `title` stands above all panels and may be empty."""
        module, name = self.function.split(":")
        return getattr(import_module(f"growthpace.figures.{module}"), name)(tables, settings, title)

    def inputs(self) -> list[str]:
        """The tables that must be there before it is drawn."""
        return [name for name in (*self.tables, *self.beside) if name in WRITTEN]


def _sizes(study: Study) -> bool:
    return len(study.models) > 1


def _sources(study: Study) -> bool:
    return sum(bool(source.volumes) for source in study.sources.values()) > 1


def _out_of_domain(study: Study) -> bool:
    shown = [suite for name, suite in study.suites.items() if name != study.selection.suite]
    return any(set(suite.measured(study.abilities)) - set(study.abilities) for suite in shown)


def _mixes(study: Study) -> bool:
    return any(mix.same_as is None for mix in study.mixes.values())


def _curves(study: Study) -> bool:
    return any(len(source.volumes) >= LEAST_VOLUMES for source in study.sources.values())


INTERVALS = "Bars are intervals; curves stand a little beside each other so that these can be told apart."
BANDS = (
    "A pale band is the interval of a fitted growth law; it is left out where no form holds, and where a panel has "
    "more than eight curves."
)
_ALL = (
    Entry(
        "abilities",
        "Growth curves",
        "Score against the number of training items, one panel per ability, the mean over seeds. A colour and marker "
        "is a model, a line style a source; the thin dashed line is chance, the short dotted one at the left the "
        f"untuned model. A missing run is a gap in its line. {INTERVALS} {BANDS}",
        "Growth",
        "panels:abilities",
        ("points",),
        ("law_curves",),
    ),
    Entry(
        "overall",
        "Overall",
        "The mean over the study's own abilities, each with the same weight, against the number of training items. "
        f"Colours, markers and lines as in the growth curves. {BANDS}",
        "Growth",
        "panels:overall",
        ("points",),
        ("law_curves",),
    ),
    Entry(
        "pace",
        "Pace of each ability",
        "The pace of every growth curve with its interval: the slope in points per fourfold data. A filled dot is a "
        "curve whose class is decided, an open one is undecided. The grey band is the margin that counts as no growth. "
        "Abilities are ordered by their mean pace.",
        "Growth",
        "panels:pace_ranking",
        ("points", "pace"),
    ),
    Entry(
        "sizes",
        "Model size",
        "Score against the number of parameters, one panel per ability. A shade is a volume of training data, a line "
        "style and marker a source.",
        "Comparisons",
        "panels:sizes",
        ("points",),
        applies=_sizes,
    ),
    Entry(
        "sources",
        "Sources side by side",
        "Score against the number of training items, one panel per ability, a colour for each source. Small marks are "
        "single models with their intervals, filled for the first source; the line is the mean over the models that "
        "all sources have, with a gap where one of them is missing.",
        "Comparisons",
        "beside:sources",
        ("points",),
        applies=_sources,
    ),
    Entry(
        "mixes",
        "Mixes",
        "Scores in percent of the untuned model, of balanced datasets and of mixes. The second line of a cell is the "
        "paired difference, in points, from the balanced dataset of equal volume that the row names, with a star where "
        "it stands above noise. A shade is that difference.",
        "Comparisons",
        "mixes:mixes",
        ("points", "comparisons"),
        applies=_mixes,
    ),
    Entry(
        "out_of_domain",
        "Out of domain",
        "Growth curves of what no training item is about, beside the mean over the study's own abilities. Colours, "
        "markers and lines as in the growth curves. The last panel sets the mean out of domain of every checkpoint "
        "against that in domain, with the rank agreement of the two (Kendall's tau-b) and its interval; small dots "
        "there are untuned models and mixes.",
        "Generalisation",
        "beside:out_of_domain",
        ("points",),
        ("generalisation",),
        applies=_out_of_domain,
    ),
    Entry(
        "transfer",
        "Transfer between abilities",
        "What training on one ability (rows) does for another (columns), in points. Trained alone: its items alone "
        "against the untuned model. Added to the others: the full dataset against the same without its items. A "
        "hatched cell is not told apart from 0 (Holm's correction over a matrix); an empty one has no runs.",
        "Comparisons",
        "transfer:transfer",
        ("transfer",),
        applies=lambda study: study.transfer is not None,
    ),
    Entry(
        "residuals",
        "Residuals",
        "What the chosen growth law leaves unexplained: observed score less fitted score, in points, with one standard "
        "error of the score either way. Scatter about 0 is what a law that holds leaves; a bend is what it misses.",
        "Growth",
        "residuals:residuals",
        ("points", "law_curves"),
        applies=_curves,
    ),
)
FIGURES: dict[str, Entry] = {entry.name: entry for entry in _ALL}
"""In the order of the page."""


def figures_of(study: Study) -> list[Entry]:
    """The figures that a study has, in the order of the page."""
    return [entry for entry in _ALL if set(entry.tables) <= set(WRITTEN) and entry.applies(study)]
