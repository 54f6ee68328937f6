"""Exact match: the generated text is the reference, but for case, spacing and surrounding punctuation.

Chance is the item's own: only who made the item knows how many answers there are to guess from.
"""

from growthpace.evaluation.answer_text import normalise_exact
from growthpace.evaluation.scorers.base import Grade, generated_text

NAME = "exact_match"
VERSION = 1
NEEDS = "generation"
END_OF_TURN = False


def grade(item, prediction) -> Grade:
    """1 if the normalised text equals the normalised answer, else 0; `parsed` is the normalised text.

    Raises `InputError` for a prediction without text.
    """
    parsed = normalise_exact(generated_text(item, prediction))
    return Grade(float(parsed == normalise_exact(item.answer)), item.chance, parsed)
