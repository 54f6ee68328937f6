"""Hashes of many texts at once are those of each by itself, and tell apart what differs."""

import re
import unicodedata

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from growthpace.data.audit.texts import distinct, ngrams, normalised, streams, text_of
from growthpace.data.items import Item, Message

EAST_ASIAN = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U000323af"
TEXT = st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from("ab 中文。é1\0")), max_size=40)


def tokens(text):
    return re.findall(rf"[{EAST_ASIAN}]|[^\W_{EAST_ASIAN}]+", text)


@given(st.lists(TEXT, max_size=6))
@settings(max_examples=150, deadline=None)
def test_streams_are_the_tokens_and_characters_of_each_text(texts):
    texts = [normalised(text) for text in texts]
    found = streams(texts) if texts else None
    for number, text in enumerate(texts):
        alone = streams([text])
        for stream, own, wanted in zip(found, alone, (tokens(text), "".join(tokens(text))), strict=True):
            assert np.array_equal(stream.hashes[stream.owners == number], own.hashes)
            assert len(own.hashes) == len(wanted)
            # Equal parts have equal hashes, others do not.
            assert len(set(own.hashes.tolist())) == len(set(wanted))


@given(st.lists(st.text("abc ", max_size=30), min_size=1, max_size=5), st.integers(1, 6))
@settings(max_examples=100, deadline=None)
def test_ngrams_stay_within_a_text_and_repeat_where_it_does(texts, size):
    texts = [normalised(text) for text in texts]
    made, _ = streams(texts)
    grams = ngrams(made, size)
    known = {}
    for number, text in enumerate(texts):
        parts = text.split()
        wanted = [tuple(parts[n : n + size]) for n in range(len(parts) - size + 1)]
        own = grams.hashes[grams.owners == number].tolist()
        assert len(own) == len(wanted)
        for gram, value in zip(wanted, own, strict=True):
            assert known.setdefault(gram, value) == value
    assert len(set(known.values())) == len(known)
    once = distinct(grams)
    assert len(once.hashes) == len({*zip(grams.hashes.tolist(), grams.owners.tolist(), strict=True)})
    assert (np.diff(once.owners) >= 0).all()


def test_hashes_are_the_same_in_every_process():
    made, characters = streams(["water cycle 中"])
    assert [hex(value) for value in made.hashes.tolist()] == GOLDEN
    assert len(characters.hashes) == 11


GOLDEN = ["0x8aa13fc1105b0f29", "0x91ee18a8967f7cb9", "0xcc04a3778b05afe1"]


def test_texts_are_equal_in_spite_of_case_space_and_form():
    assert normalised("  Ａｂ\n\tC ") == "ab c"
    assert normalised(unicodedata.normalize("NFD", "é")) == "é"


def test_worked_examples_and_system_messages_are_no_part_of_an_item():
    turns = (Message("user", "Q1"), Message("assistant", "A1"), Message("user", "Q2"), Message("assistant", "A2"))
    told = Item("a", "x", (Message("system", "Be good."), *turns), "none", shots=1)
    assert text_of(told).prompt == "q2"
    assert text_of(told).whole == "q2\na2"
    asked = Item("a", "x", turns, "none")
    assert text_of(asked).prompt == "q1\na1\nq2"
    assert text_of(asked).exact != text_of(told).exact
