"""How an item can be scored, told from its question and its reference answer.

The publishers of instruction data seldom say how an answer is to be compared. These rules are the paper's formats
(`letter`, `letters`, `true_false`, `cloze`), read from the text; the importers apply them to items of labelled sources
and suites. What no rule knows is `none`: it can be trained on, not evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from growthpace.data.items import Item, Message


@dataclass(frozen=True)
class Scoring:
    """The fields of an `Item` that say how it is scored."""

    scorer: str = "none"
    answer: str = ""
    candidates: tuple[str, ...] = ()
    chance: float = 0.0


UNSCORED = Scoring()

TRUE_FALSE = (
    ("正确", "错误"),
    ("对", "错"),
    ("是", "否"),
    ("√", "×"),
    ("True", "False"),
    ("true", "false"),
    ("TRUE", "FALSE"),
    ("Yes", "No"),
    ("yes", "no"),
    ("YES", "NO"),
    ("T", "F"),
)
"""Pairs of words that answer a yes-or-no question, the affirming one first."""

LONGEST_CLOZE = 40
"""Characters of a reference that still counts as a blank to fill in: a name, a phrase, a line of a poem."""

_BEFORE = r"(?<![A-Za-z0-9.'’\-])"
_STYLES = {
    "dot": re.compile(_BEFORE + r"([A-Z])\s?[.．、]"),
    "bracket": re.compile(_BEFORE + r"[(（\[【]?([A-Z])[)）\]】]"),
    "colon": re.compile(_BEFORE + r"([A-Z])\s?[:：]"),
    "mixed": re.compile(_BEFORE + r"[(（\[【]?([A-Z])\s?[)）\]】.．、:：]"),
    "bare": re.compile(r"(?m)^[ \t　]*([A-Z])(?:[ \t　]+|(?=[一-鿿]))"),
}
"""Ways in which option letters are written, in the order of trust: `A.` before `A:`, which may be a speaker."""

_LETTERS = re.compile(
    r"(?:答案|[Aa]nswer)?\s*[是为:：]?\s*[(（\[]?\s*([A-Z](?:[\s,，、;；&()（）\[\]和与及]*(?:and\s+)?[A-Z])*)\s*[)）\]]?\s*[.。]?"
)


def options(question: str, wanted: str) -> str:
    """The option letters of a question, such as `ABCD`; empty where none are found.

    Options are letters from A on, written as `A.`, `A、`, `(A)`, `A)`, `A:` or at the beginning of lines, each
    followed by its text. Of several ways found in one question the most trusted one that has the `wanted` letters
    counts, so that speakers called A and B, or a vitamin C, are not taken for options.
    """
    return _options(question, wanted)[0]


def before_options(question: str, wanted: str) -> str:
    """What a question says before its options (see `options`); empty where it has none."""
    letters, start = _options(question, wanted)
    return question[:start].rstrip() if set(wanted) <= set(letters) else ""


def _options(question: str, wanted: str) -> tuple[str, int]:
    """The option letters and where the first stands; ("", 0) where there are none."""
    found = ("", 0)
    for style, pattern in _STYLES.items():
        anywhere = _run(question, pattern)
        # Options on lines of their own: a letter within the last option's text (`D. growth of E. coli`) is none.
        at_lines = _run(question, pattern, lines=True) if style != "bare" else ("", 0)
        letters, start = at_lines if len(at_lines[0]) >= 4 else anywhere
        if len(letters) >= 2:
            if set(wanted) <= set(letters):
                return letters, start
            found = found if found[0] else (letters, start)
    return found


def _run(question: str, pattern: re.Pattern, lines: bool = False) -> tuple[str, int]:
    """The longest A, B, C, ... among the letters that `pattern` finds, each with a text of its own, and where it
    begins."""
    matches = [
        m for m in pattern.finditer(question) if not lines or not question[: m.start()].rpartition("\n")[2].strip()
    ]
    longest, start = 0, 0
    for first, match in enumerate(matches):
        if match[1] != "A":
            continue
        length, end = 1, match.end()
        for later in matches[first + 1 :]:
            if ord(later[1]) == ord("A") + length and question[end : later.start()].strip():
                length, end = length + 1, later.end()
        if not question[end:].strip():
            length -= 1  # a letter that ends the question has no text: `C. vitamin D.`
        if length > longest:
            longest, start = length, match.start()
    return "".join(chr(ord("A") + n) for n in range(longest)), start


def question_of(messages: Iterable[Message]) -> str:
    """The user's last turn, where the question of an item stands."""
    return next((m.content for m in reversed(tuple(messages)) if m.role == "user"), "")


def scoring_of(messages: tuple[Message, ...], several: bool = False) -> tuple[Scoring, str]:
    """How an item is scored, and what is wrong with it (empty: nothing).

    `several`: the question may have several right options, so one letter too is a set. The chance of a set is that of
    a uniform guess among the non-empty sets of n options, 1 / (2^n - 1). A question that has options, but not the
    answer's letter, is described in the second value and comes as `none`.
    """
    reference = messages[-1].content.strip()
    question = question_of(messages[:-1])
    match = _LETTERS.fullmatch(reference)
    if match:
        letters = re.sub(r"[^A-Z]", "", re.sub(r"and\s", "", match[1]))
        found = options(question, letters)
        if not found or not set(letters) <= set(found):
            # a question may stand in an earlier turn, with the last one only asking for the answer
            earlier = options("\n".join(m.content for m in messages[:-1] if m.role == "user"), letters)
            found = earlier if set(letters) <= set(earlier) else found
        if found and set(letters) <= set(found) and len(set(letters)) == len(letters):
            if several or len(letters) > 1:
                answer = "".join(sorted(letters))
                return Scoring("letters", answer, tuple(found), 1 / (2 ** len(found) - 1)), ""
            return Scoring("letter", letters, tuple(found), 1 / len(found)), ""
        if found and (several or (len(letters) == 1 and letters not in "TF")):
            return UNSCORED, f"the answer {letters!r} is no choice of the question's options ({', '.join(found)})"
    word = reference.rstrip("。.!！")
    for pair in TRUE_FALSE:
        if word in pair:
            return Scoring("true_false", word, pair, 1 / 2), ""
    if match and (several or len(letters) == 1):
        return UNSCORED, ""  # a letter without options: not a word to fill in
    if 0 < len(reference) <= LONGEST_CLOZE and "\n" not in reference:
        return Scoring("cloze", reference, (), 0.0), ""
    return UNSCORED, ""


def told_item(messages: tuple[Message, ...], ability: str, labelled: bool, origin: str, identifier: str = "") -> Item:
    """An item whose scoring, if its source is labelled, is told from its reference; else it only trains."""
    scoring = scoring_of(messages)[0] if labelled and messages else UNSCORED
    return Item(
        id=identifier,
        ability=ability,
        messages=messages,
        scorer=scoring.scorer,
        answer=scoring.answer,
        candidates=scoring.candidates,
        chance=scoring.chance,
        origin=origin,
    )
