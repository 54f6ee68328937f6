"""Items: what is no item, ids made of content, and Parquet files that give back what was written."""

from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from growthpace.data.datasets import first_ids, ranked
from growthpace.data.items import (
    SCORERS,
    Item,
    Message,
    check_item,
    check_unique,
    content_id,
    count_items,
    item_ids,
    items_with,
    numbered_repeats,
    read_items,
    stream_items,
    unique,
    write_items,
)
from growthpace.errors import InputError
from growthpace.files import read_metadata

TURNS = (Message("user", "Which?"), Message("assistant", "B"))
LETTER = Item("q1", "biology", TURNS, "letter", "B", ("A", "B"), 0.5, origin="b.json:1")


def test_a_sound_item_is_itself():
    assert check_item(LETTER) is LETTER
    check_item(replace(LETTER, messages=(Message("system", "Be kind."), *TURNS)))
    check_item(replace(LETTER, messages=(*TURNS, *TURNS)))
    check_item(replace(LETTER, scorer="none", answer="", candidates=()))
    check_item(replace(LETTER, messages=(*TURNS, *TURNS), shots=1))
    check_item(replace(LETTER, scorer="code", candidates=("def f(x):",), tests="assert f(1)"))


@pytest.mark.parametrize(("changes", "message"), [
    ({"messages": ()}, "it has no messages"),
    ({"messages": TURNS[:1]}, "its last message is by 'user'"),
    ({"messages": TURNS[1:]}, "message 1 is by 'assistant', expected 'user' (turns alternate)"),
    ({"messages": (TURNS[0], *TURNS)}, "message 2 is by 'user', expected 'assistant'"),
    ({"messages": (Message("system", "x"), TURNS[1])}, "message 1 is by 'assistant', expected 'user'"),
    ({"messages": (TURNS[0], Message("system", "x"), TURNS[1])}, "message 2 is by 'system', expected 'assistant'"),
    ({"messages": (TURNS[0], Message("assistant", " \n"))}, "empty answer (message 2)"),
    ({"messages": (Message("user", ""), TURNS[1])}, "empty message (message 1)"),
    ({"scorer": "vibes"}, f"unknown scorer 'vibes' (allowed: {', '.join(SCORERS)})"),
    ({"answer": " "}, "empty answer for the scorer 'letter'"),
    ({"scorer": "math", "answer": ""}, "empty answer for the scorer 'math'"),
    ({"chance": 1.0}, "chance 1.0 is not in [0, 1)"),
    ({"chance": float("nan")}, "chance nan is not in [0, 1)"),
    ({"candidates": ("B",)}, "the scorer 'letter' needs at least two candidates, found 1"),
    ({"answer": "C"}, "the answer 'C' is not among the candidates ['A', 'B']"),
    ({"candidates": ("A", "B", "B")}, "the candidate 'B' is given twice"),
    ({"candidates": ("A", "B", " ")}, "an empty candidate (3)"),
    ({"scorer": "code", "candidates": ()}, "the scorer 'code' needs tests, found none"),
    ({"scorer": "code", "tests": "assert f(1)"}, "2 candidates (allowed for code: at most one"),
    ({"shots": 1}, "1 shots among 2 turns (a shot is two turns, the question and answer last)"),
    ({"scorer": "letters", "answer": "BC"}, "the answer 'BC' has letters that are not among ['A', 'B']"),
])  # fmt: skip
def test_what_is_no_item(changes, message):
    with pytest.raises(InputError) as caught:
        check_item(replace(LETTER, **changes))
    assert str(caught.value).startswith("b.json:1: ")
    assert message in str(caught.value)


def test_an_item_without_origin_is_named_by_its_id():
    with pytest.raises(InputError, match=r"^q1: "):
        check_item(replace(LETTER, origin="", chance=2))


def test_ids_are_unique():
    other = replace(LETTER, id="q2", origin="b.json:2")
    assert check_unique([LETTER, other], "pool") == [LETTER, other]
    with pytest.raises(InputError, match=r"^pool: the item id 'q1' occurs twice: b\.json:1 and b\.json:3$"):
        check_unique([LETTER, other, replace(LETTER, origin="b.json:3")], "pool")


TEXTS = st.text(max_size=20)


@given(first=TEXTS, second=TEXTS)
def test_ids_of_content_differ_where_content_does(first, second):
    def of(text):
        return content_id("biology", (Message("user", text), TURNS[1]))

    assert (of(first) == of(second)) == (first == second)
    assert len(of(first)) == 16


def test_ids_of_content_are_pinned():
    """A changed id would change the rank of every item without a publisher's id, and so every dataset."""
    assert content_id("biology", TURNS, "B", ("A", "B")) == content_id("biology", list(TURNS), "B", ["A", "B"])
    assert content_id("历史", TURNS) == "6e25c072f3e6cd51"


def test_repeats_are_numbered():
    made = [replace(LETTER, id=i) for i in ("a", "b", "a", "a")]
    assert [i.id for i in numbered_repeats(made)] == ["a", "b", "a#2", "a#3"]


ITEMS = st.builds(
    Item,
    id=TEXTS,
    ability=st.sampled_from(["biology", "history"]),
    messages=st.lists(st.builds(Message, role=st.sampled_from(["user", "assistant"]), content=TEXTS)).map(tuple),
    scorer=st.sampled_from(SCORERS),
    answer=TEXTS,
    candidates=st.lists(TEXTS, max_size=4).map(tuple),
    chance=st.floats(0, 1),
    group=TEXTS,
    origin=TEXTS,
    references=st.lists(TEXTS, max_size=2).map(tuple),
    tests=TEXTS,
    shots=st.integers(0, 9),
    subject=TEXTS,
)


@given(items=st.lists(ITEMS, max_size=5))
def test_a_file_gives_back_what_was_written(items, tmp_path_factory):
    path = tmp_path_factory.mktemp("items") / "items.parquet"
    write_items(path, items, {"stage": "pool"})
    assert read_items(path) == items
    assert read_metadata(path)["stage"] == "pool"


def test_a_large_file_is_read_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("growthpace.data.items.BATCH", 5_000)  # a row group of five small items
    items = [replace(LETTER, id=f"q{n}", origin=f"b.json:{n}") for n in range(23)]
    path, counted = tmp_path / "items.parquet", {}

    def growing():
        for item in items:
            counted[item.id] = 1
            yield item

    assert write_items(path, growing(), counted) == 23
    assert pq.ParquetFile(path).num_row_groups == 5
    assert len(read_metadata(path)) == 24  # what was counted on the way, and the version
    assert count_items(path) == 23
    assert list(stream_items(path)) == read_items(path) == items
    assert list(item_ids(path)) == [item.id for item in items]
    assert items_with(path, ["q21", "q3", "q8"]) == [items[21], items[3], items[8]]


def test_the_first_ids_are_those_of_the_ranked_items():
    items = [replace(LETTER, id=f"q{n}") for n in range(50)]
    for seed in (1, 2):
        assert first_ids((item.id for item in items), 7, seed) == [item.id for item in ranked(items, seed)[:7]]


def test_a_repeated_id_is_found_without_keeping_items():
    items = [replace(LETTER, id=f"q{n % 30}", origin=f"b.json:{n}") for n in range(31)]
    found = unique(iter(items), "pool", lambda: iter(items))
    with pytest.raises(InputError, match=r"pool: the item id 'q0' occurs twice: b.json:0 and b.json:30"):
        list(found)
