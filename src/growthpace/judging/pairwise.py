"""Which ways an answer is shown to the judge: alone, or beside the item's reference answer in both orders."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from growthpace.data.items import Item
from growthpace.endpoint.requests import Request
from growthpace.errors import InputError
from growthpace.evaluation.judgements import ALONE, ANSWER_FIRST, REFERENCE_FIRST
from growthpace.evaluation.predictions import Prediction
from growthpace.judging.prompts import model_answers, reference_answers, request_of
from growthpace.study import Judge


@dataclass(frozen=True)
class Question:
    """One request with what it is about."""

    item: Item
    shown: str
    """ALONE, ANSWER_FIRST or REFERENCE_FIRST."""
    second_pass: bool
    request: Request


def questions(judge: Judge, items: Iterable[Item], predictions: dict[str, Prediction]) -> Iterator[Question]:
    """All that the judge is asked about these items; predictions by the id of their item.

    Raises `InputError` naming an item whose prediction is missing or does not fit it, and in pairs an item without a
    reference answer.
    """
    for item in items:
        if item.id not in predictions:
            raise InputError(f"item {item.id!r}: there is no prediction to judge")
        answers = model_answers(item, predictions[item.id])
        passes = 2 if in_second_pass(item, judge.second_pass) else 1
        for repeat in range(passes):
            for shown, material in _ways(judge, item, answers):
                name = f"item {item.id!r}, {shown}"
                yield Question(item, shown, repeat > 0, request_of(judge, item, material, repeat, name))


def _ways(judge: Judge, item: Item, answers: list[str]) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    if judge.mode == "pointwise":
        return [(ALONE, [("", answers)])]
    reference = reference_answers(item)
    if not reference:
        raise InputError(
            f"item {item.id!r} ({item.origin}): judge.mode: pairwise, but the item has no reference answer to compare "
            "with (one to every turn; allowed: mode: pointwise)"
        )
    return [
        (ANSWER_FIRST, [("first", answers), ("second", reference)]),
        (REFERENCE_FIRST, [("first", reference), ("second", answers)]),
    ]


def in_second_pass(item: Item, share: float) -> bool:
    """Whether an item is judged twice: the share of items whose id's hash is lowest, the same at every checkpoint."""
    return int(hashlib.sha256(item.id.encode()).hexdigest()[:12], 16) < share * 16**12
