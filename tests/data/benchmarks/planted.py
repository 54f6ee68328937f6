"""A planted model: predictions that are right for a known share of any suite's items, whatever scores them."""

from __future__ import annotations

from collections.abc import Sequence

from growthpace.data.items import Item
from growthpace.evaluation.predictions import Prediction
from growthpace.evaluation.scorers import SCORERS

WRONG = {
    "math": "The answer is 123456789.",
    "exact_match": "nothing of the kind",
    "token_f1": "",
    "cloze": "nothing of the kind",
    "code": "def nothing(): pass\n",
}
"""Texts that are right for no item."""


def predictions(items: Sequence[Item], right: int) -> list[Prediction]:
    """Predictions of the items, of which the first `right` are right and all others wrong.

    Right answers to be generated are the items' own references, as they stand in their last message: a model that had
    learned them by heart. Candidates get log-probabilities that favour the right one, or the one after it.
    """
    return [_prediction(item, number < right) for number, item in enumerate(items)]


def _prediction(item: Item, right: bool) -> Prediction:
    text: str | None = None
    logprobs: tuple[float, ...] = ()
    if SCORERS[item.scorer].NEEDS == "candidates":
        chosen = item.candidates.index(item.answer)
        chosen = chosen if right else (chosen + 1) % len(item.candidates)
        logprobs = tuple(-0.5 if index == chosen else -2.0 for index in range(len(item.candidates)))
    else:
        text = item.messages[-1].content if right else WRONG[item.scorer]
    return Prediction(
        item_id=item.id,
        text=text,
        finished=None if text is None else True,
        logprobs=logprobs,
        tokens=tuple(1 for _ in logprobs),
        prompt_tokens=1,
        generated_tokens=0 if text is None else 1,
        cut_tokens=0,
        prompt_hash="0" * 16,
    )
