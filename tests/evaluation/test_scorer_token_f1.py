from dataclasses import replace

import pytest
from scoring import grade, make_item, said

from growthpace.errors import InputError
from growthpace.evaluation.scorers.token_f1 import f1, tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The red house.", ["red", "house"]),
        ("a", ["a"]),
        ("the The", ["the", "the"]),
        ("well-known U.S. man's", ["wellknown", "us", "mans"]),
        ("李白，字太白", ["李", "白", "字", "太", "白"]),
        ("在2023年 in China", ["在", "2023", "年", "in", "china"]),
        ("ひらがな ok", ["ひ", "ら", "が", "な", "ok"]),
        ("ＡＢ　ｃ", ["ab", "c"]),
        ("?!", ["?!"]),
        ("", []),
        (" \n", []),
    ],
)
def test_tokens(text, expected):
    assert tokens(text) == expected


@pytest.mark.parametrize(
    ("reference", "text", "expected"),
    [
        ("Ross Geller", "ross geller.", 1.0),
        ("Ross Geller", "Ross", 2 / 3),
        ("Ross Geller", "It was Ross Geller who", 4 / 7),
        ("Ross Geller", "Ross Ross", 0.5),
        ("Ross Geller", "Monica", 0.0),
        ("Ross Geller", "", 0.0),
        ("the", "the", 1.0),
        ("the", "a", 0.0),
        ("唐代诗人李白", "李白", 2 * 2 / 8),
        ("李白", "杜甫", 0.0),
    ],
)
def test_grades(reference, text, expected):
    result = grade(make_item("token_f1", reference, chance=0.125), said(text))
    assert result.grade == pytest.approx(expected)
    assert result.chance == 0.125


def test_the_best_reference_counts():
    item = replace(make_item("token_f1", "in the kitchen"), references=("the kitchen table", "kitchen"))
    assert grade(item, said("kitchen")).grade == 1.0
    assert grade(item, said("kitchen table")).grade == 1.0
    assert grade(item, said("in kitchen")).grade == 1.0


def test_f1_is_symmetric_and_bounded():
    assert f1(["a", "b"], ["b"]) == f1(["b"], ["a", "b"]) == 2 / 3
    assert f1([], []) == 1.0
    assert f1([], ["a"]) == 0.0


def test_a_prediction_without_text_is_an_error():
    with pytest.raises(InputError, match="item-1"):
        grade(make_item("token_f1", "red"), said(None))
