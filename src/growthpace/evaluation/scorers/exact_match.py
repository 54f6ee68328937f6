"""Exact match: the generated text is the answer or one of the item's other references, but for case, spacing and
surrounding punctuation.

Chance is the item's own: only who made the item knows how many answers there are to guess from.
"""

from growthpace.evaluation.answer_text import normalise_exact
from growthpace.evaluation.scorers.base import Grade, generated_text

NAME = "exact_match"
VERSION = 2
NEEDS = "generation"
END_OF_TURN = False


def grade(item, prediction) -> Grade:
    """1 if the normalised text equals the normalised answer or reference, else 0; `parsed` is the normalised text.

    Raises `InputError` for a prediction without text.
    """
    parsed = normalise_exact(generated_text(item, prediction))
    right = any(parsed == normalise_exact(reference) for reference in (item.answer, *item.references))
    return Grade(float(right), item.chance, parsed)
