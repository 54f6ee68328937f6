"""What public sets have in common: the shape of a set's module, its splits, its release, its dialogues."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from growthpace.data.benchmarks.base import Shelf
from growthpace.data.benchmarks.hub import Hub
from growthpace.data.importers.records import Record
from growthpace.data.importers.references import told_item
from growthpace.data.items import Item, Message
from growthpace.errors import InputError
from growthpace.study import PublicSet


class Module(Protocol):
    """One public set. Every module beside this one is a set and is called as its NAME."""

    NAME: str
    VERSION: int
    """To be raised with every change that can change an item: pools and suites of older versions are then made anew."""
    ROOT: str
    """The folder of the publisher's release that its files lie in, `` for the release itself."""
    RELEASE: str | dict[str, str]
    """Where its files, from ROOT on, can be fetched at a fixed commit (by file where they lie apart); its usual place
    where it has no HUB."""
    HUB: Hub | None
    """Its usual dataset on the hub, whose rows stand in for the publisher's files."""
    PARTS: tuple[str, ...]
    """Its parts; one called `` for a set without parts."""
    SPLITS: dict[str, tuple[str, ...]]
    """The publisher's splits by what they serve: train, valid, test. A split that it does not have is not there."""
    THEIRS: tuple[str, ...]
    """All of the publisher's splits."""

    @staticmethod
    def files(part: str, split: str) -> list[str]:
        """Names, from ROOT on, of the files that are read for a part and a split of the publisher's."""
        ...

    @staticmethod
    def items(shelf: Shelf, part: str, split: str) -> Iterator[Item]:
        """The items of a part and a split of the publisher's, in its order, without ability.

        Their ids begin with NAME, are unique in the set and follow from where the row stands. Rows about one passage or
        dialogue share a group. An item to be scored by perplexity has its reference as its only candidate. Raises
        `InputError` with file and line for a row that is no item.
        """
        ...


def served(module: Module, settings: PublicSet, split: str) -> tuple[str, ...]:
    """The publisher's splits that are read for one of ours: its own, or those to train on, of which a share is kept.

    Raises `InputError` for a split that the settings do not say where to take from.
    """
    own = {ours: tuple(theirs) for ours, theirs in dict(settings.splits or module.SPLITS).items()}

    def wrong(what: str) -> InputError:
        return InputError(f"public set {settings.name}: {what}")

    for ours, theirs in own.items():
        for name in theirs:
            if name not in module.THEIRS:
                raise wrong(f"splits.{ours}: unknown split {name!r} (allowed: {', '.join(module.THEIRS)})")
    for ours in settings.shares:
        if ours in own:
            raise wrong(
                f"shares.{ours}: would have no effect, its publisher has such a split ({', '.join(own[ours])}; to "
                "divide otherwise, name the publisher's splits under splits)"
            )
        if "train" not in own:
            raise wrong(
                f"shares.{ours}: there are no items to train on that it could be a share of (name splits.train)"
            )
    if split in own:
        return own[split]
    if split in settings.shares:
        return own["train"]
    raise wrong(
        f"it has no items for {split} (allowed: shares.{split}, the share of the items to train on that is kept for "
        f"it, or splits.{split}, a list of {', '.join(module.THEIRS)})"
    )


def tidied(text: str) -> str:
    """Text that was split into words for parsers, as people write it; spaces and line breaks become one space."""
    text = " ".join(text.replace("``", '"').replace("''", '"').split())
    text = re.sub(r"\s+([.,!?;:%)])", r"\1", text)
    text = re.sub(r"\s+(n't|'s|'m|'re|'ve|'ll|'d)\b", r"\1", text)
    return re.sub(r"\b(gon|wan|got) (na|ta)\b", r"\1\2", text).replace("( ", "(")


def cut_dialogue(turns: Sequence[str]) -> Sequence[str]:
    """A dialogue up to the second speaker's turn next to its middle, where there is most to know and the good-byes have
    not begun: turn 2 floor(n / 4 + 1/2) of n, counted from 1, at least the second."""
    return turns[: max(2, 2 * ((len(turns) + 2) // 4))]


def spoken(turns: Sequence[str]) -> tuple[Message, ...]:
    """Turns of two people as messages, the user's first."""
    return tuple(Message(("user", "assistant")[n % 2], text) for n, text in enumerate(turns))


def continued(identifier: str, messages: tuple[Message, ...], record: Record, **more) -> Item:
    """An item that is scored by the perplexity of its reference, its only candidate so far."""
    reference = messages[-1].content
    return Item(identifier, "", messages, "perplexity", reference, (reference,), origin=record.origin, **more)


def general(identifier: str, messages: tuple[Message, ...], record: Record) -> Item:
    """An instruction record as an item, its scoring told from its reference."""
    return told_item(messages, "", True, record.origin, identifier)
