"""GPTeacher (2023): instructions with answers by GPT-4, of code and of role-play, in Alpaca's layout."""

from __future__ import annotations

from collections.abc import Iterator

from growthpace.data.benchmarks.base import Shelf
from growthpace.data.importers.alpaca import read_instruction
from growthpace.data.importers.public.base import general
from growthpace.data.items import Item

NAME, VERSION, ROOT, HUB = "gpteacher", 1, "", None
RELEASE = "https://raw.githubusercontent.com/teknium1/GPTeacher/481075123c29854bddb82655badeef6a438f2436"
FILES = {
    "code": "Codegen/codegen-instruct.json",
    "role_play": "Roleplay/roleplay-simple-deduped-roleplay-instruct.json",
}
PARTS = tuple(FILES)
SPLITS = {"train": ("all",)}
THEIRS = ("all",)


def files(part: str, split: str) -> list[str]:
    return [FILES[part]]


def items(shelf: Shelf, part: str, split: str) -> Iterator[Item]:
    for row, record in enumerate(shelf.lines(FILES[part])):
        yield general(f"{NAME}/{part}/{row}", read_instruction(record), record)
