"""FOLIO (Han et al. 2022): does a conclusion follow from premises in plain English? Conclusions on the same premises
share a group. Its test was never published; its validation split serves as one, as in most work on it."""

from __future__ import annotations

from collections.abc import Iterator

from growthpace.data.benchmarks.base import LETTERS, Shelf, lettered, shared, texts
from growthpace.data.items import Item

NAME, VERSION, ROOT, HUB = "folio", 1, "data/v0.0", None
RELEASE = "https://raw.githubusercontent.com/Yale-LILY/FOLIO/5d7bb84c7edab3fb358e057d2807f19cf5cf5e2d/data/v0.0"
PARTS = ("",)
SPLITS = {"train": ("train",), "test": ("validation",)}
THEIRS = ("train", "validation")
INSTRUCTION = "Does the conclusion follow from the premises? Answer with the letter of the right option."
LABELS = {"True": "True", "False": "False", "Uncertain": "Uncertain", "Unknown": "Uncertain"}
"""The two files call the third one differently."""
OPTIONS = ("True", "False", "Uncertain")


def files(part: str, split: str) -> list[str]:
    return [f"folio-{split}.jsonl"]


def items(shelf: Shelf, part: str, split: str) -> Iterator[Item]:
    for row, record in enumerate(shelf.lines(f"folio-{split}.jsonl")):
        premises = "\n".join(" ".join(premise.split()) for premise in texts(record, "premises"))
        label = record.field("label", str)
        if label not in LABELS:
            raise record.wrong(f"label: {label!r} (allowed: {', '.join(LABELS)})")
        question = f"{premises}\nConclusion: {' '.join(record.field('conclusion', str).split())}"
        answer = LETTERS[OPTIONS.index(LABELS[label])]
        fields = lettered(record, INSTRUCTION, question, OPTIONS, answer)
        group = shared(NAME, "", premises)
        yield Item(f"{NAME}/{split}/{row}", "", **fields, group=group, origin=record.origin)
