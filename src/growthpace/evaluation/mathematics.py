"""Whether two expressions are equal as mathematics: plain numbers exactly, everything else by math-verify.

Plain numbers are compared by value, as fractions. Units and currencies are not compared; a percent sign, 万 or
"million" counts, but may be missing on one side. math-verify (github.com/huggingface/Math-Verify) runs in a process of
its own, with limits. Importing this module is light: scorers are imported when a Snakefile is parsed.
"""

import atexit
import json
import os
import re
import subprocess
import sys
import threading
from dataclasses import dataclass
from fractions import Fraction

CPU_SECONDS = 10
"""Processor time that one comparison may take. Not wall time: a busy machine must not change a grade."""
MEMORY_BYTES = 4 << 30
"""Address space of the process that compares."""
LONGEST_EXPRESSION = 300
"""Characters; a longer answer is compared only as text."""

DIGITS = r"(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)"
CURRENCY = r"(?:(?:US|HK)?\$|[€£¥₩₹]|RMB\s?|USD\s?)"
# Nothing but LaTeX commands, digits, operators and letters that stand alone: no words, no Chinese.
MATHEMATICS = re.compile(
    r"(?:\\[A-Za-z]+|\\[{}|%$]|(?<![A-Za-z])(?:sin|cos|tan|log|ln|exp|sqrt|pi)(?![A-Za-z])|(?<![A-Za-z])[A-Za-z](?![A-Za-z])"
    r"|(?<![A-Za-z])(?!(?:is|of|in|to|or|so|an|at|it|by|as|on|we|he|be|if|no|do|me|my|up|us|go|am)\b)[a-z]{2}(?![A-Za-z])(?=[\s\d^+\-*/)=]|$)|[\d\s.,+\-*/^=(){}\[\]_|!:<>%∞°'])+"
)


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
    rf"(?P<sign>[-+]?)\s*{CURRENCY}?\s*(?P<sign_after>-?)"
    rf"(?:(?P<whole>\d+)\s*(?:又\s*|\s+)(?P<top>\d+)\s*/\s*(?P<bottom>\d+)"
    rf"|(?:(?P<latex_whole>\d+)\s*又?\s*)?\\frac\s*\{{\s*(?P<latex_top>-?{DIGITS})\s*\}}\s*\{{\s*(?P<latex_bottom>-?{DIGITS})\s*\}}"
    rf"|(?P<over>{DIGITS})\s*[/:]\s*(?P<under>-?{DIGITS})"
    rf"|(?P<decimal>{DIGITS})\.?(?:(?:[eE]|\s*(?:\*|\\times|\\cdot)\s*10\s*\^\s*)\{{?\s*(?P<exponent>[-+]?\d{{1,3}})\s*\}}?)?)"
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
    if squeezed(reference) == squeezed(answer):
        return True
    numbers = number(reference), number(answer)
    if numbers[0] is not None and numbers[1] is not None:
        return _same_number(*numbers)
    for expression in (reference, answer):
        if not MATHEMATICS.fullmatch(expression) or len(expression) > LONGEST_EXPRESSION or _explodes(expression):
            return False
    return _COMPARER.same(reference, answer)


def squeezed(text: str) -> str:
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
