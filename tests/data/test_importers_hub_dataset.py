"""The importer of Hugging Face datasets, on local folders: no network."""

import json

import pytest

from growthpace.data.importers import local_files, read_items_of
from growthpace.data.items import Message
from growthpace.errors import InputError
from growthpace.study import GENERAL, HubDatasetItems

ROWS = [
    {"number": 1, "topic": "history", "q": "Which?\nA. one\nB. two", "context": "", "a": "B"},
    {"number": 2, "topic": "math", "q": "Add.", "context": "1 and 1", "a": "It is two, " * 9},
    {"number": 3, "topic": "history", "q": "True?", "context": "", "a": "Yes"},
]


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Settings for a folder of JSON lines; the library's cache stays in the test's own folder."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")

    def made(rows=ROWS, **changes):
        folder = tmp_path / "quiz"
        folder.mkdir(exist_ok=True)
        (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        columns = {"instruction": "q", "input": "context", "output": "a", "ability": "topic", "id": "number"}
        given = {"importer": "hub_dataset", "name": str(folder), "split": "train", "columns": columns}
        return HubDatasetItems(**given | changes)

    return made


def test_labelled_rows(settings):
    items = list(read_items_of(settings(), ["math", "history"], None))
    assert [(i.id, i.ability, i.scorer) for i in items] == [
        ("1", "history", "letter"),
        ("2", "math", "none"),
        ("3", "history", "true_false"),
    ]
    assert items[1].messages[0] == Message("user", "Add.\n1 and 1")
    assert items[2].origin == "quiz[train]:3"
    assert [i.id for i in read_items_of(settings(), ["history"], None)] == ["1", "3"]


def test_unlabelled_rows(settings):
    items = list(read_items_of(settings(columns={"instruction": "q", "output": "a"}), None, None))
    assert {(i.ability, i.scorer) for i in items} == {(GENERAL, "none")}
    assert len({i.id for i in items}) == 3


@pytest.mark.parametrize(("role", "content", "user", "assistant"), [
    ("role", "content", "user", "assistant"),
    ("from", "value", "human", "gpt"),
])  # fmt: skip
def test_messages_column(settings, role, content, user, assistant):
    rows = [{"turns": [{role: user, content: "Q"}, {role: assistant, content: "A"}]}]
    (item,) = read_items_of(settings(rows, columns={"messages": "turns"}), None, None)
    assert item.messages == (Message("user", "Q"), Message("assistant", "A"))


def test_faults(settings):
    with pytest.raises(InputError, match=r"columns\.output: no column 'b' \(it has: number, topic, q, context, a\)"):
        list(read_items_of(settings(columns={"instruction": "q", "output": "b"}), None, None))
    with pytest.raises(InputError, match=r"no row of the ability 'ethics' .*'topic' \(found: history, math\)"):
        list(read_items_of(settings(), ["ethics"], None))
    with pytest.raises(InputError, match=r"split nothing: cannot be loaded"):
        list(read_items_of(settings(split="nothing"), ["math"], None))
    with pytest.raises(InputError, match=r"quiz\[train\]:2: .*empty answer"):
        list(read_items_of(settings([ROWS[0], ROWS[1] | {"a": " "}]), ["math"], None))
    with pytest.raises(InputError, match=r"quiz\[train\]:2: output: missing"):
        list(read_items_of(settings([ROWS[0], ROWS[1] | {"a": None}]), ["math"], None))


def test_missing_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    settings = HubDatasetItems(
        importer="hub_dataset", name=str(tmp_path / "none"), split="train", columns={"messages": "m"}
    )
    with pytest.raises(InputError, match=r"none, split train: cannot be loaded: .*give its folder as name"):
        list(read_items_of(settings, None, None))


def test_local_files(settings, tmp_path):
    assert local_files(settings(), ["math"]) == [tmp_path / "quiz/train.jsonl"]
