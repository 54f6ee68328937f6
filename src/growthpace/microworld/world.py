"""Who lives in the microworld: names, attributes, a relation, a rule, and which entities may be asked about when.

Everything follows from `study.Microworld`. Random choices come from `random.Random` seeded with a string, which Python
documents to be the same on every machine (it hashes the string with SHA-512, never with `hash`).
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from functools import lru_cache

from growthpace.errors import InputError
from growthpace.study import Microworld

VALUES: dict[str, tuple[str, ...]] = {
    "home": ("marsh", "hill", "forest", "coast", "valley", "desert"),
    "food": ("corn", "fish", "nuts", "honey", "roots", "milk"),
    "colour": ("red", "blue", "green", "white", "black", "grey"),
    "birth": ("flood", "fire", "frost", "storm", "comet", "plague"),
    "deed": ("help", "feed", "heal", "rob", "hurt", "trick"),
}
"""The attributes of an entity and their values. Six each: a uniform guesser is right once in six."""

GOOD_DEEDS = ("help", "feed", "heal")
"""The deeds that the world calls good; the other three are bad."""

SWIMMING_HOMES = ("marsh", "coast", "valley")
"""The world's rule: all who live there can swim, and nobody else can."""

THINGS = ("rope", "salt", "bread", "drum", "lamp", "cloth")
"""What is carried about in events; no entity owns any of these for good."""

ADDENDS = (1, 2, 3, 4)
"""Coins that are found at one go; sums reach 8."""

LETTERS = ("A", "B", "C", "D", "E", "F")

MASTERS = 6
"""So many entities have apprentices (fewer in a world with fewer entities to train on)."""

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class World:
    """The facts. Entities are numbered from 0; every tuple below has one entry per entity."""

    names: tuple[str, ...]
    facts: dict[str, tuple[str, ...]]
    """Attribute -> value of each entity."""
    masters: tuple[int, ...]
    """Whom each entity learns from: one of a few entities, never itself."""
    swimming_stated: tuple[bool, ...]
    """Whether the corpus says if the entity can swim, or leaves it to the rule."""
    split: dict[str, tuple[int, ...]]
    """`train`, `valid`, `test` -> the entities that items of that split ask about. They share none."""

    def swims(self, entity: int) -> bool:
        """Whether the entity can swim, by the rule."""
        return self.facts["home"][entity] in SWIMMING_HOMES

    def good(self, entity: int) -> bool:
        """Whether the entity's deed is a good one."""
        return self.facts["deed"][entity] in GOOD_DEEDS


def stream(settings: Microworld, *purpose: str) -> random.Random:
    """A random stream of its own for each purpose, so that more draws for one never change another."""
    return random.Random("/".join((str(settings.seed), *purpose)))


def all_names() -> list[str]:
    """Every name there is (360), two syllables each, in a fixed order.

    No syllable has an `e`, so that no name is another word of the world (`fire`, `rope`, `life`).
    """
    syllables = [c + v for c, v in itertools.product("bdfgklmnprtvz", "aiou")]
    starts, ends = syllables[0::2], syllables[1::3]
    return [start + end for start, end in itertools.product(starts, ends) if start != end][:360]


@lru_cache(maxsize=8)
def world(settings: Microworld) -> World:
    """The world that the settings describe.

    Within each split the values of an attribute are dealt out evenly (their counts differ by one at most), so that no
    value is a better guess than another. `InputError` when there are more entities than names, or when one document
    an entity would leave facts untold.
    """
    if settings.documents_per_entity < 2:
        raise InputError(
            f"microworld.documents_per_entity: {settings.documents_per_entity} is below 2: one cannot tell every fact"
        )
    if settings.entities > len(all_names()):
        raise InputError(f"microworld.entities: {settings.entities} is above {len(all_names())}, the number of names")
    names = stream(settings, "names").sample(all_names(), settings.entities)
    split = _split(settings)
    facts = {}
    for attribute, values in VALUES.items():
        dealt: list[str] = [""] * settings.entities
        for which, members in split.items():
            random_ = stream(settings, "facts", attribute, which)
            # A shuffled hand for every round: when the members are no multiple of six, chance decides who is short.
            hands = itertools.chain.from_iterable(random_.sample(values, len(values)) for _ in members)
            shuffled = random_.sample(members, len(members))
            for entity, value in zip(shuffled, hands, strict=False):
                dealt[entity] = value
        facts[attribute] = tuple(dealt)
    teaching = stream(settings, "masters").sample(split["train"], min(MASTERS, len(split["train"])))
    masters = [0] * settings.entities
    swimming_stated = [False] * settings.entities
    for which, members in split.items():
        random_ = stream(settings, "masters", which)
        for place, entity in enumerate(random_.sample(members, len(members))):
            others = [master for master in teaching if master != entity]
            masters[entity] = others[place % len(others)]
        for entity in stream(settings, "swimming", which).sample(members, (len(members) + 1) // 2):
            swimming_stated[entity] = True
    return World(tuple(names), facts, tuple(masters), tuple(swimming_stated), split)


def _split(settings: Microworld) -> dict[str, tuple[int, ...]]:
    """Two entities in five are tested, one in seven validated (three at least of each), the rest may be trained on."""
    shuffled = stream(settings, "split").sample(range(settings.entities), settings.entities)
    valid = max(3, round(settings.entities / 7))
    test = max(3, round(settings.entities * 2 / 5))
    bounds = {"valid": (0, valid), "test": (valid, valid + test), "train": (valid + test, settings.entities)}
    return {which: tuple(sorted(shuffled[slice(*bounds[which])])) for which in SPLITS}
