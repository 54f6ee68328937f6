"""Every chance level, by simulation: a uniform guesser over 20,000 items scores what its scorer states, within three
standard errors. The guesser is written from the words of docs/scorers.md, not from the scorers' formulas.
"""

import math
import random
import statistics

import numpy as np
import pytest
from scoring import GUESSES, LETTERS, grade, make_item, said, scored

from growthpace.evaluation import paper_rules
from growthpace.evaluation.scorers import SCORERS


def one_of(count, generator):
    """A guesser of one of `count` options; the right one is drawn as well."""
    letters = LETTERS[:count]
    return make_item("letter", generator.choice(letters), letters), said(generator.choice(letters))


def by_logprobs(count, generator):
    letters = LETTERS[:count]
    return make_item("letter", generator.choice(letters), letters), scored(*[-generator.random() for _ in letters])


def true_or_false(generator, text):
    item = make_item("true_false", generator.choice(("正确", "错误")), ("正确", "错误"))
    guess = said(generator.choice(("正确", "错误"))) if text else scored(-generator.random(), -generator.random())
    return item, guess


def some_of(count, generator):
    """A guesser that draws every option with a coin, again where none came: uniform over the non-empty sets."""

    def draw():
        while True:
            drawn = "".join(letter for letter in LETTERS[:count] if generator.random() < 0.5)
            if drawn:
                return drawn

    return make_item("letters", draw(), LETTERS[:count]), said("答案是" + "、".join(draw()))


def lowest(count, generator):
    texts = [str(number) for number in range(count)]
    tokens = [generator.randint(1, 40) for _ in texts]
    sums = [-generator.expovariate(1.0) * number for number in tokens]
    return make_item("perplexity", "0", texts), scored(*sums, tokens=tokens)


def a_phrase(scorer, generator):
    """No one guesses a phrase or a number: a guesser with a vocabulary of its own is never right."""
    answer = "".join(generator.choices("春江花月夜", k=4)) if scorer == "cloze" else f"{generator.randint(1, 9999)}.5"
    guess = "".join(generator.choices("ABCDEFG", k=4)) if scorer == "cloze" else str(generator.randint(1, 9999))
    return make_item(scorer, answer), said(guess)


def of_known_answers(scorer, generator):
    """Who made the item knows how many answers there are to guess from, and states the chance."""
    colours = ("red", "green", "blue", "white", "black")
    chance = 1 / len(colours)
    return make_item(scorer, generator.choice(colours), chance=chance), said(generator.choice(colours))


GUESSERS = {
    **{f"letter of {n}": lambda g, n=n: one_of(n, g) for n in (2, 3, 4, 5, 10, 26)},
    **{f"letter of {n} by log-probability": lambda g, n=n: by_logprobs(n, g) for n in (2, 4, 26)},
    "true or false": lambda g: true_or_false(g, text=True),
    "true or false by log-probability": lambda g: true_or_false(g, text=False),
    **{f"letters of {n}": lambda g, n=n: some_of(n, g) for n in (2, 3, 4, 5, 6)},
    **{f"perplexity of {n}": lambda g, n=n: lowest(n, g) for n in (2, 3, 4, 7)},
    "cloze": lambda g: a_phrase("cloze", g),
    "math": lambda g: a_phrase("math", g),
    "exact match": lambda g: of_known_answers("exact_match", g),
    "token F1": lambda g: of_known_answers("token_f1", g),
}


@pytest.mark.parametrize("name", GUESSERS)
def test_a_uniform_guesser_scores_the_stated_chance(name):
    generator = random.Random(name)
    results = [grade(*GUESSERS[name](generator)) for _ in range(GUESSES)]
    grades = [result.grade for result in results]
    chances = {result.chance for result in results}
    assert len(chances) == 1
    error = statistics.stdev(grades) / math.sqrt(GUESSES)
    assert abs(statistics.fmean(grades) - chances.pop()) <= 3 * error


def test_the_chance_of_code_is_none():
    """20,000 programs in sandboxes take half an hour: benchmarks/chance_of_code.py runs them, and docs/scorers.md tells
    its result. What is left here is the statement."""
    assert "Chance is 0" in SCORERS["code"].__doc__


@pytest.mark.parametrize("right", [1, 2, 3])
def test_the_chance_that_the_papers_code_stated_for_ethics(right):
    """It holds for a guesser who knows how many of the four letters are right (fault B20), and for no other."""
    generator = np.random.default_rng(right)
    item = make_item("letters", "ABCD"[:right], "ABCD")
    knows = ["".join(generator.permutation(list("ABCD"))[:right]) for _ in range(GUESSES)]
    results = [paper_rules.letters(item, said(guess)) for guess in knows]
    (chance,) = {result.chance for result in results}
    mean = statistics.fmean(result.grade for result in results)
    assert abs(mean - chance) <= 3 * math.sqrt(chance * (1 - chance) / GUESSES)
    assert grade(item, said("A")).chance == 1 / 15
