"""Items of the generated microworld: nothing is read, everything follows from its settings."""

from __future__ import annotations

from collections.abc import Iterator

from growthpace.data.items import Item
from growthpace.errors import InputError
from growthpace.study import Microworld, MicroworldItems


def read(settings: MicroworldItems, abilities: list[str] | None, microworld: Microworld | None) -> Iterator[Item]:
    """The world's items of a kind; `InputError` where the study describes no world."""
    if microworld is None:
        raise InputError("importer microworld: the study has no microworld section")
    from growthpace.microworld import items

    yield from items(microworld, settings.kind, abilities or [])
