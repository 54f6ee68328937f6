"""Items about the microworld: curated and synthetic ones to train on, others to validate and test with.

Valid and test items ask about entities that no training item names, and those of valid are not those of test: what a
model answers there it knows from its corpus, drawn out by tuning. Items say in `group` whom they are about: several
wordings of one fact are not independent.
"""

from __future__ import annotations

import math
import random
import string
from collections import Counter
from collections.abc import Iterable
from typing import Literal

from growthpace.data.items import Item, Message, check_item, content_id, numbered_repeats
from growthpace.errors import InputError
from growthpace.microworld import questions as asked
from growthpace.microworld import statements as told
from growthpace.microworld.world import ADDENDS, LETTERS, THINGS, VALUES, stream, world
from growthpace.study import GENERAL, Microworld

ABILITIES = tuple(asked.TRAINED)
"""The abilities that curated items train."""

OUT_OF_DOMAIN = tuple(asked.UNTRAINED)
"""The abilities of `out_of_domain`, which nothing trains."""

TEACHER_WEIGHTS = {
    "biology": 24,
    "language": 20,
    "role_play": 14,
    "creative_writing": 14,
    "dialogue_understanding": 10,
    "history": 8,
    "math": 4,
    "code": 3,
    "logical_reasoning": 2,
    "ethics": 1,
}
"""How often the imperfect teacher turns to each ability: much easy talk, little reasoning."""

TEACHER_WORDINGS = 2
"""The teacher knows only this many wordings of each ability."""

BALANCE_PATIENCE = 50
"""Draws in a row before a question is taken whose answer is already more frequent than its share."""

PATIENCE = 2000
"""Draws in a row that bring no new item before the supply is said to be exhausted."""

Kind = Literal["curated", "synthetic", "valid", "test", "out_of_domain"]


def items(settings: Microworld, kind: Kind, abilities: Iterable[str]) -> list[Item]:
    """The items of a kind, ability by ability in the given order (all that the kind has, if none is given).

    Equal settings give equal items. Except for `synthetic` every item differs from every other. `synthetic` items all
    carry the ability `general`; `abilities` (or all ten, if it is empty or `general`) says what their teacher was
    asked about.

    Raises `InputError` for an ability that the kind does not have, and when the world is too small for the number of
    items that its settings ask for.
    """
    if kind == "synthetic":
        return [item for item, _ in _synthetic(settings, [a for a in abilities if a != GENERAL])]
    known = OUT_OF_DOMAIN if kind == "out_of_domain" else ABILITIES
    counts = {"curated": ("train_items", "train"), "valid": ("valid_items", "valid")}
    count_key, split = counts.get(kind, ("test_items", "test"))
    found = []
    for ability in _checked(abilities, known, kind) or known:
        asker = (asked.TRAINED | asked.UNTRAINED)[ability]
        found += _distinct(settings, kind, ability, asker, split, count_key)
    return found


def synthetic_mistakes(settings: Microworld, abilities: Iterable[str] = ()) -> set[str]:
    """The ids of the synthetic items whose answer is wrong."""
    return {item.id for item, wrong in _synthetic(settings, [a for a in abilities if a != GENERAL]) if wrong}


def words(settings: Microworld) -> list[str]:
    """Every word that a document or an item may contain, sorted: the vocabulary of a word-level tokenizer."""
    forms = [
        *(form for forms in told.STATEMENTS.values() for form in forms),
        *told.SWIM_STATEMENTS,
        *told.MASTER_STATEMENTS,
        *told.RULES,
        *told.JUDGEMENTS,
        *told.SUMS,
        *told.TALKS,
        *told.CHRONICLES,
        told.CAN,
        told.CANNOT,
        *(form for forms in asked.PHRASINGS.values() for form in forms),
        *asked.VERSES,
        asked.SPOKEN_HOME,
    ]
    found = {word for form in forms for word in form.split() if not any(True for _ in _fields(word))}
    found |= {word for values in VALUES.values() for word in values}
    found |= {*THINGS, *LETTERS, *asked.TRUE_FALSE, "good", "bad", "home", "food", "colour"}
    found |= set(asked.LETTER_SETS)
    found |= {str(number) for number in range(1, 2 * max(ADDENDS) + 1)}
    return sorted(found | set(world(settings).names))


def _fields(form: str) -> Iterable[str]:
    return (field for _, field, _, _ in string.Formatter().parse(form) if field is not None)


def _checked(abilities: Iterable[str], known: tuple[str, ...], kind: str) -> list[str]:
    abilities = list(abilities)
    for ability in abilities:
        if ability not in known:
            raise InputError(f"microworld: no {kind} items for the ability {ability!r} (allowed: {', '.join(known)})")
    return abilities


def _item(ability: str, question: asked.Question, answer: str, scorer: str, group: str, origin: str) -> Item:
    """An item of a question with the answer that is given (the right one, or a mistake in a `none` item)."""
    scored = scorer != "none"
    messages = (Message("user", question.text), Message("assistant", answer))
    candidates = question.candidates if scored else ()
    item = Item(
        id=content_id(ability, messages, answer if scored else "", candidates),
        ability=ability,
        messages=messages,
        scorer=scorer,
        answer=answer if scored else "",
        candidates=candidates,
        chance=question.chance if scored else 0.0,
        group=group,
        origin=origin,
    )
    return check_item(item)


def _distinct(
    settings: Microworld, kind: str, ability: str, asker: asked.Asker, split: str, count_key: str
) -> list[Item]:
    """As many different questions as the settings say, going round the split's entities and the wordings.

    Where an answer is one of a few (letters, true or false), each is right equally often, as far as the world allows:
    always saying the same then scores no more than chance.
    """
    there, count = world(settings), getattr(settings, count_key)
    random_ = stream(settings, "items", kind, ability)
    members, wordings = there.split[split], len(asked.PHRASINGS[ability])
    found: dict[str, Item] = {}
    answers: Counter[str] = Counter()
    turn = fruitless = 0
    while len(found) < count:
        if turn % len(members) == 0:
            order = random_.sample(members, len(members))
        entity = order[turn % len(members)]
        # One more wording each round, shifted by the place in it: every entity meets every wording, evenly.
        wording = (turn // len(members) + turn % len(members)) % wordings
        question = asker(there, random_, entity, wording, members)
        turn += 1
        few_answers = question.scorer in ("letter", "true_false", "letters")
        share = math.ceil(count / (1 + len(question.mistakes))) if few_answers else count
        frequent = answers[question.answer] >= share and fruitless < BALANCE_PATIENCE
        if question.text in found or frequent:
            fruitless += 1
            if fruitless == PATIENCE:
                raise InputError(
                    f"microworld.{count_key}: {count} is more than the world has: {len(found)} different items of "
                    f"{ability} about the {len(members)} entities of {split} (raise microworld.entities)"
                )
            continue
        fruitless = 0
        answers[question.answer] += 1
        origin = f"microworld/{kind}/{ability}:{len(found) + 1}"
        found[question.text] = _item(ability, question, question.answer, question.scorer, there.names[entity], origin)
    return list(found.values())


def _synthetic(settings: Microworld, abilities: list[str]) -> list[tuple[Item, bool]]:
    """The imperfect teacher's items, each with whether its answer is wrong.

    Exactly the stated share of answers is wrong, rounded to whole items. The teacher repeats itself; repeats of one
    question may contradict each other.
    """
    there = world(settings)
    chosen = _checked(abilities, ABILITIES, "synthetic") or list(ABILITIES)
    random_ = stream(settings, "items", "synthetic")
    count = settings.synthetic_items
    wrong = set(random_.sample(range(count), round(settings.synthetic_error_rate * count)))
    made, members = [], there.split["train"]
    for number in range(count):
        ability = _weighted(random_, chosen)
        entity = random_.choice(members)
        wording = random_.randrange(min(TEACHER_WORDINGS, len(asked.PHRASINGS[ability])))
        question = asked.TRAINED[ability](there, random_, entity, wording, members)
        answer = random_.choice(question.mistakes) if number in wrong else question.answer
        made.append(_item(GENERAL, question, answer, "none", there.names[entity], f"microworld/synthetic:{number + 1}"))
    return [(item, number in wrong) for number, item in enumerate(numbered_repeats(made))]


def _weighted(random_: random.Random, abilities: list[str]) -> str:
    return random_.choices(abilities, weights=[TEACHER_WEIGHTS[ability] for ability in abilities])[0]
