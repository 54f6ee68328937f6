"""Public sets that can be trained on, in their publishers' own formats, one module each, named as the study names it.

`read_public` is the one entry. docs/data.md says how to add one: a module here (see `base.PublicSet`) and its name in
`study/items.py`. What serves which split is decided here, the same way for all sets.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from heapq import nsmallest
from importlib import import_module
from pathlib import Path
from typing import get_args

from growthpace.data.benchmarks.base import Shelf
from growthpace.data.benchmarks.hub import HubShelf
from growthpace.data.importers.public.base import Module, served
from growthpace.data.importers.references import UNSCORED
from growthpace.data.items import Item, check_item
from growthpace.errors import InputError
from growthpace.study import GENERAL, PublicItems, PublicName, PublicSet

SETS: dict[str, Module] = {name: import_module(f"{__name__}.{name}") for name in get_args(PublicName)}
"""Public sets by name."""

Fetch = Callable[[str, str, str | None], Path]
"""(repository of the hub, file, revision) to a local path."""


def read_public(
    settings: PublicItems, abilities: list[str] | None, fetch: Fetch, left_out: Counter[str] | None = None
) -> Iterator[Item]:
    """The items of a split, each checked, ability by ability, set by set and part by part, in the publisher's order.

    abilities: those wanted; None for a source that is not labelled, whose items only train. left_out: counts rows that
    a set's rule, or `longest`, leaves out, by set and reason.

    Raises `InputError` for settings that a set does not allow, and with file and line for a row that is no item.
    """
    counted = Counter() if left_out is None else left_out
    for ability in [GENERAL] if abilities is None else abilities:
        if not settings.of(ability):
            raise InputError(f"sets: no set for the ability {ability!r} (allowed: {', '.join(settings.sets)})")
        found = (item for chosen in settings.of(ability) for item in _of_set(chosen, settings, ability, fetch, counted))
        if abilities is None:
            found = (_to_train(item, True) for item in found)
        yield from map(check_item, found if settings.most is None else _first(found, settings.most))


def _of_set(
    chosen: PublicSet, settings: PublicItems, ability: str, fetch: Fetch, left_out: Counter[str]
) -> Iterator[Item]:  # fmt: skip
    """The items of one set, as they are trained on or asked."""
    items = (replace(item, ability=ability) for item in set_items(chosen, settings.split, fetch, left_out))
    items = _short(items, chosen.name, settings.longest, left_out)
    if settings.split == "train":
        return (_to_train(item, False) for item in items)
    return _with_candidates(items, chosen.name, left_out)


def _first(items: Iterator[Item], most: int) -> list[Item]:
    """The items whose ids' SHA-256 come first, in the order in which they were."""
    numbered = nsmallest(most, enumerate(items), key=lambda pair: hashlib.sha256(pair[1].id.encode()).digest())
    return [item for _, item in sorted(numbered, key=lambda pair: pair[0])]


def _with_candidates(items: Iterator[Item], name: str, left_out: Counter[str]) -> Iterator[Item]:
    """The items of a set, with wrong candidates where they are scored by perplexity."""
    from growthpace.data.candidates import NEEDED, with_candidates

    found = list(items)
    bare = [item for item in found if item.scorer == "perplexity"]
    completed = {item.id: item for item in with_candidates(bare)}
    for item in found:
        if item.scorer != "perplexity":
            yield item
        elif item.id in completed:
            yield completed[item.id]
        else:
            left_out[f"{name}: fewer than {NEEDED} other items to take wrong candidates from"] += 1


def _to_train(item: Item, unlabelled: bool) -> Item:
    """A training item: its texts have no others to be compared with, and a general one is never scored."""
    if not unlabelled and item.scorer != "perplexity":
        return item
    return replace(item, scorer=UNSCORED.scorer, answer="", candidates=(), chance=0.0, references=(), tests="")


def _short(items: Iterator[Item], name: str, longest: int | None, left_out: Counter[str]) -> Iterator[Item]:
    for item in items:
        if longest is not None and sum(len(message.content) for message in item.messages) > longest:
            left_out[f"{name}: longer than {longest:,} characters"] += 1
        else:
            yield item


def set_items(settings: PublicSet, split: str, fetch: Fetch, left_out: Counter[str]) -> Iterator[Item]:
    """The items of one set that serve a split, as its module gives them: not checked, without ability and without
    wrong candidates."""
    module, shelf = SETS[settings.name], _shelf(settings, fetch)
    for part in parts(settings):
        for theirs in served(module, settings, split):
            for item in module.items(shelf, part, theirs):
                if split in served_whole(module, settings) or place(settings.name, item, settings.shares) == split:
                    yield item
    left_out.update(shelf.left_out)


def served_whole(module: Module, settings: PublicSet) -> set[str]:
    """Splits that get all the items of the publisher's splits that serve them."""
    own = dict(settings.splits or module.SPLITS)
    return set(own) - ({"train"} if settings.shares else set())


def place(name: str, item: Item, shares: dict[str, float]) -> str:
    """The split of a training item of which shares are kept for other splits.

    The first 8 bytes of the SHA-256 of the set's name and the item's group (without one, of what is asked, without
    regard to case and spaces), as a number in [0, 1): below the test's share it is a test item, below that plus the
    share of valid it is valid, else it is for training. So a passage is never in two splits, nor is a question that
    was published twice, and a larger share of valid moves no test item.
    """
    key = item.group or " ".join(" ".join(message.content for message in item.messages[:-1]).casefold().split())
    number = int.from_bytes(hashlib.sha256(f"{name}\x1f{key}".encode()).digest()[:8], "big") / 2**64
    upto = 0.0
    for split in ("test", "valid"):
        upto += shares.get(split, 0.0)
        if number < upto:
            return split
    return "train"


def public_files(settings: PublicItems, abilities: list[str] | None) -> list[Path]:
    """The local files that reading will open, whether or not they exist; of sets that must be fetched none. Raises
    `InputError` as `read_public` does for what the settings alone show to be wrong."""
    found = []
    for ability in [GENERAL] if abilities is None else abilities:
        for chosen in settings.of(ability):
            module, wanted = SETS[chosen.name], parts(chosen)
            splits = served(module, chosen, settings.split)
            if chosen.folder is None:
                continue
            shelf = Shelf(module.ROOT, chosen.folder, None, list)
            found += [shelf.path(name) for part in wanted for split in splits for name in module.files(part, split)]
    return list(dict.fromkeys(found))


def parts(settings: PublicSet) -> tuple[str, ...]:
    """The parts that are read, in the set's order."""
    module = SETS[settings.name]
    for part in settings.parts or ():
        if part not in module.PARTS:
            allowed = ", ".join(module.PARTS) if module.PARTS != ("",) else "no such key, it has no parts"
            raise InputError(f"public set {settings.name}: parts: unknown part {part!r} (allowed: {allowed})")
    return tuple(part for part in module.PARTS if settings.parts is None or part in settings.parts)


def tested_by(settings: PublicItems) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(set, parts) of which the publisher's test items serve another purpose, and of which a benchmark would therefore
    ask what was trained on."""
    for chosen in settings.all_sets:
        module = SETS[chosen.name]
        if "test" in dict(chosen.splits or module.SPLITS).get("train", ()):
            yield chosen.name, parts(chosen)


def versions(settings: PublicItems) -> dict[str, int]:
    """The versions of the modules that items are made by, and of the choice of wrong candidates."""
    from growthpace.data.candidates import VERSION

    found = {f"public_{chosen.name}_version": SETS[chosen.name].VERSION for chosen in settings.all_sets}
    return found | ({} if settings.split == "train" else {"candidates_version": VERSION})


def _shelf(settings: PublicSet, fetch: Fetch) -> Shelf:
    module = SETS[settings.name]
    if settings.folder is not None:
        return Shelf(module.ROOT, settings.folder, None, list)
    if module.HUB is not None and settings.hub in (None, module.HUB.name):
        return HubShelf(module.NAME, module.HUB, module.HUB.name, settings.revision)
    if settings.hub is not None:
        return Shelf(module.ROOT, None, lambda name: fetch(settings.hub, name, settings.revision), list)
    if settings.revision is not None:
        raise InputError(
            f"public set {settings.name}: revision {settings.revision!r} would have no effect, its usual place is fixed"
        )
    from growthpace.data.importers.releases import released  # urllib, only where something is fetched

    return Shelf("", None, lambda name: released(module.RELEASE, name), list)
