"""A benchmark as a study's suite: what it measures, what is refused, and what plans it again."""

import pytest
from publishers import ITEMS, settings

from growthpace.checks import check_study
from growthpace.data.items import read_items
from growthpace.data.pools import make_suite
from growthpace.errors import InputError
from growthpace.files import read_metadata
from growthpace.grid import Grid
from growthpace.paths import Paths
from growthpace.study import Benchmark, load_study
from growthpace.wiring import Plan
from small_study import changed, load_small, study_of, write_items, write_study

MMLU = {"importer": "benchmark", "name": "mmlu", "folder": "benchmark", "subjects": ["anatomy", "virology"]}


def with_suite(items: dict, **suite) -> dict:
    """The small study's content with a benchmark's suite `extra`."""
    return changed("suites.extra", {"items": items, "epochs": "selected", "max_new_tokens": 8} | suite)


@pytest.fixture
def study(tmp_path):
    """Reads the small study with MMLU's items changed so, and its files beside it."""
    settings("mmlu", tmp_path / "benchmark")
    return lambda changes=(), **suite: load_small(tmp_path, with_suite(MMLU | dict(changes), **suite))


@pytest.mark.parametrize(
    ("items", "suite", "message"),
    [
        ({"name": "mnlu"}, {}, f"suites.extra.items.name: found 'mnlu', allowed: {', '.join(Benchmark.__args__)}"),
        ({"hub": "a/b"}, {}, "suites.extra.items: found folder and hub, allowed: one of them"),
        ({"revision": "x"}, {},
         "suites.extra.items: revision 'x' would have no effect: it goes with hub, not with folder"),
        ({"shots": -1}, {}, "suites.extra.items.shots: found -1, allowed: a whole number from 0"),
        ({"subjects": {}}, {},
         "suites.extra.items: subjects: empty (allowed: a list, abilities with a list each, or no such key)"),
        ({"subjects": {"biology": ["anatomy"]}}, {"abilities": ["biology"]},
         "suites.extra.abilities: would have no effect, items.subjects names the abilities"),
        ({}, {"abilities": ["biology", "history"]},
         "suites.extra.abilities: 2 given, but a benchmark measures one ability (allowed: one, or items.subjects with "
         "abilities as keys)"),
    ],
)  # fmt: skip
def test_a_fault_is_one_clear_line(tmp_path, items, suite, message):
    config = write_study(tmp_path, with_suite(MMLU | items, **suite))
    with pytest.raises(InputError) as caught:
        load_study(config)
    assert str(caught.value) == f"{config}: {message}"


def test_a_benchmark_is_no_source(tmp_path):
    with pytest.raises(
        InputError, match=r"sources\.curated\.items\.importer: benchmark, but its items are there to test"
    ):
        load_study(write_study(tmp_path, changed("sources.curated.items", MMLU)))


def test_what_a_suite_measures():
    def measured(items, **suite):
        return study_of(with_suite(items, **suite)).suites["extra"].measured(["biology", "history"])

    assert measured(MMLU) == ["mmlu"]
    assert measured(MMLU, abilities=["biology"]) == ["biology"]
    subjects = {"biology": ["anatomy", "virology"], "law": ["international_law"]}
    assert measured(MMLU | {"subjects": subjects}) == ["biology", "law"]
    assert study_of().suites["test"].measured(["biology", "history"]) == ["biology", "history"]


def test_check_reads_it_and_says_what_is_wrong(tmp_path, study):
    assert check_study(study())["items"]["suites.extra/mmlu"] == 2 * ITEMS
    found = check_study(study({"subjects": {"biology": ["anatomy"], "history": ["virology"]}}))
    assert found["items"]["suites.extra/history"] == ITEMS
    for changes, message in (
        ({"subjects": ["botany"]}, "suites.extra.items: benchmark mmlu: subjects: unknown subject 'botany' (allowed: "),
        ({"shots": 6}, "suites.extra.items: benchmark mmlu: shots: 6 (allowed: up to 5)"),
        ({"shots": 5}, "benchmark mmlu, anatomy: shots: 5 (allowed: up to 3, there are no more worked examples)"),
        ({"folder": "nowhere"}, f"suites.extra.items.folder: {tmp_path}/nowhere: no such folder"),
        ({"subjects": ["anatomy", "astronomy"]},
         f"suites.extra: {tmp_path}/benchmark/data/test/astronomy_test.csv: no such file"),
    ):  # fmt: skip
        with pytest.raises(InputError) as caught:
            check_study(study(changes))
        assert str(caught.value).startswith(message)
        assert "\n" not in str(caught.value)
    assert check_study(study({"folder": None, "hub": "a/b"}))["unchecked"] == ["suites.extra"]


def test_what_plans_a_suite_again(tmp_path, study):
    def found(changes=(), **suite):
        return Grid(study(changes, **suite)).suite_settings("extra")

    plain = found()
    assert found({"shots": 0}) == plain
    assert found({"folder": "benchmark/data"}) == plain  # where it lies does not matter
    changes = (
        {"shots": 3}, {"subjects": ["anatomy"]}, {"subjects": ["virology", "anatomy"]}, {"subjects": None},
        {"subjects": {"biology": ["anatomy", "virology"]}}, {"folder": None, "hub": "a/b"}, {"name": "cmmlu"},
    )  # fmt: skip
    different = [found(change) for change in changes] + [found(abilities=["biology"])]
    assert all(settings != plain for settings in different)
    assert len({str(settings) for settings in different}) == len(different)
    assert plain["benchmark_version"] == 1


def test_the_workflow_sees_its_files(tmp_path, study):
    study()
    config = write_study(tmp_path, with_suite(MMLU | {"shots": 1}))
    data = tmp_path / "benchmark/data"
    assert sorted(Plan(config).suite_files("extra")) == sorted(
        str(data / split / f"{subject}_{split}.csv") for split in ("dev", "test") for subject in ("anatomy", "virology")
    )


def test_the_suites_file_holds_subjects_and_counts_what_was_left_out(tmp_path):
    write_items(tmp_path)
    settings("agieval", tmp_path / "benchmark")
    items = {"name": "agieval", "subjects": ["gaokao-physics", "math"], "shots": 2}
    study = load_small(tmp_path, with_suite(MMLU | items))
    paths = Paths(study)
    paths.root = tmp_path / "results"
    assert make_suite(study, "extra", paths) == 2 * ITEMS
    found = read_items(paths.suite("extra"))
    assert {(item.subject, item.ability, item.shots) for item in found} == {
        ("gaokao-physics", "agieval", 2), ("math", "agieval", 2),
    }  # fmt: skip
    assert read_metadata(paths.suite("extra"))["left_out"] == {"gaokao-physics: several right answers": 3}
    first = paths.suite("extra").read_bytes()
    make_suite(study, "extra", paths)
    assert paths.suite("extra").read_bytes() == first
