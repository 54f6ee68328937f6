"""The heat maps of transfer: every cell is there or empty, and says whether it is told apart from 0."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle
from transfer_grades import ABILITIES, SETTINGS, item_grades

from growthpace.analysis.transfer import transfer as effects_of
from growthpace.figures.drawing import save, svg
from growthpace.figures.registry import FIGURES
from growthpace.figures.tables import Tables
from growthpace.figures.transfer import transfer as draw
from growthpace.study import Figures

LOOK = Figures(palette="colorblind", style="whitegrid", panel_width=2.6, columns=3)
GAINS = np.array([[0.25, 0.0, -0.2], [0.1, 0.15, 0.0], [0.0, 0.0, 0.0]])
GONE = tuple(("small", "curated-600-only-code", seed) for seed in (0, 1, 2))


@pytest.fixture(scope="module")
def table():
    return effects_of(
        item_grades(GAINS, models={"large": 20, "small": 10}, items=60, missing=GONE), SETTINGS, ABILITIES, 0.95
    )


def transfer(table, settings, title):
    suite = table["suite"].iloc[0] if len(table) else "test"
    return draw(Tables(suite, {"transfer": table}), settings, title)


def hatched(axis):
    return [patch for patch in axis.patches if isinstance(patch, Rectangle) and patch.get_hatch()]


def test_one_map_for_each_model_and_kind_smallest_first(table):
    figure = transfer(table, LOOK, "Transfer, made up")
    assert [axis.get_title() for axis in figure.axes] == [
        "small, trained alone", "small, added to the others", "large, trained alone", "large, added to the others",
    ]  # fmt: skip
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["Biology", "Code", "Math", "Overall"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["Biology", "Code", "Math"]


def test_cells_that_do_not_stand_are_hatched_and_those_without_runs_empty(table):
    axes = transfer(table, LOOK, "").axes
    for axis, (model, kind) in zip(
        axes, [(m, k) for m in ("small", "large") for k in ("alone", "all_but")], strict=True
    ):
        own = table[(table["model"] == model) & (table["kind"] == kind)]
        assert len(hatched(axis)) == int((~own["stands"]).sum())
        assert len(axis.texts) == len(own)
    assert len(axes[0].texts) == 8  # of small alone there is no run on code
    assert 0 < len(hatched(axes[2])) < 12


def test_more_is_orange_less_is_purple_and_nothing_is_pale(table):
    figure = transfer(table, LOOK, "")
    svg(figure)  # gives cells their colours
    axis = figure.axes[2]
    red, _, blue = (axis.collections[0].get_facecolors()[:, channel] for channel in range(3))
    assert red[0] > blue[0] + 0.2  # biology on itself
    assert blue[2] > red[2]  # on math
    assert min(to_rgb(axis.collections[0].get_facecolors()[9])) > 0.8  # math on code


def test_one_kind_is_one_column(table):
    figure = transfer(table[table["kind"] == "all_but"], LOOK, "")
    assert [axis.get_title() for axis in figure.axes] == ["small, added to the others", "large, added to the others"]


def test_nothing_graded_is_said():
    table = effects_of(item_grades(GAINS, items=5).query("kind == 'grid'"), SETTINGS, ABILITIES, 0.95)
    figure = transfer(table, LOOK, "Transfer")
    assert any("has been graded yet" in text.get_text() for text in figure.texts)


def test_same_input_same_bytes(table, tmp_path):
    for go in "ab":
        save(transfer(table, LOOK, "A title"), tmp_path / f"{go}.svg", tmp_path / f"{go}.png")
    for kind in ("svg", "png"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
    assert "dc:date" not in svg(transfer(table, LOOK, ""))


def test_it_has_a_caption():
    assert "hatched" in FIGURES["transfer"].caption.lower()
