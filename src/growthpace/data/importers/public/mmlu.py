"""MMLU (Hendrycks et al. 2021) as data to train on: 57 subjects, four options, in the csv files of its release.

Outside its test split MMLU has five to a few dozen questions a subject, so its splits are taken together and divided
anew: a subject that is trained on must not be a benchmark too. Questions about one source text share a group.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from growthpace.data.benchmarks import mmlu
from growthpace.data.benchmarks.base import Shelf, shared
from growthpace.data.items import Item

NAME, VERSION, ROOT = "mmlu", 1, "data"
HUB = replace(mmlu.HUB, splits={"test": "test", "dev": "dev", "val": "validation"})
RELEASE = ""
PARTS = mmlu.SUBJECTS
SPLITS = {"train": ("dev", "val", "test")}
THEIRS = ("dev", "val", "test")
TEXT = "This question refers to the following information."


def files(part: str, split: str) -> list[str]:
    return [f"{split}/{part}_{split}.csv"]


def items(shelf: Shelf, part: str, split: str) -> Iterator[Item]:
    for item in mmlu.split_items(shelf, part, split):
        _, found, rest = item.messages[0].content.partition(TEXT)
        # The text is what stands before the question's line and the four options'.
        text = "\n".join(rest.strip().split("\n")[:-5]) if found else ""
        yield replace(item, group=shared(NAME, part, " ".join(text.split())))
