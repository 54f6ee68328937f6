import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scoring import ANY_TEXT, GUESSES, LETTERS, assert_chance, fuzz, grade, make_item, said, scored

from growthpace.errors import InputError
from growthpace.evaluation.scorers.letter import parse_letter

FOUR = make_item("letter", "B", "ABCD")


def test_the_strictly_most_probable_letter_is_chosen():
    result = grade(FOUR, scored(-2.0, -0.5, -3.0, -4.0))
    assert (result.grade, result.chance, result.parsed) == (1.0, 0.25, "B")
    result = grade(FOUR, scored(-0.1, -0.5, -3.0, -4.0))
    assert (result.grade, result.parsed) == (0.0, "A")


@pytest.mark.parametrize("logprobs", [(-1.0, -1.0, -2.0, -3.0), (-1.0,) * 4, (-math.inf,) * 4])
def test_a_tie_is_no_success(logprobs):
    result = grade(FOUR, scored(*logprobs))
    assert (result.grade, result.parsed) == (0.0, "")


def test_a_tie_below_the_top_does_no_harm():
    assert grade(FOUR, scored(-3.0, -1.0, -3.0, -math.inf)).grade == 1.0


@pytest.mark.parametrize("position", range(4))
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nan_is_an_error_that_names_the_item(position, value):
    logprobs = [-1.0, -0.5, -3.0, -4.0]
    logprobs[position] = value
    with pytest.raises(InputError, match="item-1"):
        grade(FOUR, scored(*logprobs))


@pytest.mark.parametrize("candidates", ["A", LETTERS + "a"])
def test_only_2_to_26_options(candidates):
    with pytest.raises(InputError, match="2 to 26"):
        grade(make_item("letter", "A", candidates), scored(*[-1.0] * len(candidates)))


def test_wrong_counts_and_answers_are_errors():
    with pytest.raises(InputError, match="3 log-probabilities for 4 candidates"):
        grade(FOUR, scored(-1.0, -2.0, -3.0))
    with pytest.raises(InputError, match="not among"):
        grade(make_item("letter", "E", "ABCD"), scored(-1.0, -2.0, -3.0, -4.0))
    with pytest.raises(InputError, match="0 log-probabilities"):
        grade(FOUR, said(None))


SAYS_B = [
    "B", "b", "(B)", "B.", "'B'", "Ｂ", "**B**", "B. Beijing", "B、北京", "B 北京", "B\n因为A不对",
    "(B) because it is",
    "答案是B", "答案是B。", "答案：B", "答案是Ｂ", "【答案】B", "因此答案为：B", "答案选B", "正确答案是B",
    "正确选项为 B",
    "故选B", "故选：B", "选B", "应选B项", "选项B正确", "B选项正确", "A、C、D错误，故选B。", "答案不是A，而是B",
    "答案是A。不对，答案是B",
    "The answer is (B).", "The answer is B", "the answer is b.", "Answer: B", "**Answer:** B",
    "The correct answer is option B",
    "The correct answer is: B) Paris", "the answer to this question is B", "A man went home. The answer is B.",
    "I think it's B because A is wrong.", "Option B is correct. Option A is wrong.", "My answer is B, not A",
    "A is incorrect, so B",
    "选项A错误，选项B正确", "A错误，B正确", "B. 错误", "(A)错误，应为B",
    "I would choose B.", "It is B.", r"\boxed{B}", r"\boxed{\text{B}}",
]  # fmt: skip
SAYS_NOTHING = [
    "", "。", "不知道", "A man went home", "I am Bob", "Because", "E", "答案是E", "答案是A和B", "A and B", "A B C D",
    "answer is AB",
    "不选B也不选C",
]  # fmt: skip


@pytest.mark.parametrize("text", SAYS_B)
def test_generated_text_that_says_b(text):
    assert parse_letter(text, "ABCD") == "B"
    assert grade(FOUR, said(text)).grade == 1.0


@pytest.mark.parametrize("text", SAYS_NOTHING)
def test_generated_text_that_says_no_single_letter(text):
    assert parse_letter(text, "ABCD") == ""
    assert grade(FOUR, said(text)).grade == 0.0


def test_letters_depend_on_the_options():
    assert parse_letter("答案是F", "ABCDEF") == "F"
    assert parse_letter("The answer is Z.", LETTERS) == "Z"
    assert parse_letter("B", "") == ""


@fuzz
@given(ANY_TEXT, st.integers(2, 26))
def test_no_text_breaks_the_parser(text, count):
    assert parse_letter(text, LETTERS[:count]) in ("", *LETTERS[:count])


@fuzz
@given(st.lists(st.floats(max_value=0, allow_nan=False), min_size=2, max_size=26))
def test_grades_stay_in_range(logprobs):
    letters = LETTERS[: len(logprobs)]
    grades = [grade(make_item("letter", letter, letters), scored(*logprobs)).grade for letter in letters]
    assert sum(grades) == (1 if logprobs.count(max(logprobs)) == 1 else 0)


@pytest.mark.parametrize("count", range(2, 27))
def test_chance(count):
    generator = np.random.default_rng(count)
    item = make_item("letter", LETTERS[count // 2], LETTERS[:count])
    guesses = generator.standard_normal((GUESSES, count)).tolist()
    results = [grade(item, scored(*logprobs)) for logprobs in guesses]
    assert {result.chance for result in results} == {1 / count}
    assert_chance([result.grade for result in results], 1 / count)
