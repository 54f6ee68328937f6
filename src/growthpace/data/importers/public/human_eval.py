"""HumanEval (Chen et al. 2021): Python functions to complete. There is nothing to train on: it serves as a test."""

from __future__ import annotations

from collections.abc import Iterator

from growthpace.data.benchmarks import human_eval
from growthpace.data.benchmarks.base import Shelf
from growthpace.data.items import Item

NAME, VERSION, ROOT, HUB, RELEASE = "human_eval", 1, human_eval.ROOT, human_eval.HUB, ""
PARTS = ("",)
SPLITS = {"test": ("test",)}
THEIRS = ("test",)


def files(part: str, split: str) -> list[str]:
    return [human_eval.FILE]


def items(shelf: Shelf, part: str, split: str) -> Iterator[Item]:
    return human_eval.items(shelf, part)
