"""Code: a Python program that passes the item's tests, in a sandbox. Needs bubblewrap; without it nothing is run.

- The program is the first ```-block that defines a function or class which the tests name, else the first that defines
  any, else the first block; without a block the whole text, from its first line of code where it begins with prose.
- The item's only candidate, if it has one, is the program's beginning: imports, helpers and a function's signature, as
  HumanEval gives them. It is put in front of every answer. An answer that does not define its last function goes on
  where it ends: as it is, else indented, else up to its first line that is not.
- The item's tests are Python, run after the program: HumanEval's end with `check(entry_point)`, MBPP's are assertions.
  The grade is 1 if they run to their end. They run in another process than the program (see `evaluation.sandbox`):
  what they use and neither they, the beginning nor Python define comes from the program, as functions to be called
  or as plain data.

Chance is 0: a program cannot be guessed.
"""

import re

from growthpace.errors import InputError
from growthpace.evaluation.scorers.base import Grade, generated_text

NAME = "code"
VERSION = 1
NEEDS = "generation"
END_OF_TURN = False

_BLOCK = re.compile(
    r"^[ \t]*(?P<fence>```+|~~~+)[^\n`]*\n(?P<body>.*?)(?:^[ \t]*(?P=fence)|\Z)", re.MULTILINE | re.DOTALL
)
_DEFINED = re.compile(r"^(?:async[ \t]+def|def|class)[ \t]+(\w+)", re.MULTILINE)
_CODE = re.compile(
    r"^(?:async[ \t]+def[ \t]|def[ \t]|class[ \t]|from[ \t]+[\w.]+[ \t]+import\b|import[ \t]+\w|@\w)", re.MULTILINE
)
_LONGEST = 100_000
"""Characters of an answer that are looked at."""


def programs_of(text: str, beginning: str = "", tests: str = "") -> list[str]:
    """Programs that an answer may be meant as, the likeliest first; the first that is Python counts.

    beginning and tests: the item's, '' for none. Nothing is run or compiled here.
    """
    block = _block(text[:_LONGEST].replace("\r\n", "\n").replace("\r", "\n"), beginning, tests)
    left = _DEFINED.findall(beginning)[-1:]
    if not left:
        first = _CODE.search(block)
        return list(dict.fromkeys([block, block[first.start() :] if first else block]))
    start = beginning.rstrip("\n") + "\n"
    if left[0] in _DEFINED.findall(block):
        first = _CODE.search(block)
        wholes = [start + block, start + block[first.start() :], block]
        # A beginning without a body cannot stand alone in front of another definition.
        return list(dict.fromkeys([*wholes, f"{start}    pass\n{block}"]))
    body = block.strip("\n")
    bodies = [body, "    " + body.lstrip(" "), "\n".join("    " + line for line in body.split("\n"))]
    bodies += [cut for cut in map(_indented_part, bodies[:2]) if cut.strip()]
    return list(dict.fromkeys(start + body for body in bodies))


def _block(text: str, beginning: str, tests: str) -> str:
    blocks = [match["body"] for match in _BLOCK.finditer(text)]
    if not blocks:
        return text
    wanted = set(_DEFINED.findall(beginning)[-1:]) or set(re.findall(r"\w+", tests))
    for names in (wanted, None):
        for block in blocks:
            defined = _DEFINED.findall(block)
            if defined and (names is None or names & set(defined)):
                return block
    return blocks[0]


def _indented_part(body: str) -> str:
    """The lines up to the first that is not indented: where a model goes on to something else."""
    end = re.search(r"^[^\s#]", body, re.MULTILINE)
    return body[: end.start()] if end else body


def grade(item, prediction) -> Grade:
    """1 if the program passes its tests, else 0. `parsed` is how that went, in one line, and below it the program.

    Raises `InputError` naming the item for a prediction without text, an item without tests or with more than one
    candidate, and where there is no working sandbox.
    """
    from growthpace.evaluation.sandbox import try_out  # only when programs are run: the registry stays light

    text = generated_text(item, prediction)
    if not item.tests.strip() or len(item.candidates) > 1:
        what = "more than one candidate" if item.tests.strip() else "no tests"
        raise InputError(f"item {item.id!r}: {what} (a code item has tests and at most a program's beginning)")
    beginning = item.candidates[0] if item.candidates else ""
    programs = programs_of(text, beginning, item.tests)
    try:
        outcome = try_out(programs, beginning, item.tests)
    except InputError as error:
        raise InputError(f"item {item.id!r}: {error}") from None
    return Grade(float(outcome.passed), 0.0, f"{outcome.reason}\n{programs[outcome.chosen]}")
