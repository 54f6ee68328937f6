"""Items that a teacher wrote, as `growthpace synthesise` leaves them: JSON lines, with their provenance beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from growthpace.data.importers.records import read_messages, read_records
from growthpace.data.items import ROLES, Item

TEXTS = ("id", "ability", "scorer", "answer", "tests")


def line_of(item: Item, provenance: dict[str, Any]) -> str:
    """An item's line; `read` gives the item back."""
    content = {
        **{key: getattr(item, key) for key in TEXTS},
        "messages": [asdict(message) for message in item.messages],
        "candidates": list(item.candidates),
        "chance": item.chance,
        "provenance": provenance,
    }
    return json.dumps(content, ensure_ascii=False) + "\n"


def read(path: Path, name: str, ability: str) -> Iterator[Item]:
    """The items of an ability, in the order in which they were written. Raises `InputError` with file and line."""
    for record in read_records(path, name):
        if record.field("ability", str) != ability:
            continue
        yield Item(
            **{key: record.field(key, str) for key in TEXTS},
            messages=read_messages(record, "messages", "role", "content", {role: role for role in ROLES}),
            candidates=tuple(record.typed(text, str, "candidates") for text in record.field("candidates", list)),
            chance=float(record.field("chance", (int, float))),
            origin=record.origin,
        )
