"""The audit of a study's files, what its policy leaves out, and what it tells."""

import json

import pytest

from growthpace.data.audit.stage import audit_study, summary
from growthpace.data.items import read_items
from growthpace.data.policy import AuditInputs, left_out
from growthpace.data.pools import make_dataset, make_pool, make_suite
from growthpace.errors import InputError
from growthpace.files import read_json, write_json
from growthpace.grid import Grid
from growthpace.paths import Paths
from growthpace.study import load_study
from small_study import ABILITIES, CONTENT, changed, record, study_of, write_items, write_lines, write_study

DROP = {"leaked": "drop", "duplicates": "drop"}


def write_suites(folder):
    """Suites that ask nothing of what the pools say."""
    for kind in ("valid", "test"):
        for ability in ABILITIES:
            records = [record(asked(kind, ability, n), "ABCD"[n % 4], idx=n) for n in range(4)]
            write_lines(folder / f"items/{kind}/{ability}.json", records)


def asked(kind, ability, number):
    options = "\nA. the first\nB. the second\nC. the third\nD. the fourth"
    return f"Which answer to number {number} of the paper on {ability} for the {kind} is right?{options}"


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A function that makes the pools and suites of a small study in which one item leaks and one repeats another."""
    monkeypatch.chdir(tmp_path)
    write_items(tmp_path)
    write_suites(tmp_path)
    path = tmp_path / "items/curated/biology.json"
    known = [json.loads(line) for line in path.read_text().splitlines()]
    write_lines(path, [*known, record(asked("test", "biology", 1), "A", idx=100), {**known[3], "idx": 101}])

    def make(content):
        study = load_study(write_study(tmp_path, content))
        paths = Paths(study)
        for source in study.sources:
            for ability in Grid(study).pools(source):
                make_pool(study, source, ability, paths)
        for suite in study.suites:
            make_suite(study, suite, paths)
        return study, paths

    return make


def test_what_leaks_and_what_repeats_is_listed_whatever_the_policy(made):
    for content in (CONTENT, changed("audit", DROP)):
        study, paths = made(content)
        audit_study(study, paths)
        listed = read_json(paths.audit_items)
        assert listed["leaked"] == {"curated": {"biology": ["biology:100"]}}
        assert listed["duplicates"] == {"curated": {"biology": ["biology:3"]}}  # the first by id stays: 101


def test_a_policy_leaves_items_out_before_datasets_are_drawn(made):
    study, paths = made(changed("audit", DROP))
    audit_study(study, paths)
    gone = left_out(study, ["curated"], paths)["curated", "biology"]
    assert len(gone) == 2
    chosen = {}
    for volume in (4, 16):
        make_dataset(study, f"curated-{volume}", 1, paths)
        chosen[volume] = {(i.ability, i.id) for i in read_items(paths.dataset(f"curated-{volume}", 1))}
    assert chosen[4] <= chosen[16]
    manifest = make_dataset(study, "uneven", 1, paths)  # all of its other abilities: all that is left
    assert manifest["counts"]["curated/history"] == 20
    assert not gone & {identifier for ability, identifier in chosen[16] if ability == "biology"}
    assert list(AuditInputs(study, paths).stale()) == []


def test_without_a_policy_nothing_changes(made):
    study, paths = made(CONTENT)
    before = make_dataset(study, "curated-16", 1, paths)
    audit_study(study, paths)
    assert make_dataset(study, "curated-16", 1, paths) == before
    assert "left_out" not in before
    assert left_out(study, ["curated"], paths) == {}


def test_a_pool_that_becomes_too_small_says_why(made):
    content = changed("audit", DROP)
    content["sources"]["curated"]["volumes"] = [4, 16, 44]
    content["mixes"] = {}
    study, paths = made(content)
    audit_study(study, paths)
    with pytest.raises(InputError) as told:
        make_dataset(study, "curated-44", 1, paths)
    assert str(told.value) == (
        "sources.curated.volumes: 44 needs 22 items of 'biology' from 'curated', but its pool holds 20 of 22, since "
        "the audit's policy drops 2 (see the section audit) "
        "(allowed: volumes up to 40, as far as the smallest pool goes)"
    )


def test_what_may_leak_is_left_out_where_the_policy_says_so(made):
    for leaked, gone in (("keep", set()), ("drop", {"100"}), ("drop_possible", {"100", "7"})):
        study, paths = made(changed("audit", {"leaked": leaked, "duplicates": "drop"}))
        audit_study(study, paths)
        listed = read_json(paths.audit_items)
        write_json(paths.audit_items, listed | {"possible": {"curated": {"biology": ["biology:7"]}}})
        left = left_out(study, ["curated"], paths)["curated", "biology"]
        assert left == {f"biology:{number}" for number in {"3", *gone}}


def test_a_dataset_needs_the_audit_that_its_policy_names(made):
    study, paths = made(changed("audit", {"leaked": "keep", "duplicates": "drop"}))
    with pytest.raises(InputError, match=r"audit.duplicates: drop, but .*audit_items.json is not there; make it with"):
        make_dataset(study, "curated-4", 1, paths)


def test_an_audit_without_pools_says_how_to_make_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = study_of()
    told = r"5 of 5 pools and suites are not there yet, such as .*biology.parquet; make them, and the audit, with"
    with pytest.raises(InputError, match=told):
        audit_study(study, Paths(study))


def test_same_bytes_on_repetition(made):
    study, paths = made(changed("audit", DROP))
    found = []
    for _ in range(2):
        audit_study(study, paths)
        files = (paths.audit, paths.audit.with_suffix(".html"), paths.audit_items)
        found.append([path.read_bytes() for path in files])
    assert found[0] == found[1]


def test_the_summary_says_what_is_wrong_and_what_to_do(made):
    content = changed("audit", {"leaked": "drop", "duplicates": "keep"})
    content["sources"]["synthetic"]["licence"] = "CC0"
    study, paths = made(content)
    lines = "\n".join(summary(study, audit_study(study, paths), paths))
    assert "audit: 72 training items (curated 42, synthetic 30) against 2 suites" in lines
    assert "leak: 1 training items give away 1 evaluated ones (test 1)" in lines
    assert "what to do: nothing, they are left out of the datasets (audit.leaked: drop)" in lines
    assert "leave all but one out with audit.duplicates: drop" in lines
    assert "licence unknown: curated. State it (sources.curated.licence)" in lines
    assert "left out of the datasets, leaked (audit.leaked: drop): curated/biology 1 of 22" in lines
    assert "tokens not counted for s, m" in lines


def test_licence_and_policy_are_the_settings_of_what_they_change():
    plain, stated = study_of(), study_of(changed("sources.curated.licence", "MIT"))
    dropping = study_of(changed("audit", DROP))
    assert Grid(stated).pool_settings("curated") == Grid(plain).pool_settings("curated")
    for dataset in Grid(plain).datasets:
        assert Grid(stated).dataset_settings(dataset, 1) == Grid(plain).dataset_settings(dataset, 1)
        more = {"audit_leaked": "drop", "audit_duplicates": "drop"}
        assert Grid(dropping).dataset_settings(dataset, 1) == Grid(plain).dataset_settings(dataset, 1) | more
    assert Grid(stated).audit_settings() == Grid(plain).audit_settings() | {"licence_curated": "MIT"}
    for run in Grid(plain).runs:
        assert Grid(stated).run_settings(run) == Grid(dropping).run_settings(run) == Grid(plain).run_settings(run)
