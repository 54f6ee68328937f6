"""Repeats are found, exactly those: MinHash proposes, the shingles decide."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from growthpace.data.audit import audit, batches
from growthpace.data.audit import duplicates as module
from growthpace.data.audit.duplicates import BANDS, NEAR, PERMUTATIONS, ROWS, Shingles, kept_back, signatures
from growthpace.data.audit.texts import streams
from growthpace.data.items import Item, Message

WORDS = [f"word{n}" for n in range(3000)]


def item(identifier, prompt, answer="An answer.", ability="history"):
    return Item(identifier, ability, (Message("user", prompt), Message("assistant", answer)), "none")


def words(seed, count):
    return random.Random(seed).choices(WORDS, k=count)


def shingles(text):
    tokens = text.casefold().replace(".", " ").replace("\n", " ").split()
    return {tuple(tokens[n : n + 3]) for n in range(len(tokens) - 2)}


def similarity(one, other):
    texts = ["\n".join(message.content for message in i.messages) for i in (one, other)]
    a, b = map(shingles, texts)
    return len(a & b) / len(a | b)


def test_signatures_are_those_of_datasketch():
    """Up to its first step, which spreads the hashes: ours are spread."""
    from datasketch import MinHash

    values = np.random.default_rng(1).integers(0, 2**32, size=(6, 400), dtype=np.uint32)
    values[1, :300] = values[0, :300]
    sizes = np.full(6, 400)
    ours = [MinHash(hashvalues=row, scheme="affine32") for row in signatures(values.ravel(), sizes)]
    theirs = [MinHash(num_perm=PERMUTATIONS, hashfunc=int) for _ in values]
    for sketch, row in zip(theirs, values, strict=True):
        sketch.update_batch(row)
    assert np.array_equal(ours[0].permutations, theirs[0].permutations)
    true = 300 / 500
    for sketches in (ours, theirs):
        assert sketches[0].jaccard(sketches[1]) == pytest.approx(true, abs=0.15)
        assert sketches[0].jaccard(sketches[2]) < 0.05


def test_items_without_shingles_are_left_alone():
    found = signatures(np.array([5, 3], dtype=np.uint32), np.array([0, 2, 0]))
    assert (found[[0, 2]] == 2**32 - 1).all()
    assert (found[1] < 2**32 - 1).any()


def test_bands_find_what_the_docstring_says():
    assert BANDS * ROWS <= PERMUTATIONS
    for at, chance in ((0.75, 0.9989), (0.8, 0.99995)):
        assert 1 - (1 - at**ROWS) ** BANDS == pytest.approx(chance, abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_planted_repeats_are_found_and_nothing_else(seed):
    """At least 99 % of pairs above the threshold, by brute force over the edits; none below it."""
    make = random.Random(seed)
    items, near, below = [], {}, set()
    for number in range(600):
        first = words(f"{seed} {number}", make.randint(20, 80))
        one = item(f"{number:04}a", " ".join(first), " ".join(words(f"{seed} {number} answer", 8)))
        second = list(first)
        for _ in range(make.randint(1, 4)):
            place = make.randrange(len(second))
            edit = make.choice(("change", "leave out", "put in"))
            second[place : place + (edit != "put in")] = [] if edit == "leave out" else [make.choice(WORDS)]
        other = item(f"{number:04}b", " ".join(second), one.messages[1].content)
        value = similarity(one, other)
        if value >= NEAR:
            near[other.id] = (one.id, value)
        else:
            below.add(other.id)
        items += [one, other]
    make.shuffle(items)
    found = {r["id"]: (r["other_id"], r["value"]) for r in rows(items) if r["kind"] == "near_within"}
    assert len(near) > 200
    assert len(below) > 50
    assert not found.keys() & below
    assert found.keys() <= near.keys()
    assert len(found) >= 0.99 * len(near)
    for identifier, (other, value) in found.items():
        assert other == near[identifier][0]
        assert value == pytest.approx(near[identifier][1], abs=1e-6)


def rows(items, suites=None):
    return audit({"curated": items}, suites or {}).findings.to_pylist()


@given(
    st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=9), min_size=1, max_size=25), st.integers(0, 9)
)
@settings(max_examples=60, deadline=None)
def test_what_is_left_out_has_a_near_one_that_stays(texts, seed):
    items = [item(f"i{n:02}", " ".join(text), "") for n, text in enumerate(texts)]
    by_id = {i.id: i for i in items}
    random.Random(seed).shuffle(items)
    found = audit({"curated": items}, {})
    left = {identifier for ids in found.repeated.values() for identifier in ids}
    stay = by_id.keys() - left
    for row in found.findings.to_pylist():
        if row["kind"] in ("duplicate_within", "near_within"):
            assert row["id"] in left
            one, other = by_id[row["id"]], by_id[row["other_id"]]
            if row["kind"] == "near_within":
                assert other.id in stay
                assert similarity(one, other) == pytest.approx(row["value"])
                assert row["value"] >= NEAR
            else:
                assert one.messages == other.messages
    contents = [by_id[identifier].messages for identifier in stay]
    assert len(contents) == len(set(contents))  # no exact repeat stays
    assert {by_id[i].messages for i in stay} <= {i.messages for i in items}


def test_a_chain_of_small_changes_is_not_left_out_whole():
    pairs = np.array([[0, 1], [1, 2], [2, 3]])
    assert kept_back(pairs, np.array([0.8, 0.9, 0.9])) == {1: (0, 0.8), 3: (2, 0.9)}


def test_the_first_by_ability_and_id_stays_whatever_the_order():
    text = " ".join(words("same", 30))
    items = [item("b", text), item("a", text), item("a", text, ability="biology"), item("c", f"{text} more")]
    for order in (items, items[::-1]):
        assert audit({"curated": order}, {}).repeated == {("curated", "history"): ["a", "b", "c"]}


def test_a_pool_of_one_template_takes_no_longer_than_its_length_says(monkeypatch):
    compared = []
    real = module.verified
    monkeypatch.setattr(module, "verified", lambda *given: compared.append(len(given[3])) or real(*given))
    template = " ".join(words("template", 60))
    for count in (200, 400, 800):
        rows([item(f"i{n:04}", f"{template} {' '.join(words(n, 4))}") for n in range(count)])
    assert compared[2] < 2.5 * compared[1] < 6.25 * compared[0]  # of all pairs there are four times as many


def test_between_sources_nothing_is_left_out():
    text, other = (" ".join(words(seed, 30)) for seed in ("one", "other"))
    pools = {"a": [item("x", text), item("y", other)], "b": [item("z", text), item("w", f"{other} indeed")]}
    found = audit(pools, {})
    kinds = {(r["kind"], r["id"], r["other_id"]) for r in found.findings.to_pylist() if "between" in r["kind"]}
    assert kinds == {("duplicate_between", "z", "x"), ("near_between", "w", "y")}
    assert found.repeated == {}


def test_batches_do_not_change_what_is_found(monkeypatch):
    import growthpace.data.audit as package

    make = random.Random(5)
    items = [item(f"i{n:03}", " ".join(words(n // 2, 25) + words(n, make.randint(0, 3)))) for n in range(200)]
    whole = audit({"curated": items}, {"test": items[:5]})
    monkeypatch.setattr(package, "BATCH_ITEMS", 7)
    assert [len(batch) for batch in batches(items[:15])] == [7, 7, 1]
    parts = audit({"curated": items}, {"test": items[:5]})
    assert parts.findings.equals(whole.findings)
    assert (parts.leaked, parts.repeated) == (whole.leaked, whole.repeated)


def test_shingles_of_no_items():
    none = Shingles()
    none.add(streams([])[0], 0)
    pairs, similarities = none.near(np.array([], dtype=np.int64))
    assert pairs.shape == (0, 2)
    assert similarities.shape == (0,)
