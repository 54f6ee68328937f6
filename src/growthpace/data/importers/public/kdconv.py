"""KdConv (Zhou et al. 2020): Chinese conversations of two people about films, music and places to travel to.

The second speaker is the model. A dialogue is one item, cut at that speaker's turn next to its middle.
"""

from __future__ import annotations

from collections.abc import Iterator

from growthpace.data.benchmarks.base import Shelf
from growthpace.data.importers.public.base import continued, cut_dialogue, spoken
from growthpace.data.importers.records import Record
from growthpace.data.items import Item

NAME, VERSION, ROOT, HUB = "kdconv", 1, "data", None
RELEASE = "https://raw.githubusercontent.com/thu-coai/KdConv/653db76432de09a004ba708a68f8bbd5500e6bec/data"
PARTS = ("film", "music", "travel")
SPLITS = {"train": ("train",), "valid": ("dev",), "test": ("test",)}
THEIRS = ("train", "dev", "test")


def files(part: str, split: str) -> list[str]:
    return [f"{part}/{split}.json"]


def items(shelf: Shelf, part: str, split: str) -> Iterator[Item]:
    for row, record in enumerate(shelf.lines(f"{part}/{split}.json")):
        turns = [_text(record, entry, n) for n, entry in enumerate(record.field("messages", list), start=1)]
        if len(turns) < 2:
            raise record.wrong(f"messages: {len(turns)} (at least two are needed)")
        yield continued(f"{NAME}/{part}/{split}/{row}", spoken(cut_dialogue(turns)), record)


def _text(record: Record, entry: object, number: int) -> str:
    what = f"messages[{number}]"
    return record.typed(record.typed(entry, dict, what).get("message"), str, f"{what}.message").strip()
