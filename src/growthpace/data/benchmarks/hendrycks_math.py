r"""MATH (Hendrycks et al. 2021): competition problems with a worked solution, its final answer in `\boxed{}`.

`MATH/test/{subject}/{number}.json` is the test, one object a file; the examples are the first of
`MATH/train/{subject}`. The hub's dataset does not say a file's number, so that with it ids end in `row-N`. Not called
`math`, which is an ability of the paper.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from growthpace.data.benchmarks.base import Shelf, asked
from growthpace.data.benchmarks.hub import Hub
from growthpace.data.importers.records import Record
from growthpace.data.items import Item
from growthpace.errors import InputError

NAME, VERSION, ROOT, SHOTS = "hendrycks_math", 1, "MATH", None
SUBJECTS = (
    "algebra", "counting_and_probability", "geometry", "intermediate_algebra", "number_theory", "prealgebra",
    "precalculus",
)  # fmt: skip
HUB = Hub(
    "EleutherAI/hendrycks_math",
    file="{split}/{config}",
    columns=("problem", "solution"),
    splits={"test": "test", "train": "train"},
)
INSTRUCTION = r"Solve the problem. Put the final answer in \boxed{}."


def files(shelf: Shelf, subject: str, shots: bool) -> list[str]:
    splits = ("train", "test") if shots else ("test",)
    return [name for split in splits for name in shelf.names(f"{split}/{subject}", ".json")]


def items(shelf: Shelf, subject: str) -> Iterator[Item]:
    return _items(shelf, subject, "test")


def examples(shelf: Shelf, subject: str) -> Iterator[Item]:
    return _items(shelf, subject, "train")


def _items(shelf: Shelf, subject: str, split: str) -> Iterator[Item]:
    names = shelf.names(f"{split}/{subject}", ".json")
    if not names:
        raise InputError(f"{shelf.folder or NAME}: no files {ROOT}/{split}/{subject}/*.json")
    for name in names:
        record = shelf.whole(name)
        solution = record.field("solution", str)
        messages = asked(f"{INSTRUCTION}\n{record.field('problem', str).strip()}", solution.strip())
        identifier = f"{NAME}/{subject}/{split}/{PurePosixPath(name).stem}"
        answer = _boxed(record, solution)
        yield Item(identifier, "", messages, "math", answer=answer, subject=subject, origin=record.origin)


def _boxed(record: Record, solution: str) -> str:
    r"""What the last `\boxed{}` (or `\fbox{}`) of a solution holds; `\boxed 5` is possible too."""
    start = max(solution.rfind(r"\boxed"), solution.rfind(r"\fbox"))
    rest = solution[start:].removeprefix(r"\boxed").removeprefix(r"\fbox").lstrip() if start >= 0 else ""
    if not rest.startswith("{"):
        found = rest.partition("$")[0].strip()
    else:
        depth, found = 0, ""
        for position, character in enumerate(rest):
            depth += {"{": 1, "}": -1}.get(character, 0)
            if depth == 0:
                found = rest[1:position].strip()
                break
    if not found:
        raise record.wrong(r"solution: no final answer (in \boxed{})")
    return found
