"""The table of mixes, and what growth laws leave over."""

import numpy as np
import pytest
from figure_tables import SETTINGS, STUDIES, changed, law_curves, panels_of, tables

from growthpace.figures.mixes import NOTHING, mixes
from growthpace.figures.residuals import left_over, residuals
from growthpace.figures.summary import signed


@pytest.fixture(scope="module")
def whole():
    return tables(**STUDIES["whole"])


def cells(axis) -> list[str]:
    return [text.get_text() for text in axis.texts]


def test_rows_are_untuned_balanced_and_mixes_and_columns_all_abilities(whole):
    figure = mixes(whole, SETTINGS, "")
    assert [axis.get_ylabel() for axis in figure.axes] == ["tiny", "small"]
    first, second = figure.axes
    rows = [label.get_text() for label in first.get_yticklabels()]
    assert rows == ["untuned", "curated-2560", "reconstruct\nless curated-2560", "synthetic-2560",
                    "reconstruct\nless synthetic-2560"]  # fmt: skip
    names = [label.get_text() for label in first.get_xticklabels()]
    assert names == ["Overall", "Biology", "Code", "Math", "Physics"]
    assert second.get_xticks().size == 0


def test_cells_hold_scores_and_differences_with_a_mark_where_they_stand(whole):
    table = whole.frames["comparisons"]
    told = (table["first"] == "reconstruct") & (table["ability"] == "code")
    said = table.assign(stands=told, stands_corrected=told)
    axis = mixes(changed(whole, comparisons=said), SETTINGS, "").axes[0]
    dots = whole["points"].query("model == 'tiny'")
    wanted = dots[dots["dataset"].isin(["untuned", "curated-2560", "synthetic-2560"])]["score"].tolist()
    wanted += 2 * dots.loc[dots["dataset"] == "reconstruct", "score"].tolist()
    own = said.query("kind == 'mix' and model == 'tiny'")
    differences = [signed(row.difference) + ("*" if row.stands_corrected else "") for row in own.itertuples()]
    assert sorted(cells(axis)) == sorted([*(f"{100 * score:.1f}" for score in wanted), *differences])
    assert {text.get_fontweight() for text in axis.texts if text.get_text().endswith("*")} == {"bold"}
    corrected = said.assign(stands_corrected=False)  # counts for more where it is there
    axis = mixes(changed(whole, comparisons=corrected), SETTINGS, "").axes[0]
    assert not any(text.endswith("*") for text in cells(axis))


def test_better_and_worse_differ_in_shade_and_a_mix_without_partner_has_none():
    found = tables(**STUDIES["missing runs"])
    axis = mixes(found, SETTINGS, "").axes[0]
    assert "maximum" in [label.get_text() for label in axis.get_yticklabels()]
    table = found.frames["comparisons"]
    shades = {}
    for name, difference in (("better", 20.0), ("worse", -20.0)):
        axis = mixes(changed(found, comparisons=table.assign(difference=difference)), SETTINGS, "").axes[0]
        shades[name] = {patch.get_facecolor() for patch in axis.patches}
        assert len(shades[name]) == 2
    plain = shades["better"] & shades["worse"]
    assert len(plain) == 1
    assert next(iter(plain))[:3] == pytest.approx([int(NOTHING[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def test_a_missing_score_is_a_dash(whole):
    dots = whole.frames["points"]
    some = dots[(dots["dataset"] != "untuned") | (dots["ability"] != "math")]
    assert cells(mixes(changed(whole, points=some), SETTINGS, "").axes[0]).count("–") == 1


def test_residuals_are_observed_less_fitted_in_points(whole):
    dots = whole["points"]
    grid = dots[dots["kind"] == "grid"]
    exact, above = (left_over(grid, law_curves(dots, pull)) for pull in (0.0, 0.05))
    assert len(exact) == len(grid)
    means = exact.groupby(["ability", "model", "source"])["residual"].mean()
    assert means.to_numpy() == pytest.approx(np.zeros(len(means)), abs=1e-9)  # of a least squares line
    assert (exact["residual"] - above["residual"]).to_numpy() == pytest.approx(np.full(len(grid), 5.0))
    assert exact["error"].to_numpy() == pytest.approx(100 * grid.sort_index()["standard_error"].to_numpy())


def test_every_fitted_curve_has_its_residuals_and_no_other():
    found = tables(**STUDIES["missing runs"])
    laws = found.frames["law_curves"].query("source == 'curated'")
    axis = panels_of(residuals(changed(found, law_curves=laws), SETTINGS, ""))["Code"]
    lines = [line for line in axis.lines if line.get_marker() in ("o", "s")]
    assert [len(line.get_ydata()) for line in lines] == [4, 4]
    assert np.isnan(np.concatenate([line.get_ydata() for line in lines])).sum() == 1  # the run that is missing
