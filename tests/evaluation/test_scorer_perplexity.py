import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scoring import GUESSES, assert_chance, fuzz, grade, make_item, said, scored

from growthpace.errors import InputError
from growthpace.evaluation.scorers import SCORERS

THREE = make_item("perplexity", "good", ("good", "bad", "worse"))


def test_only_perplexity_scores_the_end_of_turn():
    assert [name for name, scorer in SCORERS.items() if scorer.END_OF_TURN] == ["perplexity"]


def test_the_mean_per_token_counts_not_the_sum():
    result = grade(THREE, scored(-10.0, -3.0, -6.0, tokens=(20, 2, 3)))  # means 0.5, 1.5 and 2 nats
    assert (result.grade, result.chance, result.parsed) == (1.0, 1 / 3, "0 (margin 1.000)")
    result = grade(THREE, scored(-10.0, -3.0, -6.0, tokens=(5, 2, 3)))
    assert (result.grade, result.parsed) == (0.0, "1 (margin 0.500)")


@pytest.mark.parametrize("logprobs", [(-1.0, -1.0, -2.0), (-1.0, -1.0, -1.0), (-math.inf,) * 3])
def test_a_tie_is_no_success(logprobs):
    result = grade(THREE, scored(*logprobs))
    assert (result.grade, result.parsed) == (0.0, "")


def test_an_impossible_rival_is_beaten():
    assert grade(THREE, scored(-1.0, -math.inf, -math.inf)).grade == 1.0


@pytest.mark.parametrize(
    "prediction",
    [
        scored(math.nan, -1.0, -2.0),
        scored(-1.0, math.nan, -2.0),
        scored(-1.0, -2.0),
        scored(-1.0, -2.0, -3.0, tokens=(1, 0, 1)),
        scored(-1.0, -2.0, -3.0, tokens=(1, 1)),
        said("good"),
    ],
)
def test_faults_name_the_item(prediction):
    with pytest.raises(InputError, match="item-1"):
        grade(THREE, prediction)


def test_the_first_candidate_must_be_the_answer():
    with pytest.raises(InputError, match="first candidate"):
        grade(make_item("perplexity", "b", ("a", "b")), scored(-1.0, -2.0))


@fuzz
@given(st.lists(st.tuples(st.floats(max_value=0, allow_nan=False), st.integers(1, 2048)), min_size=2, max_size=6))
def test_grades_stay_in_range(pairs):
    logprobs, tokens = zip(*pairs, strict=True)
    item = make_item("perplexity", "0", [str(index) for index in range(len(pairs))])
    assert grade(item, scored(*logprobs, tokens=tokens)).grade in (0.0, 1.0)


@pytest.mark.parametrize("count", range(2, 6))
def test_chance(count):
    generator = np.random.default_rng(count)
    item = make_item("perplexity", "0", [str(index) for index in range(count)])
    tokens = generator.integers(5, 50, (GUESSES, count))
    sums = (-generator.exponential(1.0, (GUESSES, count)) * tokens).tolist()
    results = [grade(item, scored(*s, tokens=t)) for s, t in zip(sums, tokens.tolist(), strict=True)]
    assert {result.chance for result in results} == {1 / count}
    assert_chance([result.grade for result in results], 1 / count)
