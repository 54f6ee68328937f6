"""Public sets: what serves which split, what settings are refused, and the choice of wrong candidates."""

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from growthpace.data.candidates import with_candidates
from growthpace.data.importers import local_files, read_items_of
from growthpace.data.importers.public import SETS, place
from growthpace.data.items import Item, Message, check_item, write_items
from growthpace.errors import InputError
from growthpace.study import GENERAL, PublicItems, PublicSet

PREMISES = st.lists(
    st.sampled_from(["All", "some", "no", "cats", "dogs", "are", "late", "early", "red"]), min_size=1, max_size=3
)
ROWS = st.lists(st.tuples(PREMISES, st.sampled_from(["True", "False", "Unknown"])), min_size=1, max_size=30)
SHARES = st.fixed_dictionaries({"valid": st.floats(0.05, 0.45), "test": st.floats(0.05, 0.45)})


def write_folio(folder, rows):
    lines = [
        json.dumps({"premises": [" ".join(p)], "conclusion": f"Number {n}.", "label": label})
        for n, (p, label) in enumerate(rows)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "folio-train.jsonl").write_text("\n".join(lines) + "\n")


def read(split, sets, left_out=None, **more):
    found = PublicItems(importer="public", split=split, sets=sets, **more)
    return list(read_items_of(found, list(sets) if GENERAL not in sets else None, left_out=left_out))


# --- splits ----------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(rows=ROWS, shares=SHARES)
def test_splits_are_disjoint_whole_and_the_same_on_repetition(rows, shares, tmp_path_factory):
    folder = tmp_path_factory.mktemp("folio")
    write_folio(folder, rows)
    sets = {"reasoning": {"name": "folio", "folder": folder, "splits": {"train": ["train"]}, "shares": shares}}
    found = {split: read(split, sets) for split in ("train", "valid", "test")}
    ids = [item.id for items in found.values() for item in items]
    assert sorted(ids) == sorted(f"folio/train/{n}" for n in range(len(rows)))
    groups = [{item.group for item in items} for items in found.values()]
    assert sum(map(len, groups)) == len(set().union(*groups))  # a passage is never in two splits
    for split, items in found.items():
        for name in ("once", "again"):
            write_items(folder / f"{name}.parquet", items if name == "once" else read(split, sets), {"stage": "pool"})
        assert (folder / "once.parquet").read_bytes() == (folder / "again.parquet").read_bytes()


@settings(deadline=None)
@given(texts=st.lists(st.text(min_size=1), min_size=1, max_size=20, unique=True), shares=SHARES)
def test_a_larger_share_of_valid_moves_no_test_item_and_spaces_no_item(texts, shares):
    for text in texts:
        item = Item("x", "", (Message("user", text), Message("assistant", "A")), "none")
        padded = Item("y", "", (Message("user", f"  {text} \n"), Message("assistant", "B")), "none")
        less = {**shares, "valid": shares["valid"] / 2}
        assert (place("s", item, shares) == "test") == (place("s", item, less) == "test")
        assert place("s", item, shares) == place("s", padded, shares)


def test_shares_are_met_roughly(tmp_path):
    write_folio(tmp_path, [([str(n)], "True") for n in range(4000)])
    shares = {"valid": 0.1, "test": 0.2}
    sets = {"reasoning": {"name": "folio", "folder": tmp_path, "splits": {"train": ["train"]}, "shares": shares}}
    counts = [len(read(split, sets)) for split in ("train", "valid", "test")]
    assert sum(counts) == 4000
    assert counts[1] == pytest.approx(400, abs=4 * 19)
    assert counts[2] == pytest.approx(800, abs=4 * 26)


def test_longest_and_most_leave_out(tmp_path):
    write_folio(tmp_path, [([f"word {'x' * (n % 2) * 400} {n}"], "True") for n in range(20)])
    sets = {"reasoning": {"name": "folio", "folder": tmp_path}}
    left_out = Counter()
    short = read("train", sets, left_out, longest=300)
    assert len(short) == 10
    assert left_out == {"folio: longer than 300 characters": 10}
    few = read("train", sets, longest=300, most=4)
    assert len(few) == 4
    assert [item for item in short if item in few] == few  # in the publisher's order
    assert set(few) < set(read("train", sets, longest=300, most=5))


def test_a_general_source_only_trains(tmp_path):
    write_folio(tmp_path, [(["a"], "True")])
    (item,) = read("train", {GENERAL: {"name": "folio", "folder": tmp_path}})
    assert (item.ability, item.scorer, item.candidates, item.chance) == (GENERAL, "none", (), 0)


@pytest.mark.parametrize(
    ("split", "changes", "message"),
    [
        ("valid", {}, "public set folio: it has no items for valid .*shares.valid, the share"),
        ("valid", {"shares": {"valid": 0.1, "test": 0.1}}, "shares.test: would have no effect, its publisher has such"),
        ("train", {"splits": {"train": ["dev"]}}, "splits.train: unknown split 'dev' .allowed: train, validation."),
        ("train", {"parts": ["x"]}, "parts: unknown part 'x' .allowed: no such key, it has no parts."),
        (
            "test",
            {"splits": {"test": ["train"]}, "shares": {"valid": 0.1}},
            "shares.valid: there are no items to train",
        ),
    ],
)
def test_what_a_set_cannot_serve_is_said(tmp_path, split, changes, message):
    write_folio(tmp_path, [(["a"], "True")])
    found = PublicItems(importer="public", split=split, sets={"x": {"name": "folio", "folder": tmp_path, **changes}})
    for call in (lambda: list(read_items_of(found, ["x"])), lambda: local_files(found, ["x"])):
        with pytest.raises(InputError, match=message):
            call()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hub": "a/b", "folder": "x"}, "found folder and hub"),
        ({"shares": {"train": 0.5}}, "shares.train"),
        ({"shares": {"valid": 0.6, "test": 0.5}}, "allowed: below 1"),
        ({"splits": {"train": ["train"], "valid": ["train"]}}, "given twice"),
        ({"splits": {"valid": ["train"]}, "shares": {"valid": 0.5}}, "would have no effect, splits.valid"),
    ],
)
def test_settings_that_contradict_themselves(changes, message):
    with pytest.raises(ValueError, match=message):
        PublicSet(name="folio", **changes)


def test_every_set_says_where_it_is(tmp_path):
    for name, module in SETS.items():
        assert name == module.NAME
        assert module.HUB is not None or module.RELEASE
        assert {theirs for own in module.SPLITS.values() for theirs in own} <= set(module.THEIRS)


def test_a_release_is_fetched_once_and_said_where_it_cannot(tmp_path, monkeypatch):
    write_folio(tmp_path / "there", [(["a"], "True")])
    monkeypatch.setattr(SETS["folio"], "RELEASE", (tmp_path / "there").as_uri())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert len(read("train", {"x": {"name": "folio"}})) == 1
    (tmp_path / "there/folio-train.jsonl").unlink()
    assert len(read("train", {"x": {"name": "folio"}})) == 1
    with pytest.raises(InputError, match=r"folio-validation.jsonl: cannot be fetched .*give its folder"):
        read("test", {"x": {"name": "folio"}})


# --- wrong candidates ------------------------------------------------------------------------------------------------

WORDS = st.lists(
    st.sampled_from(["the", "cat", "dog", "sat", "ran", "on", "a", "mat", "hill", "猫", "狗", "far", "home"]),
    min_size=1,
    max_size=6,
)
TEXTS = st.lists(st.tuples(WORDS, WORDS, st.sampled_from(["", "one", "two"])), max_size=12)


def bare(number, prompt, text, group):
    messages = (Message("user", " ".join(prompt)), Message("assistant", " ".join(text)))
    return Item(f"i{number}", "x", messages, "perplexity", messages[1].content, (messages[1].content,), group=group)


@settings(max_examples=60, deadline=None)
@given(texts=TEXTS, data=st.data())
def test_candidates_are_others_references_of_other_groups(texts, data):
    items = [bare(n, *text) for n, text in enumerate(texts)]
    found = {item.id: item for item in with_candidates(items)}
    known = {item.id: item for item in items}
    for item in found.values():
        check_item(item)
        assert (len(item.candidates), item.chance) == (3, 1 / 3)
        assert item.candidates[0] == item.answer == known[item.id].answer
        for text, identifier in zip(item.candidates[1:], item.taken_from, strict=True):
            assert known[identifier].answer == text
            assert not item.group or known[identifier].group != item.group
    for item in items:  # none is left out without need
        near = {o.answer for o in items if o.answer != item.answer and (not item.group or o.group != item.group)}
        assert (item.id in found) == (len(near) > 1)
    shuffled = data.draw(st.permutations(items))
    assert {item.id: item for item in with_candidates(shuffled)} == found


def test_the_near_one_is_about_the_same():
    story = ["a cat sat on the mat", "the cat ran up a hill", "stocks fell again in Tokyo", "rates and stocks rose"]
    story += ["it rains daily", "a bridge was built", "he plays chess", "she paints walls"]
    items = [bare(n, text.split(), [*text.split(), str(n)], "") for n, text in enumerate(story)]
    found = list(with_candidates(items))
    assert [item.taken_from[0] for item in found[:4]] == ["i1", "i0", "i3", "i2"]
    assert len({item.taken_from[1] for item in found}) > 2  # not the same odd one for everybody


def test_training_items_have_no_candidates_and_too_few_items_are_left_out(tmp_path):
    folder = tmp_path / "film"
    folder.mkdir()
    talks = [{"messages": [{"message": f"{n} {turn}"} for turn in range(6)]} for n in range(2)]
    for split in ("train", "test"):
        (folder / f"{split}.json").write_text(json.dumps(talks))
    sets = {"talk": {"name": "kdconv", "folder": tmp_path, "parts": ["film"]}}
    train = read("train", sets)
    assert [item.scorer for item in train] == ["none", "none"]
    assert [m.content for m in train[0].messages] == ["0 0", "0 1", "0 2", "0 3"]
    left_out = Counter()
    assert read("test", sets, left_out) == []
    assert left_out == {"kdconv: fewer than 2 other items to take wrong candidates from": 2}
