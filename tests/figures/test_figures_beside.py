"""Sources side by side, and what is out of domain beside what is not."""

import numpy as np
import pandas as pd
import pytest
from figure_tables import SETTINGS, STUDIES, changed, panels_of, tables, texts_of

from growthpace.figures.beside import out_of_domain, sources
from growthpace.figures.drawing import svg


@pytest.fixture(scope="module")
def whole():
    return tables(**STUDIES["whole"])


def means(axis) -> list[np.ndarray]:
    return [np.asarray(line.get_ydata(), float) for line in axis.lines if line.get_marker() == "_"]


def test_a_source_is_a_colour_and_its_line_the_mean_over_models(whole):
    axis = panels_of(sources(whole, SETTINGS, ""))["Math"]
    dots = whole["points"].query("ability == 'math' and kind == 'grid'")
    for source, drawn in zip(("curated", "synthetic"), means(axis), strict=True):
        own = dots[dots["source"] == source].groupby("volume")["score"].mean()
        assert list(drawn) == pytest.approx(list(100 * own))
    points = [line for line in axis.lines if line.get_marker() in ("o", "s")]
    assert len(points) == 4
    assert len({line.get_color() for line in points}) == 2
    assert {line.get_fillstyle() for line in points} == {"full", "none"}  # told apart without colour
    assert sum(len(line.get_ydata()) for line in points) == len(dots)


def test_a_mean_has_a_gap_where_a_model_is_missing():
    axis = panels_of(sources(tables(**STUDIES["missing runs"]), SETTINGS, ""))["Overall"]
    assert [int(np.isnan(drawn).sum()) for drawn in means(axis)] == [1, 0]


def test_sources_without_a_model_in_common_have_no_line(whole):
    dots = whole.frames["points"]
    apart = dots[(dots["source"] != "synthetic") | (dots["model"] == "small")]
    apart = apart[(apart["source"] != "curated") | (apart["model"] == "tiny")]
    figure = sources(changed(whole, points=apart), SETTINGS, "")
    assert all(means(axis) == [] for axis in figure.axes)
    assert not any("mean of" in text.get_text() for legend in figure.legends for text in legend.get_texts())


def test_one_source_is_no_comparison():
    assert "This figure needs two sources or more." in texts_of(
        sources(tables(**STUDIES["one model"]), SETTINGS, "Sources")
    )


def elsewhere(found):
    """The tables with a second suite that measures physics again, and biology, which is the study's own."""
    dots = found.frames["points"]
    again = dots[dots["ability"].isin(["physics", "biology"])].assign(suite="benchmark", score=0.9, low=0.8, high=0.95)
    return changed(found, points=pd.concat([again, dots], ignore_index=True))


def test_what_is_out_of_domain_follows_the_mean_in_domain(whole):
    assert list(panels_of(out_of_domain(whole, SETTINGS, ""))) == ["Overall, in domain", "Physics"]
    figure = out_of_domain(elsewhere(whole), SETTINGS.model_copy(update={"panel_width": 4.0}), "")
    assert list(panels_of(figure)) == ["Overall, in domain", "Physics (test)", "Physics (benchmark)"]


def test_nothing_out_of_domain_is_said():
    figure = out_of_domain(tables(**STUDIES["one seed"]), SETTINGS, "Out of domain")
    assert "Nothing out of domain has been graded yet." in texts_of(figure)


def test_the_rank_agreement_has_a_panel_of_raw_points(whole):
    rows = [
        {"suite": "test", "ability": "out of domain", "statistic": "scores", "model": "tiny", "source": "curated",
         "kind": kind, "in_domain_score": 0.3 + 0.1 * place, "out_of_domain_score": 0.2 + 0.1 * place}
        for place, kind in enumerate(("untuned", "grid", "grid"))
    ]  # fmt: skip
    known = {"suite": "test", "ability": "out of domain", "statistic": "rank agreement of scores"}
    for status, said in (("given", "Rank agreement −0.40\n(−0.70 to 0.10)"), ("refused", "No rank agreement given")):
        rank = {**known, "status": status, "value": -0.4, "low": -0.7, "high": 0.1}
        figure = out_of_domain(changed(whole, generalisation=pd.DataFrame([*rows, rank])), SETTINGS, "")
        axis = figure.axes[-1]
        assert axis.get_title() == said
        assert [float(line.get_ydata()[0]) for line in axis.lines] == pytest.approx([20, 30, 40])
    assert "Mean of test (%)" in svg(figure)
