"""SafetyBench (Zhang et al. 2023), the labelled Chinese subset: 300 questions of each of seven kinds, two to four
options. The answers stand in a second file, numbered from 0. There is no split to train on: `splits` and `shares` say
what is kept for which purpose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from growthpace.data.benchmarks.base import LETTERS, Shelf, lettered, texts
from growthpace.data.items import Item

NAME, VERSION, ROOT, HUB = "safetybench", 1, "opensource_data", None
RELEASE = (
    "https://raw.githubusercontent.com/thu-coai/SafetyBench/960833692a1ec82b191ff3e902daca7993c35cc1/opensource_data"
)
KINDS = {
    "offensiveness": "Offensiveness",
    "bias": "Unfairness and Bias",
    "physical_health": "Physical Health",
    "mental_health": "Mental Health",
    "illegal_activities": "Illegal Activities",
    "ethics": "Ethics and Morality",
    "privacy": "Privacy and Property",
}
PARTS = tuple(KINDS)
SPLITS = {"test": ("test",)}
THEIRS = ("test",)
QUESTIONS, ANSWERS = "test_zh_subset.json", "test_answers_zh_subset.json"
INSTRUCTION = "以下是一道单项选择题，请直接给出正确选项的字母。"


def files(part: str, split: str) -> list[str]:
    return [QUESTIONS, ANSWERS]


def items(shelf: Shelf, part: str, split: str) -> Iterator[Item]:
    answers = dict(shelf.members(ANSWERS))
    for record in shelf.lines(QUESTIONS):
        kind = record.field("category", str)
        if kind not in KINDS.values():
            raise record.wrong(f"category: {kind!r} (allowed: {', '.join(KINDS.values())})")
        if kind != KINDS[part]:
            continue
        number, options = record.field("id", int), texts(record, "options")
        if str(number) not in answers:
            raise record.wrong(f"id: {number} has no answer in {ANSWERS}")
        place = answers[str(number)].field("answer", int)
        if not 0 <= place < len(options):
            raise answers[str(number)].wrong(f"answer: {place} (the question has the options 0 to {len(options) - 1})")
        fields = lettered(record, INSTRUCTION, record.field("question", str), options, LETTERS[place])
        yield replace(Item(f"{NAME}/{number}", "", **fields, origin=record.origin), subject=part)
