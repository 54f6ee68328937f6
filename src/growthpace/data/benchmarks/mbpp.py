"""MBPP (Austin et al. 2021): short Python tasks in words, tried out by the publisher's assertions.

`mbpp/mbpp.jsonl`, one file. By its own split, task_id 11 to 510 are the test and 1 to 10 the worked examples; the
others are not read.
"""

from __future__ import annotations

from collections.abc import Iterator

from growthpace.data.benchmarks.base import Shelf, asked, texts
from growthpace.data.benchmarks.hub import Hub
from growthpace.data.items import Item

NAME, VERSION, ROOT, SHOTS = "mbpp", 1, "mbpp", 10
SUBJECTS = ()
INSTRUCTION = "Write Python code for this task. It must pass the tests below."
FILE = "mbpp.jsonl"
HUB = Hub(
    "google-research-datasets/mbpp",
    file=FILE,
    columns=("task_id", "text", "code", "test_list", "test_setup_code"),
    splits={"": "prompt+test"},
    configs={"": "full"},
)
TEST, EXAMPLES = range(11, 511), range(1, 11)
"""Numbers of tasks."""


def files(shelf: Shelf, subject: str, shots: bool) -> list[str]:
    return [FILE]


def items(shelf: Shelf, subject: str) -> Iterator[Item]:
    return numbered_items(shelf, TEST)


def examples(shelf: Shelf, subject: str) -> Iterator[Item]:
    return numbered_items(shelf, EXAMPLES)


def numbered_items(shelf: Shelf, numbers: range) -> Iterator[Item]:
    """The tasks with these numbers."""
    for record in shelf.lines(FILE):
        number = record.field("task_id", int)
        if number not in numbers:
            continue
        assertions = texts(record, "test_list")
        setup = record.field("test_setup_code", str, required=False) or ""
        # The file's lines end with \r\n; Python reads either, a tokenizer does not.
        program = record.field("code", str).replace("\r\n", "\n").strip() + "\n"
        question = "\n".join([INSTRUCTION, record.field("text", str).strip(), *assertions])
        tests = "\n".join([*filter(None, [setup]), *assertions]).replace("\r\n", "\n") + "\n"
        identifier = f"{NAME}/{number}"
        yield Item(identifier, "", asked(question, program), "code", program, tests=tests, origin=record.origin)
