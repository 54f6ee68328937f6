r"""Math: the last stated answer equals the reference as mathematics.

The answer is read from `\boxed{}`, `####`, "The answer is", "答案为" and their like, whichever comes last; where
nothing is announced, it is the text's last expression. Plain numbers are compared exactly, by value: "5.0" is 5,
"1,000" is 1000, "1/2" is 0.5 (the paper's released code compared strings and read "答案为1/2" as 2, faults B17 and
B18). Units and currencies are not compared. A percent sign, 万 or "million" counts, but may be missing on one side
("50%" is 0.5, and answers "how many percent?" as 50 does). A decimal with six or more places equals what rounds to it.
Everything else that looks like mathematics is left to math-verify (github.com/huggingface/Math-Verify), in a process
of its own.
"""

import atexit
import json
import os
import re
import subprocess
import sys
import threading
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

from growthpace.evaluation.answer_text import STATEMENT, plain
from growthpace.evaluation.scorers.base import Grade, generated_text

NAME = "math"
VERSION = 1
NEEDS = "generation"
END_OF_TURN = False

CPU_SECONDS = 10
"""Processor time that one comparison may take. Not wall time: a busy machine must not change a grade."""
MEMORY_BYTES = 4 << 30
"""Address space of the process that compares."""
LONGEST_EXPRESSION = 300
"""Characters; a longer answer is compared only as text."""


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
    return Grade(float(_squeezed(reference) == _squeezed(stated)), 0.0, stated)


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

_DIGITS = r"(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)"
_CURRENCY = r"(?:(?:US|HK)?\$|[€£¥₩₹]|RMB\s?|USD\s?)"
_FRACTION = rf"\\frac\s*\{{\s*-?{_DIGITS}\s*\}}\s*\{{\s*-?{_DIGITS}\s*\}}"
_ONE = rf"(?:\d*\s*{_FRACTION}|{_DIGITS}(?:又|\s+)\d+\s*/\s*\d+|\d+又{_FRACTION}|{_DIGITS})"
_SCALE = r"(?:\\?%|‰|万(?!分)|亿|(?:percent|thousand|million|billion)\b)"
_RUN = re.compile(
    rf"(?<![A-Za-z0-9_^.])(?<!\^\{{)-?\s?{_CURRENCY}?{_ONE}(?:\s*{_SCALE})?"
    rf"(?:\s*(?:[+\-*/:^=]|\\times|\\div|\\cdot)+\s*\(?-?{_CURRENCY}?{_ONE}\)?(?:\s*{_SCALE})?)*"
)
# Nothing but LaTeX commands, digits, operators and letters that stand alone: no words, no Chinese.
_MATHEMATICS = re.compile(
    r"(?:\\[A-Za-z]+|\\[{}|%$]|(?<![A-Za-z])(?:sin|cos|tan|log|ln|exp|sqrt|pi)(?![A-Za-z])|(?<![A-Za-z])[A-Za-z](?![A-Za-z])"
    r"|(?<![A-Za-z])(?!(?:is|of|in|to|or|so|an|at|it|by|as|on|we|he|be|if|no|do|me|my|up|us|go|am)\b)[a-z]{2}(?![A-Za-z])(?=[\s\d^+\-*/)=]|$)|[\d\s.,+\-*/^=(){}\[\]_|!:<>%∞°'])+"
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
        {ord("⁄"): "/", ord("−"): "-", ord("–"): "-", ord("×"): "*", ord("÷"): "/", ord("·"): "*", ord("π"): r"\pi "}
    )
    text = re.sub(r"√\s*(\d+|[A-Za-z])", r"\\sqrt{\1}", text)
    text = re.sub(r"√\s*\(([^()]*)\)", r"\\sqrt{\1}", text)
    text = text.replace("**", "^").replace("{,}", ",").replace("\\$", "")  # an escaped dollar sign is always money
    text = re.sub(r"\\(?:left|right|displaystyle|[!,;:]|q?quad\b)(?![A-Za-z])", "", text)
    text = re.sub(r"\\[dt]frac(?![A-Za-z])", r"\\frac", text)
    text = re.sub(r"\\frac\s*(\d)\s*(\d)(?!\d)", r"\\frac{\1}{\2}", text)
    text = re.sub(r"(?:\^\s*\{?\s*\\circ\s*\}?|\\degree)(?![A-Za-z])", "°", text)
    text = re.sub(rf"百分之\s*({_DIGITS})", r"\1%", text)
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
    return number(text) is not None or number(_right_side(text)) is not None or bool(_MATHEMATICS.fullmatch(text))


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
        prefix = _MATHEMATICS.match(sentence)
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
    return listed if _MATHEMATICS.fullmatch(listed) else ""  # "x = 3 or x = 5"


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


# --- plain numbers ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Number:
    """A plain number and how it was written."""

    value: Fraction
    """Without its scale: 50 for "50%"."""
    scale: Fraction
    """1/100 for a percent sign, 10,000 for 万, 1 for none."""
    places: int
    """Decimal places, 0 for everything but decimals."""


_SCALES = {
    "%": Fraction(1, 100), "percent": Fraction(1, 100), "‰": Fraction(1, 1000), "万": Fraction(10**4),
    "亿": Fraction(10**8), "thousand": Fraction(10**3), "million": Fraction(10**6), "billion": Fraction(10**9),
}  # fmt: skip
# Letters that are units and hardly ever unknowns, words, and Chinese measure words; perhaps squared, perhaps "per".
_UNIT_WORD = r"(?:[A-Za-z]{2,}\.?|[mslLghtNJWVAKCF°$€£¥Ω]|°[CF]|[\u4e00-\u9fff]+)(?:\s*\^\s*\{?\s*-?[123]\s*\}?|[23])?"
_UNIT = rf"{_UNIT_WORD}(?:(?:\s*[/*]\s*|\s+){_UNIT_WORD}){{0,4}}"
_NUMBER = re.compile(
    rf"(?P<sign>[-+]?)\s*{_CURRENCY}?\s*(?P<sign_after>-?)"
    rf"(?:(?P<whole>\d+)\s*(?:又\s*|\s+)(?P<top>\d+)\s*/\s*(?P<bottom>\d+)"
    rf"|(?:(?P<latex_whole>\d+)\s*又?\s*)?\\frac\s*\{{\s*(?P<latex_top>-?{_DIGITS})\s*\}}\s*\{{\s*(?P<latex_bottom>-?{_DIGITS})\s*\}}"
    rf"|(?P<over>{_DIGITS})\s*[/:]\s*(?P<under>-?{_DIGITS})"
    rf"|(?P<decimal>{_DIGITS})\.?(?:(?:[eE]|\s*(?:\*|\\times|\\cdot)\s*10\s*\^\s*)\{{?\s*(?P<exponent>[-+]?\d{{1,3}})\s*\}}?)?)"
    rf"\s*(?:\\?(?P<scale>%|‰|万(?!分)|亿|(?:percent|thousand|million|billion)\b))?\s*(?:{_UNIT})?"
)


def number(text: str) -> Number | None:
    """The plain number that a whole text is, perhaps with a currency, a scale and a unit; None for anything else.

    Plain numbers are integers, decimals, thousands with commas, fractions, mixed numbers ("1 1/2", "1又1/2",
    "1\\frac{1}{2}"), ratios ("3:4") and powers of ten ("1.2e5", "1.2\\times10^5").
    """
    text = text.strip()
    if len(text) > LONGEST_EXPRESSION:
        return None
    while len(text) > 2 and text[0] + text[-1] in ("()", "{}"):
        text = text[1:-1].strip()
    match = _NUMBER.fullmatch(text)
    if not match:
        return None

    def read(digits: str) -> Fraction:
        return Fraction(digits.replace(",", ""))

    places = 0
    try:
        if match["whole"]:
            value = read(match["whole"]) + read(match["top"]) / read(match["bottom"])
        elif match["latex_top"]:
            value = read(match["latex_whole"] or "0") + read(match["latex_top"]) / read(match["latex_bottom"])
        elif match["over"]:
            value = read(match["over"]) / read(match["under"])
        else:
            exponent = int(match["exponent"] or 0)
            value = read(match["decimal"]) * Fraction(10) ** exponent
            places = max(len(match["decimal"].partition(".")[2]) - exponent, 0)
    except ZeroDivisionError:
        return None
    if (match["sign"] == "-") != bool(match["sign_after"]):
        value = -value
    return Number(value, _SCALES[match["scale"]] if match["scale"] else Fraction(1), places)


def _same_number(first: Number, second: Number) -> bool:
    """Equal by value; with a scale on one side only, also equal without it."""
    if _close(first.value * first.scale, second.value * second.scale, first, second):
        return True
    return (first.scale == 1) != (second.scale == 1) and _close(first.value, second.value, first, second)


def _close(first_value: Fraction, second_value: Fraction, first: Number, second: Number) -> bool:
    if first_value == second_value:
        return True
    difference = abs(first_value - second_value)
    return any(
        written.places >= 6 and difference <= written.scale * Fraction(1, 2 * 10**written.places)
        for written in (first, second)
    )


# --- everything else -------------------------------------------------------------------------------------------------


def equivalent(reference: str, answer: str) -> bool:
    """Whether two expressions, as `final_answer` gives them, are equal as mathematics. Safe in threads and forks."""
    if not answer or not reference:
        return False
    if _squeezed(reference) == _squeezed(answer):
        return True
    numbers = number(reference), number(answer)
    if numbers[0] is not None and numbers[1] is not None:
        return _same_number(*numbers)
    for expression in (reference, answer):
        if not _MATHEMATICS.fullmatch(expression) or len(expression) > LONGEST_EXPRESSION or _explodes(expression):
            return False
    return _COMPARER.same(reference, answer)


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text).casefold()


def _explodes(expression: str) -> bool:
    """Whether evaluating an expression may take for ever: towers of powers, huge exponents and factorials."""
    tower = r"\^\s*[{(\s]*-?[^\s{}()^]{0,20}[\s{}()]*\^"
    return bool(re.search(rf"{tower}|\^\s*[{{(\s]*-?\d{{5,}}|\d{{4,}}\s*\)*!|!\s*\)*!", expression))


class _Comparer:
    """A process that runs math-verify, so that nothing it meets can hang or end the one that grades.

    math-verify's own timeouts are signals, which work in a main thread only and cannot interrupt one long step of
    arithmetic. Here they are off: the kernel ends the process after CPU_SECONDS of one comparison, which then counts as
    not equal, and the next comparison starts another process.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._process: subprocess.Popen | None = None
        self._owner = 0

    def same(self, reference: str, answer: str) -> bool:
        with self._lock:
            if self._process is None or self._owner != os.getpid():  # a forked child must not share its parent's pipe
                self._start()
            reply = self._ask(json.dumps([CPU_SECONDS, reference, answer]))
            if not reply:
                self._stop()
            return reply == "true"

    def _start(self):
        command = [sys.executable, "-c", f"from {__name__} import _serve; _serve()"]
        # Sets of symbols are ordered by hash: with a fixed seed the same question takes the same path every time.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "0"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=environment
        )
        self._owner = os.getpid()
        if self._process.stdout.readline().strip() != "ready":
            self._stop()
            raise RuntimeError("the process that runs math-verify did not start; see its message above")

    def _ask(self, question: str) -> str:
        """The process's reply, '' where it ended instead."""
        try:
            self._process.stdin.write(question + "\n")
            self._process.stdin.flush()
            return self._process.stdout.readline().strip()
        except BrokenPipeError:
            return ""

    def _stop(self):
        process, self._process = self._process, None
        if process is not None and self._owner == os.getpid():
            process.kill()
            process.communicate()

    def close(self):
        with self._lock:
            self._stop()


_COMPARER = _Comparer()
atexit.register(_COMPARER.close)


def _serve():
    """Answers one question a line, `[10, "1/2", "0.5"]` (CPU seconds, two expressions), with `true` or `false`.

    Until standard input ends.
    """
    import logging
    import resource
    import signal

    from math_verify import parse, verify

    logging.disable(logging.CRITICAL)
    replies = sys.stdout
    print("ready", file=replies, flush=True)
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (the parser prints what it does not recognise)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the parent's to act on; it closes our input
    for line in sys.stdin:
        seconds, *expressions = json.loads(line)
        reference, answer = (f"${expression}$" for expression in expressions)
        signal.setitimer(signal.ITIMER_PROF, seconds)  # whose signal ends the process, even within one long step
        try:
            same = verify(
                parse(reference, parsing_timeout=None), parse(answer, parsing_timeout=None), timeout_seconds=None
            )
        except Exception:  # whatever sympy cannot do with nonsense: not equal
            same = False
        signal.setitimer(signal.ITIMER_PROF, 0)
        print("true" if same else "false", file=replies, flush=True)
