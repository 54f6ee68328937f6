"""What every scorer has in common: the shape of a scorer, of a grade, and the strict comparison of candidates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from growthpace.errors import InputError

if TYPE_CHECKING:  # reading items and predictions needs pyarrow, which a Snakefile should not wait for
    from growthpace.data.items import Item
    from growthpace.evaluation.predictions import Prediction


@dataclass(frozen=True, slots=True)
class Grade:
    """What a prediction is worth."""

    grade: float | None
    """In [0, 1]; 1 is right. None where it is missing (scorer judge alone), which is not 0."""
    chance: float
    """Expected grade of a uniform guesser, in [0, 1]."""
    parsed: str
    """What was understood as the answer; empty when nothing was."""


class Scorer(Protocol):
    """One way to grade. Every module beside this one, but `base`, is a Scorer."""

    NAME: str
    """What an item's `scorer` says."""
    VERSION: int
    """To be raised with every change that can change a grade: grades of older versions are then made anew."""
    NEEDS: Literal["candidates", "generation"]
    """What a prediction holds: log-probabilities of the item's candidates, or a generated text."""
    END_OF_TURN: bool
    """Whether candidates are scored with their end-of-turn token."""

    @staticmethod
    def grade(item: Item, prediction: Prediction) -> Grade:
        """The prediction's grade. `InputError` naming the item when the prediction cannot be graded at all: a NaN,
        or the wrong number of candidates. An answer that makes no sense is worth 0, not an error."""
        ...


def best_candidate(item: Item, values: Sequence[float]) -> int | None:
    """Index of the strictly largest value, or None where the largest occurs twice: a tie is no success.

    `values` holds one number per candidate of the item, in nats; -inf is allowed. Raises `InputError` naming the item
    for another number of values, fewer than two candidates, a NaN or a +inf.
    """
    if len(values) != len(item.candidates) or len(values) < 2:
        raise InputError(
            f"item {item.id!r}: {len(values)} log-probabilities for {len(item.candidates)} candidates "
            "(one for each is needed, and at least two)"
        )
    for position, value in enumerate(values):
        if math.isnan(value) or value == math.inf:
            raise InputError(
                f"item {item.id!r}: the log-probability of the candidate {item.candidates[position]!r} is {value}"
            )
    largest = max(values)
    return values.index(largest) if values.count(largest) == 1 else None


def generated_text(item: Item, prediction: Prediction) -> str:
    """The prediction's text, or `InputError` naming the item where it has none."""
    if prediction.text is None:
        raise InputError(
            f"item {item.id!r}: the scorer {item.scorer!r} needs a generated text, the prediction has none"
        )
    return prediction.text


def right_candidate(item: Item) -> int:
    """Index of the item's answer among its candidates, or `InputError` naming the item."""
    if item.answer not in item.candidates:
        raise InputError(f"item {item.id!r}: the answer {item.answer!r} is not among {list(item.candidates)}")
    return item.candidates.index(item.answer)
