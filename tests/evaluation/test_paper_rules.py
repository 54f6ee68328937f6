"""The released code's rules, fault by fault. Whole agreement with that code was tried on 300,000 made-up texts."""

from dataclasses import replace

import pytest
from scoring import make_item, said, scored

from growthpace.errors import InputError
from growthpace.evaluation import paper_math
from growthpace.evaluation.paper_rules import GRADES
from growthpace.evaluation.scorers import SCORERS


def both(item, text, logprobs=()):
    """(grade by the released rule, grade by ours) of a text."""
    prediction = replace(said(text), logprobs=tuple(logprobs), tokens=(1,) * len(logprobs))
    return GRADES[item.scorer](item, prediction).grade, SCORERS[item.scorer].grade(item, said(text)).grade


@pytest.mark.parametrize(
    ("text", "last_step", "parsed"),
    [
        ("B", (), "B"),
        (" B\n", (), "B"),
        ("b", (), "E"),
        ("E", (), "E"),
        ("答案是B", (-1.0, -2.0, -3.0, -4.0), "A"),
        ("答案是B", (-4.0, -1.0, -3.0, -4.0), "B"),
        ("答案是B", (-1.0, -1.0, -3.0, -4.0), "A"),
        ("", (-4.0, -3.0, -2.0, -1.0), "D"),
    ],
)
def test_b11_longer_answers_are_not_read(text, last_step, parsed):
    item = make_item("letter", "B", "ABCD")
    prediction = replace(said(text), last_step=last_step)
    result = GRADES["letter"](item, prediction)
    assert (result.parsed, result.grade, result.chance) == (parsed, float(parsed == "B"), 0.25)
    assert GRADES["letter"](make_item("letter", "B", "ABC"), said("B")).chance == 0.33


def test_b11_needs_the_last_step():
    with pytest.raises(InputError, match=r"item-1.*by the last generated step, which the prediction lacks"):
        GRADES["letter"](make_item("letter", "B", "ABCD"), said("答案是B"))


def test_b13_a_tie_of_perplexities_is_a_success():
    item = make_item("perplexity", "x", "xyz")
    assert GRADES["perplexity"](item, scored(-2.0, -2.0, -3.0)).grade == 1.0
    assert SCORERS["perplexity"].grade(item, scored(-2.0, -2.0, -3.0)).grade == 0.0
    assert GRADES["perplexity"](item, scored(-2.0, -1.0, -3.0)).grade == 0.0
    assert GRADES["perplexity"](item, scored(float("nan"), -1.0, -3.0)).grade == 0.0
    with pytest.raises(InputError, match="takes 3"):
        GRADES["perplexity"](make_item("perplexity", "x", "xy"), scored(-1.0, -2.0))


@pytest.mark.parametrize(("reference", "text"), [("5", "5.0"), ("1000", "1,000"), ("2,3", "3,2"), ("0.25", "1/4")])
def test_b17_plain_numbers_are_compared_as_texts(reference, text):
    assert both(make_item("math", reference), text) == (0.0, 1.0)
    assert both(make_item("math", reference), reference) == (1.0, 1.0)


def test_b18_a_fraction_after_a_word_is_its_last_number():
    assert paper_math.read_answer("答案为1/2") == "2"
    assert both(make_item("math", "1/2"), "答案为1/2") == (0.0, 1.0)
    assert both(make_item("math", "2"), "答案为1/2") == (1.0, 0.0)
    assert both(make_item("math", "1/2"), "1/2") == (1.0, 1.0)
    assert both(make_item("math", r"\frac{1}{2}"), "0.5") == (1.0, 1.0)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (r"so \boxed{x = 3}", "3"),
        (r"\fbox{3}", None),
        ("$x = 3$", "3"),
        (r"$\frac{3}{4}$或$-\frac{3}{4}$", r"\frac{3}{4}, -\frac{3}{4}"),
        ("3+4=7.", "7"),
        ("a sqrt(2)", "sqrt(2)"),
        ("the pair (1, 2)", "(1,2)"),
        ("about 12 apples", "12"),
        ("12apples", None),
        ("", None),
    ],
)
def test_what_the_released_code_reads(text, read):
    assert paper_math.read_answer(text) == read


@pytest.mark.parametrize(
    ("text", "released", "ours"),
    [("不正确", 0.0, 1.0), ("不对", 0.0, 1.0), ("错误", 1.0, 1.0), ("正确，不是错误", 0.0, 0.0), ("", 0.0, 0.0)],
)
def test_b19_a_negation_is_not_read(text, released, ours):
    assert both(make_item("true_false", "错误", ("正确", "错误")), text) == (released, ours)


def test_b19_knows_only_its_own_words():
    with pytest.raises(InputError, match=r"item-1.*'Yes'"):
        GRADES["true_false"](make_item("true_false", "Yes", ("Yes", "No")), said("Yes"))


def test_b20_any_capital_of_the_last_line_counts():
    item = make_item("letters", "AC", "ABCD")
    assert both(item, "AC") == (1.0, 1.0)
    assert both(item, "答案是A、C。\nBecause of it") == (0.0, 1.0)
    assert both(item, "B\nA Cat\n\n") == (1.0, 0.0)
    for right, chance in (("A", 1 / 4), ("AB", 1 / 6), ("ABCD", 1.0)):
        assert GRADES["letters"](make_item("letters", right, "ABCD"), said("A")).chance == chance
    with pytest.raises(InputError, match="5 right letters"):
        GRADES["letters"](make_item("letters", "ABCDE", "ABCDE"), said("A"))


def test_b21_the_announcement_is_the_answer():
    item = make_item("cloze", "李白")
    assert GRADES["cloze"](item, said("答案：李白")).parsed == "答案："
    assert both(item, "答案：李白") == (0.0, 1.0)
    assert both(item, "李白。") == (0.0, 1.0)
    assert both(item, "李白 ok") == (1.0, 0.0)
    assert GRADES["cloze"](item, said("Li Bai")).parsed == "Li Bai"


@pytest.mark.parametrize("scorer", ["letter", "true_false", "letters", "cloze", "math"])
def test_a_prediction_without_text_is_an_error(scorer):
    item = make_item(scorer, "A", "AB")
    with pytest.raises(InputError, match="item-1"):
        GRADES[scorer](item, said(None))
