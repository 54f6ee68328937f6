"""Benchmarks by their usual names on the hub: the same items as of the publisher's files, and what is refused."""

import json
import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hub_copies import COPIES, write_copy
from publishers import OFFERS_SHOTS, read, settings

from growthpace.checks import check_study
from growthpace.data.benchmarks import BENCHMARKS
from growthpace.data.importers import local_files
from growthpace.errors import InputError
from growthpace.study import BenchmarkItems
from growthpace.wiring import Plan
from small_study import changed, load_small, write_study

WITH_SHOTS = [name for name in OFFERS_SHOTS if name in COPIES and BENCHMARKS[name].HUB.examples]


@pytest.fixture(autouse=True)
def offline(tmp_path, monkeypatch):
    """No network; the library's cache stays in the test's own folder."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def both(name: str, folder: Path, shots: int = 0, **changes) -> tuple[BenchmarkItems, BenchmarkItems]:
    """Settings that read the publisher's files, and those that read the copy of the hub's dataset."""
    there = settings(name, folder / "publisher", shots, **changes)
    copy = write_copy(name, folder / "publisher", folder / "copy")
    return there, there.model_copy(update={"folder": copy})


def comparable(items: list, name: str) -> list:
    """Items without what says where they are from: MATH's rows do not say the numbers of their files."""
    found = [replace(item, origin="") for item in items]
    if name == "hendrycks_math":
        found = [replace(item, id=item.id.replace("/row-", "/")) for item in found]
    return found


def test_all_but_agieval_are_tried_here():
    assert {name for name, benchmark in BENCHMARKS.items() if benchmark.HUB} == set(COPIES)
    assert set(BENCHMARKS) - set(COPIES) == {"agieval"}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_of_the_hubs_dataset_gives_the_publishers_items(tmp_path, name):
    there, copy = both(name, tmp_path)
    left_out = [Counter(), Counter()]
    expected, found = read(there, left_out[0]), read(copy, left_out[1])
    assert comparable(found, name) == comparable(expected, name)
    assert left_out[0] == left_out[1]
    for item in found:
        assert re.fullmatch(r"copy\[(\w+/)?[\w+]+\]:\d+", item.origin)
    assert set(local_files(copy, copy.abilities)) == {path for path in copy.folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", WITH_SHOTS)
def test_shots_are_the_same_too(tmp_path, name):
    there, copy = both(name, tmp_path, 2)
    assert comparable(read(copy), name) == comparable(read(there), name)


def test_worked_examples_that_the_hub_lacks_are_refused(tmp_path):
    _, copy = both("bbh", tmp_path, 1)
    with pytest.raises(InputError, match=r"bbh: .* has nothing like the publisher's file 'cot-prompts/snarks"):
        read(copy)
    usual = copy.model_copy(update={"folder": None})
    for call in (read, lambda given: local_files(given, given.abilities)):
        with pytest.raises(InputError, match=r"bbh: shots: 1 \(allowed: 0, \S+ has no worked examples; or folder,"):
            call(usual)


# --- the hub itself ---


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The hub as local folders by dataset and revision: loads with the library, and notes what was asked for."""
    import datasets

    load, asked, folders = datasets.load_dataset, [], {}

    def load_dataset(name, config=None, *, split, revision=None, data_dir=None):
        asked.append((name, config, split, revision, data_dir))
        if (name, revision) not in folders:
            return load(name, config, split=split, revision=revision)
        place = folders[name, revision]
        if isinstance(place, Exception):
            raise place
        return load(str(place / data_dir) if data_dir else str(place), config, split=split)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return folders, asked


@pytest.mark.parametrize("name", COPIES)
def test_the_usual_dataset_is_read_where_a_study_names_none(tmp_path, hub, name):
    folders, asked = hub
    there, copy = both(name, tmp_path)
    usual = BENCHMARKS[name].HUB.name
    folders[usual, None] = copy.folder
    given = there.model_copy(update={"folder": None})
    found = read(given)
    assert comparable(found, name) == comparable(read(there), name)
    assert {name for name, *_ in asked} == {usual}
    assert len(asked) == len(set(asked))
    assert found[0].origin.startswith(f"{usual}[")
    assert local_files(given, given.abilities) == []


def test_a_named_dataset_is_read_at_its_revision(tmp_path, hub):
    folders, asked = hub
    there, copy = both("mmlu", tmp_path, subjects=["anatomy"])
    folders["someone/mmlu", "abc"] = copy.folder
    given = there.model_copy(update={"folder": None, "hub": "someone/mmlu", "revision": "abc"})
    assert comparable(read(given), "mmlu") == comparable(read(there), "mmlu")
    assert asked == [("someone/mmlu", "anatomy", "test", "abc", None)]


def test_a_script_is_never_run_but_the_hubs_own_parquet_copy_read(tmp_path, hub):
    """As the hub lays it out: a folder for each configuration, in it one for each split, and no card."""
    folders, asked = hub
    there, _ = both("dream", tmp_path, 1)
    for config, split, rows in COPIES["dream"](tmp_path / "publisher"):
        path = tmp_path / "converted" / config / split / "0000.parquet"
        path.parent.mkdir(parents=True)
        rows.to_parquet(path)
    usual = "dataset-org/dream"
    folders[usual, None] = RuntimeError("Dataset scripts are no longer supported, but found dream.py")
    folders[usual, "refs/convert/parquet"] = tmp_path / "converted"
    given = there.model_copy(update={"folder": None})
    expected = comparable(read(there), "dream")
    assert comparable(read(given), "dream") == expected
    assert asked[:2] == [
        (usual, "plain_text", "validation", None, None),
        (usual, None, "validation", "refs/convert/parquet", "plain_text"),
    ]
    pinned = given.model_copy(update={"revision": "refs/convert/parquet"})
    assert comparable(read(pinned), "dream") == expected
    folders[usual, "abc"] = folders[usual, None]
    with pytest.raises(InputError, match=r"plain_text, revision abc, split validation: cannot be loaded: Dataset scri"):
        read(given.model_copy(update={"revision": "abc"}))


def test_without_a_network_one_line_says_what_to_do(tmp_path):
    given = BenchmarkItems(importer="benchmark", name="gsm8k")
    with pytest.raises(InputError) as caught:
        read(given)
    message = str(caught.value)
    assert message.startswith("dataset openai/gsm8k, configuration main, split test: cannot be loaded: ")
    assert message.endswith("(without a network, download it elsewhere and give its folder as `folder`)")
    assert "\n" not in message
    with pytest.raises(InputError, match="someone/gsm8k, configuration main, split test: cannot be loaded: "):
        read(given.model_copy(update={"hub": "someone/gsm8k"}))


def test_what_is_not_there_is_named(tmp_path):
    _, copy = both("mmlu", tmp_path)
    with pytest.raises(InputError, match=r"configuration astronomy, split test: cannot be loaded: .*'astronomy' not"):
        read(copy.model_copy(update={"subjects": ["astronomy"]}))
    for path in (copy.folder / "anatomy").iterdir():
        table = pq.read_table(path).rename_columns(["question", "subject", "options", "answer"])
        pq.write_table(table.replace_schema_metadata(), path)
    with pytest.raises(InputError) as caught:
        read(copy.model_copy(update={"subjects": ["anatomy"]}))
    assert str(caught.value) == (
        f"dataset {copy.folder}, configuration anatomy, split test: no column 'choices' (it has: question, subject, "
        "options, answer); the benchmark mmlu reads question, choices, answer"
    )


def test_a_row_that_is_no_item_is_named(tmp_path):
    _, copy = both("cmmlu", tmp_path)
    path = copy.folder / "agronomy/test-00000-of-00001.parquet"
    table = pq.read_table(path).to_pandas()
    table.loc[2, "C"] = None  # as conversions through pandas leave an option that reads None
    table.to_parquet(path)
    with pytest.raises(InputError) as caught:
        read(copy)
    assert str(caught.value) == f"{copy.folder}[agronomy/test]:3: C: missing (expected a text or a whole number)"


def test_the_publishers_files_win_in_a_folder_that_has_both(tmp_path):
    there, copy = both("gsm8k", tmp_path)
    shutil.copytree(copy.folder, there.folder, dirs_exist_ok=True)
    assert read(there)[0].origin == "grade_school_math/data/test.jsonl:1"


# --- in a study ---


def test_checking_and_planning_need_no_network(tmp_path, monkeypatch):
    def never(*_, **__):
        raise AssertionError("the network was asked")

    monkeypatch.setattr("datasets.load_dataset", never)
    monkeypatch.setattr("huggingface_hub.list_repo_files", never)
    for name in COPIES:
        items = {"importer": "benchmark", "name": name}
        suite = {"items": items, "epochs": "selected", "max_new_tokens": 8}
        if name == "mt_bench":
            continue  # needs a judge, see tests/judging/test_mt_bench.py
        content = changed("suites.extra", suite)
        assert check_study(load_small(tmp_path, content))["unchecked"] == ["suites.extra"]
        assert Plan(write_study(tmp_path, content)).suite_files("extra") == []


def test_a_local_copy_is_checked_and_watched(tmp_path):
    _, copy = both("mmlu", tmp_path)
    items = {"importer": "benchmark", "name": "mmlu", "folder": "copy", "subjects": ["anatomy", "virology"]}
    content = changed("suites.extra", {"items": items, "epochs": "selected", "max_new_tokens": 8})
    assert check_study(load_small(tmp_path, content))["items"]["suites.extra/mmlu"] == 40
    files = Plan(write_study(tmp_path, content)).suite_files("extra")
    assert str(copy.folder / "anatomy/test-00000-of-00001.parquet") in files


def test_the_docs_name_every_usual_dataset():
    text = (Path(__file__).parents[3] / "docs/benchmarks.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    found = {line.split("`")[1]: line for line in rows}
    for name, benchmark in BENCHMARKS.items():
        expected = f"`{benchmark.HUB.name}`" if benchmark.HUB else "its release"
        assert expected in found[name], json.dumps(found[name])
