import math

import numpy as np
import pytest
from hypothesis import given
from scoring import ANY_TEXT, GUESSES, assert_chance, fuzz, grade, make_item, said, scored

from growthpace.errors import InputError
from growthpace.evaluation.scorers.true_false import parse_true_false

RIGHT = make_item("true_false", "正确", ("正确", "错误"))
WRONG = make_item("true_false", "错误", ("正确", "错误"))


def test_the_more_probable_word_is_chosen():
    result = grade(WRONG, scored(-2.0, -1.0))
    assert (result.grade, result.chance, result.parsed) == (1.0, 0.5, "错误")
    assert grade(RIGHT, scored(-2.0, -1.0)).grade == 0.0


def test_a_tie_is_no_success():
    assert [grade(item, scored(-1.0, -1.0)).grade for item in (RIGHT, WRONG)] == [0.0, 0.0]
    assert grade(RIGHT, scored(-1.0, -1.0)).parsed == ""


def test_faults_name_the_item():
    for logprobs in [(math.nan, -1.0), (-1.0, math.nan), (-1.0,), (-1.0, -2.0, -3.0)]:
        with pytest.raises(InputError, match="item-1"):
            grade(RIGHT, scored(*logprobs))
    with pytest.raises(InputError, match="two words"):
        grade(make_item("true_false", "a", ("a", "b", "c")), scored(-1.0, -2.0, -3.0))


TRUE = [
    "正确", "正确。", "对", "对的", "对。", "是", "是的", "真", "√", "属实", "没错", "不是错误的", "并非错误",
    "答案：正确", "判断：正确",
    "这个说法是正确的。", "这是正确的说法", "该说法正确", "判断这句话是否正确：正确",
    "正确，因为李白是唐代人，不是宋代人。",
    "True", "true.", "TRUE", "**True**", "Yes, it is.", "The answer is True", "The statement is true.",
    "It is correct.",
    "not false", "not incorrect", "This is not wrong.", "True or false? True",
]  # fmt: skip
FALSE = [
    "错误", "错误。", "错", "不对", "否", "不是", "×", "不正确", "并不正确", "不太正确", "不属实", "不成立",
    "该说法有误", "答案：错误",
    "这个说法是不正确的", "这个说法不正确", "判断这句话是否正确：错误", "正确答案是错误",
    "错误。正确的说法是李白写的",
    "虽然时间是对的，但这个说法是错误的", "面对困难，这种说法错误", "对于这个问题，答案是错误", "这种说法不符合事实",
    "False", "false.", "not true", "isn't correct", "isn’t correct", "is not correct", "untrue", "incorrect",
    "The statement is not entirely true.", "No, it isn't.", "False. The correct answer is Paris.",
    "The claim is wrong",
    "It's true that Paris is big, but the statement is false.", "This isn't a correct statement.",
    "is it true or false? False",
]  # fmt: skip
NEITHER = ["", "。", "李白", "hello", "面对困难", "对于李白", "true or false", "是否正确", "Nothing to say"]


@pytest.mark.parametrize("text", TRUE)
def test_texts_that_say_true(text):
    assert parse_true_false(text) is True
    assert [grade(item, said(text)).grade for item in (RIGHT, WRONG)] == [1.0, 0.0]


@pytest.mark.parametrize("text", FALSE)
def test_texts_that_say_false(text):
    assert parse_true_false(text) is False
    assert [grade(item, said(text)).grade for item in (RIGHT, WRONG)] == [0.0, 1.0]


@pytest.mark.parametrize("text", NEITHER)
def test_texts_without_a_verdict(text):
    assert parse_true_false(text) is None
    assert [grade(item, said(text)).grade for item in (RIGHT, WRONG)] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("words", "text", "parsed"),
    [
        (("True", "False"), "这是不正确的", "False"),
        (("Yes", "No"), "yes", "Yes"),
        (("对", "错"), "错误", "错"),
        (("是", "否"), "否", "否"),
        (("coherent", "broken"), "Broken.", "broken"),
        (("coherent", "broken"), "true", ""),
    ],
)
def test_a_verdict_is_given_in_the_words_of_the_item(words, text, parsed):
    assert grade(make_item("true_false", words[0], words), said(text)).parsed == parsed


@fuzz
@given(ANY_TEXT)
def test_no_text_breaks_the_parser(text):
    assert parse_true_false(text) in (True, False, None)
    assert grade(RIGHT, said(text)).parsed in ("", "正确", "错误")


def test_chance():
    generator = np.random.default_rng(0)
    answers = generator.integers(0, 2, GUESSES).tolist()
    guesses = generator.standard_normal((GUESSES, 2)).tolist()
    results = [
        grade((RIGHT, WRONG)[answer], scored(*logprobs)) for answer, logprobs in zip(answers, guesses, strict=True)
    ]
    assert {result.chance for result in results} == {0.5}
    assert_chance([result.grade for result in results], 0.5)
