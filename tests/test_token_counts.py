"""Tokens are counted where an item may be too long, with the study's own encoder."""

import pytest

from growthpace.conversation import Encoder
from growthpace.data.audit import audit
from growthpace.data.items import Item, Message
from growthpace.token_counts import Counter


class Words:
    """A tokenizer of words."""

    unk_token_id = 0
    known = ("?", "<user>", "<assistant>", "<eot>")

    def __init__(self):
        self.encoded = 0

    def convert_tokens_to_ids(self, token):
        return self.known.index(token) if token in self.known else self.unk_token_id

    def encode(self, text, **_):
        self.encoded += 1
        return [7] * len(text.split())


@pytest.fixture
def counter():
    return Counter("s, m", Encoder(Words(), "paper"), 20)


def item(identifier, *texts):
    roles = ("user", "assistant") * len(texts)
    return Item(identifier, "history", tuple(map(Message, roles, texts)), "none")


def test_tokens_are_those_of_the_format(counter):
    assert counter.overlong(item("fits", "a " * 8, "b " * 8)) is None  # 16 and four of the format
    assert counter.overlong(item("too long", "a " * 9, "b " * 8)) == 21
    assert counter.overlong(item("turns", *["a " * 3] * 4)) is None  # 12 and 8
    assert counter.overlong(item("turns", *["a " * 4] * 4)) == 24


def test_what_is_short_in_bytes_is_not_encoded(counter):
    tokenizer = counter._encoder.tokenizer
    before = tokenizer.encoded
    assert counter.overlong(item("short", "abc", "de")) is None
    assert tokenizer.encoded == before


def test_the_audit_names_what_is_overlong(counter):
    found = audit({"curated": [item("a", "a " * 30, "b"), item("b", "a", "b")]}, {}, counters=[counter]).findings
    rows = [row for row in found.to_pylist() if row["kind"] == "overlong"]
    assert [(r["id"], r["other_source"], r["value"], r["detail"]) for r in rows] == [
        ("a", "s, m", 35.0, "max_length is 20")
    ]
