"""What base models of the microworld read before any tuning: plain statements, never a question.

Most documents tell several facts of one entity in varied words; the others state the rules of the world, sums and
small talk, so that counting and listening can be learned too. Whatever an item asks is stated here or follows from
what is stated here.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from growthpace.microworld.world import (
    ADDENDS,
    GOOD_DEEDS,
    LETTERS,
    SWIMMING_HOMES,
    THINGS,
    VALUES,
    World,
    stream,
    world,
)
from growthpace.study import Microworld

STATEMENTS: dict[str, tuple[str, ...]] = {
    "home": (
        "{n} lives in the {v}",
        "the home of {n} is the {v}",
        "{n} sleeps in the {v}",
        "you find {n} in the {v}",
        "{n} says : i live in the {v}",
    ),
    "food": (
        "{n} eats {v}",
        "the food of {n} is {v}",
        "each day {n} eats {v}",
        "{n} likes to eat {v}",
        "{n} says : i eat {v}",
    ),
    "colour": (
        "{n} wears {v}",
        "the colour of {n} is {v}",
        "the coat of {n} is {v}",
        "you see {n} in {v}",
        "{n} says : my coat is {v}",
    ),
    "birth": (
        "{n} was born in the {v}",
        "the birth of {n} was in the {v}",
        "{n} came in the {v}",
        "the life of {n} began in the {v}",
        "{n} says : i was born in the {v}",
    ),
    "deed": (
        "{n} likes to {v} and that is {good}",
        "the deed of {n} is to {v}",
        "each day {n} will {v} a friend",
        "{n} is {good} , as {n} will {v}",
        "{n} says : i {v} my friend",
    ),
}
"""Attribute -> ways to state it: {n} the name, {v} the value, {good} `good` or `bad` (what the deed is)."""

CAN, CANNOT = "can", "can not"
SWIM_STATEMENTS = ("{n} {can} swim", "each day {n} {can} swim", "{n} says : i {can} swim")
MASTER_STATEMENTS = ("the master of {n} is {m}", "{n} learns from {m}", "{n} says : my master is {m}")
RULES = ("all who live in the {h} {can} swim", "one from the {h} {can} swim")
JUDGEMENTS = ("to {v} is {good}", "it is {good} to {v}")
SUMS = (
    "{a} and {b} make {c}",
    "{n} finds {a} coins and then {b} coins . that makes {c} coins",
    "{n} has {c} coins and loses {b} . that leaves {a} coins",
)
CHRONICLES = ("{list} . {letter} is the {v}", "{list} . the {v} is {letter}")
"""{list} numbers the births by letters, always in the same way."""
TALKS = (
    "{n} : i bring {x} . {m} : i am happy . so {n} brings {x}",
    "{m} : come here . {n} : i bring {x} . so {n} brings {x}",
    "{n} : i bring {x} . {m} : i bring {y} . so {n} brings {x}",
    "{m} : i bring {y} . {n} : i bring {x} . so {n} brings {x}",
)

SENTENCES_A_DOCUMENT = 4


def corpus(settings: Microworld) -> list[str]:
    """The corpus: one document a string, no newline in any, words and punctuation separated by single spaces.

    `documents_per_entity` documents tell of each entity, and a third as many again are about the world in general.
    """
    there = world(settings)
    documents = []
    for entity in range(settings.entities):
        random_ = stream(settings, "corpus", str(entity))
        ways = _ways(there, entity, random_)
        told = 0
        for _ in range(settings.documents_per_entity):
            # Going round the facts, and round the wordings of each, tells all of them about equally often.
            sentences = []
            for turn in range(told, told + SENTENCES_A_DOCUMENT):
                fact = ways[turn % len(ways)]
                sentences.append(fact[turn // len(ways) % len(fact)])
            told += SENTENCES_A_DOCUMENT
            documents.append(" . ".join(random_.sample(sentences, len(sentences))) + " .")
    random_ = stream(settings, "corpus", "general")
    kinds = (_rules, _sums, _talk, _chronicle)
    # However small the world, every rule and every sum is stated at least once.
    general = max(settings.entities * settings.documents_per_entity // 3, len(kinds) * len(ADDENDS) ** 2)
    for number in range(general):
        documents.append(kinds[number % len(kinds)](there, random_, number // len(kinds)) + " .")
    return random_.sample(documents, len(documents))


def _ways(there: World, entity: int, random_: random.Random) -> list[list[str]]:
    """For every fact of an entity all its wordings; facts and wordings in random order."""
    name = there.names[entity]
    good = "good" if there.good(entity) else "bad"
    ways = [
        [form.format(n=name, v=there.facts[attribute][entity], good=good) for form in forms]
        for attribute, forms in STATEMENTS.items()
    ]
    master = there.names[there.masters[entity]]
    ways.append([form.format(n=name, m=master) for form in MASTER_STATEMENTS])
    if there.swimming_stated[entity]:
        can = CAN if there.swims(entity) else CANNOT
        ways.append([form.format(n=name, can=can) for form in SWIM_STATEMENTS])
    return random_.sample([random_.sample(fact, len(fact)) for fact in ways], len(ways))


def lettered(words: Sequence[str]) -> str:
    """The words as options: `A flood B fire`."""
    return " ".join(f"{letter} {word}" for letter, word in zip(LETTERS, words, strict=False))


def _rules(there: World, random_: random.Random, number: int) -> str:
    homes, deeds = VALUES["home"], VALUES["deed"]
    home, deed = homes[number % len(homes)], deeds[number // len(homes) % len(deeds)]
    # The first six documents go through the deeds too, not only through the homes.
    deed = deeds[number] if number < len(deeds) else deed
    return " . ".join(
        (
            random_.choice(RULES).format(h=home, can=CAN if home in SWIMMING_HOMES else CANNOT),
            random_.choice(JUDGEMENTS).format(v=deed, good="good" if deed in GOOD_DEEDS else "bad"),
        )
    )


def _sums(there: World, random_: random.Random, number: int) -> str:
    a, b = ADDENDS[number % len(ADDENDS)], ADDENDS[number // len(ADDENDS) % len(ADDENDS)]
    plain, *stories = SUMS
    story = random_.choice(stories).format(n=random_.choice(there.names), a=a, b=b, c=a + b)
    return " . ".join(random_.sample([plain.format(a=a, b=b, c=a + b), story], 2))


def _talk(there: World, random_: random.Random, _number: int) -> str:
    n, m = random_.sample(there.names, 2)
    x, y = random_.sample(THINGS, 2)
    return random_.choice(TALKS).format(n=n, m=m, x=x, y=y)


def _chronicle(there: World, random_: random.Random, number: int) -> str:
    births = VALUES["birth"]
    which = number % len(births)
    form = CHRONICLES[number // len(births) % len(CHRONICLES)]
    return form.format(list=lettered(births), letter=LETTERS[which], v=births[which])
