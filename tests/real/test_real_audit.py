"""The audit finds the overlaps that are known of public data (see the data's README), in the items that a study has."""

import pytest

from growthpace.data.audit import audit
from growthpace.data.importers import read_items_of
from growthpace.study import BenchmarkItems, PublicItems, PublicSet

pytestmark = pytest.mark.real

KINDS = ("leak", "partial_leak", "possible_leak", "spread_leak")


def public(folder, name, split, *parts):
    chosen = PublicSet(name=name, folder=folder / name, parts=list(parts) or None)
    return list(read_items_of(PublicItems(importer="public", split=split, sets={"one": chosen}), ["one"]))


def given_away(pool, suite):
    """{kind: ids of evaluated items}, by the worst finding of each; and the audit."""
    found = audit({"train": pool}, {"test": suite})
    by_kind, told = {}, set()
    for kind in KINDS:
        by_kind[kind] = {r["other_id"] for r in found.findings.to_pylist() if r["kind"] == kind} - told
        told |= by_kind[kind]
    return by_kind, found


@pytest.mark.parametrize(
    ("papers", "task", "known", "most"),
    [(["biology"], "gaokao-biology", 80, 95), (["math_1", "math_2"], "gaokao-mathqa", 103, 120)],
)
def test_gaokao_bench_in_agieval(real_data, papers, task, known, most):
    folder = real_data / "agieval_permissive"
    suite = BenchmarkItems(importer="benchmark", name="agieval", folder=folder, subjects=[task])
    kinds, _ = given_away(public(real_data, "gaokao_bench", "train", *papers), list(read_items_of(suite, ["agieval"])))
    assert known <= sum(len(kinds[kind]) for kind in KINDS[:3]) <= most
    assert len(kinds["leak"] | kinds["partial_leak"]) >= 80


@pytest.mark.parametrize(("part", "known", "most"), [("chinese", 400, 490), ("english", 193, 260)])
def test_tal_in_its_own_training_split(real_data, part, known, most):
    pool, suite = (public(real_data, "tal_scq5k", split, part) for split in ("train", "test"))
    kinds, found = given_away(pool, suite)
    assert known <= sum(len(kinds[kind]) for kind in KINDS[:3]) <= most
    # What the policies leave out gives nothing away any more.
    gone = {item for pools in (found.leaked, found.possible) for ids in pools.values() for item in ids}
    left, _ = given_away([item for item in pool if item.id not in gone], suite)
    assert not any(left[kind] for kind in KINDS[:3])


def test_unrelated_data_leak_nothing(real_data):
    """Grade-school mathematics and logic of other publishers: no finding between them."""
    kinds, _ = given_away(public(real_data, "gsm8k", "train"), public(real_data, "folio", "test"))
    assert not any(kinds.values())
