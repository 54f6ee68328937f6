"""Cloze: the generated word or phrase is the reference, but for case, spacing, punctuation and announcements.

"答案：李白。", "The answer is "Li Bai"." and "李白" all say 李白 (the paper's released code read the first as "答案：",
fault B21). Chance is 0: a phrase cannot be guessed.
"""

import re

from growthpace.evaluation.answer_text import OPENING, STATEMENT, normalise_phrase, plain
from growthpace.evaluation.scorers.base import Grade, generated_text

NAME = "cloze"
VERSION = 1
NEEDS = "generation"
END_OF_TURN = False

_ANNOUNCEMENT = re.compile(
    rf"(?:{STATEMENT}|(?:空格?处?|横线处?|括号里?|这里|此处)(?:应该|应当|应|可以|可)?填(?:写|入|的是)?\s*(?:为|是)?\s*:?|^\s*应?填(?:写|入)?\s*:?"
    rf"|\bthe\s+(?:missing|blank)\s+(?:words?|phrases?)?\s*(?:is|are)\s*:?){OPENING}",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[。!?;](?=.)|\.(?=\s)")


def parse_cloze(text: str) -> str:
    """The line with the answer: what follows the last announcement that something follows, else the first line.

    NFKC, without surrounding spaces; empty for an empty text.
    """
    text = plain(text).strip()
    for announcement in reversed(list(_ANNOUNCEMENT.finditer(text))):
        rest = text[announcement.end() :].strip()
        if normalise_phrase(rest):
            text = rest
            break
    return text.splitlines()[0].strip() if text else ""


def grade(item, prediction) -> Grade:
    """1 if the answer's line, or its first sentence where an explanation follows, is the reference, else 0.

    `parsed` is the normalised phrase that was compared. Raises `InputError` for a prediction without text.
    """
    text = generated_text(item, prediction)
    line = parse_cloze(text)
    reference = normalise_phrase(item.answer)
    # The whole text and the whole line come first: a reference may hold an announcement or a full stop itself.
    for reading in (text, line):
        if normalise_phrase(reading) == reference:
            return Grade(1.0, 0.0, reference)
    parsed = normalise_phrase(_SENTENCE_END.split(line, maxsplit=1)[0])
    return Grade(float(parsed == reference), 0.0, parsed)
