"""What a source, a suite or a file would become, before a study uses it: counts, lengths, samples, what is left out.

`growthpace import` shows it. Items are looked at one by one and not kept, but for the samples.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from growthpace.data.importers import FILE_IMPORTERS, read_items_of
from growthpace.data.items import Item, unique
from growthpace.errors import InputError
from growthpace.study import (
    GENERAL,
    AlpacaItems,
    ChatItems,
    DoitItems,
    Items,
    PublicItems,
    PublicName,
    PublicSet,
    Study,
)

FORMATS = {"doit": DoitItems, "alpaca": AlpacaItems, "chat": ChatItems}


@dataclass
class Group:
    """The items of one ability."""

    items: int = 0
    scorers: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    """Of items that are answered by a letter or a word."""
    groups: set[bytes] = field(default_factory=set)
    """8 bytes of a hash each."""
    chance: float = 0.0
    """Sum over the items."""
    lengths: Counter[int] = field(default_factory=Counter)
    """Characters of all messages together."""
    reference_lengths: Counter[int] = field(default_factory=Counter)
    samples: list[tuple[int, int, Item]] = field(default_factory=list)

    def add(self, item: Item, samples: int) -> None:
        """Counts an item; keeps it if its id's hash is among the smallest `samples`."""
        self.items += 1
        self.scorers[item.scorer] += 1
        if item.scorer in ("letter", "letters", "true_false"):
            self.answers[item.answer] += 1
        if item.group:
            self.groups.add(hashlib.blake2b(item.group.encode(), digest_size=8).digest())
        self.chance += item.chance
        self.lengths[sum(len(message.content) for message in item.messages)] += 1
        self.reference_lengths[len(item.messages[-1].content)] += 1
        rank = -int.from_bytes(hashlib.sha256(item.id.encode()).digest()[:8], "big")
        heapq.heappush(self.samples, (rank, self.items, item))  # a heap of the smallest: the largest goes out first
        if len(self.samples) > samples:
            heapq.heappop(self.samples)

    def told(self) -> dict[str, Any]:
        """As JSON-able content."""
        return {
            "items": self.items,
            "scorers": dict(sorted(self.scorers.items())),
            "answers": dict(sorted(self.answers.items())),
            "groups": len(self.groups),
            "chance": self.chance / self.items,
            "characters": spread(self.lengths),
            "reference_characters": spread(self.reference_lengths),
            "samples": [_sample(item) for _, _, item in sorted(self.samples, reverse=True)],
        }


def preview(items: Iterable[Item], left_out: Counter[str], samples: int) -> dict[str, Any]:
    """{"items", "abilities": {ability: ...}, "left_out": {reason: rows}} of checked items, which are read once."""
    found: dict[str, Group] = {}
    for item in items:
        found.setdefault(item.ability, Group()).add(item, samples)
    return {
        "items": sum(group.items for group in found.values()),
        "abilities": {ability: group.told() for ability, group in found.items()},
        "left_out": dict(left_out),
    }


def spread(lengths: Counter[int]) -> dict[str, int]:
    """Shortest, median, 95th percentile and longest of counted lengths (nearest rank)."""
    known, total = sorted(lengths.items()), lengths.total()

    def rank(share: float) -> int:
        wanted, passed = max(1, -(-int(share * 100) * total // 100)), 0
        for length, count in known:
            passed += count
            if passed >= wanted:
                return length
        return known[-1][0]

    return {"shortest": known[0][0], "median": rank(0.5), "p95": rank(0.95), "longest": known[-1][0]}


def _sample(item: Item) -> dict[str, Any]:
    return {
        "id": item.id,
        "origin": item.origin,
        "messages": [{"role": message.role, "content": message.content} for message in item.messages],
        "scorer": item.scorer,
        "answer": item.answer,
        "candidates": list(item.candidates),
        "taken_from": list(item.taken_from),
    }


def of_study(study: Study, key: str, samples: int) -> dict[str, Any]:
    """What `sources.NAME` or `suites.NAME` of a study would become. A source or suite of public sets is shown with the
    number of items of each split of each set."""
    kind, _, name = key.partition(".")
    sections = {"sources": study.sources, "suites": study.suites}.get(kind, {})
    if name not in sections:
        known = [f"sources.{n}" for n in study.sources] + [f"suites.{n}" for n in study.suites]
        raise InputError(f"{key!r} is no source or suite of this study (allowed: {', '.join(known)})")
    settings = sections[name]
    if kind == "sources":
        abilities = list(study.abilities) if settings.labelled else None
    else:
        abilities = settings.measured(study.abilities)
    left_out: Counter[str] = Counter()

    def read(left_out: Counter[str] | None = None) -> Iterator[Item]:
        return read_items_of(settings.items, abilities, study.microworld, left_out=left_out)

    found = preview(unique(read(left_out), key, read), left_out, samples)
    if isinstance(settings.items, PublicItems):
        found["splits"] = splits_of(settings.items, abilities)
    return {"what": key, **found}


def splits_of(settings: PublicItems, abilities: list[str] | None) -> dict[str, dict[str, int | str]]:
    """{ability: {split: items, or why there are none}}, before `longest` and `most`."""
    from growthpace.data.importers import downloaded
    from growthpace.data.importers.public import set_items

    found: dict[str, dict[str, int | str]] = {}
    for ability in [GENERAL] if abilities is None else abilities:
        for split in ("train", "valid", "test"):
            try:
                number = sum(
                    1 for chosen in settings.of(ability) for _ in set_items(chosen, split, downloaded, Counter())
                )
            except InputError as error:
                number = str(error)
            found.setdefault(ability, {})[split] = number
    return found


def of_file(
    path: Path, importer: str, ability: str | None, split: str, parts: list[str] | None, samples: int
) -> dict[str, Any]:
    """What a file of a format (doit, alpaca, chat), or the folder of a public set by its name, would become.

    ability: what the items measure; None for general ones, which only train (for a public set: its name).
    """
    left_out: Counter[str] = Counter()
    if importer in FILE_IMPORTERS:
        if parts is not None:
            raise InputError(f"--part {parts[0]}: would have no effect, {importer} is a format of files")
        settings: Items = FORMATS[importer](
            importer=importer, folder=path.parent, files={ability: path.name} if ability else path.name
        )
        abilities = [ability] if ability else None
    elif importer in get_args(PublicName):
        ability = ability or importer
        chosen = PublicSet(name=importer, folder=path, parts=parts)
        settings, abilities = PublicItems(importer="public", split=split, sets={ability: chosen}), [ability]
        from growthpace.data.importers.public import SETS

        if split not in SETS[importer].SPLITS:
            offered = ", ".join(SETS[importer].SPLITS)
            raise InputError(f"--split {split}: {importer} has no such split of its own (allowed: {offered})")
    else:
        allowed = ", ".join([*FILE_IMPORTERS, *get_args(PublicName)])
        raise InputError(f"--importer {importer}: unknown (allowed: {allowed})")

    def read(left_out: Counter[str] | None = None) -> Iterator[Item]:
        return read_items_of(settings, abilities, left_out=left_out)

    return {"what": str(path), **preview(unique(read(left_out), str(path), read), left_out, samples)}


def shown(found: dict[str, Any], console: Any) -> None:
    """Prints a preview on a rich console."""
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    console.print(Text(f"{found['what']}: {found['items']:,} items"))
    table = Table()
    for column in ("ability", "items", "scored by", "chance", "characters", "of the reference"):
        table.add_column(column, justify="left" if column in ("ability", "scored by") else "right", no_wrap=True)
    for ability, group in found["abilities"].items():
        scorers = ", ".join(f"{name} {count:,}" for name, count in group["scorers"].items())
        lengths = (f"{told['median']:,} / {told['longest']:,}" for told in
                   (group["characters"], group["reference_characters"]))  # fmt: skip
        table.add_row(ability, f"{group['items']:,}", scorers, f"{group['chance']:.2f}", *lengths)
    console.print(table)
    console.print(Text("characters: median / longest, of all messages of an item and of its reference"))
    for ability, group in found["abilities"].items():
        if group["answers"]:
            console.print(Text(f"{ability}: answers " + ", ".join(f"{a} {n:,}" for a, n in _often(group["answers"]))))
        if group["groups"]:
            console.print(Text(f"{ability}: {group['groups']:,} passages or dialogues shared by several items"))
    if "splits" in found:
        table = Table(title="Items by split, before `longest` and `most`", title_justify="left")
        for column in ("ability", "train", "valid", "test"):
            table.add_column(column, justify="left" if column == "ability" else "right")
        why: dict[str, None] = {}
        for ability, splits in found["splits"].items():
            table.add_row(ability, *(f"{n:,}" if isinstance(n, int) else "-" for n in splits.values()))
            why |= dict.fromkeys(n for n in splits.values() if isinstance(n, str))
        console.print(table)
        for reason in why:
            console.print(Text(f"-: {reason}"))
    for reason, rows in found["left_out"].items():
        console.print(Text(f"{rows:,} left out: {reason}"))
    for ability, group in found["abilities"].items():
        for sample in group["samples"]:
            lines = [f"[{m['role']}] {_cut(m['content'])}" for m in sample["messages"]]
            if sample["scorer"] == "perplexity":
                taken = sample["taken_from"] or ("",) * len(sample["candidates"])
                wrong = zip(sample["candidates"][1:], taken, strict=False)
                lines += [f"[wrong candidate {identifier}] {_cut(text)}" for text, identifier in wrong]
            told = f"scored by {sample['scorer']}" + (f": {_cut(sample['answer'])}" if sample["answer"] else "")
            console.print(Panel(Text("\n".join([*lines, told])), title=f"{ability}: {sample['id']}", title_align="left",
                                subtitle=sample["origin"], subtitle_align="left"))  # fmt: skip


SHOWN = 500
"""Characters of a message that are shown."""


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}... ({len(text) - SHOWN:,} more characters)"


def _often(counts: dict[str, int]) -> list[tuple[str, int]]:
    """The most frequent ones."""
    return sorted(counts.items(), key=lambda pair: -pair[1])[:12]
