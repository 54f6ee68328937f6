"""Self-Instruct (Wang et al. 2022): 175 seed tasks (`seeds`) and 252 instructions for testing (`users`), both written
by people, each with its first instance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from growthpace.data.benchmarks.base import Shelf
from growthpace.data.importers.alpaca import joined
from growthpace.data.importers.public.base import general, spoken
from growthpace.data.items import Item

NAME, VERSION, ROOT, HUB = "self_instruct", 1, "data", None
_REPOSITORY = "https://raw.githubusercontent.com/yizhongw/self-instruct/0b26ccaa415992100fa32df62d41b994cf928e23"
FILES = {"seeds": "seed_tasks.jsonl", "users": "user_oriented_instructions.jsonl"}
RELEASE = {FILES["seeds"]: f"{_REPOSITORY}/data", FILES["users"]: f"{_REPOSITORY}/human_eval"}
PARTS = tuple(FILES)
SPLITS = {"train": ("all",)}
THEIRS = ("all",)


def files(part: str, split: str) -> list[str]:
    return [FILES[part]]


def items(shelf: Shelf, part: str, split: str) -> Iterator[Item]:
    for record in shelf.lines(FILES[part]):
        instances = record.field("instances", list)
        if not instances:
            raise record.wrong("instances: empty")
        first = replace(record, content=record.typed(instances[0], dict, "instances[1]"))
        question = joined(record.field("instruction", str), first.field("input", str, required=False) or "")
        yield general(f"{NAME}/{record.field('id', str)}", spoken((question, first.field("output", str))), record)
