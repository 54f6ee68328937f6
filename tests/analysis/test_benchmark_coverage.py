"""The coverage benchmark runs, counts what it says, and the intervals hold roughly (its table has the real figures)."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

PATH = Path(__file__).parents[2] / "benchmarks" / "coverage.py"


@pytest.fixture(scope="module")
def coverage():
    spec = importlib.util.spec_from_file_location("growthpace_coverage", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def chunk(coverage, name, simulations, choices=0):
    cells = {cell.name: (index, cell) for index, cell in enumerate(coverage.cells())}
    index, cell = cells[name]
    found = coverage.run_chunk((index, cell, 0, simulations, choices))
    return found[1]


def test_linear_intervals_hold_roughly(coverage):
    counts = chunk(coverage, "linear_100_2", 60, choices=2)
    for quantity in ("largest", "between", "pace", "held_out"):
        yes, asked = counts[quantity]
        assert asked == 60
        assert yes >= 51  # 95 % of 60 is 57; less than 51 happens once in 500
    assert counts["found"][1] == 2


def test_what_cannot_be_identified_is_refused_or_said(coverage):
    assert chunk(coverage, "three_volumes_100_2", 3) == {"refused": (3, 3)}
    assert chunk(coverage, "crowded_joint_100_2", 2) == {"refused": (2, 2)}
    counts = chunk(coverage, "flat_power_100_2", 5)
    assert counts["told_exponent"][0] <= 1
    assert counts["responsive"][0] <= 1


def test_the_same_simulations_whatever_their_order(coverage):
    whole = chunk(coverage, "power_100_2", 2)
    again = chunk(coverage, "power_100_2", 2)
    assert whole == again


def test_the_table_and_the_json(coverage):
    counts = {"linear_100_2": chunk(coverage, "linear_100_2", 2), "three_volumes_100_2": {"refused": (2, 2)}}
    options = SimpleNamespace(simulations=2, choices=0, workers=1, minutes=0)
    text = coverage.table(counts, options, 1.0)
    assert "| linear | 100 | 2 |" in text
    assert "| three_volumes_100_2 | 100 |  | 100.0 |" in text
    line = coverage.summary(counts)
    assert 0 <= line["coverage_linear_100_2_largest"] <= 1
    assert line["refused_three_volumes_100_2"] == 1
