"""Reading generated answers: what English and Chinese answers have in common, whatever scores them.

Only the standard library: scorers are imported when a Snakefile is parsed.
"""

from __future__ import annotations

import re
import unicodedata

STATEMENT = (
    # "The answer is", "the final answer to this question is:", "Answer:"; not "the answer is not" or "isn't".
    r"\banswers?\b(?:\s+(?:to|for|of)\b[^.:=\n]{0,60}?)?"
    r"(?:\s+(?:is|are|was|were|(?:would|should|must|will)\s+be|equals)\b(?!n't|\s+not\b)\s*[:=]?|\s*[:=])"
    # "答案是", "答案应该为:", "【答案】", "答案选"; not "答案是否".
    r"|答案\s*[】\])]\s*:?"
    r"|答案(?:应该|应当|应|就|便|只能|都)?(?:(?:选择|选|填写|填|是(?!否)|为|等于)\s*:?|\s*[:=])"
    # "答:他有5个", "回答:李白"
    r"|答\s*:"
)
"""Regular expression of the words that announce an answer, for text that went through `plain` (so `：` is `:`)."""

OPENING = r"[\s\"'`“”‘’「『《〈【〔(\[{<$*_~]*+"
"""What may stand between an announcement and the answer. Possessive, so that a long run of it is read only once."""


def plain(text: str) -> str:
    """The text in Unicode NFKC (full-width forms become narrow ones), with straight apostrophes, no bold marks, and one
    space or line end for each run of them (or patterns with several optional spaces would take for ever on long runs).
    """
    text = unicodedata.normalize("NFKC", text).replace("’", "'").replace("‘", "'")
    text = re.sub(r"\s+", lambda run: "\n" if "\n" in run[0] or "\r" in run[0] else " ", text)
    # `**` between digits is a power, not a bold mark.
    return re.sub(r"(?<![\w)\]}*])\*\*(?!\*)([^*\n]+)\*\*(?!\*)", r"\1", text)


def normalise_phrase(text: str) -> str:
    """A phrase without case, punctuation and the spaces that mean nothing; numbers keep their sign and point.

    Words stay apart ("a part" is not "apart"), Chinese characters do not. Text of punctuation alone stays as it is.
    """
    text = plain(text).casefold().strip()
    kept = []
    for position, character in enumerate(text):
        if unicodedata.category(character)[0] not in "PCZ" or (
            # A minus, a decimal point or a percent sign is part of a number, where leaving it out changes its value.
            (character in ".-" and text[position + 1 : position + 2].isdigit() and _may_sign(text, position))
            or (character == "%" and text[position - 1 : position].isdigit())
        ):
            kept.append(character)
        else:
            kept.append(" ")
    phrase = " ".join("".join(kept).split())
    # A space counts only between two words of an alphabet.
    phrase = re.sub(r"(?<=[^\x00-\u02ff]) | (?=[^\x00-\u02ff])", "", phrase)
    return phrase or "".join(text.split())


def _may_sign(text: str, position: int) -> bool:
    before = text[position - 1 : position] if position else ""
    return before.isdigit() if text[position] == "." and before else not before or before.isspace()


def normalise_exact(text: str) -> str:
    """The text in NFKC without case, with single spaces and without surrounding punctuation.

    A sign before a digit and a percent sign after one stay. Text of punctuation alone stays as it is.
    """
    text = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    start, end = 0, len(text)
    while start < end and _is_edge(text[start]) and not (text[start] in "-." and text[start + 1 : start + 2].isdigit()):
        start += 1
    while end > start and _is_edge(text[end - 1]) and not (text[end - 1] == "%" and text[end - 2 : end - 1].isdigit()):
        end -= 1
    return text[start:end] or text


def _is_edge(character: str) -> bool:
    return character.isspace() or unicodedata.category(character)[0] == "P"
