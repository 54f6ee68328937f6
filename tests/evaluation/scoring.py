"""Small items and predictions for the tests of scorers, and the simulation of a uniform guesser."""

import math

from hypothesis import settings
from hypothesis import strategies as st

from growthpace.data.items import Item, Message
from growthpace.evaluation.predictions import Prediction
from growthpace.evaluation.scorers import SCORERS

GUESSES = 20_000
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

ANY_TEXT = st.text(max_size=200) | st.lists(
    st.sampled_from(
        [*"ABCDabcd0123456789.,;:。，：；!?()[]{}$%^/*+-=<>|\\ \n\t\"'“”", "答案", "答案是", "不", "正确", "错误",
        "选", "是", "否", "和",
        "the answer is", "not", "true", "false", "\\boxed{", "\\frac{", "\\sqrt", "####", "**", "9^9", "√", "½", "²",
        "百分之", "万"]
    ),
    max_size=40,
).map("".join)  # fmt: skip
"""Any text at all, and texts of what the parsers look for in any order."""

fuzz = settings(max_examples=150, deadline=None)


def make_item(scorer: str, answer: str, candidates=(), chance: float = 0.0, id: str = "item-1") -> Item:
    messages = (Message("user", "问题"), Message("assistant", answer or "?"))
    return Item(id, "ability", messages, scorer, answer, tuple(candidates), chance)


def said(text: str | None, id: str = "item-1") -> Prediction:
    """A prediction with a generated text."""
    return Prediction(id, text, True, (), (), 5, 3, 0, "0" * 16)


def scored(*logprobs: float, tokens=None, id: str = "item-1") -> Prediction:
    """A prediction with the log-probabilities of candidates."""
    return Prediction(id, None, None, logprobs, tuple(tokens or [1] * len(logprobs)), 5, 0, 0, "0" * 16)


def grade(item: Item, prediction: Prediction):
    result = SCORERS[item.scorer].grade(item, prediction)
    assert 0 <= result.grade <= 1
    assert 0 <= result.chance <= 1
    assert isinstance(result.parsed, str)
    return result


def assert_chance(grades: list[float], chance: float) -> None:
    """The mean of the guesser's grades lies within three standard errors of the chance that was stated."""
    standard_error = math.sqrt(chance * (1 - chance) / len(grades))
    assert abs(sum(grades) / len(grades) - chance) <= 3 * standard_error
