"""Whether more still helps: the verdict's rule, and that the advice finds the same step."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import item_grades

from growthpace.analysis.advise import advise
from growthpace.analysis.compare import compare
from growthpace.analysis.last_step import CANNOT_TELL, NO_LONGER, STILL, judge, last_steps
from growthpace.analysis.matrix import blocks
from growthpace.analysis.uncertainty import Estimate, quantile


def estimate(value, error, df=50.0):
    return Estimate(value, error, df, error, 0.0)


ABOVE, AT_CHANCE = estimate(20.0, 2.0), estimate(1.0, 2.0)


def test_the_verdict_follows_the_rule():
    assert judge(estimate(5.0, 1.0), ABOVE, 0.95, 1.0)[0] == STILL
    assert judge(estimate(5.0, 4.0), ABOVE, 0.95, 1.0)[0] == CANNOT_TELL
    assert judge(estimate(0.0, 0.3), ABOVE, 0.95, 1.0)[0] == NO_LONGER
    assert judge(estimate(0.5, 0.1), ABOVE, 0.95, 1.0)[0] == NO_LONGER  # sure, and surely too little
    assert judge(estimate(-5.0, 1.0), ABOVE, 0.95, 1.0) == (NO_LONGER, "it lost")
    verdict, reason = judge(estimate(0.0, 0.3), AT_CHANCE, 0.95, 1.0)
    assert verdict == CANNOT_TELL
    assert "chance" in reason
    assert judge(estimate(5.0, np.nan, np.nan), ABOVE, 0.95, 1.0)[0] == CANNOT_TELL


@given(st.floats(-10, 10), st.floats(0.1, 5), st.floats(0.1, 5))
def test_one_alpha_at_most_for_each_wrong_verdict(value, error, margin):
    """Still helps only where a two-sided test says more than 0; no longer only where a one-sided one says less than
    the margin."""
    verdict, _ = judge(estimate(value, error), ABOVE, 0.95, margin)
    if verdict == STILL:
        assert value > quantile(0.975, 50.0) * error
    if verdict == NO_LONGER:
        assert value + quantile(0.95, 50.0) * error < margin


def test_a_last_step_is_the_paired_difference_per_fourfold_data():
    grades = item_grades(models=(("tiny", 1),), volumes=(40, 160, 2560))
    table = last_steps(blocks(grades), 0.95, 1.0)
    assert len(table) == 5 * 2
    row = table[(table["ability"] == "code") & (table["source"] == "curated")].iloc[0]
    own = grades[grades["ability"] == "code"].groupby(["dataset", "item_id"])["grade"].mean()
    paired = own["curated-2560"] - own["curated-160"]
    assert (row["from_volume"], row["to_volume"]) == (160, 2560)
    assert row["gain"] == pytest.approx(100 * paired.mean() / 2)
    assert row["standard_error"] >= 100 * paired.std() / 2 / np.sqrt(60) * 0.999
    assert row["low"] < row["gain"] < row["high"]
    whole = quantile(0.975, row["df"]) + quantile(0.8, row["df"])
    assert row["minimum_detectable"] == pytest.approx(whole * row["standard_error"])
    for entry in advise(grades, "curated", "test", 0.95, 1.0)["abilities"]:
        same = table[(table["ability"] == entry["ability"]) & (table["source"] == "curated")].iloc[0]
        assert entry["last_step"] == pytest.approx(same["gain"], abs=0.005)
        assert entry["last_step_low"] == pytest.approx(same["low"], abs=0.005)
    assert last_steps(blocks(item_grades(volumes=(40,), items=10)), 0.95, 1.0).empty


def test_comparisons_are_corrected_over_abilities():
    table = compare(item_grades(outside=("physician",), mixes={"reconstruct": 2560}), 0.95)
    single = table[table["ability"] != "overall"]
    for _, family in single.groupby(["model", "first", "second"]):
        assert len(family) == 5
        order = family.sort_values("p_value")
        expected = np.maximum.accumulate(np.minimum(1, order["p_value"] * [5, 4, 3, 2, 1]))
        assert order["p_corrected"].to_numpy() == pytest.approx(expected.to_numpy())
    whole = table[table["ability"] == "overall"]
    assert (whole["p_corrected"] == whole["p_value"]).all()
    assert (table["stands"] == (table["p_value"] < 0.05)).all()
    assert (table["stands_corrected"] <= table["stands"]).all()
    assert (table["minimum_detectable"] > 0).all()
    empty = compare(item_grades(sources=("curated",), items=5), 0.95)
    assert empty.empty
    assert list(empty.columns) == list(table.columns)


def test_the_least_difference_that_is_found_four_times_in_five():
    rng = np.random.default_rng(0)
    true = estimate(0.0, 2.0, 1e9).minimum_detectable(0.95)
    found = true + 2.0 * rng.normal(size=20_000)
    assert (np.abs(found) > quantile(0.975, 1e9) * 2.0).mean() == pytest.approx(0.8, abs=0.01)
