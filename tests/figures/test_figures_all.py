"""Every figure draws whatever a study holds so far, stays readable, and draws the same bytes twice."""

from itertools import pairwise

import matplotlib
import pytest
from figure_tables import SETTINGS, STUDIES, empty, tables

from growthpace.analysis.curves import LEAST_VOLUMES as LEAST
from growthpace.errors import InputError
from growthpace.figures import registry
from growthpace.figures.drawing import save, svg
from growthpace.figures.registry import FIGURES

OWN = [name for name, entry in FIGURES.items() if set(entry.tables) <= {"points", "pace", "comparisons", "law_curves"}]
"""Figures of the tables made up here; others have tests of their own."""


NARROW = SETTINGS.model_copy(update={"panel_width": 1.7, "columns": 4})
"""As wide as a printed page, where there is the least room."""


def run_together(axis) -> bool:
    """Whether labels of a panel's ticks lie on top of each other."""
    found = False
    for labels, limits, place in (
        (axis.get_xticklabels(), sorted(axis.get_xlim()), 0),
        (axis.get_yticklabels(), sorted(axis.get_ylim()), 1),
    ):
        shown = [
            one for one in labels if limits[0] <= one.get_position()[place] <= limits[1] and not one.get_rotation()
        ]
        boxes = sorted((one.get_window_extent() for one in shown), key=lambda box: (box.x0, box.y0)[place])
        found |= any(one.overlaps(other) for one, other in pairwise(boxes))
    return found


@pytest.fixture(scope="module")
def found():
    return {study: tables(**settings) for study, settings in STUDIES.items()}


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize("name", OWN)
def test_it_draws_and_nothing_lies_on_top_of_anything(found, study, name):
    title = f"{FIGURES[name].title} of {study}"
    figure = FIGURES[name].draw(found[study], NARROW, title)
    assert f">{title}<" in svg(figure)  # text stays text
    figure.canvas.draw()
    boxes = [axis.get_tightbbox() for axis in figure.axes]
    for box, other in ((a, b) for i, a in enumerate(boxes) for b in boxes[:i]):
        assert not box.overlaps(other)
    if figure.axes:
        assert figure.legends
    for legend in figure.legends:
        box = legend.get_window_extent()
        assert not any(box.overlaps(other) for other in boxes)
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1
    for axis in figure.axes:
        assert not run_together(axis)


@pytest.mark.parametrize("name", OWN)
def test_tables_without_rows_say_why_there_is_nothing(found, name):
    figure = FIGURES[name].draw(empty(found["whole"]), SETTINGS, "")
    assert figure.axes == []
    assert len(figure.texts) == 1
    assert figure.texts[0].get_text().endswith(".")


@pytest.mark.parametrize("name", OWN)
def test_same_input_same_bytes_and_no_date(name, tmp_path):
    found = tables(
        abilities={"code": 5.0}, models=(("tiny", 1000), ("small", 2000)), mixes={"mix": 160}, outside=("physics",)
    )
    for go in "ab":
        drawn = FIGURES[name].draw(found, SETTINGS, "A title")
        save(drawn, tmp_path / f"{go}.svg", tmp_path / f"{go}.png")
    for kind in ("svg", "png"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
    assert "dc:date" not in (tmp_path / "a.svg").read_text()


def test_a_class_and_scores_of_elsewhere_are_drawn(found):
    frames = dict(found["whole"].frames)
    frames["pace"] = frames["pace"].assign(**{"class": "saturating"})
    frames["points"] = frames["points"].assign(score=-0.5, low=-0.7, high=-0.3)
    below = type(found["whole"])("test", frames)
    for name in OWN:
        assert FIGURES[name].draw(below, SETTINGS, "").axes, name
    axis = FIGURES["overall"].draw(below, SETTINGS, "").axes[0]
    assert axis.get_ylim()[0] < -70


def test_settings_are_followed_and_checked(found):
    wide = FIGURES["abilities"].draw(found["whole"], SETTINGS.model_copy(update={"columns": 2}), "")
    assert wide.get_size_inches()[0] == pytest.approx(2 * 2.6)
    with pytest.raises(InputError, match=r"figures\.palette"):
        FIGURES["abilities"].draw(found["whole"], SETTINGS.model_copy(update={"palette": "no-such"}), "")


def test_drawing_leaves_matplotlib_as_it_was(found):
    before = dict(matplotlib.rcParams)
    FIGURES["overall"].draw(found["whole"], SETTINGS, "")
    assert dict(matplotlib.rcParams) == before


def test_the_least_number_of_volumes_is_that_of_a_pace():
    assert registry.LEAST_VOLUMES == LEAST
