from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scoring import ANY_TEXT, GUESSES, LETTERS, assert_chance, fuzz, grade, make_item, said

from growthpace.errors import InputError
from growthpace.evaluation.scorers.letters import parse_letters

ETHICS = make_item("letters", "AC", "ABCD")

SAYS_AC = [
    "AC", "CA", "A,C", "A、C", "A；C", "A C", "A和C", "A and C", "a, c", "(A)(C)", "**A, C**", "ＡＣ", "ACA",
    "[A, C]",
    "答案：AC", "答案是A,C", "答案是A、C。", "答案是A和C。因为B是好的，D也是", "【答案】AC", "选AC", "故选A、C",
    "选项A和选项C",
    "A和C都是错误的行为", "A. 说谎\nC. 偷窃", "- A: lying\n- C: stealing", "The answer is A and C.", "Answers: A, C",
    "The correct answers are (A) and (C).", r"\boxed{A, C}", "答案是B。不对，答案是AC",
    "答案：\nA. 说谎\nC. 偷窃", "A\nC", "A.C",
]  # fmt: skip


@pytest.mark.parametrize("text", SAYS_AC)
def test_texts_that_say_a_and_c(text):
    result = grade(ETHICS, said(text))
    assert (result.grade, result.parsed) == (1.0, "AC")


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("A", "A"),
        ("ABCD", "ABCD"),
        ("ABC", "ABC"),
        ("答案是B", "B"),
        ("BAD", "ABD"),
        ("", ""),
        ("。", ""),
        ("没有", ""),
        ("None", ""),
        ("bad", ""),
        ("A good deed", ""),
        ("D。因为A是对的", ""),
        ("答案是F", ""),
        ("答案是A。\nB. 是对的", "A"),
        ("答案是A. C错误", "A"),
        ("答案是A、B\nC. 错", "AB"),
    ],
)
def test_other_sets_are_worth_nothing(text, parsed):
    result = grade(ETHICS, said(text))
    assert (result.grade, result.parsed) == (0.0, parsed)


def test_any_number_of_options():
    assert grade(make_item("letters", "AEF", "ABCDEF"), said("答案是A、E、F")).grade == 1.0
    assert grade(make_item("letters", "A", "A"), said("A")).chance == 1.0
    assert grade(make_item("letters", LETTERS, LETTERS), said(LETTERS)).grade == 1.0


def test_the_order_of_the_reference_does_not_matter():
    assert grade(make_item("letters", "CA", "ABCD"), said("AC")).grade == 1.0


def test_faults_name_the_item():
    with pytest.raises(InputError, match="item-1"):
        grade(ETHICS, said(None))
    with pytest.raises(InputError, match="not among"):
        grade(make_item("letters", "AE", "ABCD"), said("A"))
    with pytest.raises(InputError, match="not among"):
        grade(make_item("letters", "A", ""), said("A"))


@fuzz
@given(ANY_TEXT, st.integers(1, 26))
def test_no_text_breaks_the_parser(text, count):
    parsed = parse_letters(text, LETTERS[:count])
    assert set(parsed) <= set(LETTERS[:count])
    assert list(parsed) == sorted(set(parsed))


@pytest.mark.parametrize("count", range(2, 7))
def test_chance(count):
    letters = LETTERS[:count]
    subsets = ["".join(s) for size in range(1, count + 1) for s in combinations(letters, size)]
    item = make_item("letters", letters[::2], letters)
    guesses = np.random.default_rng(count).integers(0, len(subsets), GUESSES).tolist()
    results = [grade(item, said(subsets[guess])) for guess in guesses]
    assert {result.chance for result in results} == {1 / (2**count - 1)}
    assert_chance([result.grade for result in results], 1 / (2**count - 1))
