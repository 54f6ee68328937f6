"""GSM8K (Cobbe et al. 2021) as data to train on: word problems with worked solutions."""

from __future__ import annotations

from collections.abc import Iterator

from growthpace.data.benchmarks import gsm8k
from growthpace.data.benchmarks.base import Shelf
from growthpace.data.items import Item

NAME, VERSION, ROOT, HUB, RELEASE = "gsm8k", 1, gsm8k.ROOT, gsm8k.HUB, ""
PARTS = ("",)
SPLITS = {"train": ("train",), "test": ("test",)}
THEIRS = ("train", "test")


def files(part: str, split: str) -> list[str]:
    return [f"{split}.jsonl"]


def items(shelf: Shelf, part: str, split: str) -> Iterator[Item]:
    return gsm8k.split_items(shelf, split)
