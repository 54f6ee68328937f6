"""Every figure draws whatever a study holds so far, and draws the same bytes twice."""

import matplotlib
import numpy as np
import pytest
from made_up import item_grades

from growthpace.analysis.curves import pace, points
from growthpace.errors import InputError
from growthpace.figures.drawing import svg
from growthpace.figures.panels import CAPTIONS, FIGURES, save
from growthpace.study import Figures

SETTINGS = Figures(palette="colorblind", style="whitegrid", panel_width=2.6, columns=3)
STUDIES = {
    "whole": {"outside": ("physics",), "mixes": {"reconstruct": 2560}},
    "one seed": {"seeds": (0,)},
    "one model": {"models": (("tiny", 200_000),), "sources": ("curated",)},
    "one volume": {"volumes": (40,)},
    "missing runs": {
        "missing": (("tiny", "curated-160", 0), ("tiny", "curated-160", 1), ("small", "curated-640", 1))
    },
    "untuned only": {"sources": ()},
    "no untuned": {"untuned": False},
    "many": {
        "models": tuple((f"m{i}", 10**i) for i in range(3, 8)), "volumes": tuple(10 * 4**i for i in range(6)),
        "abilities": {"code": 5.0, "math": 1.0}, "sources": ("a", "b"), "seeds": (0,), "items": 8,
    },
}  # fmt: skip


def tables(**study):
    grades = item_grades(**{"items": 20, **study})
    return points(grades, 0.95), pace(grades, 0.95, 1.0)


@pytest.mark.parametrize("study", STUDIES)
def test_every_figure_draws(study):
    found = tables(**STUDIES[study])
    for name, draw in FIGURES.items():
        figure = draw(*found, SETTINGS, f"{name} of {study}")
        assert svg(figure).startswith("<?xml"), name


def test_same_input_same_bytes_and_no_date(tmp_path):
    found = tables(abilities={"code": 5.0, "math": 1.0}, models=(("tiny", 1000),))
    for name, draw in FIGURES.items():
        for go in "ab":
            save(draw(*found, SETTINGS, "A title"), tmp_path / f"{name}{go}.svg", tmp_path / f"{name}{go}.png")
        for kind in ("svg", "png"):
            assert (tmp_path / f"{name}a.{kind}").read_bytes() == (tmp_path / f"{name}b.{kind}").read_bytes()
        assert "dc:date" not in (tmp_path / f"{name}a.svg").read_text()


def panels_of(figure):
    return {axis.get_title().split(" (")[0]: axis for axis in figure.axes}


def test_panels_hold_raw_points_intervals_chance_and_no_mix():
    dots, slopes = tables(**STUDIES["whole"])
    figure = FIGURES["abilities"](dots, slopes, SETTINGS, "")
    axes = panels_of(figure)
    assert list(axes) == ["Biology", "Code", "Math", "Ethics", "Physics"]
    assert "out of domain" in figure.axes[-1].get_title()
    axis = axes["Biology"]
    assert axis.get_xscale() == "log"
    drawn = np.concatenate([line.get_ydata() for line in axis.lines if line.get_marker() not in ("", "None", None)])
    own = dots[(dots["ability"] == "biology") & (dots["kind"] == "grid")]
    assert sorted(drawn) == pytest.approx(sorted(100 * own["score"]))
    assert any(np.allclose(line.get_ydata(), 25.0) for line in axis.lines)


def test_a_missing_run_is_a_gap_and_fewer_seeds_are_stated():
    figure = FIGURES["abilities"](*tables(**STUDIES["missing runs"]), SETTINGS, "")
    axis = panels_of(figure)["Code"]
    assert [text.get_text() for text in axis.texts] == ["n=1"]
    assert (
        sum(np.isnan(np.asarray(line.get_ydata(), float)).sum() for line in axis.lines if line.get_marker() == "o") == 1
    )


def test_legends_stand_outside_of_panels():
    found = tables(**STUDIES["many"])
    for name, draw in FIGURES.items():
        figure = draw(*found, SETTINGS, "Title")
        figure.canvas.draw()
        boxes = [axis.get_tightbbox() for axis in figure.axes]
        assert figure.legends, name
        for legend in figure.legends:
            box = legend.get_window_extent()
            assert not any(box.overlaps(other) for other in boxes), name
            assert figure.bbox.x0 <= box.x0, name
            assert box.x1 <= figure.bbox.x1, name


def texts_of(figure):
    return [text.get_text() for text in figure.texts]


def test_model_size_needs_two_models():
    figure = FIGURES["sizes"](*tables(**STUDIES["one model"]), SETTINGS, "Sizes")
    assert figure.axes == []
    assert any("needs two models or more" in text for text in texts_of(figure))
    assert FIGURES["sizes"](*tables(), SETTINGS, "Sizes").axes


def test_the_pace_legend_lists_what_is_drawn():
    dots, slopes = tables()
    few = slopes.assign(status=slopes["status"].where(slopes["source"] != "synthetic", "too few volumes"))
    for table, drawn in ((slopes, {"curated", "synthetic"}), (few, {"curated"})):
        figure = FIGURES["pace"](dots, table, SETTINGS, "")
        names = {text.get_text() for legend in figure.legends for text in legend.get_texts()}
        assert names & {"curated", "synthetic"} == drawn


def test_overall_says_its_title_once():
    assert FIGURES["overall"](*tables(), SETTINGS, "Overall, demo").axes[0].get_title() == ""
    assert FIGURES["overall"](*tables(), SETTINGS, "").axes[0].get_title() == "Overall"


def test_drawing_leaves_matplotlib_as_it_was():
    before = dict(matplotlib.rcParams)
    FIGURES["overall"](*tables(), SETTINGS, "")
    assert dict(matplotlib.rcParams) == before


def test_settings_are_followed_and_checked():
    found = tables()
    wide = FIGURES["abilities"](*found, SETTINGS.model_copy(update={"columns": 2}), "")
    assert wide.get_size_inches()[0] == pytest.approx(2 * 2.6)
    with pytest.raises(InputError, match=r"figures\.palette"):
        FIGURES["abilities"](*found, SETTINGS.model_copy(update={"palette": "no-such"}), "")
    with pytest.raises(ValueError, match="one suite"):
        FIGURES["abilities"](found[0].assign(suite=["test", *["other"] * (len(found[0]) - 1)]), found[1], SETTINGS, "")


def test_every_figure_has_a_caption():
    assert set(CAPTIONS) == set(FIGURES)
