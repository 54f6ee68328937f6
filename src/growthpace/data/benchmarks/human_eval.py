"""HumanEval (Chen et al. 2021): Python functions to complete, tried out by the publisher's tests.

`data/HumanEval.jsonl.gz`, one file; no worked examples. The prompt (imports, signature, docstring) is also the item's
one candidate, which the scorer puts in front of an answer that does not define the function itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from growthpace.data.benchmarks.base import Shelf, asked
from growthpace.data.benchmarks.hub import Hub
from growthpace.data.items import Item

NAME, VERSION, ROOT, SHOTS = "human_eval", 1, "data", 0
SUBJECTS = ()
INSTRUCTION = "Complete this Python function. Answer with the whole function."
FILE = "HumanEval.jsonl.gz"
HUB = Hub(
    "openai/openai_humaneval",
    file=FILE,
    columns=("task_id", "prompt", "canonical_solution", "test", "entry_point"),
    splits={"": "test"},
    configs={"": "openai_humaneval"},
)


def files(shelf: Shelf, subject: str, shots: bool) -> list[str]:
    return [FILE]


def items(shelf: Shelf, subject: str) -> Iterator[Item]:
    for record in shelf.lines(FILE):
        prompt, solution = record.field("prompt", str), record.field("canonical_solution", str)
        yield Item(
            id=f"{NAME}/{record.field('task_id', str).rpartition('/')[2]}",
            ability="",
            messages=asked(f"{INSTRUCTION}\n\n{prompt}", prompt + solution),
            scorer="code",
            answer=prompt + solution,
            candidates=(prompt,),
            tests=f"{record.field('test', str)}\ncheck({record.field('entry_point', str)})\n",
            origin=record.origin,
        )


def examples(shelf: Shelf, subject: str) -> Iterator[Item]:
    return iter(())
