"""How each ability of the microworld asks: one small function per ability, from an entity to a question.

A function takes the world, a random stream, the entity asked about, the wording's number and the entities of its split,
and returns a `Question`. Nothing here decides how hard an ability is: that follows from what the corpus teaches.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from growthpace.microworld.statements import lettered
from growthpace.microworld.world import ADDENDS, LETTERS, THINGS, VALUES, World


@dataclass(frozen=True)
class Question:
    """A question, its one right answer, and what somebody who errs would say."""

    text: str
    answer: str
    mistakes: tuple[str, ...]
    """Wrong answers in the right form, at least one."""
    scorer: str
    candidates: tuple[str, ...] = ()
    chance: float = 0.0


LETTER_SETS = ("A", "B", "AB", "C", "AC", "BC", "ABC")
"""Every non-empty choice among three, in the order of its bits: the answers of `letters` items."""

Asker = Callable[[World, random.Random, int, int, tuple[int, ...]], Question]

PHRASINGS: dict[str, tuple[str, ...]] = {
    "biology": (
        "what does {n} eat ?",
        "name the food of {n}",
        "tell me what {n} likes to eat",
        "which food is for {n} ?",
        "each day {n} eats what ?",
    ),
    "history": (
        "when was {n} born ? {options}",
        "pick the birth of {n} : {options}",
        "{options} . when did {n} come ?",
        "the life of {n} began when ? {options}",
        "{options} . which was the birth of {n} ?",
    ),
    "code": (
        "print ( {f} ( {n} ) )",
        "x = {n} ; print ( {f} ( x ) )",
        "print ( {f} ( {n} ) , {g} ( {n} ) )",
        "x = {n} ; print ( {f} ( x ) , {g} ( x ) )",
    ),
    "creative_writing": (
        "write a line about {n}",
        "tell a tale of {n}",
        "begin a song about {n}",
        "make a verse for {n}",
        "say something nice about {n}",
    ),
    "language": (
        "fill the gap : {n} wears _",
        "fill the gap : the coat of {n} is _",
        "which word is missing ? the colour of {n} is _",
        "which word is missing ? you see {n} in _",
        "end the sentence : {n} has a coat of _",
    ),
    "dialogue_understanding": (
        "{n} : i bring {x} . {m} : i am happy . what does {n} bring ?",
        "{m} : come here . {n} : i bring {x} . what comes with {n} ?",
        "{n} : i bring {x} . {m} : i bring {y} . what does {n} bring ?",
        "{m} : i bring {y} . {n} : i bring {x} . what comes with {n} ?",
    ),
    "role_play": (
        "you are {n} . where do you live ?",
        "you are {n} . tell me about your home",
        "hello {n} , where do you sleep ?",
        "speak as {n} . where is your home ?",
        "i am new here , {n} . where do you live ?",
    ),
    "logical_reasoning": (
        "true or false : {n} can swim",
        "is it true that {n} can swim ?",
        "true or false : {n} can not swim",
        "{n} can swim . true or false ?",
    ),
    "math": (
        "{n} finds {a} coins and then {b} coins . how many coins is that ?",
        "how many are {a} and {b} coins of {n} ?",
        "{n} has {a} coins and finds {b} . count them",
        "{n} has {c} coins and loses {b} . how many does that leave ?",
        "count the coins that {n} has : {a} and {b}",
    ),
    "ethics": (
        "who is good ? {options}",
        "{options} . which of them are good ?",
        "name all who do good : {options}",
        "who does good each day ? {options}",
    ),
    "apprenticeship": ("who is the master of {n} ?", "name the master of {n}", "from which one learns {n} ?"),
    "comparison": ("do {n} and {m} eat the same food ?", "is it true that {n} and {m} eat the same ?"),
}
"""Ability -> wordings. Fields in braces are filled in by the ability's function."""

VERSES = ("oh {n} , all in {v} , child of the {h}", "in the {h} walks {n} in {v}")
SPOKEN_HOME = "i live in the {v}"
TRUE_FALSE = ("true", "false")


def _others(word: str, words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(other for other in words if other != word)


def biology(there: World, random_: random.Random, entity: int, wording: int, members: tuple[int, ...]) -> Question:
    """One's food, in a word; the six foods are compared."""
    food = there.facts["food"][entity]
    mistakes = _others(food, VALUES["food"])
    text = PHRASINGS["biology"][wording].format(n=there.names[entity])
    return Question(text, food, mistakes, "perplexity", (food, *mistakes), 1 / 6)


def history(there: World, random_: random.Random, entity: int, wording: int, members: tuple[int, ...]) -> Question:
    """The time of one's birth, as a letter; the six times are listed in the same order each time."""
    births = VALUES["birth"]
    answer = LETTERS[births.index(there.facts["birth"][entity])]
    text = PHRASINGS["history"][wording].format(n=there.names[entity], options=lettered(births))
    return Question(text, answer, _others(answer, LETTERS), "letter", LETTERS, 1 / 6)


def code(there: World, random_: random.Random, entity: int, wording: int, members: tuple[int, ...]) -> Question:
    """What a line of code prints: one or two attributes."""
    functions = random_.sample(("home", "food", "colour"), 2)
    form = PHRASINGS["code"][wording]
    text = form.format(n=there.names[entity], f=functions[0], g=functions[1])
    printed = functions if "{g}" in form else functions[:1]
    answer = " ".join(there.facts[function][entity] for function in printed)
    first = there.facts[printed[0]][entity]
    mistakes = tuple(answer.replace(first, other) for other in _others(first, VALUES[printed[0]]))
    return Question(text, answer, mistakes, "exact_match")


def creative_writing(
    there: World, random_: random.Random, entity: int, wording: int, members: tuple[int, ...]
) -> Question:
    """A verse that fits its hero: the right one is compared with three that err about coat, home or both."""
    name, colour, home = there.names[entity], there.facts["colour"][entity], there.facts["home"][entity]
    other_colour = random_.choice(_others(colour, VALUES["colour"]))
    other_home = random_.choice(_others(home, VALUES["home"]))
    verse = random_.choice(VERSES)
    pairs = ((colour, home), (other_colour, home), (colour, other_home), (other_colour, other_home))
    verses = tuple(verse.format(n=name, v=v, h=h) for v, h in pairs)
    text = PHRASINGS["creative_writing"][wording].format(n=name)
    return Question(text, verses[0], verses[1:], "perplexity", verses, 1 / 4)


def language(there: World, random_: random.Random, entity: int, wording: int, members: tuple[int, ...]) -> Question:
    """A gap in a sentence about one's coat."""
    colour = there.facts["colour"][entity]
    text = PHRASINGS["language"][wording].format(n=there.names[entity])
    return Question(text, colour, _others(colour, VALUES["colour"]), "cloze")


def dialogue_understanding(
    there: World, random_: random.Random, entity: int, wording: int, members: tuple[int, ...]
) -> Question:
    """What somebody said to bring: all that is needed stands in the dialogue. The six things are compared."""
    other = random_.choice([member for member in members if member != entity])
    x, y = random_.sample(THINGS, 2)
    form = PHRASINGS["dialogue_understanding"][wording]
    text = form.format(n=there.names[entity], m=there.names[other], x=x, y=y)
    mistakes = _others(x, THINGS)
    return Question(text, x, mistakes, "perplexity", (x, *mistakes), 1 / 6)


def role_play(there: World, random_: random.Random, entity: int, wording: int, members: tuple[int, ...]) -> Question:
    """Where somebody lives, said by that somebody."""
    home = there.facts["home"][entity]
    spoken = tuple(SPOKEN_HOME.format(v=v) for v in (home, *_others(home, VALUES["home"])))
    text = PHRASINGS["role_play"][wording].format(n=there.names[entity])
    return Question(text, spoken[0], spoken[1:], "perplexity", spoken, 1 / 6)


def logical_reasoning(
    there: World, random_: random.Random, entity: int, wording: int, members: tuple[int, ...]
) -> Question:
    """Whether somebody can, or can not, swim: the rule leads there from one's home; of half it is stated as well."""
    form = PHRASINGS["logical_reasoning"][wording]
    answer = TRUE_FALSE[there.swims(entity) == ("not" in form)]
    text = form.format(n=there.names[entity])
    return Question(text, answer, _others(answer, TRUE_FALSE), "true_false", TRUE_FALSE, 1 / 2)


def math(there: World, random_: random.Random, entity: int, wording: int, members: tuple[int, ...]) -> Question:
    """A sum or a difference of coins."""
    a, b = random_.choice(ADDENDS), random_.choice(ADDENDS)
    form = PHRASINGS["math"][wording]
    text = form.format(n=there.names[entity], a=a, b=b, c=a + b)
    result = a if "{c}" in form else a + b
    near = tuple(str(n) for n in (result - 1, result + 1) if 1 <= n <= 2 * ADDENDS[-1])
    return Question(text, str(result), near, "math")


def ethics(there: World, random_: random.Random, entity: int, wording: int, members: tuple[int, ...]) -> Question:
    """Which of three do good: every letter that fits, at least one."""
    good = [m for m in members if there.good(m)]
    bad = [m for m in members if not there.good(m)]
    possible = [answer for answer in LETTER_SETS if len(answer) <= len(good) and 3 - len(answer) <= len(bad)]
    answer = random_.choice(possible)
    good, bad = random_.sample(good, len(answer)), random_.sample(bad, 3 - len(answer))
    people = [good.pop() if letter in answer else bad.pop() for letter in LETTERS[:3]]
    text = PHRASINGS["ethics"][wording].format(options=lettered([there.names[person] for person in people]))
    return Question(text, answer, _others(answer, LETTER_SETS), "letters", LETTERS[:3], 1 / len(LETTER_SETS))


def apprenticeship(
    there: World, random_: random.Random, entity: int, wording: int, members: tuple[int, ...]
) -> Question:
    """Whom somebody learns from; all who have apprentices are compared, but for the one who is asked about."""
    master = there.names[there.masters[entity]]
    others = {there.names[m] for m in there.masters if m != entity} - {master}
    names = (master, *sorted(others))
    text = PHRASINGS["apprenticeship"][wording].format(n=there.names[entity])
    return Question(text, master, names[1:], "perplexity", names, 1 / len(names))


def comparison(there: World, random_: random.Random, entity: int, wording: int, members: tuple[int, ...]) -> Question:
    """Whether two eat the same."""
    food = there.facts["food"]
    same = [m for m in members if m != entity and food[m] == food[entity]]
    other = [m for m in members if food[m] != food[entity]]
    wanted = random_.choice([kind for kind in (same, other) if kind])
    text = PHRASINGS["comparison"][wording].format(n=there.names[entity], m=there.names[random_.choice(wanted)])
    answer = TRUE_FALSE[wanted is other]
    return Question(text, answer, _others(answer, TRUE_FALSE), "true_false", TRUE_FALSE, 1 / 2)


TRAINED: dict[str, Asker] = {
    "biology": biology,
    "history": history,
    "code": code,
    "creative_writing": creative_writing,
    "language": language,
    "dialogue_understanding": dialogue_understanding,
    "role_play": role_play,
    "logical_reasoning": logical_reasoning,
    "math": math,
    "ethics": ethics,
}
"""The ten abilities of the paper (arXiv 2310.19651, section 3), each with its function."""

UNTRAINED: dict[str, Asker] = {"apprenticeship": apprenticeship, "comparison": comparison}
"""Abilities that no training item is about."""
