"""GSM8K (Cobbe et al. 2021): word problems with a worked solution that ends with `#### answer`.

`grade_school_math/data/test.jsonl` is the test; the examples are the first of `train.jsonl`, solutions and all. The
publisher's calculator annotations (`<<2*3=6>>`) are left out of what is shown, since nobody calculates them here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from growthpace.data.benchmarks.base import Shelf, asked
from growthpace.data.benchmarks.hub import Hub
from growthpace.data.items import Item

NAME, VERSION, ROOT, SHOTS = "gsm8k", 1, "grade_school_math/data", None
SUBJECTS = ()
HUB = Hub(
    "openai/gsm8k",
    file="{split}.jsonl",
    columns=("question", "answer"),
    splits={"test": "test", "train": "train"},
    configs={"": "main"},
)
INSTRUCTION = "Solve the problem step by step. End with a line of the form `#### answer`."
ANNOTATION = re.compile(r"<<[^<>]*>>")


def files(shelf: Shelf, subject: str, shots: bool) -> list[str]:
    return [f"{split}.jsonl" for split in (("train", "test") if shots else ("test",))]


def items(shelf: Shelf, subject: str) -> Iterator[Item]:
    return split_items(shelf, "test")


def examples(shelf: Shelf, subject: str) -> Iterator[Item]:
    return split_items(shelf, "train")


def split_items(shelf: Shelf, split: str) -> Iterator[Item]:
    """The items of a split, train or test."""
    for row, record in enumerate(shelf.lines(f"{split}.jsonl")):
        solution = ANNOTATION.sub("", record.field("answer", str)).strip()
        _, mark, answer = solution.rpartition("####")
        if not mark or not answer.strip():
            raise record.wrong("answer: no final answer (a line of the form `#### answer`)")
        messages = asked(f"{INSTRUCTION}\n{record.field('question', str).strip()}", solution)
        yield Item(f"{NAME}/{split}/{row}", "", messages, "math", answer=answer.strip(), origin=record.origin)
