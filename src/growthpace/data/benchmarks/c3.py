"""C3 (Sun et al. 2020): Chinese reading, two to four options, on dialogues and on mixed texts.

`data/c3-{m,d}-test.json` are the tests, `data/c3-{m,d}-dev.json` hold the worked examples: a list of
[[lines], [{question, choice, answer}], id], the answer in words. Questions on one text share a group.
"""

from __future__ import annotations

from collections.abc import Iterator

from growthpace.data.benchmarks.base import Shelf
from growthpace.data.benchmarks.hub import Hub
from growthpace.data.benchmarks.reading import entry, questions_on_texts
from growthpace.data.importers.records import Record
from growthpace.data.items import Item

NAME, VERSION, ROOT, SHOTS = "c3", 1, "data", None
SUBJECTS = ("dialogue", "mixed")
INSTRUCTION = "阅读下面的内容，请直接给出正确选项的字母。"


def _hub_record(row: Record) -> list:
    questions = row.content["questions"]
    if isinstance(questions, list):  # of objects; some versions of the library give an object of lists instead
        questions = {key: [question.get(key) for question in questions] for key in ("question", "choice", "answer")}
    return entry(row, row.content["documents"], row.typed(questions, dict, "questions"))


HUB = Hub(
    "dataset-org/c3",
    file="c3-{config}-{split}.json",
    columns=("documents", "questions"),
    splits={"test": "test", "dev": "validation"},
    configs={"m": "mixed", "d": "dialog"},
    record=_hub_record,
)


def files(shelf: Shelf, subject: str, shots: bool) -> list[str]:
    return [_file(subject, split) for split in (("dev", "test") if shots else ("test",))]


def items(shelf: Shelf, subject: str) -> Iterator[Item]:
    return questions_on_texts(shelf, _file(subject, "test"), INSTRUCTION, f"{NAME}/{subject}/test", subject)


def examples(shelf: Shelf, subject: str) -> Iterator[Item]:
    return questions_on_texts(shelf, _file(subject, "dev"), INSTRUCTION, f"{NAME}/{subject}/dev", subject)


def _file(subject: str, split: str) -> str:
    return f"c3-{subject[0]}-{split}.json"
