r"""Math: the last stated answer equals the reference as mathematics.

The answer is read from `\boxed{}`, `####`, "The answer is", "答案为" and their like, whichever comes last; where
nothing is announced, it is the text's last expression. Plain numbers are compared exactly, by value: "5.0" is 5,
"1,000" is 1000, "1/2" is 0.5 (the paper's released code compared strings and read "答案为1/2" as 2, faults B17 and
B18). Units and currencies are not compared. A percent sign, 万 or "million" counts, but may be missing on one side
("50%" is 0.5, and answers "how many percent?" as 50 does). A decimal with six or more places equals what rounds to it.
Everything else that looks like mathematics is left to math-verify (github.com/huggingface/Math-Verify), in a process
of its own.
"""

import re
import unicodedata

from growthpace.evaluation.answer_text import STATEMENT, plain
from growthpace.evaluation.mathematics import CURRENCY, DIGITS, MATHEMATICS, equivalent, number, squeezed
from growthpace.evaluation.scorers.base import Grade, generated_text

NAME = "math"
VERSION = 2
NEEDS = "generation"
END_OF_TURN = False


def grade(item, prediction) -> Grade:
    """1 if the text's final answer equals the reference, else 0; chance is 0. `parsed` is the final answer.

    Raises `InputError` for a prediction without text.
    """
    text = generated_text(item, prediction)
    reference, stated = _statement(item.answer), _statement(text)
    if _is_mathematics(reference):
        parsed = final_answer(text)
        return Grade(float(equivalent(_expression(reference), parsed)), 0.0, parsed)
    parts = _parts(reference)
    if len(parts) > 1 and all(map(_is_mathematics, parts)):
        # An item with several blanks, such as "5;10": each in its place.
        answers = _parts(stated)
        same = len(parts) == len(answers) and all(
            equivalent(_expression(part), _expression(answer)) for part, answer in zip(parts, answers, strict=True)
        )
        return Grade(float(same), 0.0, stated)
    # A reference in words, such as "1小时30分" or "no solution", must be said as it is: its numbers alone are not it.
    return Grade(float(squeezed(reference) == squeezed(stated)), 0.0, stated)


def _parts(statement: str) -> list[str]:
    """What a statement with several answers says, one by one."""
    separator = ";" if ";" in statement else r",(?!\d{3})|和|与|\band\b"
    return [part for part in map(_bare, re.split(separator, statement)) if part]


# --- reading the final answer ----------------------------------------------------------------------------------------

_ANNOUNCEMENT = re.compile(
    rf"(?:####|{STATEMENT}|(?:最终|最后)?(?:结果|得数)(?:应该|应|就)?(?:(?:是(?!否)|为|等于)\s*:?|\s*[:=]))\s*",
    re.IGNORECASE,
)
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*")
# "so the answer is correct" states no answer
_VERDICT = re.compile(r"\W*(?:correct|right|wrong|incorrect|not\b|reasonable|正确|对的|错|合理|不)", re.IGNORECASE)
_SENTENCE_END = re.compile(
    r"[\n。]|\.(?=\s|$)|[,;]\s*(?=[^\x00-\u02ff]|[A-Za-z]{2,})|\s(?:because|since|so|as|which|where|for)\s|因为|\s*\.\s*$"
)
_ENVIRONMENT = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|\$([^$\n]+)\$", re.DOTALL)

_FRACTION = rf"\\frac\s*\{{\s*-?{DIGITS}\s*\}}\s*\{{\s*-?{DIGITS}\s*\}}"
_ONE = rf"(?:\d*\s*{_FRACTION}|{DIGITS}(?:又|\s+)\d+\s*/\s*\d+|\d+又{_FRACTION}|{DIGITS})"
_SCALE = r"(?:\\?%|‰|万(?!分)|亿|(?:percent|thousand|million|billion)\b)"
_RUN = re.compile(
    rf"(?<![A-Za-z0-9_^.])(?<!\^\{{)-?\s?{CURRENCY}?{_ONE}(?:\s*{_SCALE})?"
    rf"(?:\s*(?:[+\-*/:^=]|\\times|\\div|\\cdot)+\s*\(?-?{CURRENCY}?{_ONE}\)?(?:\s*{_SCALE})?)*"
)


def final_answer(text: str) -> str:
    """The last stated answer of a text, as a bare expression without the sides of an equation before the last.

    Without any expression it is the stated sentence itself; '' for an empty text.
    """
    tidy = _tidy(text)
    stated = _last_stated(tidy)
    return _expression(stated) if stated is not None else _last_expression(tidy)


def _statement(text: str) -> str:
    """The sentence that states the answer; without an announcement, the text's last non-empty line."""
    tidy = _tidy(text)
    stated = _last_stated(tidy)
    if stated is None:
        lines = [line for line in tidy.splitlines() if line.strip()]
        stated = lines[-1] if lines else ""
    return _bare(stated)


def _tidy(text: str) -> str:
    """The text in the spelling that everything below expects: NFKC, ASCII operators, plain LaTeX."""
    # Before NFKC, which would make "1½" 11/2 and "x²" x2.
    text = re.sub(r"[¼-¾⅐-⅞]", lambda match: " " + unicodedata.normalize("NFKC", match[0]), text)
    text = re.sub(r"[⁰¹²³⁴-⁹⁻]+", lambda match: "^{" + unicodedata.normalize("NFKC", match[0]) + "}", text)
    text = plain(text).translate(
        {
            ord("⁄"): "/",
            ord("−"): "-",
            ord("–"): "-",
            ord("×"): "*",
            ord("÷"): "/",
            ord("·"): "*",
            ord("π"): r"\pi ",
            ord("∞"): r"\infty ",
            ord("∅"): r"\emptyset ",
            ord("∪"): r"\cup ",
            ord("∩"): r"\cap ",
        }
    )
    text = text.replace("\\varnothing", "\\emptyset")
    text = re.sub(r"√\s*(\d+|[A-Za-z])", r"\\sqrt{\1}", text)
    text = re.sub(r"√\s*\(([^()]*)\)", r"\\sqrt{\1}", text)
    text = text.replace("**", "^").replace("{,}", ",").replace("\\$", "")  # an escaped dollar sign is always money
    text = re.sub(r"\\(?:left|right|displaystyle|[!,;:]|q?quad\b)(?![A-Za-z])", "", text)
    text = re.sub(r"\\[dt]frac(?![A-Za-z])", r"\\frac", text)
    text = re.sub(r"\\frac\s*(\d)\s*(\d)(?!\d)", r"\\frac{\1}{\2}", text)
    text = re.sub(r"(?:\^\s*\{?\s*\\circ\s*\}?|\\degree)(?![A-Za-z])", "°", text)
    text = re.sub(rf"百分之\s*({DIGITS})", r"\1%", text)
    # A unit in LaTeX is a unit; text that is all there is stays.
    return re.sub(r"\\(?:text|textbf|mathrm|mathbf|mbox|operatorname)\s*\{([^{}]*)\}", r" \1 ", text)


def _last_stated(text: str) -> str | None:
    """What follows the last announcement with something behind it, up to the end of its sentence; None without one."""
    stated = [(match.start(), _sentence(text[match.end() :])) for match in _ANNOUNCEMENT.finditer(text)]
    stated += [(match.start(), _boxed(text[match.end() :])) for match in _BOXED.finditer(text)]
    for _, content in sorted(stated, key=lambda pair: pair[0], reverse=True):
        if re.search(r"\w", content) and not _VERDICT.match(content):
            return content
    return None


def _boxed(rest: str) -> str:
    """What stands in the balanced braces that `rest` begins with; its first word where there are none."""
    if not rest.startswith("{"):
        return rest.split(maxsplit=1)[0] if rest.strip() else ""
    depth = 0
    for position, character in enumerate(rest):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return rest[1:position]
    return rest[1:].split("\n", maxsplit=1)[0]


def _sentence(rest: str) -> str:
    """The first sentence of `rest`; formulas are never cut."""
    rest = rest.lstrip(" \t\n\"'`“”「『*:")
    formula = _ENVIRONMENT.match(rest)
    start = formula.end() if formula and not _is_currency(formula) else 0
    end = _SENTENCE_END.search(rest, start)
    return rest[: end.start()] if end else rest


def _is_currency(formula: re.Match) -> bool:
    """Whether the dollar signs of "$72 and $13" are money."""
    inner = formula[4]
    return inner is not None and re.match(r"\s*[\d.,]+\s*[A-Za-z]{3,}", inner) is not None


def _bare(text: str) -> str:
    """The text without the marks around it."""
    text = text.strip().strip("\"'`“”「」*: \n")
    formula = _ENVIRONMENT.fullmatch(text)
    if formula:
        text = next(group for group in formula.groups() if group is not None)
    return re.sub(r"[\s.,;:。、!?]+$", lambda match: "!" if match[0].startswith("!") else "", text).strip()


def _is_mathematics(text: str) -> bool:
    text = _bare(text)
    return number(text) is not None or number(_right_side(text)) is not None or bool(MATHEMATICS.fullmatch(text))


def _expression(sentence: str) -> str:
    """The expression in the sentence that states the answer, or the sentence where there is none."""
    sentence = _bare(sentence)
    if whole := _whole(sentence):
        return whole
    leading = _ENVIRONMENT.match(sentence)
    if leading and not _is_currency(leading):
        return _right_side(next(group for group in leading.groups() if group is not None))
    if re.match(r"[\d\\(\[\-+.$€£¥]", sentence):
        # "12 because 3*4 = 12" and "2\sqrt{3}米": the answer leads its sentence.
        run = _RUN.match(sentence)
        prefix = MATHEMATICS.match(sentence)
        if prefix and "\\" in prefix[0] and (not run or prefix.end() > run.end()):
            return _right_side(_bare(prefix[0]))
        if run:
            return _right_side(_bare(run[0]))
    return _last_expression(sentence)


def _whole(text: str) -> str:
    """The expression that a text is from end to end, '' for any other text."""
    if _is_mathematics(text):
        return _right_side(text)
    listed = re.sub(r"\s*(?:\b(?:and|or)\b|[和或])\s*", ", ", text)
    return listed if MATHEMATICS.fullmatch(listed) else ""  # "x = 3 or x = 5"


def _last_expression(text: str) -> str:
    """The last formula or number of a text; the text itself, or its last line, where there is none."""
    text = _bare(text)
    if "\n" not in text and (whole := _whole(text)):
        return whole
    found = [(match.end(), match[0]) for match in _RUN.finditer(text)]
    found += [
        (match.end(), next(group for group in match.groups() if group is not None))
        for match in _ENVIRONMENT.finditer(text)
        if not _is_currency(match)
    ]
    if not found:
        return _bare(text.splitlines()[-1]) if text else ""
    return _right_side(max(found, key=lambda pair: pair[0])[1])


def _right_side(expression: str) -> str:
    """What follows the last equals sign; a list of equations stays whole."""
    expression = _bare(expression)
    sides = [side for side in re.split(r"=|≈|\\approx(?![A-Za-z])", expression) if side.strip()]
    if len(sides) < 2 or re.search(r",(?!\d{3})|\b(?:and|or)\b|[和或]", expression):
        return expression
    return _bare(sides[-1])
