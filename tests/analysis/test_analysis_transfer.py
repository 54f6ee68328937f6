"""The transfer matrix: planted effects, a reference, the correction, and what is missing."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from transfer_grades import ABILITIES, SETTINGS, expected_effects, item_grades

from growthpace.analysis.curves import pace
from growthpace.analysis.matrix import blocks
from growthpace.analysis.scores import OVERALL
from growthpace.analysis.transfer import COLUMNS, matrix_of, transfer
from growthpace.analysis.uncertainty import holm

GAINS = np.array([[0.20, 0.0, 0.0], [0.10, 0.15, 0.0], [0.0, 0.0, 0.0]])
"""Trained x tested: code helps biology, math helps nobody, not even itself."""


@pytest.fixture(scope="module")
def table():
    return transfer(item_grades(GAINS), SETTINGS, ABILITIES, 0.95)


def test_planted_effects_are_found_and_no_others(table):
    own = table[table["tested"] != OVERALL].set_index(["kind", "trained", "tested"])
    for cell, effect in expected_effects(GAINS).items():
        row = own.loc[cell]
        assert abs(row["effect"] - effect) < 3.5 * row["standard_error"], cell
        assert row["stands"] == (effect > 0), cell
    assert list(table.columns) == COLUMNS
    assert len(own) == 2 * 3 * 3
    assert (table["cells"] == np.where(table["tested"] == OVERALL, 3, 9)).all()


def test_overall_is_the_mean_over_abilities(table):
    cells = table[table["tested"] != OVERALL].groupby(["kind", "trained"])["effect"].mean()
    overall = table[table["tested"] == OVERALL].set_index(["kind", "trained"])["effect"]
    assert (overall - cells[overall.index]).abs().max() < 1e-9


def test_the_size_of_a_part_and_how_often_it_was_trained(table):
    alone = table[table["kind"] == "alone"]
    assert set(alone["items_trained"]) == {200}
    assert set(zip(alone["seeds"], alone["seeds_other"], strict=True)) == {(3, 1)}
    rest = table[table["kind"] == "all_but"]
    assert set(rest["items_trained"]) == {400}
    assert set(zip(rest["seeds"], rest["seeds_other"], strict=True)) == {(3, 3)}


def test_with_one_seed_a_cell_is_a_paired_t_test():
    grades = item_grades(GAINS, seeds=(0,))
    found = transfer(grades, SETTINGS, ABILITIES, 0.95).set_index(["kind", "trained", "tested"])
    block = next(block for block in blocks(grades) if block.ability == "biology")

    def answers(dataset):
        return block.values[:, block.columns(dataset=dataset)[0]]

    for cell, one, other in (
        (("alone", "code", "biology"), "curated-600-only-code", "untuned"),
        (("all_but", "code", "biology"), "curated-600", "curated-600-without-code"),
    ):
        row, test = found.loc[cell], stats.ttest_rel(answers(one), answers(other))
        low, high = test.confidence_interval(0.95)
        assert row["effect"] == pytest.approx(100 * (answers(one) - answers(other)).mean())
        assert (row["low"], row["high"]) == pytest.approx((100 * low, 100 * high))
        assert row["p"] == pytest.approx(test.pvalue)
        assert row["uncertainty"] == "items only"


def test_nothing_there_is_rarely_called_an_effect():
    # Holm keeps the chance of one false claim or more in a matrix at 5 %, so in both kinds together at 10 %.
    false = 0
    for seed in range(12):
        found = transfer(item_grades(np.zeros((3, 3)), seed, items=60), SETTINGS, ABILITIES, 0.95)
        false += bool(found.loc[found["tested"] != OVERALL, "stands"].any())
    assert false <= 4  # more in 1 of 100 tries, were it 10 %


def test_a_missing_run_is_a_missing_cell():
    gone = tuple(("tiny", "curated-600-only-code", seed) for seed in (0, 1, 2))
    found = transfer(item_grades(GAINS, missing=gone, items=40), SETTINGS, ABILITIES, 0.95)
    alone = found[found["kind"] == "alone"]
    assert set(alone["trained"]) == {"biology", "math"}
    assert np.isnan(matrix_of(alone, ABILITIES, ABILITIES)[1]).all()
    assert set(found.loc[found["kind"] == "all_but", "trained"]) == set(ABILITIES)
    full = tuple(("tiny", "curated-600", seed) for seed in (0, 1, 2))
    left = transfer(item_grades(GAINS, missing=full, items=40), SETTINGS, ABILITIES, 0.95)
    assert set(left["kind"]) == {"alone"}


def test_nothing_to_compare_is_an_empty_table():
    grades = item_grades(GAINS, items=10)
    found = transfer(grades[grades["kind"] == "grid"], SETTINGS, ABILITIES, 0.95)
    assert found.empty
    assert list(found.columns) == COLUMNS


def test_runs_of_transfer_do_not_change_a_curve():
    grades = item_grades(GAINS, items=60)
    grid = [grades]
    for volume in (60, 180):  # two more points of the curve
        more = grades[grades["dataset"] == "curated-600"]
        grid.append(more.assign(dataset=f"curated-{volume}", volume=volume, grade=1 - more["grade"]))

    whole = pd.concat(grid, ignore_index=True)
    without = whole[whole["kind"] != "transfer"]
    pd.testing.assert_frame_equal(pace(whole, 0.95, 1.0), pace(without, 0.95, 1.0))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_keeps_order_and_never_makes_a_claim_stronger(p_values):
    found = holm(np.array(p_values))
    assert (found >= np.array(p_values)).all()
    assert (found <= 1).all()
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(found[order]) >= 0).all()
    assert found.min() == pytest.approx(min(1.0, len(p_values) * min(p_values)))


def test_holm_by_hand():
    assert holm(np.array([0.01, 0.04, 0.03, np.nan])) == pytest.approx([0.04, 0.09, 0.09, np.nan], nan_ok=True)
