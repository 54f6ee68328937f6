"""How the paper's released code graded, faults and all, so that old numbers can be compared.

For suites with `paper_compatible: true`. The rules are those of `evaluate/` in the paper's repository (see
docs/scorers.md), told anew; faults are numbered as there. Scorers that the paper did not have keep their own rules.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from growthpace.errors import InputError
from growthpace.evaluation import paper_math
from growthpace.evaluation.scorers.base import Grade, generated_text

if TYPE_CHECKING:  # see scorers/base.py
    from growthpace.data.items import Item
    from growthpace.evaluation.predictions import Prediction

VERSION = 2
"""To be raised with every change that can change a grade, as a scorer's."""

TRUE_WORDS = ("正确", "对", "T", "√", "V")
FALSE_WORDS = ("错误", "错", "F", "×", "X")


def letter(item: Item, prediction: Prediction) -> Grade:
    """An answer of one character is that character; any other is the most probable of the tokens `A` to `D` at the last
    generated step, where the model ends its turn (B11, B25). Of equal ones the first counts. Chance is 0.33 for three
    options and 0.25 for any other number.

    Raises `InputError` naming the item where an answer of several characters comes without that step.
    """
    text = generated_text(item, prediction).strip()
    chance = 0.33 if len(item.candidates) == 3 else 0.25
    if len(text) == 1:
        parsed = text if text in "ABCD" else "E"
    elif len(prediction.last_step) != 4:
        raise InputError(
            f"item {item.id!r}: the released code graded an answer of several characters by the last generated step, "
            "which the prediction lacks; make it again with paper_compatible: true"
        )
    else:
        parsed = "ABCD"[max(range(4), key=prediction.last_step.__getitem__)]
    return Grade(float(parsed == item.answer), chance, parsed)


def true_false(item: Item, prediction: Prediction) -> Grade:
    """True where the text holds a word for true and none for false, and the other way round; else wrong.

    So "不正确" is true (B19). Raises `InputError` naming the item where its answer is none of those words.
    """
    text = generated_text(item, prediction).strip()
    if item.answer not in TRUE_WORDS + FALSE_WORDS:
        allowed = ", ".join(TRUE_WORDS + FALSE_WORDS)
        raise InputError(f"item {item.id!r}: the released code does not know the answer {item.answer!r} ({allowed})")
    says_true, says_false = (any(word in text for word in words) for words in (TRUE_WORDS, FALSE_WORDS))
    parsed = "" if says_true == says_false else "T" if says_true else "F"
    return Grade(float(parsed == ("T" if item.answer in TRUE_WORDS else "F")), 0.5, parsed)


def letters(item: Item, prediction: Prediction) -> Grade:
    """Every capital from A to F of the text's last line that is not empty; chance 1 / C(4, k) for k right ones (B20).

    Raises `InputError` naming the item for more than four right letters, where the released code crashes.
    """
    lines = [line for line in generated_text(item, prediction).split("\n") if line.strip()]
    found = set(re.findall("[A-F]", lines[-1] if lines else ""))
    right = set(re.findall("[A-F]", item.answer))
    ways = math.comb(4, len(right))
    if not ways:
        raise InputError(f"item {item.id!r}: {len(right)} right letters, where the released code crashes (allowed: 4)")
    return Grade(float(found == right), 1 / ways, "".join(sorted(found)))


def cloze(item: Item, prediction: Prediction) -> Grade:
    """The first run of Chinese characters with the punctuation that follows it, else the whole text (B21).

    So "答案：李白" is "答案：", and "李白。" is not 李白.
    """
    text = generated_text(item, prediction).strip()
    found = re.search(r"[\u4e00-\u9fff]+[^\w\s]*", text)
    parsed = found[0] if found else text
    return Grade(float(parsed == item.messages[-1].content), 0.0, parsed)


def mathematics(item: Item, prediction: Prediction) -> Grade:
    """As `paper_math` reads and compares (B17, B18)."""
    parsed = paper_math.read_answer(generated_text(item, prediction).strip())
    return Grade(float(paper_math.equal(parsed, item.answer)), 0.0, parsed or "")


def perplexity(item: Item, prediction: Prediction) -> Grade:
    """Right if no other of the three texts has a lower perplexity: an equal one does no harm (B13). Chance 1/3.

    Raises `InputError` naming the item for another number of texts.
    """
    if len(prediction.logprobs) != 3 or len(prediction.tokens) != 3 or min(prediction.tokens) < 1:
        raise InputError(f"item {item.id!r}: {len(prediction.logprobs)} texts with tokens (the released code takes 3)")
    means = [-total / count for total, count in zip(prediction.logprobs, prediction.tokens, strict=True)]
    lowest = min(means)  # of a NaN whatever Python's min makes of it, as there
    return Grade(float(lowest == means[0]), 1 / 3, str(means.index(lowest)) if lowest in means else "")


GRADES: dict[str, Callable[[Item, Prediction], Grade]] = {
    "letter": letter,
    "true_false": true_false,
    "letters": letters,
    "cloze": cloze,
    "math": mathematics,
    "perplexity": perplexity,
}
"""The released rule of each scorer that the paper had."""
