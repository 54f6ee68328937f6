"""The Chinese conversations of OpenAssistant (Köpf et al. 2023), as LLaMA-Factory keeps them: Alpaca's layout with a
history."""

from __future__ import annotations

from collections.abc import Iterator

from growthpace.data.benchmarks.base import Shelf
from growthpace.data.importers.alpaca import read_instruction
from growthpace.data.importers.public.base import general
from growthpace.data.items import Item

NAME, VERSION, ROOT, HUB = "oasst1_zh", 1, "data", None
RELEASE = "https://raw.githubusercontent.com/hiyouga/LLaMA-Factory/b8489ac46301ecad36bb0973a64ca507573037c9/data"
PARTS = ("",)
SPLITS = {"train": ("all",)}
THEIRS = ("all",)
FILE = "oaast_sft_zh.json"


def files(part: str, split: str) -> list[str]:
    return [FILE]


def items(shelf: Shelf, part: str, split: str) -> Iterator[Item]:
    for row, record in enumerate(shelf.lines(FILE)):
        yield general(f"{NAME}/{row}", read_instruction(record), record)
