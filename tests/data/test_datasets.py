"""Nested datasets: invariant 1 over random pools, and the paper's mixes to the item."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growthpace.data.datasets import counts, first_ids, ranked
from growthpace.data.items import Item, Message, read_items
from growthpace.data.pools import make_dataset, make_pool
from growthpace.errors import InputError
from growthpace.paths import Paths
from growthpace.study import GENERAL
from small_study import CONTENT, changed, load_small, study_of

# --- invariant 1: nested ----------------------------------------------------------------------------------------------

IDS = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=40, unique=True)
SEEDS = st.integers(0, 2**31)
ABILITIES = ("biology", "history", "math")


def items(ids, ability="biology"):
    return [Item(i, ability, (Message("user", "Q"), Message("assistant", "A")), "none") for i in ids]


def drawn(study, dataset, pools, seed):
    """{pool: ids} of a dataset, as `make_dataset` draws them; pools: {(source, ability): ids}."""
    wanted = counts(study, dataset, lambda source, ability: len(pools[source, ability]))
    return {pool: first_ids(pools[pool], number, seed) for pool, number in wanted.items()}


def study_with(volumes, abilities=ABILITIES):
    content = changed("abilities", list(abilities))
    content["sources"]["curated"]["volumes"] = volumes
    del content["mixes"]
    content["training"]["epochs_by_volume"] = {}
    return study_of(content)


@given(ids=IDS, seed=SEEDS, data=st.data())
def test_a_smaller_volume_is_the_beginning_of_a_larger_one(ids, seed, data):
    pools = {("curated", ability): [f"{ability}{i}" for i in ids] for ability in ABILITIES}
    larger = data.draw(st.integers(1, len(ids)))
    smaller = data.draw(st.integers(1, larger))
    study = study_with(sorted({3 * smaller, 3 * larger}))
    chosen = [drawn(study, f"curated-{3 * volume}", pools, seed) for volume in (smaller, larger)]
    for pool in pools:
        assert chosen[0][pool] == chosen[1][pool][:smaller]
        assert len(set(chosen[1][pool])) == larger


@given(ids=IDS, seed=SEEDS, order=st.randoms(use_true_random=False))
def test_the_order_of_files_does_not_matter(ids, seed, order):
    shuffled = list(ids)
    order.shuffle(shuffled)
    assert ranked(items(ids), seed) == ranked(items(shuffled), seed)
    assert [i.id for i in ranked(items(ids), seed)] == first_ids(shuffled, len(ids), seed)
    assert sorted(first_ids(ids, len(ids), seed)) == sorted(ids)


@given(ids=IDS, others=IDS, seed=SEEDS, data=st.data())
def test_other_abilities_and_other_volumes_do_not_matter(ids, others, seed, data):
    number = data.draw(st.integers(1, min(len(ids), len(others))))
    pools = {("curated", "history"): others, ("curated", "biology"): ids}
    study = study_with(sorted({2 * number, 2}), ("history", "biology"))
    beside = drawn(study, f"curated-{2 * number}", pools, seed)
    assert beside["curated", "biology"] == first_ids(ids, number, seed)
    assert beside["curated", "history"] == first_ids(others, number, seed)


@given(ids=IDS, more=IDS, seed=SEEDS)
def test_a_pool_that_grows_keeps_the_order_of_what_it_held(ids, more, seed):
    grown = [i for i in ranked(items({*ids, *more}), seed) if i.id in ids]
    assert grown == ranked(items(ids), seed)


def test_seeds_draw_differently():
    ids = [str(number) for number in range(100)]
    assert {i.id for i in ranked(items(ids), 1)[:20]} != {i.id for i in ranked(items(ids), 2)[:20]}


def test_the_order_is_pinned():
    """Another order would silently change every study that is resumed or extended."""
    assert [i.id for i in ranked(items(["biology:1", "biology:2", "历史:3", "x#2"]), 42)] == [
        "biology:2",
        "biology:1",
        "x#2",
        "历史:3",
    ]


# --- how many items a dataset takes -----------------------------------------------------------------------------------

# DoIT's totals (paper.md) minus 100 valid and 100 test items each.
DOIT = {
    "biology": 1242, "history": 2093, "code": 5168, "creative_writing": 1200, "chinese": 1650, "understanding": 5085,
    "role_play": 1200, "reasoning": 12951, "math": 11701, "ethics": 1200,
}  # fmt: skip
DOIT = {ability: total - 200 for ability, total in DOIT.items()}
CAPS = {"ethics": 64, "role_play": 64, "creative_writing": 1000}


def doit_pool(source, ability):
    return 40_960 if ability == GENERAL else DOIT[ability]


def doit_counts(dataset, **mix):
    content = changed("abilities", list(DOIT))
    content["sources"]["curated"]["volumes"] = [10, 10_000]
    content["sources"]["synthetic"]["volumes"] = [10, 40_960]
    content["training"]["epochs_by_volume"] = {}
    content["mixes"] = {"mix": {"source": "curated"} | mix} if mix else {}
    return counts(study_of(content), dataset, doit_pool)


def test_reconstruct_is_exactly_10000():
    found = doit_counts("mix", total=10_000, shares=CAPS | {"biology": "all"}, rest="uniform")
    rest = ("history", "code", "chinese", "understanding", "reasoning", "math")
    wanted = CAPS | {"biology": 1042} | dict.fromkeys(rest, 1305)
    assert found == {("curated", ability): wanted[ability] for ability in DOIT}  # in the study's order
    assert sum(found.values()) == 10_000


def test_the_remainder_goes_to_the_first_in_the_studys_order():
    found = doit_counts("mix", total=10_004, shares=CAPS | {"biology": "all"}, rest="uniform")
    assert sum(found.values()) == 10_004
    extra = [ability for (_, ability), number in found.items() if number == 1306]
    assert extra == ["history", "code", "chinese", "understanding"]


def test_maximum_takes_everything_else_in_full():
    found = doit_counts("mix", shares=CAPS, rest="all")
    assert found == {("curated", ability): CAPS.get(ability, DOIT[ability]) for ability in DOIT}
    assert sum(found.values()) == 39_618  # "about 40k"


def test_what_is_added_comes_on_top():
    alone = doit_counts("mix", shares=CAPS, rest="all")
    added = doit_counts("mix", shares=CAPS, rest="all", add={"synthetic": 2560})
    assert added == alone | {("synthetic", GENERAL): 2560}


def test_no_rest_leaves_the_others_out():
    assert doit_counts("mix", shares={"math": 5, "biology": "all"}, rest="none") == {
        ("curated", "biology"): 1042,
        ("curated", "math"): 5,
    }


def test_a_balanced_dataset_takes_the_same_of_each():
    assert doit_counts("curated-10000") == {("curated", ability): 1000 for ability in DOIT}
    assert doit_counts("synthetic-40960") == {("synthetic", GENERAL): 40_960}


def test_too_few_items():
    with pytest.raises(InputError, match=r"mixes\.mix needs 2000 items of 'ethics' from 'curated', but .* holds 1000"):
        doit_counts("mix", shares={"ethics": 2000}, rest="none")


# --- files ------------------------------------------------------------------------------------------------------------


def made(tmp_path, monkeypatch, content=CONTENT):
    monkeypatch.chdir(tmp_path)
    study = load_small(tmp_path, content)
    paths = Paths(study)
    for ability in study.abilities:
        make_pool(study, "curated", ability, paths)
    make_pool(study, "synthetic", GENERAL, paths)
    return study, paths


def test_a_dataset_and_its_manifest(tmp_path, monkeypatch):
    study, paths = made(tmp_path, monkeypatch)
    manifest = make_dataset(study, "uneven", 1, paths)
    assert json.loads(paths.manifest("uneven", 1).read_text()) == manifest
    assert manifest["counts"] == {"curated/biology": 2, "curated/history": 20, "synthetic/general": 4}
    found = read_items(paths.dataset("uneven", 1))
    assert [i.id for i in found] == [i for part in manifest["ids"] for i in part["ids"]]
    assert (len(found), manifest["items"]) == (26, 26)


def test_the_same_seed_gives_the_same_bytes(tmp_path, monkeypatch):
    study, paths = made(tmp_path, monkeypatch)
    files = [paths.dataset("curated-4", 1), paths.manifest("curated-4", 1), paths.pool("curated", "biology")]
    make_dataset(study, "curated-4", 1, paths)
    first = [file.read_bytes() for file in files]
    (tmp_path / "again").mkdir()
    study, paths = made(tmp_path / "again", monkeypatch)  # elsewhere: no path of this machine is in them
    make_dataset(study, "curated-4", 1, paths)
    assert [file.read_bytes() for file in files] == first
    assert make_dataset(study, "curated-4", 2, paths)["items_sha256"] != json.loads(first[1])["items_sha256"]


def test_volumes_on_disk_are_nested(tmp_path, monkeypatch):
    study, paths = made(tmp_path, monkeypatch)
    found = {}
    for volume in (4, 16):
        make_dataset(study, f"curated-{volume}", 1, paths)
        found[volume] = {i.id for i in read_items(paths.dataset(f"curated-{volume}", 1))}
    assert found[4] < found[16]
