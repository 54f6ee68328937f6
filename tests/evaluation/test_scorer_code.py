from dataclasses import replace

import pytest
from scoring import grade, make_item, said

from bubblewrap import need_bubblewrap
from growthpace.errors import InputError
from growthpace.evaluation.scorers.code import programs_of

TESTS = "assert add(1, 2) == 3\nassert add(2, 2) == 4"
BEGINNING = 'from typing import List\n\n\ndef total(numbers: List[int]) -> int:\n    """ The sum.\n    """\n'
CHECK = "def check(candidate):\n    assert candidate([1, 2]) == 3\n    assert candidate([]) == 0\n\ncheck(total)"

ADD = replace(make_item("code", "def add(a, b): return a + b"), tests=TESTS)
TOTAL = replace(make_item("code", "    return sum(numbers)", (BEGINNING,)), tests=CHECK)

PROGRAM = "def add(a, b):\n    return a + b\n"


@pytest.mark.parametrize(
    "text",
    [
        PROGRAM,
        PROGRAM.replace("\n", "\r\n"),
        f"```python\n{PROGRAM}```",
        f"```\n{PROGRAM}```",
        f"Here it is:\n\n```python\n{PROGRAM}```\n\nIt adds.",
        f"```py\n{PROGRAM}",
        f"~~~python\n{PROGRAM}~~~",
        f"First:\n```\npip install nothing\n```\nThen:\n```python\n{PROGRAM}```\nUse:\n```python\nadd(1, 2)\n```",
        f"```python\ndef helper(): pass\n```\n```python\n{PROGRAM}```",
        f"Here it is:\n\n{PROGRAM}",
        f"import os\n{PROGRAM}\nif __name__ == '__main__':\n    exit(1)",
        "add = lambda a, b: a + b",
        "class Adder:\n    def __call__(self, a, b): return a + b\nadd = Adder()",
    ],
)
def test_programs_that_are_right(text):
    need_bubblewrap()
    result = grade(ADD, said(text))
    assert (result.grade, result.chance) == (1.0, 0.0)
    assert result.parsed.startswith("passed\n")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "NameError"),
        ("I cannot do that.", "the program failed: SyntaxError"),
        ("def add(a, b):\n    return a - b", "AssertionError"),
        ("def add(a, b):\n    return 3", "AssertionError"),
        ("def ad(a, b):\n    return a + b", "NameError"),
        ("import sys\nsys.exit(0)", "the program ended before its tests did"),
        ("```python\n```", "NameError"),
    ],
)
def test_programs_that_are_wrong(text, reason):
    need_bubblewrap()
    result = grade(ADD, said(text))
    assert result.grade == 0.0
    assert result.parsed.startswith(reason)


@pytest.mark.parametrize(
    "text",
    [
        "    return sum(numbers)\n",
        "return sum(numbers)",
        "result = 0\n    for number in numbers:\n        result += number\n    return result",
        "result = 0\nfor number in numbers:\n    result += number\nreturn result",
        "    return sum(numbers)\n\n\nprint(total([1, 2])\n\nThe function sums.",
        "    return sum(numbers)\n\n\ndef other(:\n",
        "```python\n    return sum(numbers)\n```",
        BEGINNING + "    return sum(numbers)",
        "def total(numbers: List[int]) -> int:\n    return sum(numbers)",
        "Sure!\n\n```python\ndef total(numbers: List[int]) -> int:\n    return sum(numbers)\n```",
        "Sure!\n\ndef total(numbers):\n    return sum(numbers)",
    ],
)
def test_answers_that_go_on_from_a_beginning(text):
    need_bubblewrap()
    assert grade(TOTAL, said(text)).grade == 1.0


@pytest.mark.parametrize(
    "text", ["", "    return 0", "    pass", "def total(numbers): return 3", "no", "    return sum("]
)
def test_answers_that_go_on_wrongly(text):
    need_bubblewrap()
    assert grade(TOTAL, said(text)).grade == 0.0


def test_a_beginning_without_a_body():
    need_bubblewrap()
    item = replace(TOTAL, candidates=("def total(numbers):",))
    for text in ("    return sum(numbers)", "def total(numbers):\n    return sum(numbers)"):
        assert grade(item, said(text)).grade == 1.0


def test_the_block_with_the_function_is_taken():
    text = "```\nx = 1\n```\n```python\ndef helper(): pass\n```\n```python\ndef add(a, b): return a + b\n```"
    assert programs_of(text, "", TESTS)[0] == "def add(a, b): return a + b\n"
    assert programs_of(text, "", "check()")[0] == "def helper(): pass\n"
    assert programs_of("```\nx = 1\n```", "", TESTS)[0] == "x = 1\n"


def test_faults_name_the_item():
    with pytest.raises(InputError, match=r"item-1.*text"):
        grade(ADD, said(None))
    with pytest.raises(InputError, match=r"item-1.*no tests"):
        grade(replace(ADD, tests=""), said(PROGRAM))
    with pytest.raises(InputError, match=r"item-1.*more than one candidate"):
        grade(replace(ADD, candidates=("a", "b")), said(PROGRAM))


def test_without_bubblewrap_the_scorer_refuses(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match=r"item-1.*bubblewrap"):
        grade(ADD, said(PROGRAM))
