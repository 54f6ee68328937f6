import pytest
from hypothesis import given
from scoring import ANY_TEXT, fuzz, grade, make_item, said

from growthpace.errors import InputError
from growthpace.evaluation.answer_text import normalise_phrase
from growthpace.evaluation.scorers.cloze import parse_cloze

VERSE = "春风又绿江南岸，明月何时照我还"


@pytest.mark.parametrize(
    "text",
    [
        "李白", "李白。", " 李 白 ", "“李白”", "《李白》", "**李白**", "答案：李白", "答案：李白。", "答案:李白",
        "答案：\n李白", "答案是李白",
        "答案为“李白”。", "【答案】李白", "正确答案是：“李白”。", "回答：李白", "应填：李白", "填“李白”",
        "空格处应填李白", "横线处应填：李白",
        "根据诗意，答案是李白。", "李白。他是唐代诗人。", "李白\n他是唐代诗人", "The answer is 李白.", "Answer: 李白",
        "答案是杜甫？不，答案是李白",
    ],
)  # fmt: skip
def test_texts_that_say_the_reference(text):
    result = grade(make_item("cloze", "李白"), said(text))
    assert (result.grade, result.chance, result.parsed) == (1.0, 0.0, "李白")


@pytest.mark.parametrize(
    "text", ["", "答案：", "杜甫", "答案：杜甫", "李", "李白和杜甫", "不是李白", "答案是李白，答案是杜甫"]
)
def test_other_texts(text):
    assert grade(make_item("cloze", "李白"), said(text)).grade == 0.0


@pytest.mark.parametrize(
    ("reference", "text", "expected"),
    [
        ("Li Bai", 'The answer is "Li Bai".', 1.0),
        ("Li Bai", "answer: LI  BAI", 1.0),
        ("the cat", "The Cat.", 1.0),
        ("well-known", "well known", 1.0),
        ("a part", "apart", 0.0),
        (VERSE, f"答案：{VERSE}。", 1.0),
        (VERSE, VERSE.replace("，", "\u3000"), 1.0),
        ("学而不思则罔。思而不学则殆", "学而不思则罔。思而不学则殆。", 1.0),
        ("答案", "答案", 1.0),
        ("１２", "12", 1.0),
        ("-5", "5", 0.0),
        ("3.14", "314", 0.0),
        ("50%", "50", 0.0),
        ("。", "。", 1.0),
        ("。", "，", 0.0),
    ],
)
def test_normalised_comparison(reference, text, expected):
    assert grade(make_item("cloze", reference), said(text)).grade == expected


def test_the_announcement_is_not_the_answer():
    assert parse_cloze("答案：李白") == "李白"


def test_a_prediction_without_text_is_an_error():
    with pytest.raises(InputError, match="item-1"):
        grade(make_item("cloze", "李白"), said(None))


@fuzz
@given(ANY_TEXT)
def test_no_text_breaks_the_parser(text):
    assert "\n" not in parse_cloze(text)
    assert grade(make_item("cloze", "李白"), said(text)).grade in (0.0, 1.0)


@fuzz
@given(ANY_TEXT.filter(str.strip))
def test_a_reference_is_its_own_answer(text):
    assert normalise_phrase(text) == normalise_phrase(text)
    assert grade(make_item("cloze", text), said(text)).grade == 1.0
