"""Many contrasts at once are those of `contrast`; places are found where brute force finds them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import item_grades

from growthpace.analysis.matrix import blocks
from growthpace.analysis.paired import (
    cells_of,
    falling_through_zero,
    models_of,
    not_told_apart,
    steps_between,
)
from growthpace.analysis.uncertainty import Estimate, Term, contrast, holm, quantile

VALUES = st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=8).map(np.array)


@pytest.mark.parametrize("group_size", [1, 4])
@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_differences_are_contrasts(group_size, seeds):
    grades = item_grades(seeds=seeds, group_size=group_size, models=(("tiny", 1),), abilities={"a": 5.0, "b": 0.0})
    rng = np.random.default_rng(0)
    for block in blocks(grades):
        columns = [rows.index.to_numpy() for _, rows in block.runs[block.runs["kind"] == "grid"].groupby("dataset")]
        cells = cells_of(block, columns)
        coefficients = rng.normal(size=(20, len(columns)))
        coefficients -= coefficients.mean(axis=1, keepdims=True)
        found = cells.differences(coefficients)
        for row, value, error, df in zip(coefficients, found.value, found.error, found.df, strict=True):
            terms = [Term(c, own) for c, own in zip(row, columns, strict=True)]
            estimate = contrast(block.sample, block.values, terms, block.noise)
            assert value == pytest.approx(estimate.value, abs=1e-11)
            assert error == pytest.approx(estimate.standard_error, rel=1e-9)
            assert df == pytest.approx(estimate.df, rel=1e-6)
            half = quantile(0.95, df) * error
            assert cells.differences(row).half(0.9) == pytest.approx(half)


def test_differences_have_the_floors_of_contrasts():
    grades = item_grades(items=21, abilities={"a": 0.0}, models=(("tiny", 1),), sources=("curated",))
    order = grades["item_id"].str[-4:].astype(int)
    for level in (0, 9):  # pinned at 0, and all runs alike
        block = next(blocks(grades.assign(grade=(order < level).astype(float))))
        columns = [rows.index.to_numpy() for _, rows in block.runs[block.runs["kind"] == "grid"].groupby("volume")]
        estimate = contrast(block.sample, block.values, [Term(1, columns[0]), Term(-1, columns[1])], block.noise)
        found = cells_of(block, columns).differences(np.array([1.0, -1.0, 0.0, 0.0]))
        assert found.error == pytest.approx(estimate.standard_error)
        assert found.df == pytest.approx(estimate.df)


def test_a_curve_is_straight_between_its_volumes():
    block = next(blocks(item_grades(models=(("tiny", 1),), items=20)))
    curves = next(models_of(block))
    assert curves.volumes["curated"].tolist() == [40, 160, 640, 2560]
    swept = curves.cells.scores[curves.places["synthetic"]]
    at = curves.at("synthetic", np.log([40, 80, 640, 2560])) @ curves.cells.scores
    assert at == pytest.approx([swept[0], swept[:2].mean(), swept[2], swept[3]])
    assert curves.swept("synthetic") @ curves.cells.scores == pytest.approx(swept)
    x = steps_between(np.log([40.0, 160.0, 640.0]))
    assert len(x) == 33
    assert np.isin(np.log([40.0, 160.0, 640.0]), x).all()


@given(VALUES, st.floats(0.1, 4))
def test_the_places_not_told_apart_are_those_of_brute_force(value, half):
    knots = np.arange(len(value), dtype=float)
    fine = np.linspace(0, knots[-1], 5001)
    inside = fine[np.abs(np.interp(fine, knots, value)) <= half]
    x = steps_between(knots)
    low, high = not_told_apart(x, np.interp(x, knots, value), np.full(len(x), half))
    if len(inside):
        assert low == pytest.approx(inside[0], abs=0.02)
        assert high == pytest.approx(inside[-1], abs=0.02)
    else:
        assert np.isnan([low, high]).all()


def test_a_steep_turn_between_two_places_still_counts():
    low, high = not_told_apart(np.array([0.0, 1.0]), np.array([9.0, -1.0]), np.array([0.1, 0.1]))
    assert (low, high) == (pytest.approx(0.89), pytest.approx(0.91))
    assert not_told_apart(np.array([0.0, 1.0]), np.array([9.0, -1.0]), np.full(2, np.nan)) == (0.0, 1.0)


@given(VALUES)
def test_a_difference_falls_through_zero_where_it_is_least_wrong(value):
    knots = np.arange(len(value), dtype=float)
    place = falling_through_zero(knots, value)
    fine = np.linspace(0, knots[-1], 2001)
    course = np.interp(fine, knots, value)
    falls = ((value[:-1] > 0) & (value[1:] <= 0)).any()
    first = next((v for v in value if v != 0), 0.0)
    assert np.isnan(place) == (not falls and not (value[0] == 0 and first < 0))
    if np.isnan(place):
        return
    assert np.interp(place, knots, value) == pytest.approx(0, abs=1e-9)
    wrong = [((fine < p) & (course < 0)).sum() + ((fine > p) & (course > 0)).sum() for p in fine[np.abs(course) < 1e-9]]
    own = ((fine < place) & (course < 0)).sum() + ((fine > place) & (course > 0)).sum()
    if value[0] > 0 > value[-1]:  # then the best place of all is one where it falls
        assert own <= min(wrong, default=own) + 4


def test_a_dip_by_noise_does_not_move_the_place_far():
    value = np.array([6, 4, 2, -1, 0.5, -3, -5.0])
    assert falling_through_zero(np.arange(7.0), value) == pytest.approx(2 + 2 / 3)


def test_holm_by_hand():
    assert holm(np.array([0.04, 0.01, 0.03])) == pytest.approx([0.06, 0.03, 0.06])
    assert holm(np.array([0.5, 0.9])) == pytest.approx([1.0, 1.0])
    with_unknown = holm(np.array([0.01, np.nan, 0.02]))
    assert with_unknown[[0, 2]] == pytest.approx([0.03, 0.04])
    assert np.isnan(with_unknown[1])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.randoms())
def test_holm_lies_between_the_plain_and_bonferroni_whatever_the_order(p_values, random):
    p_values = np.array(p_values)
    found = holm(p_values)
    assert (found >= p_values).all()
    assert (found <= np.minimum(1, len(p_values) * p_values)).all()
    order = list(range(len(p_values)))
    random.shuffle(order)
    assert holm(p_values[order]) == pytest.approx(found[order])


@given(st.floats(-3, 3), st.floats(0.1, 2), st.floats(1, 200))
def test_a_p_value_and_its_interval_agree(value, error, df):
    estimate = Estimate(value, error, df, error, 0.0)
    p = estimate.differs()
    for level in (0.9, 0.95):
        low, high = estimate.interval(level)
        if abs(p - (1 - level)) > 1e-9:
            assert (p < 1 - level) == (low > 0 or high < 0)
