"""MT-Bench (Zheng et al. 2023): 80 open questions of two turns, for a judge.

`fastchat/llm_judge/data/mt_bench/question.jsonl`. The assistant's turns are empty, the model answers in their place.
`Item.references` are the publisher's, one a turn and '' where it gave none to that turn; empty where it gave none.
"""

from __future__ import annotations

from collections.abc import Iterator

from growthpace.data.benchmarks.base import Shelf, asked, texts
from growthpace.data.benchmarks.hub import Hub
from growthpace.data.importers.records import Record
from growthpace.data.items import Item

NAME, VERSION, ROOT, SHOTS = "mt_bench", 1, "fastchat/llm_judge/data/mt_bench", 0
SUBJECTS = ("writing", "roleplay", "reasoning", "math", "coding", "extraction", "stem", "humanities")
FILE = "question.jsonl"
FIRST = 81
"""The publisher's number of its first question; the others follow in order."""


def _hub_record(row: Record) -> dict:
    """The hub has the publisher's lines in their order, but numbers of its own, and calls the turns `prompt`."""
    return {**row.content, "question_id": FIRST - 1 + row.line, "turns": row.content["prompt"]}


HUB = Hub(
    "HuggingFaceH4/mt_bench_prompts",
    file=FILE,
    columns=("category", "prompt", "reference"),
    splits={"": "train"},
    record=_hub_record,
)


def files(shelf: Shelf, subject: str, shots: bool) -> list[str]:
    return [FILE]


def items(shelf: Shelf, subject: str) -> Iterator[Item]:
    for record in shelf.lines(FILE):
        category = record.field("category", str)
        if category not in SUBJECTS:
            raise record.wrong(f"category: {category!r} (allowed: {', '.join(SUBJECTS)})")
        if category != subject:
            continue
        references = texts(record, "reference") if record.content.get("reference") else []
        yield Item(
            id=f"{NAME}/{record.field('question_id', int)}",
            ability="",
            messages=tuple(message for turn in texts(record, "turns") for message in asked(turn, "")),
            scorer="judge",
            references=tuple(references),
            origin=record.origin,
            subject=subject,
        )


def examples(shelf: Shelf, subject: str) -> Iterator[Item]:
    return iter(())
