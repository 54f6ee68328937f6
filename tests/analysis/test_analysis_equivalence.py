"""Data equivalence and crossings on curves whose truth is known."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import item_grades

from growthpace.analysis.crossing import crossings
from growthpace.analysis.equivalence import equivalence
from growthpace.analysis.matrix import blocks
from growthpace.analysis.uncertainty import Term, contrast

PATH = Path(__file__).parents[2] / "benchmarks" / "sources.py"
VOLUMES = (40, 160, 640, 2560)


@pytest.fixture(scope="module")
def benchmark_script():
    spec = importlib.util.spec_from_file_location("growthpace_sources", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def block_of(items=200, volumes=VOLUMES, seeds=(0, 1), **levels):
    """The block of one ability: each source's curve goes exactly through its levels; the easiest items come first."""
    grades = item_grades(
        items=items, abilities={"a": 0.0}, models=(("tiny", 1),), sources=tuple(levels), volumes=volumes, seeds=seeds,
        untuned=False,
    )  # fmt: skip
    order = grades["item_id"].str[-4:].astype(int)
    wanted = [levels[s][volumes.index(v)] for s, v in zip(grades["source"], grades["volume"], strict=True)]
    return next(blocks(grades.assign(grade=(order < np.array(wanted) * items).astype(float))))


def solved(block, first, second, volume):
    table = equivalence([block], 0.95)
    return table[(table["first"] == first) & (table["second"] == second) & (table["volume"] == volume)].iloc[0]


def test_a_curve_shifted_by_a_factor_of_four():
    block = block_of(first=(0.3, 0.45, 0.6, 0.75), second=(0.15, 0.3, 0.45, 0.6))
    row = solved(block, "first", "second", 640)
    assert (row.status, row.equivalent, row.worth) == ("in range", pytest.approx(160), pytest.approx(4))
    assert 40 < row.low < 160 < row.high < 640
    assert row.worth_low == pytest.approx(640 / row.high)
    assert row.worth_high == pytest.approx(640 / row.low)
    back = solved(block, "second", "first", 160)
    assert (back.equivalent, back.worth) == (pytest.approx(640), pytest.approx(0.25))
    lowest = solved(block, "first", "second", 40)
    assert (lowest.status, lowest.low, lowest.high, lowest.worth_high) == (
        "never in range",
        0,
        pytest.approx(40),
        np.inf,
    )
    assert lowest.reason == "below all of first's scores"
    highest = solved(block, "second", "first", 2560)
    assert (highest.status, highest.low, highest.high) == ("never in range", pytest.approx(2560), np.inf)
    assert (highest.worth_low, highest.worth_high) == (0, pytest.approx(1))
    edge = solved(block, "first", "second", 160)
    assert (edge.status, edge.low, edge.equivalent) == ("undecided", 0, pytest.approx(40))
    assert "smallest volume" in edge.reason


def test_the_interval_is_what_contrasts_do_not_reject():
    grades = item_grades(items=150, seeds=(0, 1, 2), abilities={"a": 8.0}, models=(("tiny", 1),))
    block = next(blocks(grades))
    row = solved(block, "curated", "synthetic", 2560)
    columns = {v: block.columns(dataset=f"curated-{v}") for v in VOLUMES}
    kept = []
    for x in np.linspace(np.log(40), np.log(2560), 400):
        right = min(int(np.searchsorted(np.log(VOLUMES), x, side="right")), 3)
        left_volume, right_volume = VOLUMES[right - 1], VOLUMES[right]
        share = (x - np.log(left_volume)) / np.log(right_volume / left_volume)
        terms = [Term(1.0, block.columns(dataset="synthetic-2560")), Term(share - 1, columns[left_volume]),
                 Term(-share, columns[right_volume])]  # fmt: skip
        low, high = contrast(block.sample, block.values, terms, block.noise).interval(0.95)
        if low <= 0 <= high:
            kept.append(x)
    assert row.status == "in range"
    assert np.log(row.low) == pytest.approx(min(kept), abs=0.02)
    assert np.log(row.high) == pytest.approx(max(kept), abs=0.02)
    assert row.low < row.equivalent < row.high


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(5, 25), min_size=4, max_size=4))
def test_a_copy_of_a_source_is_worth_as_much(gains):
    levels = tuple(np.cumsum(gains) / 105)
    table = equivalence([block_of(items=105, one=levels, other=levels)], 0.95)
    both_open = (table["low"] == 0) & np.isinf(table["high"])
    assert table.loc[~both_open, "equivalent"].to_numpy() == pytest.approx(table.loc[~both_open, "volume"].to_numpy())
    assert ((table["low"] <= table["volume"] * (1 + 1e-9)) & (table["high"] >= table["volume"] * (1 - 1e-9))).all()
    assert not (table["status"] == "never in range").any()


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(5, 25), min_size=5, max_size=5))
def test_equivalence_of_first_for_second_inverts(gains):
    levels = np.cumsum(gains) / 130
    table = equivalence([block_of(items=130, one=tuple(levels[1:]), other=tuple(levels[:-1]))], 0.95)
    table = table.set_index(["first", "volume"])
    for volume in VOLUMES[1:]:
        row = table.loc[("one", volume)]
        if not np.isnan(row["equivalent"]):
            assert row["equivalent"] == pytest.approx(volume / 4)
        back = table.loc[("other", volume // 4)]
        if not np.isnan(back["equivalent"]):
            assert back["equivalent"] == pytest.approx(volume)
            assert back["worth"] == pytest.approx(0.25)


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 1000))
def test_names_of_sources_and_abilities_change_nothing_else(seed):
    grades = item_grades(seed=seed, models=(("tiny", 1),), items=25, abilities={"a": 8.0, "b": 2.0})
    names = {"curated": "x", "synthetic": "y"}
    renamed = grades.assign(
        source=grades["source"].replace(names), dataset=grades["dataset"].replace(names, regex=True),
        ability=grades["ability"].map({"a": "q", "b": "p"}),
    )  # fmt: skip
    for table in (equivalence, crossings):
        one, other = table(blocks(grades), 0.95), table(blocks(renamed), 0.95)
        numbers = one.select_dtypes("number").columns
        pd.testing.assert_frame_equal(one[numbers], other[numbers])
        assert one["status"].tolist() == other["status"].tolist()
        assert one["first"].replace(names).tolist() == other["first"].tolist()


def test_flat_curves_and_single_volumes_say_nothing():
    flat = (0.5, 0.5, 0.5, 0.5)
    table = equivalence([block_of(one=flat, other=flat)], 0.95)
    assert set(table["status"]) == {"undecided"}
    assert table["equivalent"].isna().all()
    assert ((table["low"] == 0) & np.isinf(table["high"])).all()
    grades = item_grades(items=30, abilities={"a": 5.0}, models=(("tiny", 1),))
    single = grades[(grades["source"] != "synthetic") | (grades["volume"] == 160)]
    block = next(blocks(single))
    row = solved(block, "synthetic", "curated", 640)
    assert (row.status, row.reason) == ("undecided", "synthetic has one volume: no curve to look the score up in")
    assert len(equivalence([block], 0.95)) == 1 + 4
    turn = crossings([block], 0.95).iloc[0]
    assert (turn.status, turn.reason) == ("undecided", "their volumes overlap in fewer than two")
    assert equivalence(blocks(item_grades(items=10, sources=("curated",))), 0.95).empty


def test_a_curve_that_falls_is_said_to():
    block = block_of(first=(0.8, 0.6, 0.4, 0.2), second=(0.5, 0.5, 0.5, 0.5))
    row = solved(block, "first", "second", 640)
    assert (row.status, row.reason) == ("undecided", "first's curve falls through the score")


def test_where_two_curves_cross():
    block = block_of(steep=(0.2, 0.4, 0.6, 0.8), flat=(0.5, 0.5, 0.5, 0.5))
    row = crossings([block], 0.95).iloc[0]
    assert (row.status, row.volume) == ("crosses in range", pytest.approx(320))
    assert 160 < row.low < 320 < row.high < 640
    assert (row.ahead_before, row.ahead_after) == ("flat", "steep")
    twice = crossings([block_of(one=(0.2, 0.6, 0.6, 0.2), two=(0.4, 0.4, 0.4, 0.4))], 0.95)
    assert twice["volume"].to_numpy() == pytest.approx([80, 1280])
    assert twice["ahead_before"].tolist() == ["two", "one"]
    never = crossings([block_of(one=(0.5, 0.6, 0.7, 0.8), two=(0.2, 0.3, 0.3, 0.3))], 0.95).iloc[0]
    assert (never.status, never.ahead_before, never.ahead_after) == ("never in range", "one", "one")
    assert np.isnan([never.volume, never.low, never.high]).all()
    near = crossings([block_of(one=(0.49, 0.5, 0.5, 0.7), two=(0.5, 0.5, 0.5, 0.5))], 0.95).iloc[0]
    assert (near.status, near.low) == ("undecided", 0)
    assert near.high < 2560


def test_intervals_hold_the_truth_in_simulations(benchmark_script):
    cells = {cell.name: index for index, cell in enumerate(benchmark_script.cells())}
    _, counts, _ = benchmark_script.run_chunk((cells["shift_linear_100_2"], 0, 15, 50))
    held, asked = counts["held"]
    assert asked == 90
    assert held >= 79  # 95 % of 90 is 85.5; six rows of a simulation share their items
    assert counts["wrong"][0] <= 4
    assert counts["told"][0] > 15
    assert counts["crosses"][0] <= 2
    _, counts, ranks = benchmark_script.run_chunk((cells["crossing_1000_3"], 0, 3, 50))
    assert counts["crosses"] == [3, 3]
    assert counts["crossing_held"] == [3, 3]
    assert len(ranks) == 3
