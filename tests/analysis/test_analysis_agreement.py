"""Cohen's kappa and its interval: published numbers, an independent calculation, simulation, what is undefined."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from growthpace.analysis.agreement import kappa, squared, told


def pairs_of(table):
    """The pairs of ratings that a table of counts [first, second] stands for."""
    return [(a, b) for a, row in enumerate(table) for b, count in enumerate(row) for _ in range(count)]


def published_error(table, weights):
    """Fleiss, Cohen and Everitt 1969, eq. 13, as it is printed: over cells, with weights of agreement."""
    p = np.array(table, float) / np.sum(table)
    rows, columns = p.sum(1), p.sum(0)
    observed, expected = (weights * p).sum(), (weights * np.outer(rows, columns)).sum()
    of_row, of_column = weights @ columns, rows @ weights
    inner = weights * (1 - expected) - (of_row[:, None] + of_column[None, :]) * (1 - observed)
    variance = (p * inner**2).sum() - (observed * expected - 2 * expected + observed) ** 2
    return (observed - expected) / (1 - expected), math.sqrt(variance / np.sum(table)) / (1 - expected) ** 2


def test_the_textbook_s_example():
    """Fleiss 1981, Statistical Methods for Rates and Proportions, table 13.1: kappa 0.68, standard error 0.087, which
    the book computes from rounded numbers."""
    found = kappa(pairs_of([[75, 1, 4], [5, 4, 1], [0, 0, 10]]), 0.95)
    assert round(found.value, 2) == 0.68
    assert found.error * math.sqrt(99 / 100) == pytest.approx(0.087, abs=0.001)
    half = stats.t.ppf(0.975, 99) * found.error
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half))


tables = st.integers(2, 4).flatmap(
    lambda k: st.lists(st.lists(st.integers(0, 9), min_size=k, max_size=k), min_size=k, max_size=k)
)


@given(tables, st.booleans())
@settings(deadline=None)
def test_it_is_the_published_formula(table, quadratic):
    k, n = len(table), int(np.sum(table))
    distance = np.abs(np.subtract.outer(np.arange(k), np.arange(k)))
    weights = 1 - (distance / (k - 1)) ** 2 if quadratic else (distance == 0).astype(float)
    found = kappa(pairs_of(table), 0.9, disagreement=squared) if quadratic else kappa(pairs_of(table), 0.9)
    rows, columns = np.sum(table, 1), np.sum(table, 0)
    if n < 2 or (weights * np.outer(rows, columns)).sum() > n**2 - 0.5:
        assert found.value is None
        return
    value, error = published_error(table, weights)
    assert found.value == pytest.approx(value, abs=1e-9)
    if np.trace(table) == n:
        assert (found.value, found.error) == (1, None)
    else:
        assert found.error * math.sqrt((n - 1) / n) == pytest.approx(error, abs=1e-7)
        assert -1 <= found.low <= found.value <= found.high <= 1


def test_groups_that_say_everything_twice_count_once():
    pairs = pairs_of([[20, 5], [10, 15]])
    alone = kappa(pairs, 0.95)
    twice = kappa(pairs * 2, 0.95, groups=[*range(50), *range(50)])
    assert (twice.value, twice.error, twice.low) == pytest.approx((alone.value, alone.error, alone.low))
    assert kappa(pairs * 2, 0.95).error < alone.error


@pytest.mark.parametrize("size", [1, 4])
def test_the_interval_covers_the_truth(size):
    """Two raters who know the truth with probability 0.7 and else guess among three; groups share one truth."""
    chance = random.Random(5)
    covered, trials = 0, 400
    truth_kappa = None
    for trial in range(trials + 1):
        pairs, groups = [], []
        for group in range(60 if trial else 60_000):
            truth = chance.choices("abc", [6, 3, 1])[0]
            for _ in range(size):
                pairs.append(tuple(truth if chance.random() < 0.7 else chance.choice("abc") for _ in "12"))
                groups.append(group)
        found = kappa(pairs, 0.95, groups)
        if not trial:
            truth_kappa = found.value
        else:
            covered += found.low <= truth_kappa <= found.high
    assert 0.91 <= covered / trials <= 0.985


def test_what_is_undefined():
    assert kappa([], 0.95).value is None
    assert kappa([("pass", "pass")] * 9, 0.95).value is None
    assert told(kappa([("pass", "pass")] * 9, 0.95)) == "undefined"
    one_sided = kappa([("pass", "pass"), ("pass", "reject"), ("pass", "pass")], 0.95)
    assert one_sided.value == 0  # the first says nothing but pass: no better than chance
    assert told(kappa([("a", "a"), ("b", "b")], 0.95)) == "1.00 (interval not known)"
    assert kappa([("a", "a"), ("b", "a")], 0.95, groups=["g", "g"]).error is None
