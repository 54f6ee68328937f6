from dataclasses import replace

import pytest
from hypothesis import given
from scoring import ANY_TEXT, fuzz, grade, make_item, said

from growthpace.errors import InputError


@pytest.mark.parametrize(
    ("reference", "text", "expected"),
    [
        ("red", "red", 1.0),
        ("red", " Red. ", 1.0),
        ("red", "“RED”", 1.0),
        ("red", "ｒｅｄ！", 1.0),
        ("dark red", "dark\n  red", 1.0),
        ("红色", "红色。", 1.0),
        ("U.S.", "u.s", 1.0),
        ("50%", "50%。", 1.0),
        ("C++", "c++.", 1.0),
        ("!", "!", 1.0),
        ("red", "reddish", 0.0),
        ("red", "it is red", 0.0),
        ("dark red", "darkred", 0.0),
        ("well-known", "well known", 0.0),
        ("-5", "5", 0.0),
        ("50%", "50", 0.0),
        (".5", "5", 0.0),
        ("!", "?", 0.0),
        ("red", "", 0.0),
    ],
)
def test_comparison(reference, text, expected):
    assert grade(make_item("exact_match", reference), said(text)).grade == expected


def test_any_reference_is_right():
    item = replace(make_item("exact_match", "red"), references=("Crimson", "scarlet."))
    assert [grade(item, said(text)).grade for text in ("red", "crimson.", "Scarlet", "rose")] == [1, 1, 1, 0]


def test_chance_is_the_items_own():
    result = grade(make_item("exact_match", "red", chance=1 / 6), said("blue."))
    assert (result.chance, result.parsed) == (1 / 6, "blue")


def test_a_prediction_without_text_is_an_error():
    with pytest.raises(InputError, match="item-1"):
        grade(make_item("exact_match", "red"), said(None))


@fuzz
@given(ANY_TEXT, ANY_TEXT)
def test_no_text_breaks_the_scorer(reference, text):
    item = make_item("exact_match", reference)
    assert grade(item, said(text)).grade in (0.0, 1.0)
    assert grade(item, said(reference)).grade == 1.0
