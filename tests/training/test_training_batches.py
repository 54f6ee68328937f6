"""What a step learns: only answers, the same data in the same order, and clear words about items that do not fit."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny
from growthpace.conversation import PAPER_TOKENS, Encoder
from growthpace.data.items import Message
from growthpace.errors import InputError
from growthpace.training.batches import Example, Steps, encode_items


@pytest.fixture(scope="module")
def encoder():
    return Encoder(tiny.make_tokenizer(), "paper")


def test_only_answers_are_learned(encoder):
    """Every assistant's turn with its end, and nothing else (invariant 3)."""
    turns = [("user", "w1 w2"), ("assistant", "w3"), ("user", "w4"), ("assistant", "w5 w6")]
    item = tiny.make_item("two-turns", "", "")
    item = type(item)(item.id, item.ability, tuple(Message(*turn) for turn in turns), "none")
    (example,), counts = encode_items([item], encoder, 32, "refuse")
    words = encoder.tokenizer.convert_ids_to_tokens(list(example.ids))
    learned = [word for word, mask in zip(words, example.mask, strict=True) if mask]
    user, assistant, end = PAPER_TOKENS
    assert words == [user, "w1", "w2", end, assistant, "w3", end, user, "w4", end, assistant, "w5", "w6", end]
    assert learned == ["w3", end, "w5", "w6", end]
    assert counts == {"truncated": 0, "dropped": 0}


LONG = tiny.make_item("long", "w1 w2", "w3 w4 w5 w6")  # <user> w1 w2 <eot> <assistant> w3 w4 w5 w6 <eot>: 10 tokens
SHORT = tiny.make_item("short", "w1", "w2")  # 6 tokens


def test_overlong_refuse_names_the_item(encoder):
    assert encode_items([LONG], encoder, 10, "refuse")[1] == {"truncated": 0, "dropped": 0}
    with pytest.raises(InputError, match=r"'long' \(tiny:long\) has 10 tokens, training.max_length is 9"):
        encode_items([SHORT, LONG], encoder, 9, "refuse")


def test_overlong_drop_counts(encoder):
    examples, counts = encode_items([LONG, SHORT, LONG], encoder, 9, "drop")
    assert [len(example.ids) for example in examples] == [6]
    assert counts == {"truncated": 0, "dropped": 2}
    with pytest.raises(InputError, match="nothing is left to train on"):
        encode_items([LONG], encoder, 9, "drop")


def test_overlong_truncate_counts_and_keeps_the_beginning(encoder):
    whole = encode_items([LONG], encoder, 10, "refuse")[0][0]
    examples, counts = encode_items([LONG, SHORT], encoder, 7, "truncate")
    assert (examples[0].ids, examples[0].mask) == (whole.ids[:7], whole.mask[:7])
    assert sum(examples[0].mask) == 2
    assert counts == {"truncated": 1, "dropped": 0}


@pytest.mark.parametrize("room", [1, 2, 5])
def test_an_answer_that_is_cut_away_is_an_error_that_names_the_item(encoder, room):
    with pytest.raises(InputError, match=rf"'long' \(tiny:long\) has no answer left to learn within {room} tokens"):
        encode_items([LONG], encoder, room, "truncate")


def examples_of(number: int) -> list[Example]:
    return [Example((index, index + 1, index + 2), (False, True, True), f"item-{index}") for index in range(number)]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 7), st.integers(1, 3), st.integers(0, 5))
def test_every_epoch_learns_every_example_once(number, batch_size, epochs, seed):
    steps = Steps(examples_of(number), seed, epochs, batch_size, 9)
    assert len(steps) == epochs * -(-number // batch_size)
    for epoch in range(epochs):
        seen = []
        for step in range(epoch * steps.per_epoch, (epoch + 1) * steps.per_epoch):
            firsts = [ids for row in steps[step] for ids in row.input_ids[::3]]
            assert len(firsts) <= batch_size
            seen += firsts
        assert sorted(seen) == list(range(number))


def test_the_order_depends_on_seed_and_epoch_alone():
    first, again = (Steps(examples_of(20), 3, 4, 4, 9) for _ in range(2))
    assert [first[step] for step in reversed(range(len(first)))] == [again[s] for s in reversed(range(len(again)))]
    assert first.order_hash() == again.order_hash()
    assert first.order(0).tolist() != first.order(1).tolist()
    assert Steps(examples_of(20), 3, 9, 4, 9).order(1).tolist() == first.order(1).tolist()
    others = [
        Steps(examples_of(20), 4, 4, 4, 9),
        Steps(examples_of(20), 3, 5, 4, 9),
        Steps(examples_of(21), 3, 4, 4, 9),
    ]
    assert len({steps.order_hash() for steps in [first, *others]}) == 4
