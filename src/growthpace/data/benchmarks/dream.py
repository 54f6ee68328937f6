"""DREAM (Sun et al. 2019): English dialogues, three options.

`data/test.json` is the test, `data/dev.json` holds the worked examples: a list of
[[lines], [{question, choice, answer}], id], the answer in words. Questions on one dialogue share a group.
"""

from __future__ import annotations

from collections.abc import Iterator

from growthpace.data.benchmarks.base import Shelf
from growthpace.data.benchmarks.hub import Hub
from growthpace.data.benchmarks.reading import entry, questions_on_texts
from growthpace.data.items import Item

NAME, VERSION, ROOT, SHOTS = "dream", 1, "data", None
SUBJECTS = ()
HUB = Hub(
    "dataset-org/dream",
    file="{split}.json",
    columns=("dialogue_id", "dialogue", "question", "choice", "answer"),
    splits={"test": "test", "dev": "validation"},
    configs={"": "plain_text"},
    record=lambda rows: entry(rows, rows.content["dialogue"][0], rows.content),
    together="dialogue_id",
)
INSTRUCTION = "Read the dialogue and answer the question with the letter of the right option."


def files(shelf: Shelf, subject: str, shots: bool) -> list[str]:
    return [f"{split}.json" for split in (("dev", "test") if shots else ("test",))]


def items(shelf: Shelf, subject: str) -> Iterator[Item]:
    return questions_on_texts(shelf, "test.json", INSTRUCTION, f"{NAME}/test", "")


def examples(shelf: Shelf, subject: str) -> Iterator[Item]:
    return questions_on_texts(shelf, "dev.json", INSTRUCTION, f"{NAME}/dev", "")
