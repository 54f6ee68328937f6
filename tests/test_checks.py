"""`growthpace check` finds what is wrong with a study's data before any job, in one line each."""

import json

import pytest

from growthpace.checks import check_study
from growthpace.errors import InputError
from growthpace.paths import Paths
from growthpace.study import load_study
from small_study import CONTENT, LLAMA, POOL, changed, load_small, record, write_items, write_lines, write_study


def faults(tmp_path, content=CONTENT):
    with pytest.raises(InputError) as caught:
        check_study(load_study(write_study(tmp_path, content)))
    return str(caught.value).splitlines()


def append(path, text):
    """Adds a line to a file of 20 items: it is line 21 (5 in a suite)."""
    with open(path, "ab") as handle:
        handle.write(text if isinstance(text, bytes) else (json.dumps(text) + "\n").encode())


def test_a_sound_study_passes_and_says_what_it_holds(tmp_path):
    assert check_study(load_small(tmp_path)) == {
        "items": {
            "sources.curated/biology": 20,
            "sources.curated/history": 20,
            "sources.synthetic/general": 30,
            "suites.valid/biology": 4,
            "suites.valid/history": 4,
            "suites.test/biology": 4,
            "suites.test/history": 4,
        },
        "unchecked": [],
        "reviewed": {},
        "asking": {},
    }


def test_what_is_on_the_hub_is_left_to_the_jobs(tmp_path):
    content = changed("sources.curated.items", {"importer": "doit", "hub": "a/b", "files": "{ability}.json"})
    content = changed("suites.valid.items",
        {"importer": "hub_dataset", "name": "c/d", "split": "test", "columns": {"messages": "m", "ability": "a"}},
        content)  # fmt: skip
    content["sources"]["curated"]["volumes"] = [10_000, 4, 16]  # cannot be known to be too many
    found = check_study(load_small(tmp_path, content))
    assert found["unchecked"] == ["sources.curated", "suites.valid"]


def test_a_volume_above_a_pool_names_the_ability_and_its_size(tmp_path):
    write_items(tmp_path)
    write_lines(tmp_path / "items/curated/history.json", [record(f"Q{n}?", "B") for n in range(9)])
    found = faults(tmp_path, changed("sources.curated.volumes", [4, 16, 18, 20, 30]))
    assert found == [
        f"sources.curated.volumes: {volume} needs {volume // 2} items of 'history' from 'curated', "
        "but its pool holds 9 (allowed: volumes up to 18, as far as the smallest pool goes)"
        for volume in (20, 30)
    ]


def test_a_volume_above_the_general_pool(tmp_path):
    write_items(tmp_path)
    assert faults(tmp_path, changed("sources.synthetic.volumes", [4, 16, 31])) == [
        "sources.synthetic.volumes: 31 needs 31 items of 'general' from 'synthetic', but its pool holds 30 "
        "(allowed: volumes up to 30, as far as the smallest pool goes)"
    ]


@pytest.mark.parametrize(("mix", "message"), [
    ({"shares": {"biology": 21}, "rest": "all"},
     "mixes.uneven needs 21 items of 'biology' from 'curated', but its pool holds 20"),
    ({"total": 30, "shares": {"biology": 5}, "rest": "uniform"},
     "mixes.uneven needs 25 items of 'history' from 'curated', but its pool holds 20"),
    ({"rest": "all", "add": {"synthetic": 31}},
     "mixes.uneven needs 31 items of 'general' from 'synthetic', but its pool holds 30"),
    ({"total": 10, "shares": {"biology": "all"}, "rest": "uniform"},
     "mixes.uneven.total: 10 is below what its shares come to (20); raise the total or lower a share"),
])  # fmt: skip
def test_a_mix_above_a_pool(tmp_path, mix, message):
    write_items(tmp_path)
    assert faults(tmp_path, changed("mixes.uneven", {"source": "curated"} | mix)) == [message]


def test_a_missing_file(tmp_path):
    write_items(tmp_path)
    (tmp_path / "items/curated/history.json").unlink()
    (tmp_path / "items/test/biology.json").unlink()
    content = changed("models.s", {"folder": "weights"})
    assert faults(tmp_path, content) == [
        f"sources.curated: {tmp_path}/items/curated/history.json: no such file",
        f"suites.test: {tmp_path}/items/test/biology.json: no such file",
        f"models.s.folder: {tmp_path}/weights: no such folder",
    ]


def test_a_missing_folder_of_a_dataset(tmp_path):
    write_items(tmp_path)
    items = {"importer": "hub_dataset", "name": "./quiz", "split": "train", "columns": {"messages": "m"}}
    assert faults(tmp_path, changed("sources.synthetic.items", items)) == [
        f"sources.synthetic.items.name: {tmp_path}/quiz: no such folder"
    ]


@pytest.mark.parametrize(("text", "message"), [
    ({"messages": record("Q?", "B")["messages"], "idx": 3},
     "sources.curated, biology: the item id 'biology:3' occurs twice: curated/biology.json:4 and "
     "curated/biology.json:21"),
    (b'{"messages": [}\n', "{file}:21: not a JSON object on one line (Expecting value, column 15)"),
    (b'{"messages": "\xff"}\n', "{file}:21: not UTF-8 at byte 15 of the line"),
    (b"[1, 2]\n", "{file}:21: expected an object, found [1, 2]"),
    (record("Q?", "  "), "{file}:21: empty answer (message 2)"),
    (record(" ", "B"), "{file}:21: empty message (message 1)"),
    ({"messages": []}, "{file}:21: an item ends with the assistant's reference answer, but it has no messages"),
    ({"text": "B"}, "{file}:21: messages: missing (expected a list)"),
])  # fmt: skip
def test_a_faulty_line_is_named(tmp_path, text, message):
    write_items(tmp_path)
    file = tmp_path / "items/curated/biology.json"
    append(file, text)
    assert faults(tmp_path) == [message.replace("{file}", str(file))]


def test_duplicate_ids_in_a_suite(tmp_path):
    write_items(tmp_path)
    append(tmp_path / "items/test/history.json", record("Q?\nA. 1\nB. 2", "B", idx=0))
    assert faults(tmp_path) == [
        "suites.test: the item id 'history:0' occurs twice: test/history.json:1 and test/history.json:5"
    ]


def test_an_ability_without_test_items(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    write_items(tmp_path)
    rows = [{"turns": record("Q?\nA. 1\nB. 2", "B")["messages"], "topic": "biology"}]
    write_lines(tmp_path / "quiz/test.jsonl", rows)
    columns = {"messages": "turns", "ability": "topic"}
    content = changed("suites.test.items",
        {"importer": "hub_dataset", "name": "./quiz", "split": "test", "columns": columns})  # fmt: skip
    (found,) = faults(tmp_path, content)
    assert "no row of the ability 'history' in the column 'topic' (found: biology)" in found
    (tmp_path / "items/test/history.json").write_text("\n")
    assert faults(tmp_path) == [f"{tmp_path}/items/test/history.json: empty, it holds no records"]


def test_an_item_that_cannot_be_scored_is_no_test_item(tmp_path):
    write_items(tmp_path)
    append(tmp_path / "items/test/history.json", record("Tell me all about it.", "It began long ago. " * 9))
    (found,) = faults(tmp_path)
    assert found == "test/history.json:5: suites.test: this item has no reference that a scorer can use"


def test_all_faulty_files_are_told_at_once(tmp_path):
    write_items(tmp_path)
    append(tmp_path / "items/curated/biology.json", b"x\n")
    append(tmp_path / "items/synthetic.json", b"x\n")
    append(tmp_path / "items/valid/history.json", b"x\n")
    assert [line.split(": ")[0].removeprefix(f"{tmp_path}/items/") for line in faults(tmp_path)] == [
        "curated/biology.json:21",
        "synthetic.json:31",
        "valid/history.json:5",
    ]


def test_the_microworld_is_checked_too(tmp_path):
    write_items(tmp_path)
    world = {"seed": 0, "entities": 30, "documents_per_entity": 2, "train_items": 8, "synthetic_items": 12,
             "synthetic_error_rate": 0.25, "valid_items": 4, "test_items": 100_000}  # fmt: skip
    content = changed("microworld", world)
    content["suites"]["test"]["items"] = {"importer": "microworld", "kind": "test"}
    (found,) = faults(tmp_path, content)
    assert found.startswith("microworld.test_items: 100000 is more than the world has")
    world["test_items"] = 4
    content = changed("microworld", world, content)
    content["suites"]["test"] |= {"abilities": ["cooking"]}
    (found,) = faults(tmp_path, content)
    assert found.startswith("microworld: no test items for the ability 'cooking' (allowed: ")


@pytest.mark.parametrize(("text", "message"), [
    (None, "{file}: no such file"),
    (b"one\n\xff\n", "{file}:2: not UTF-8 at byte 1 of the line"),
    (b"\n \n", "{file}: empty, it holds no documents"),
])  # fmt: skip
def test_a_corpus_is_checked(tmp_path, text, message):
    write_items(tmp_path)
    file = tmp_path / "corpus.txt"
    if text is not None:
        file.write_bytes(text)
    content = changed("models.s", {"initialise": LLAMA | {"corpus": ["corpus.txt"]}})
    assert faults(tmp_path, content) == [f"models.s.initialise.corpus: {message.replace('{file}', str(file))}"]


def test_a_passed_check_is_remembered_until_something_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = load_small(tmp_path)
    first = check_study(study, Paths(study))
    with monkeypatch.context() as patch:
        patch.setattr("growthpace.checks._read_everything", lambda study: pytest.fail("read again"))
        assert check_study(study, Paths(study)) == first
    file = tmp_path / "items/curated/biology.json"
    append(file, record("One more?\nA. 1\nB. 2", "B"))
    assert check_study(study, Paths(study))["items"]["sources.curated/biology"] == POOL + 1
    file.write_text("x\n")
    with pytest.raises(InputError):
        check_study(study, Paths(study))
