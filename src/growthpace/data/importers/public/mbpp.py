"""MBPP (Austin et al. 2021) as data to train on: short Python tasks, tried out by the publisher's assertions.

Its own split by task_id: 601 to 974 train, 511 to 600 valid, 11 to 510 test; 1 to 10 are the worked examples (prompt).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from growthpace.data.benchmarks import mbpp
from growthpace.data.benchmarks.base import Shelf
from growthpace.data.items import Item

NAME, VERSION, ROOT, RELEASE = "mbpp", 1, mbpp.ROOT, ""
HUB = replace(mbpp.HUB, splits={"": "prompt+test+validation+train"})
PARTS = ("",)
SPLITS = {"train": ("train",), "valid": ("valid",), "test": ("test",)}
NUMBERS = {"train": range(601, 975), "valid": range(511, 601), "test": mbpp.TEST, "prompt": mbpp.EXAMPLES}
THEIRS = tuple(NUMBERS)


def files(part: str, split: str) -> list[str]:
    return [mbpp.FILE]


def items(shelf: Shelf, part: str, split: str) -> Iterator[Item]:
    return mbpp.numbered_items(shelf, NUMBERS[split])
