"""What is too similar, what refuses, what is cut off."""

import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growthpace.synthesis.filters import Known, instruction_fault, refuses, tokens_of, unfinished


def longest_common_subsequence(a, b):
    @functools.cache
    def length(i, j):
        if i == len(a) or j == len(b):
            return 0
        if a[i] == b[j]:
            return 1 + length(i + 1, j + 1)
        return max(length(i + 1, j), length(i, j + 1))

    return length(0, 0)


SOME = "river bank of a the 河 岸 money"
WORDS = st.lists(st.sampled_from(SOME.split(" ")), min_size=1, max_size=9).map(" ".join)


@given(st.lists(WORDS, max_size=4), WORDS, st.sampled_from([0.3, 0.5, 0.7, 0.9, 1.0]))
def test_rouge_l_is_by_its_formula(texts, text, most):
    known = Known(most, 1.0)
    known.add_all(texts)
    new = tokens_of(text)
    scores = [2 * longest_common_subsequence(tuple(new), tuple(o)) / (len(new) + len(o)) for o in map(tokens_of, texts)]
    found = known.similar(text)
    if new in [tokens_of(other) for other in texts]:
        assert found[0] == "the same"
    elif any(score > most + 1e-9 for score in scores):
        assert found[0] == "ROUGE-L"
        assert scores[found[1]] == pytest.approx(max(scores))
    elif all(score < most - 1e-9 for score in scores):
        assert found is None


@given(st.lists(WORDS, min_size=1, max_size=3), st.randoms())
def test_other_order_is_no_other_text(texts, random):
    known = Known(1.0, 0.99)
    known.add_all(texts)
    words = texts[-1].split()
    random.shuffle(words)
    assert known.similar(" ".join(words)) is not None


@given(st.lists(WORDS, max_size=6), WORDS, st.integers(0, 6))
def test_what_is_forgotten_was_never_there(texts, text, count):
    known, few = Known(0.5, 0.6), Known(0.5, 0.6)
    known.add_all(texts)
    known.forget(count)
    few.add_all(texts[:count])
    assert len(known) == len(few)
    assert known.similar(text) == few.similar(text)


def test_case_marks_and_width_do_not_make_a_text_new():
    known = Known(1.0, 1.0)
    known.add("What is the CAPITAL of France?")
    assert known.similar("what is the capital of ｆｒａｎｃｅ") == ("the same", 0)
    assert known.similar("What is the capital of Spain?") is None
    assert tokens_of("李白是 Tang 诗人") == ["李", "白", "是", "tang", "诗", "人"]


def test_many_different_words_stay_different():
    """Each has a character of its own, beyond the surrogates too."""
    known = Known(0.5, 0.5)
    known.add_all(f"word{3 * n} word{3 * n + 1} word{3 * n + 2}" for n in range(30000))
    assert known.similar("word89997 word89998 word89999 x") is not None
    assert known.similar("another word here") is None
    "".join(known._texts).encode()  # no surrogates


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.", "I’m sorry, I cannot assist.", "I cannot provide this.",
        "As an AI language model, I do not eat.", "Unfortunately, I am unable to browse.", "抱歉，我无法回答。",
        "很抱歉，作为AI我不能。", "作为一个人工智能，我没有感情。", "我无法提供该信息。",
        "**I apologize**, but no.",
    ],
)  # fmt: skip
def test_a_refusal(text):
    assert refuses(text)


@pytest.mark.parametrize(
    "text",
    [
        "The letter begins: I'm sorry for your loss.", "Sorry is the hardest word.", "A", "I can do that: 4.",
        "他很抱歉地说。", "我认为答案是A。", "I cannot emphasise enough how much salt it needs.",
        "As an artist, she drew.",
    ],
)  # fmt: skip
def test_no_refusal(text):
    assert not refuses(text)


def test_answers_within_a_block_of_code_are_cut_off():
    assert unfinished("Here:\n```python\ndef f():\n    return 1")
    assert not unfinished("Here:\n```python\ndef f():\n    return 1\n```\nDone.")
    assert not unfinished("Write `x` or ``` in a line.")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Why?", "too short"), ("w " * 401, "too long"), ("Describe the picture below.", "about something that is not"),
        ("See https://example.com and sum it up.", "about something"),
        ("如下图所示，求面积是多少？", "about something"),
        ("I'm sorry, but I cannot write that.", "the teacher refused"), ("Describe how a picture is framed.", ""),
        ("写一首关于春天的诗", ""),
    ],
)  # fmt: skip
def test_an_instruction_that_cannot_be_kept(text, fault):
    found = instruction_fault(text)
    assert found.startswith(fault)
    assert bool(found) == bool(fault)
