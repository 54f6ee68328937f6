"""Token F1: how much of a phrase the answer has, word by word, as SQuAD's official evaluation counts it.

F1 = 2 P R / (P + R) = 2 n / (answer tokens + reference tokens), where n is the number of tokens that both have,
counted with repeats; P = n / answer tokens and R = n / reference tokens. 0 where n is 0. The grade is the best over
the item's answer and its other references.

Tokens: lower-case words without punctuation and without the articles a, an and the (Rajpurkar et al. 2016, arXiv
1606.05250, and the evaluation script of SQuAD 1.1); every Chinese or Japanese character is a token of its own, as in
CMRC 2018 (arXiv 1810.07366). Where nothing is left of a text so, an article or a punctuation mark, its words are what
stands there.

Chance is the item's own: only who made the item knows how many answers there are to guess from.
"""

import re
import unicodedata
from collections import Counter

from growthpace.evaluation.answer_text import plain
from growthpace.evaluation.scorers.base import Grade, generated_text

NAME = "token_f1"
VERSION = 1
NEEDS = "generation"
END_OF_TURN = False

_ARTICLES = ("a", "an", "the")
_ALONE = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])")


def tokens(text: str) -> list[str]:
    """The text's tokens, in order; none for a text without anything but spaces."""
    text = plain(text).casefold()
    # As in SQuAD's script punctuation vanishes and joins what it parted: "well-known" is one word, "U.S." is "us".
    kept = "".join(character for character in text if unicodedata.category(character)[0] not in "PC")
    words = _ALONE.sub(r" \1 ", kept).split()
    return [word for word in words if word not in _ARTICLES] or words or text.split()


def f1(answer: list[str], reference: list[str]) -> float:
    """F1 of two lists of tokens, in [0, 1]; 1 for two empty ones, 0 for one."""
    if not answer or not reference:
        return float(answer == reference)
    common = sum((Counter(answer) & Counter(reference)).values())
    return 2 * common / (len(answer) + len(reference))


def grade(item, prediction) -> Grade:
    """The best F1 with the item's answer and its references; `parsed` is the answer's tokens.

    Raises `InputError` for a prediction without text.
    """
    said = tokens(generated_text(item, prediction))
    best = max(f1(said, tokens(reference)) for reference in (item.answer, *item.references))
    return Grade(best, item.chance, " ".join(said))
