"""MultiWOZ (Budzianowski et al. 2018), as ConvLab-2 packs it: people who play a tourist with a goal, and a clerk.

The model plays the tourist, by the publisher's own words for the goal; the clerk is the user. A dialogue is one item,
cut at the tourist's turn next to its middle.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from growthpace.data.benchmarks.base import Shelf
from growthpace.data.importers.public.base import continued, cut_dialogue, spoken, tidied
from growthpace.data.importers.records import Record
from growthpace.data.items import Item

NAME, VERSION, ROOT, HUB = "multiwoz", 1, "data/multiwoz", None
RELEASE = "https://raw.githubusercontent.com/thu-coai/ConvLab-2/6871fb8245da9eadf42009915763abebad95de51/data/multiwoz"
PARTS = ("",)
SPLITS = {"train": ("train",), "valid": ("val",), "test": ("test",)}
THEIRS = ("train", "val", "test")
INSTRUCTION = "Play this person, who talks to a clerk. You speak first, one turn at a time."


def files(part: str, split: str) -> list[str]:
    return [f"{split}.json.zip"]


def items(shelf: Shelf, part: str, split: str) -> Iterator[Item]:
    for name, record in shelf.members(f"{split}.json.zip", f"{split}.json"):
        goal = replace(record, content=record.field("goal", dict))
        told = [_plain(goal.typed(line, str, "goal.message")) for line in goal.field("message", list)]
        turns = [tidied(_text(record, entry, n)) for n, entry in enumerate(record.field("log", list), start=1)]
        if not told:
            raise record.wrong("goal.message: empty")
        if not turns or not all(turns):
            raise record.wrong("log: a turn without text")
        asked = "\n".join([INSTRUCTION, *told])
        # The tourist begins, so that with the instruction in front every second turn is the model's.
        yield continued(f"{NAME}/{name}", spoken(cut_dialogue([asked, *turns])), record)


def _text(record: Record, entry: object, number: int) -> str:
    what = f"log[{number}]"
    return record.typed(record.typed(entry, dict, what).get("text"), str, f"{what}.text")


def _plain(line: str) -> str:
    return " ".join(re.sub(r"<[^<>]*>", "", line).split())
