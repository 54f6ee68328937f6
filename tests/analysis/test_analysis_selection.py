"""Choosing an epoch: the rule, ties, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growthpace.analysis.selection import choose_epoch
from growthpace.errors import InputError


def test_the_best_mean_wins_among_candidates():
    scores = {1: {"a": 0.9, "b": 0.9}, 2: {"a": 0.2, "b": 0.4}, 3: {"a": 0.5, "b": 0.3}}
    assert choose_epoch(scores, "best_mean", 2) == 3
    assert choose_epoch(scores, "best_mean", 1) == 1
    assert choose_epoch(scores, "last", 1) == 3


def test_a_tie_goes_to_the_earlier_epoch_whatever_the_rounding():
    # 0.1 + 0.2 is not 0.3 in floating point, but no epoch is better for it.
    scores = {5: {"a": 0.3, "b": 0.0}, 6: {"a": 0.1, "b": 0.2}, 7: {"a": 0.2, "b": 0.1}}
    assert choose_epoch(scores, "best_mean", 5) == 5
    assert choose_epoch(dict(reversed(scores.items())), "best_mean", 6) == 6


@pytest.mark.parametrize(
    ("scores", "rule", "first", "message"),
    [
        ({}, "best_mean", 1, "no epoch from 1"),
        ({1: {"a": 0.5}}, "best_mean", 2, r"no epoch from 2 on has scores \(found: 1\)"),
        ({1: {"a": 0.5, "b": 0.5}, 2: {"a": 0.5}}, "best_mean", 1, "epoch 2 has no score for b"),
        ({1: {"a": float("nan")}}, "best_mean", 1, "score is nan"),
        ({1: {"a": 50.0}}, "best_mean", 1, "score is 50.0"),
        ({1: {}}, "best_mean", 1, "no ability"),
        ({1: {"a": 0.5}}, "best", 1, r"allowed: best_mean, last"),
    ],
)
def test_what_cannot_be_chosen_from_is_refused(scores, rule, first, message):
    with pytest.raises(InputError, match=message):
        choose_epoch(scores, rule, first)


@given(st.dictionaries(st.integers(1, 9), st.lists(st.integers(0, 50), min_size=3, max_size=3), min_size=1))
def test_relabelling_abilities_changes_nothing(counts):
    one = {epoch: dict(zip("abc", (c / 50 for c in cs), strict=True)) for epoch, cs in counts.items()}
    other = {epoch: dict(zip("zxy", (c / 50 for c in cs[::-1]), strict=True)) for epoch, cs in counts.items()}
    best = min(counts, key=lambda epoch: (-sum(counts[epoch]), epoch))
    assert choose_epoch(one, "best_mean", 1) == choose_epoch(other, "best_mean", 1) == best
