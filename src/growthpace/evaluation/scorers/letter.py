"""Letter: one right answer among 2 to 26 lettered options.

The options' letters are compared by summed log-probability. Where a prediction has a text instead, the letter is read
from the text itself (the paper's released code took it from the last generated token, fault B11).
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from growthpace.errors import InputError
from growthpace.evaluation.answer_text import OPENING, STATEMENT, plain
from growthpace.evaluation.scorers.base import Grade, best_candidate, right_candidate

NAME = "letter"
VERSION = 1
NEEDS = "candidates"
END_OF_TURN = False

ANNOUNCEMENT = (
    rf"(?:{STATEMENT}|(?<![不能可])(?:故选|应选|选择|选项?(?:是|为)|选)\s*:?|\b(?:choose|chose|pick|select)(?:s|ed)?\b"
    r"|(?<!不)(?:应该|应)(?:是|为)|而是|\b(?:it|this)\s+(?:is|must be)|\bit's)"
    rf"{OPENING}(?:\b(?:option|choice)\b|选项|选)?{OPENING}"
)
"""Words after which a letter is the answer."""


def plain_letters(text: str) -> str:
    """The text for letter parsers: `plain`, with `\\boxed{B}` spelt out as an announcement and \\text{} unwrapped."""
    text = re.sub(r"\\(?:text|textbf|mathrm|mathbf)\s*\{([^{}]*)\}", r"\1", plain(text))
    return re.sub(r"\\(?:boxed|fbox)\s*\{([^{}]*)\}", r" answer: \1 ", text)


@lru_cache(maxsize=64)
def _patterns(letters: tuple[str, ...]) -> dict[str, re.Pattern]:
    one = "(?:" + "|".join(re.escape(letter) for letter in sorted(letters, key=len, reverse=True)) + ")"
    alone = rf"(?<![A-Za-z0-9]){one}(?![A-Za-z0-9'])"
    small = rf"(?<![A-Za-z0-9])(?i:{one})(?=\s*(?:[).:,]|$))"
    wrong = r"(?:不对|不正确|错误|错|is\s+wrong|is\s+incorrect|is\s+false|is\s+not|isn't|is\s+n't)"
    return {
        "announced": re.compile(rf"(?i:{ANNOUNCEMENT})(?P<letter>{alone}|{small})"),
        "another": re.compile(rf"\s*(?:和|与|及|或者?|、|,|&|/|\+|\band\b|\bor\b)\s*[(\[]?{alone}"),
        # "B", "B. Beijing", "(B)", "B 北京", but not the article of "A man".
        "leading": re.compile(
            rf"^[^\w]*(?:(?:option|choice|选项)\s*)?(?P<letter>{alone}|(?i:{one})(?=\s*[).:]|\s*$))"
            r"(?=\s*(?:$|[^\w\s'])|\s*\n|\s*[^\x00-\u02ff]|\s+(?:because|since|as)\b)"
        ),
        "correct": re.compile(
            rf"(?P<letter>{alone})\W?\s*(?i:(?:选项|项)?\s*(?:is|是)?\s*(?:the)?\s*(?:correct|right|true|最?正确|对))"
        ),
        "negated": re.compile(
            rf"(?:不是|不选|不能选|排除|而非|并非|\bnot|n't(?:\s+be)?|\bexclude|\brule\s+out|\beliminate)\s*(?:option|选项)?"
            rf"\s*[(\"]?{alone}|{alone}[)\]】\"]?\s*(?:选项|项)?\s*(?:是)?\s*{wrong}",
        ),
        "alone": re.compile(rf"(?P<letter>{alone})(?!(?<=[AI])\s+(?!(?:and|or|is|because)\b)[a-z])"),
        "whole": re.compile(rf"\W*(?P<letter>{one})\W*", re.IGNORECASE),
    }


def parse_letter(text: str, letters: Sequence[str]) -> str:
    """The one letter that a text gives as its answer, or '' where it gives none, several or another letter.

    In this order: the last letter after an announcement ("答案是B", "The answer is (B)."), a letter that leads the text
    ("B. Beijing"), the only letter called correct, the only letter that stands alone. Negated letters are left out.
    """
    if not letters:
        return ""
    text = plain_letters(text).strip()
    spelt = {letter.casefold(): letter for letter in letters}
    patterns = _patterns(tuple(letters))
    if match := patterns["whole"].fullmatch(text):
        return spelt[match["letter"].casefold()]
    if announced := list(patterns["announced"].finditer(text)):
        match = announced[-1]
        return "" if patterns["another"].match(text, match.end()) else spelt[match["letter"].casefold()]
    text = patterns["negated"].sub(" ", text)
    if match := patterns["leading"].match(text):
        return "" if patterns["another"].match(text, match.end("letter")) else spelt[match["letter"].casefold()]
    for kind in ("correct", "alone"):
        found = {match["letter"] for match in patterns[kind].finditer(text)}
        if len(found) == 1:
            return spelt.get(found.pop().casefold(), "")
    return ""


def grade(item, prediction) -> Grade:
    """1 if the right letter has strictly the highest log-probability (or is what the text says), else 0.

    `parsed` is the chosen letter, '' on a tie. Chance is 1/(number of options). Raises `InputError` naming the item
    for a NaN, a wrong number of log-probabilities, or fewer than 2 or more than 26 options.
    """
    count = len(item.candidates)
    if not 2 <= count <= 26:
        raise InputError(f"item {item.id!r}: {count} options (allowed: 2 to 26)")
    answer = item.candidates[right_candidate(item)]
    if prediction.text is not None and not prediction.logprobs:
        parsed = parse_letter(prediction.text, item.candidates)
    else:
        best = best_candidate(item, prediction.logprobs)
        parsed = "" if best is None else item.candidates[best]
    return Grade(float(parsed == answer), 1 / count, parsed)
