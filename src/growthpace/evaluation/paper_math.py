r"""How the paper's released code read and compared answers in mathematics, faults and all (see `paper_rules`).

The answer is looked for behind the last "答案", in this order: the last `\boxed{}`, the last formula in dollar signs,
special cases (`a/b` alone, numbers and commas alone, the last `sqrt(...)` or pair of brackets), what follows the last
equals sign, the last number. So "答案为1/2" is 2 (fault B18): with a word before it, it is no `a/b` alone.

Two answers are equal if their texts are, after a few spellings of LaTeX have been made alike. Plain numbers are not:
there the code fails, and compares the texts as they are, so that "5.0" is not "5" (fault B17).
"""

from __future__ import annotations

import re

_DOLLARS = re.compile(r"\$(.*)\$")
_BRACKETS = re.compile(r"\[.*?\]|\(.*?\)")
_SQUARE_ROOT = re.compile(r"sqrt\([^)]*\)")
_LAST_NUMBER = re.compile(r"\$?-?\d+(?:\.\d+)?(?!\w)")
_NUMBERS = re.compile(r"[,-?\d]+$")
"""A range from the comma to the question mark, where a list was meant: , - . / : ; < = > ? and digits."""


def read_answer(text: str) -> str | None:
    """The answer that the released code finds in a text, None where it finds none."""
    if "答案" in text:
        text = text.split("答案")[-1].strip()
    boxed = _boxed(text)
    answer = _unboxed(boxed) if boxed is not None else _in_dollars(text) or _special(text) or _plain(text)
    return None if answer is None else answer.replace("或", ", ").replace("$", "")


def equal(answer: str | None, reference: str) -> bool:
    """Whether the released code takes an answer for the reference."""
    if answer is None:
        return False
    try:
        return _normalised(answer) == _normalised(reference)
    except (IndexError, ValueError):
        return answer == reference


def _boxed(text: str) -> str | None:
    """From the last \\boxed, or where there is none the last \\fbox, to its closing brace; None without one."""
    start = text.rfind("\\boxed")
    if start < 0:
        start = text.rfind("\\fbox")
    if start < 0:
        return None
    depth = 0
    for position in range(start, len(text)):
        depth += (text[position] == "{") - (text[position] == "}")
        if text[position] == "}" and depth == 0:
            return text[start : position + 1]
    return None


def _unboxed(boxed: str) -> str | None:
    if not boxed.startswith("\\boxed{"):  # so \fbox is found and never read
        return None
    return _right_side(boxed[len("\\boxed{") : -1])


def _right_side(text: str) -> str:
    return text.split("=")[-1].lstrip(" ") if "=" in text else text


def _in_dollars(text: str) -> str | None:
    found = _DOLLARS.findall(text)
    return _right_side(found[-1]) if found else None


def _special(text: str) -> str | None:
    text = text.strip()
    sides = text.split("/")
    if len(sides) == 2:
        return None if any(re.search(r"[^a-zA-Z0-9]", side) for side in sides) else text
    text = text.replace("，", ",")
    if _NUMBERS.match(text):
        return text
    text = text.replace(" ", "")
    found = _SQUARE_ROOT.findall(text) or _BRACKETS.findall(text)
    return found[-1] if found else None


def _plain(text: str) -> str | None:
    if "=" in text:
        # The code cuts at a backslash and an n, not at a line's end.
        return _right_side(text).rstrip(".").split("\\n")[0]
    found = _LAST_NUMBER.findall(text)
    return found[-1].strip("$") if found else None


def _normalised(text: str) -> str:
    """One spelling of an answer. IndexError or ValueError where the released code fails."""
    for old, new in (
        ("\n", ""), ("\\!", ""), ("\\\\", "\\"), ("tfrac", "frac"), ("dfrac", "frac"), ("\\left", ""), ("\\right", ""),
        ("^{\\circ}", ""), ("^\\circ", ""), ("\\$", ""),
    ):  # fmt: skip
        text = text.replace(old, new)
    if "\\text{ " in text:  # a unit
        text, _ = text.split("\\text{ ")
    text = text.replace("\\%", "").replace(" .", " 0.").replace("{.", "{0.")
    if not text:
        return text
    if text[0] == ".":
        text = "0" + text
    sides = text.split("=")
    if len(sides) == 2 and len(sides[0]) <= 2:
        text = sides[1]
    text = _with_braces(_square_roots(text).replace(" ", ""))
    text = _slash(r"\frac{1}{2}" if text == "0.5" else text)
    if _NUMBERS.match(text):
        raise ValueError("the code makes a set of numbers here and fails at its next step")
    text = re.sub(r"\\frac{-(\d+)}{(\d+)}", r"-\\frac{\1}{\2}", text)
    letter = re.match(r"\\text\{\(([A-F])\)", text)
    return re.findall(r"\\text\{\(([A-F])\)", text)[-1] if letter else text


def _square_roots(text: str) -> str:
    """`\\sqrt3` as `\\sqrt{3}`."""
    first, *others = text.split("\\sqrt")
    return first + "".join("\\sqrt" + (part if part[0] == "{" else f"{{{part[0]}}}{part[1:]}") for part in others)


def _with_braces(text: str) -> str:
    """`\\frac12` as `\\frac{1}{2}`."""
    first, *others = text.split("\\frac")
    made = first
    for part in others:
        if part[0] == "{":
            made += "\\frac" + part
        elif len(part) < 2:
            return text
        else:
            under = part[1] if part[1] == "{" else f"{{{part[1]}}}"
            made += f"\\frac{{{part[0]}}}{under}{part[2:]}"
    return made


def _slash(text: str) -> str:
    """`1/2` as `\\frac{1}{2}`."""
    sides = text.split("/")
    if len(sides) != 2:
        return text
    minus = sides[0][0] == "-"
    try:
        over, under = int(sides[0][minus:]), int(sides[1])
    except ValueError:
        return text
    if not minus and text != f"{over}/{under}":
        return text
    return f"{'-' if minus else ''}\\frac{{{over}}}{{{under}}}"
