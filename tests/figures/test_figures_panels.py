"""What the figures of growth, size and pace show."""

import numpy as np
import pytest
from figure_tables import SETTINGS, STUDIES, changed, law_curves, marked, panels_of, tables, texts_of
from matplotlib.collections import PolyCollection

from growthpace.figures import panels
from growthpace.figures.panels import abilities, overall, pace_ranking, sizes


@pytest.fixture(scope="module")
def whole():
    return tables(**STUDIES["whole"])


def bands(axis):
    return [one for one in axis.collections if isinstance(one, PolyCollection)]


def test_panels_hold_raw_points_intervals_chance_and_no_mix(whole):
    figure = abilities(whole, SETTINGS, "")
    axes = panels_of(figure)
    assert list(axes) == ["Biology", "Code", "Math", "Physics"]
    assert "out of domain" in figure.axes[-1].get_title()
    axis = axes["Biology"]
    assert axis.get_xscale() == "log"
    dots = whole["points"]
    own = dots[(dots["ability"] == "biology") & (dots["kind"] == "grid")]
    assert sorted(np.concatenate(marked(axis))) == pytest.approx(sorted(100 * own["score"]))
    assert any(np.allclose(line.get_ydata(), 25.0) for line in axis.lines)


def test_a_fitted_law_is_a_band_under_its_points_and_never_alone(whole):
    with_laws, without = abilities(whole, SETTINGS, ""), abilities(tables(False, **STUDIES["whole"]), SETTINGS, "")
    for one, other in zip(with_laws.axes, without.axes, strict=True):
        assert len(bands(one)) == 4
        assert bands(other) == []
        assert [list(heights) for heights in marked(one)] == [list(heights) for heights in marked(other)]
    band = bands(panels_of(with_laws)["Biology"])[0]
    law = whole["law_curves"].query("ability == 'biology' and model == 'tiny' and source == 'curated'")
    heights = band.get_paths()[0].vertices[:, 1]
    assert [heights.min(), heights.max()] == pytest.approx([100 * law["low"].min(), 100 * law["high"].max()])
    assert band.get_zorder() < min(line.get_zorder() for line in with_laws.axes[0].lines if len(line.get_xdata()) > 2)
    legend = {text.get_text() for found in with_laws.legends for text in found.get_texts()}
    assert "fitted law" in legend


def test_a_law_that_does_not_hold_is_no_band(whole):
    laws = whole["law_curves"]
    refuted = laws.assign(holds=laws["ability"] != "biology")
    axes = panels_of(abilities(changed(whole, law_curves=refuted), SETTINGS, ""))
    assert bands(axes["Biology"]) == []
    assert len(bands(axes["Code"])) == 4


def test_too_many_bands_are_left_out(whole, monkeypatch):
    monkeypatch.setattr(panels, "MOST_BANDS", 3)
    assert all(bands(axis) == [] for axis in abilities(whole, SETTINGS, "").axes)


def test_a_band_is_wholly_inside_its_panel(whole):
    high = law_curves(whole["points"], pull=0.3)
    axis = overall(changed(whole, law_curves=high), SETTINGS, "").axes[0]
    own = high[high["ability"] == "overall"]
    assert axis.get_ylim()[1] >= 100 * own["high"].max()


def test_a_missing_run_is_a_gap_and_fewer_seeds_are_stated():
    axis = panels_of(abilities(tables(**STUDIES["missing runs"]), SETTINGS, ""))["Code"]
    assert [text.get_text() for text in axis.texts] == ["n=1"]
    gaps = [np.isnan(np.asarray(line.get_ydata(), float)).sum() for line in axis.lines if line.get_marker() == "o"]
    assert sum(gaps) == 1


def test_model_size_needs_two_models(whole):
    figure = sizes(tables(**STUDIES["one model"]), SETTINGS, "Sizes")
    assert figure.axes == []
    assert any("needs two models or more" in text for text in texts_of(figure))
    assert next(iter(panels_of(sizes(whole, SETTINGS, "Sizes")))) == "Overall"


def test_the_pace_legend_lists_what_is_drawn(whole):
    slopes = whole.frames["pace"]
    few = slopes.assign(status=slopes["status"].where(slopes["source"] != "synthetic", "too few volumes"))
    for table, drawn in ((slopes, {"curated", "synthetic"}), (few, {"curated"})):
        figure = pace_ranking(changed(whole, pace=table), SETTINGS, "")
        names = {text.get_text() for legend in figure.legends for text in legend.get_texts()}
        assert names & {"curated", "synthetic"} == drawn


def test_overall_says_its_title_once(whole):
    assert overall(whole, SETTINGS, "Overall, demo").axes[0].get_title() == ""
    assert overall(whole, SETTINGS, "").axes[0].get_title() == "Overall"
