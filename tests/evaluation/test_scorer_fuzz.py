"""No text breaks a parser: 100,000 made-up texts for each, and no grade outside [0, 1].

The texts mix what the parsers look for with every kind of character, in any order. math-verify takes a process and
milliseconds for each comparison, so the equality of expressions is tried on fewer texts than their reading.
"""

import random
from dataclasses import replace

import pytest
from scoring import LETTERS, make_item, said, scored

from growthpace.evaluation import mathematics, paper_math, paper_rules
from growthpace.evaluation.answer_text import normalise_exact, normalise_phrase, plain
from growthpace.evaluation.inside import wire
from growthpace.evaluation.scorers import SCORERS, code, math

TEXTS = 100_000
COMPARED = 3_000

ENGLISH = [
    "the", "answer", "is", "not", "isn't", "The answer is", "Answer:", "true", "false", "correct", "wrong", "option",
    "and", "or", "because", "A", "B", "C", "D", "E", "F", "(A)", "B.", "C)", "a", "b", "I", "it is", "choose", "none",
    "percent", "million", "cm", "x", "y", "=", "x=", "so", "no", "yes",
]  # fmt: skip
CHINESE = [
    *"对错是否选填和或又元万亿不、，。：；？（）《》“”√×Ａ１　",
    "答案", "答案是", "答案为", "答：", "【答案】", "故选", "不选", "选项", "正确", "不正确", "错误", "因为", "李白",
    "百分之", "二分之一", "厘米",
]  # fmt: skip
MATHEMATICAL = [
    *"0123456789", "10", "1,000", "0.5", ".5", "-", "+", "*", "/", "^", "**", "!", "%", "$", "$$", "\\$", "\\boxed{",
    "\\frac{", "\\frac12", "\\sqrt{", "\\sqrt", "\\text{", "\\left(", "\\right)", "\\{", "\\}", "{", "}", "(", ")", "[",
    "]", "\\pi", "\\infty", "\\cdot", "\\times", "<", ">", "|", "_", "####", "½", "²", "∞", "∅", "π", "°", "e", "1e5",
    "\\(", "\\)", "\\[", "\\]", "\\", "&", "~", ":", ";", ",", ".", "'", "’", "`",
]  # fmt: skip
PROGRAM = [
    "```", "```python\n", "~~~", "def f(x):\n", "def total(", "    return ", "class A:", "import os", "from a import b",
    "@x", "async def g():", "\n", "\n    ", "\t", "\r\n", "# ", "'''", '"""', "pass", "lambda", ":", "assert", "f(1)",
]  # fmt: skip
FRAGMENTS = [*ENGLISH, *CHINESE, *MATHEMATICAL, *PROGRAM, " ", " ", "\n", "\n\n", ""]
# From every plane, control characters, combining marks and right-to-left text among them; no surrogates.
RANGES = [(0, 0x20), (0x20, 0x7F), (0x7F, 0x300), (0x300, 0x370), (0x590, 0x700), (0x1100, 0x1200), (0x2000, 0x2C00),
          (0x3000, 0x3400), (0x4E00, 0xA000), (0xE000, 0xF900), (0xF900, 0x10000), (0x1F300, 0x1FB00),
          (0x20000, 0x20400), (0xE0000, 0xE0200), (0x10FF00, 0x110000)]  # fmt: skip


def texts(seed, count=TEXTS):
    generator = random.Random(seed)
    for number in range(count):
        parts = generator.choices(FRAGMENTS, k=generator.randint(0, 16))
        if number % 3 == 0:  # any character, between
            parts += [chr(generator.randrange(*generator.choice(RANGES))) for _ in range(generator.randint(1, 8))]
            generator.shuffle(parts)
        text = (" " if number % 2 else "").join(parts)
        yield text * 60 if number % 5_000 == 7 else text  # a model that repeats itself


def graded(scorer, item, text):
    result = scorer(item, said(text))
    assert 0 <= result.grade <= 1
    assert 0 <= result.chance <= 1
    return result.parsed


def letter(text, count):
    item = make_item("letter", "B", LETTERS[:count])
    assert graded(SCORERS["letter"].grade, item, text) in ("", *LETTERS[:count])


def letters(text, count):
    parsed = graded(SCORERS["letters"].grade, make_item("letters", "AB", LETTERS[:count]), text)
    assert list(parsed) == sorted(set(parsed) & set(LETTERS[:count]))


def true_false(text, count):
    words = ("正确", "错误") if count % 2 else ("Yes", "No")
    assert graded(SCORERS["true_false"].grade, make_item("true_false", words[1], words), text) in ("", *words)


def cloze(text, count):
    assert "\n" not in graded(SCORERS["cloze"].grade, make_item("cloze", "李白"), text)


def exact_match(text, count):
    item = replace(make_item("exact_match", "red", chance=0.2), references=("答案", "A"))
    assert graded(SCORERS["exact_match"].grade, item, text) == graded(SCORERS["exact_match"].grade, item, f" {text}")


def token_f1(text, count):
    item = replace(make_item("token_f1", "答案 is the 0.5"), references=("A", "李白"))
    assert bool(graded(SCORERS["token_f1"].grade, item, text)) == bool(plain(text).strip())


def phrases(text, count):
    assert normalise_phrase(normalise_phrase(text)) is not None
    assert normalise_exact(text) == normalise_exact(text).strip()
    assert "\r" not in plain(text)


def mathematical(text, count):
    answer = math.final_answer(text)
    assert isinstance(answer, str)
    mathematics.number(answer)
    mathematics.number(text)


def programs(text, count):
    found = code.programs_of(text, "def total(numbers):\n" if count % 2 else "", "assert f(1) == 2")
    assert found
    assert all(isinstance(program, str) for program in found)


def released_math(text, count):
    answer = paper_math.read_answer(text)
    assert paper_math.equal(answer, text) in (True, False)
    assert paper_math.equal(answer, answer or "") is (answer is not None)


PARSERS = [letter, letters, true_false, cloze, exact_match, token_f1, phrases, mathematical, programs, released_math]


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.__name__)
def test_no_text_breaks_a_parser(parser):
    for number, text in enumerate(texts(parser.__name__)):
        try:
            parser(text, 2 + number % 25)
        except Exception as error:
            raise AssertionError(f"{text!r}") from error


ITEMS = [
    make_item("letter", "B", "ABCD"),
    make_item("true_false", "错误", ("正确", "错误")),
    make_item("letters", "AC", "ABCDE"),
    make_item("cloze", "李白"),
    make_item("math", "1/2"),
]


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.scorer)
def test_no_text_breaks_the_released_rules(item):
    for text in texts(f"released {item.scorer}"):
        prediction = replace(said(text), last_step=(-1.0, -2.0, -0.5, -3.0))
        result = paper_rules.GRADES[item.scorer](item, prediction)
        assert result.grade in (0.0, 1.0)
        assert 0 <= result.chance <= 1


def test_no_numbers_make_a_grade_outside_of_0_and_1():
    generator = random.Random(0)
    values = [0.0, -0.0, -1e-300, -1e300, float("-inf"), -1.0, -2.5]
    for _ in range(TEXTS):
        count = generator.randint(2, 6)
        item = make_item("perplexity", "0", [str(number) for number in range(count)])
        sums = [generator.choice(values) for _ in range(count)]
        result = SCORERS["perplexity"].grade(item, scored(*sums, tokens=generator.choices(range(1, 99), k=count)))
        assert result.grade in (0.0, 1.0)


@pytest.mark.parametrize("reference", ["1/2", r"\sqrt{2}", r"\{1,2\}", "5;10", "no solution"])
def test_no_text_breaks_the_comparison_of_expressions(reference):
    item = make_item("math", reference)
    for text in texts(f"math {reference}", COMPARED):
        result = SCORERS["math"].grade(item, said(text))
        assert result.grade in (0.0, 1.0)


KINDS = [
    "text", "int", "float", "complex", "bytes", "bytearray", "list", "tuple", "set", "frozenset", "dict", "range",
    "slice", "type", "ellipsis", "as_text", "Decimal", "Fraction", "date", "yours", "mine", "x",
]  # fmt: skip
LEAVES = [
    None,
    True,
    False,
    0,
    -1,
    3,
    1.5,
    1e308,
    "",
    "ff",
    "-1",
    "nan",
    "0x1p9999",
    "1e5",
    "int",
    "eval",
    "2020-01-01",
]


def message(generator, depth=0):
    """Something that a program may send for a value, mostly nonsense."""
    if depth > 4 or generator.random() < 0.3:
        return generator.choice(LEAVES)
    parts = [message(generator, depth + 1) for _ in range(generator.randint(0, 3))]
    chosen = generator.random()
    if chosen < 0.75:
        return [generator.choice(KINDS), *parts]
    return parts if chosen < 0.95 else {generator.choice(KINDS): parts}


def test_no_message_breaks_the_sandboxes_wire():
    generator = random.Random(0)
    values = wire.Values(lambda *described: described, lambda value: None)
    read = 0
    for _ in range(TEXTS):
        data = message(generator)
        try:
            values.read(data)
            read += 1
        except wire.Broken:
            pass
        except Exception as error:
            raise AssertionError(f"{data!r}") from error
    assert read > TEXTS / 20


def test_what_crosses_the_wire_comes_back():
    generator = random.Random(0)
    values = wire.Values(lambda *described: described, lambda value: None)
    for text in texts("wire", 20_000):
        whole = [text, text.encode(), len(text), -(7 ** len(text)), {text: (1.5, None)}, {text}, range(len(text))]
        value = generator.choice([whole, tuple(whole), {"k": whole}, *whole])
        assert values.read(values.write(value)) == value
