"""Every folder of the publishers' data imports with the rows of its README, and a damaged copy of each of its files
gives one clear error with file and line."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from english import FOLDERS

from growthpace.data.importers import read_items_of
from growthpace.data.importers.public import SETS
from growthpace.data.items import check_unique
from growthpace.errors import InputError
from growthpace.study import BenchmarkItems, PublicItems

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

GAOKAO = {
    "biology": 150, "history": 287, "english": 105, "english_blanks": 600, "chinese": 80, "chinese_reading": 87,
    "math_1": 214, "math_2": 218, "english_reading": 470, "english_sentences": 130, "chemistry": 124, "geography": 95,
    "physics": 64, "politics": 320,
}  # fmt: skip
"""The README's Chinese 167 are 80 and 87, its math 432 are 214 and 218."""
ROWS = {
    ("mmlu", None): {"dev": 285, "val": 1531, "test": 14_042},
    ("gsm8k", None): {"train": 7473, "test": 1319},
    ("mbpp", None): {"prompt": 10, "train": 374, "valid": 90, "test": 500},
    ("human_eval", None): {"test": 164},
    # One of the README's 3,351 sections is a blank line of child-of-mary-story.csv; story_meta.csv counts 3,350.
    ("fairytaleqa", "continuation"): {"train": 3350, "val": 380, "test": 365},
    ("fairytaleqa", "questions"): {"train": 8548, "val": 1025, "test": 1007},
    ("friendsqa", None): {"dev": 1182, "tst": 1201},
    ("multiwoz", None): {"val": 999, "test": 1000},
    ("folio", None): {"train": 1004, "validation": 204},
    ("ethics", "justice"): {"train": 21_791, "test": 2704},
    ("ethics", "deontology"): {"train": 18_164, "test": 3596},
    **{("gaokao_bench", part): {"all": rows} for part, rows in GAOKAO.items()},
    ("gpteacher", "code"): {"all": 4535},
    ("gpteacher", "role_play"): {"all": 1923},
    ("self_instruct", "seeds"): {"all": 175},
    ("self_instruct", "users"): {"all": 252},
    ("tal_scq5k", "chinese"): {"train": 2994, "test": 2000},  # 3,000 of which six have one option, which is none
    ("tal_scq5k", "english"): {"train": 3000, "test": 2000},
    ("kdconv", None): {"dev": 450, "test": 450},
    ("safetybench", None): {"test": 2100},
    ("safetybench", "ethics"): {"test": 300},
    ("oasst1_zh", None): {"all": 766},
}
LEFT_OUT = {("tal_scq5k", "chinese", "train"): {"tal_scq5k, chinese: one option": 6}}
GROUPED = {"fairytaleqa", "friendsqa", "folio", "ethics"}
"""Sets all of whose parts have items on the same passage, dialogue or situation."""


def read(folder, name, part, theirs, left_out=None):
    """The items of a part and a split of the publisher's; of a benchmark those of a subject."""
    if name not in SETS:
        settings = BenchmarkItems(importer="benchmark", name=name, folder=folder, subjects=[theirs])
        return list(read_items_of(settings, ["x"]))
    given = {"name": name, "folder": folder, "splits": {"train": [theirs]}} | ({"parts": [part]} if part else {})
    settings = PublicItems(importer="public", split="train", sets={"x": given})
    return check_unique(read_items_of(settings, ["x"], left_out=left_out), name)


@pytest.mark.parametrize(("name", "part"), ROWS)
def test_rows_are_those_of_the_readme(real_data, name, part):
    for theirs, rows in ROWS[name, part].items():
        left_out = Counter()
        items = read(real_data / FOLDERS.get(name, name), name, part, theirs, left_out)
        assert (theirs, len(items)) == (theirs, rows)
        assert left_out == LEFT_OUT.get((name, part, theirs), {})
        assert all(item.id.startswith(f"{name}/") for item in items)
        sharing = Counter(item.group for item in items if item.group)
        if name in GROUPED:
            assert max(sharing.values()) > 1
        assert all(re.fullmatch(r"[^/].*:\d+", item.origin) for item in items)  # no path of this machine


def test_multi_turn_conversations_and_passages(real_data):
    items = read(real_data / "oasst1_zh", "oasst1_zh", None, "all")
    assert sum(len(item.messages) > 2 for item in items) == 524
    texts = {item.group for item in read(real_data / "mmlu", "mmlu", "high_school_european_history", "test")}
    assert len(texts) > 40
    scenes = {item.group for item in read(real_data / "friendsqa", "friendsqa", None, "tst")}
    assert len(scenes) == 113


# --- damaged copies ------------------------------------------------------------------------------------------------

FILES = [
    ("mmlu", "high_school_biology", "test", "data/test/high_school_biology_test.csv"),
    ("gsm8k", None, "train", "train.jsonl"),
    ("mbpp", None, "test", "mbpp.jsonl"),
    ("human_eval", None, "test", "HumanEval.jsonl.gz"),
    ("fairytaleqa", "continuation", "test", "data-by-train-split/section-stories/test/fox-and-wolf-story.csv"),
    ("fairytaleqa", "questions", "test", "data-by-train-split/questions/test/fox-and-wolf-questions.csv"),
    ("fairytaleqa", "continuation", "test", "story_meta.csv"),
    ("friendsqa", None, "dev", "friendsqa_dev.json"),
    ("multiwoz", None, "val", "val.json.zip"),
    ("folio", None, "train", "folio-train.jsonl"),
    ("ethics", "justice", "test", "justice/justice_test.csv"),
    ("ethics", "deontology", "test", "deontology/deontology_test.csv"),
    ("gaokao_bench", "english", "all", "Data/Objective_Questions/2010-2013_English_MCQs.json"),
    ("gpteacher", "code", "all", "Codegen/codegen-instruct.json"),
    ("self_instruct", "seeds", "all", "seed_tasks.jsonl"),
    ("tal_scq5k", "english", "test", "en_single_choice_constructed_5K/en_single_choice_test_2K.jsonl"),
    ("kdconv", "film", "dev", "data/film/dev.json"),
    ("safetybench", "ethics", "test", "test_zh_subset.json"),
    ("safetybench", "ethics", "test", "test_answers_zh_subset.json"),
    ("oasst1_zh", None, "all", "oaast_sft_zh.json"),
    ("agieval", None, "sat-math", "data/v1/sat-math.jsonl"),
]
"""(set, part, the publisher's split, file): one of every format."""
FIELDS = {
    "gsm8k": "answer", "mbpp": "test_list", "human_eval": "prompt", "friendsqa": "question", "multiwoz": "text",
    "folio": "premises", "gaokao_bench": "question", "gpteacher": "instruction", "self_instruct": "instances",
    "tal_scq5k": "problem", "kdconv": "message", "safetybench": "category", "oasst1_zh": "output",
    "agieval": "question",
}  # fmt: skip
"""A field of every format but csv."""


def content(path: Path) -> bytes:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return archive.read(archive.namelist()[0])
    raw = path.read_bytes()
    return gzip.decompress(raw) if path.suffix == ".gz" else raw


def write(path: Path, raw: bytes) -> None:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(path.name.removesuffix(".zip"), raw)
    else:
        path.write_bytes(gzip.compress(raw, 1) if path.suffix == ".gz" else raw)


def middle(raw: bytes) -> int:
    """Where the line in the middle of a file begins."""
    lines = raw.count(b"\n")
    place = 0
    for _ in range(max(lines // 2, 1)):
        place = raw.index(b"\n", place) + 1
    return place if place < len(raw) else 0


def damaged(raw: bytes, kind: str, name: str, csv: bool) -> bytes:
    """A copy in which something is wrong from the middle of the file on."""
    place = middle(raw)
    if kind == "cut line":
        end = raw.find(b"\n", place)
        # Nobody sees that a csv row was cut within its last column.
        stop = place if csv else (place + end) // 2 if end > 0 else len(raw) - 20
        return raw[: max(stop, place + 1)]
    if kind == "wrong encoding":
        return raw[: place + 3] + "é…".encode("cp1252") + raw[place + 3 :]
    if kind == "10 MB line":
        return raw[: place + 1] + b"x" * 10_000_000 + raw[place + 1 :]
    if csv:
        end = raw.index(b"\n", place) + 1
        replaced = (
            b"one\n"
            if kind == "missing field"
            else b"one,two,three,four,five,six,seven,eight,nine,ten,11,12,13,14,15\n"
        )
        # within quotation marks a line is no row: the damage stands at the file's end
        return raw[:end] + replaced + raw[end:] if raw[:end].count(b'"') % 2 == 0 else raw + replaced
    key = json.dumps(FIELDS[name]).encode()
    found = re.compile(re.escape(key) + rb"\s*:\s*").search(raw, place) or re.compile(
        re.escape(key) + rb"\s*:\s*"
    ).search(raw)
    if kind == "missing field":
        return raw[: found.start()] + b'"another": ' + raw[found.end() :]
    return raw[: found.end()] + b'17, "another": ' + raw[found.end() :]


KINDS = ("cut line", "wrong encoding", "missing field", "swapped types", "10 MB line")
DAMAGED = [
    pytest.param(*given, kind, id=f"{given[0]}-{Path(given[3]).name}-{kind}")
    for given in FILES
    for kind in KINDS
    # of answers by number, the fields are tried in test_answers_without_a_question
    if not (given[3] == "test_answers_zh_subset.json" and kind in ("missing field", "swapped types"))
]


@pytest.mark.parametrize(("name", "part", "theirs", "file", "kind"), DAMAGED)
def test_a_damaged_copy_is_one_clear_error(real_data, tmp_path, name, part, theirs, file, kind):
    source = real_data / FOLDERS.get(name, name)
    shutil.copytree(source, tmp_path / "copy", copy_function=lambda a, b: Path(b).symlink_to(a))
    path = tmp_path / "copy" / file
    raw = damaged(content(path), kind, name, path.suffix == ".csv")
    path.unlink()
    write(path, raw)
    with pytest.raises(InputError) as error:
        read(tmp_path / "copy", name, part, theirs)
    said = str(error.value)
    assert "\n" not in said
    assert len(said) < 600
    assert re.match(rf"{re.escape(str(path))}:\d+: .", said), said


def test_answers_without_a_question(real_data, tmp_path):
    shutil.copytree(real_data / "safetybench", tmp_path / "copy", copy_function=lambda a, b: Path(b).symlink_to(a))
    path = tmp_path / "copy" / "test_answers_zh_subset.json"
    known = json.loads(path.read_text(encoding="utf-8"))
    asked = json.loads((tmp_path / "copy/test_zh_subset.json").read_text(encoding="utf-8"))
    first = str(next(row["id"] for row in asked if row["category"] == "Ethics and Morality"))
    path.unlink()
    for damage, message in (
        ({"answer": 4}, "answers_zh_subset.json:.*answer: 4 "),
        ({"answer": "one"}, "a whole number"),
    ):
        path.write_text(json.dumps(known | {first: known[first] | damage}, indent=1), encoding="utf-8")
        with pytest.raises(InputError, match=message):
            read(tmp_path / "copy", "safetybench", "ethics", "test")
    del known[first]
    path.write_text(json.dumps(known, indent=1), encoding="utf-8")
    with pytest.raises(InputError, match=f"test_zh_subset.json:.*{first} has no answer"):
        read(tmp_path / "copy", "safetybench", "ethics", "test")
