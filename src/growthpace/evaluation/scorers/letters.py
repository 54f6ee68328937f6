"""Letters: one or more right answers among any number of lettered options, such as the paper's ethics items.

The generated text is read as a set of letters and must be the right set. Chance is 1/(2^n - 1) for n options: a
uniform guesser picks one of the non-empty sets (the paper's released code presumed that the number of right letters is
known and crashed for more than four options, fault B20).
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from growthpace.errors import InputError
from growthpace.evaluation.scorers.base import Grade, generated_text
from growthpace.evaluation.scorers.letter import ANNOUNCEMENT, plain_letters

NAME = "letters"
VERSION = 1
NEEDS = "generation"
END_OF_TURN = False


@lru_cache(maxsize=64)
def _patterns(letters: tuple[str, ...]) -> dict[str, re.Pattern]:
    one = "(?:" + "|".join(re.escape(letter) for letter in letters) + ")"
    join = r"(?:[ \t\"'()\[\]{}、,;/&+|\-]|\.(?! )|和|与|及|以及|还有|\band\b|选项|项)*"
    run = rf"(?<![A-Za-z0-9])(?P<run>{one}(?:{join}{one})*)(?![A-Za-z0-9'])"
    return {
        "one": re.compile(one),
        "any": re.compile(one, re.IGNORECASE),
        "run": re.compile(rf"{run}(?!(?<=[AI])\s+(?!(?:are|is|because)\b)[a-z])"),
        "announced": re.compile(rf"(?i:{ANNOUNCEMENT}){run}"),
        "label": re.compile(rf"^[\s\-*•(\[]*(?P<run>{one})\s*[).:、\]]", re.MULTILINE),
        "whole": re.compile(rf"\W*{one}(?:(?:\W|和|与|及|还有|\band\b|选项|项)*{one})*\W*"),
        "whole_small": re.compile(rf"\W*{one}(?:(?:[\s,、;]|\band\b)+{one})*\W*", re.IGNORECASE),
    }


def parse_letters(text: str, letters: Sequence[str]) -> str:
    """The letters that a text gives as its answer, each once, in the order of `letters`; '' where none are clear.

    In this order: a text of nothing but letters ("AC", "A、C", "a, c"), the letters after the last announcement
    ("答案是A和C。") or labelling the lines after it, letters that label two or more lines, the only group of letters
    in the text.
    """
    if not letters:
        return ""
    patterns = _patterns(tuple(letters))
    text = plain_letters(text).strip()

    def as_set(run: str) -> str:
        found = {letter.casefold() for letter in patterns["any"].findall(run)}
        return "".join(letter for letter in letters if letter.casefold() in found)

    if patterns["whole"].fullmatch(text) or patterns["whole_small"].fullmatch(text):
        return as_set(re.sub(r"\band\b", " ", text))
    if announced := list(patterns["announced"].finditer(text)):
        match = announced[-1]
        labels = [label["run"] for label in patterns["label"].finditer(text[match.start("run") :])]
        if len(as_set(match["run"])) > 1 or len(labels) < 2 or labels[0] != match["run"]:
            labels = patterns["one"].findall(match["run"])
        return as_set("".join(labels))
    labels = [match["run"] for match in patterns["label"].finditer(text)]
    if len(labels) > 1:
        return as_set("".join(labels))
    groups = {as_set("".join(patterns["one"].findall(match["run"]))) for match in patterns["run"].finditer(text)}
    return groups.pop() if len(groups) == 1 else ""


def grade(item, prediction) -> Grade:
    """1 if the letters of the text are exactly the item's, else 0; `parsed` is those letters in the options' order.

    Raises `InputError` naming the item for a prediction without text, an item without candidates, or an answer that
    is not among them.
    """
    answer = set(item.answer)
    if not answer or not answer <= set(item.candidates):
        raise InputError(f"item {item.id!r}: the answer {item.answer!r} is not among {list(item.candidates)}")
    parsed = parse_letters(generated_text(item, prediction), item.candidates)
    return Grade(float(set(parsed) == answer), 1 / (2 ** len(item.candidates) - 1), parsed)
