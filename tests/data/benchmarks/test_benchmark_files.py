"""Files of benchmarks: where they are looked for, and what a row that is no item says."""

import shutil
from pathlib import Path

import pytest
from publishers import OFFERS_SHOTS, WRITERS, read, settings

from growthpace.data.benchmarks import BENCHMARKS
from growthpace.data.importers import local_files
from growthpace.errors import InputError

# --- places ---


@pytest.mark.parametrize("name", WRITERS)
def test_a_missing_file_is_named(tmp_path, name):
    given_ = settings(name, tmp_path)
    files = local_files(given_, given_.abilities)
    assert all(path.is_file() for path in files)
    files[0].rename(files[0].with_name("away"))
    if name == "hendrycks_math":  # a file of many, of which no one knows the number
        assert len(local_files(given_, given_.abilities)) == len(files) - 1
        return
    assert files[0].name in [path.name for path in local_files(given_, given_.abilities)]
    with pytest.raises(InputError, match=f"{files[0].name}: no such file"):
        read(given_)


@pytest.mark.parametrize("name", OFFERS_SHOTS)
def test_the_files_of_shots_are_listed_too(tmp_path, name):
    zero, few = settings(name, tmp_path), settings(name, tmp_path, 1)
    without, with_ = (set(local_files(given_, given_.abilities)) for given_ in (zero, few))
    assert without <= with_
    assert (with_ > without) == (name != "mbpp")  # whose one file has both


@pytest.mark.parametrize("name", WRITERS)
def test_any_folder_from_the_release_to_its_root_will_do(tmp_path, name):
    given_, root = settings(name, tmp_path / "given"), BENCHMARKS[name].ROOT
    expected = read(given_)
    assert expected[0].origin.startswith(root)
    holds = tmp_path / "given" / root if (tmp_path / "given" / root).is_dir() else tmp_path / "given"
    parts = root.split("/") if root else []
    for start in range(len(parts) + 1):
        folder = tmp_path / f"from-{start}"
        shutil.copytree(holds, folder.joinpath(*parts[start:]))
        assert read(given_.model_copy(update={"folder": folder})) == expected


def test_worked_examples_are_never_looked_for_among_test_items(tmp_path):
    given_ = settings("cmmlu", tmp_path, 1).model_copy(update={"folder": tmp_path / "data/test"})
    with pytest.raises(InputError, match=r"dev/agronomy\.csv: no such file"):
        read(given_)


# --- rows that are no items ---


def spoilt(folder: Path, name: str, file: str, change, **changes):
    """The error of reading a benchmark after a change of one file's text."""
    given_ = settings(name, folder, **changes)
    path = folder / file
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(InputError) as error:
        read(given_)
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(str(folder))
    return message.removeprefix(f"{folder}/")


CMMLU, MMLU, CEVAL = "data/test/agronomy.csv", "data/test/anatomy_test.csv", "val/physician_val.csv"
MATH, LOGIQA, PHYSICS = "MATH/test/algebra/4.json", "logiqa/DATA/LOGIQA/test.txt", "data/v1/gaokao-physics.jsonl"
PROMPTS, GSM8K = "data/few_shot_prompts.csv", "test.jsonl"


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "message"),
    [
        ("mmlu", MMLU, "0-z,A", "0-z,E", "1: the answer 'E' is no option (allowed: A, B, C, D)"),
        ("mmlu", MMLU, "1-z,B", "1-z", "2: 5 columns (expected 6: question, A, B, C, D, answer)"),
        ("cmmlu", CMMLU, ",Question", "id,Frage",
         "1: header 'id,Frage,A,B,C,D,Answer' (expected ',Question,A,B,C,D,Answer')"),
        ("cmmlu", CMMLU, "2,test 第2题", '"2,test 第2题', "4: 1 columns (expected 7: , Question, A, B, C, D, Answer)"),
        ("ceval", CEVAL, "answer", "answer,why",
         "1: header 'id,question,A,B,C,D,answer,why' (expected 'id,question,A,B,C,D,answer')"),
        ("gsm8k", GSM8K, "#### 3", "3", "3: answer: no final answer (a line of the form `#### answer`)"),
        ("hendrycks_math", MATH, "boxed", "text", r"1: solution: no final answer (in \boxed{})"),
        ("hendrycks_math", MATH, '"\n}', '"\n', "6: malformed JSON (Expecting ',' delimiter, column 1)"),
        ("mbpp", "mbpp.jsonl", '"assert add(0) == 12"', "12", "5: test_list[1]: expected a text, found 12"),
        ("logiqa2", LOGIQA, '"answer": 1', '"answer": 4', "2: the answer 4 is no option (allowed: 0 to 3)"),
        ("dream", "data/test.json", '"answer": "0-w"', '"answer": "0-q"',
         "2: the answer '0-q' is none of the options"),
        ("dream", "data/test.json", '"0-x"', '"0-w"', "2: the answer '0-w' is several of the options"),
        ("mt_bench", "question.jsonl", '"category": "math"', '"category": "maths"',
         "2: category: 'maths' (allowed: writing, roleplay, reasoning, math, coding, extraction, stem, humanities)"),
        ("agieval", "data/v1/math.jsonl", '"answer": "1"', '"answer": null', "1: answer: missing (expected a text)"),
        ("agieval", PHYSICS, '"label": "A"', '"label": "F"', "4: the answer 'F' is no option (allowed: A, B, C, D)"),
        ("bbh", "bbh/web_of_lies.json", '"Yes"', '"Perhaps"', "1: the target 'Perhaps' is not one of Yes, No"),
        ("bbh", "bbh/snarks.json", "(A) one", "(C) one", "1: input: no options (lines of the form `(A) text`)"),
    ],
)  # fmt: skip
def test_a_bad_row_is_one_clear_line(tmp_path, name, file, old, new, message):
    assert spoilt(tmp_path, name, file, lambda text: text.replace(old, new, 1)) == f"{file}:{message}"


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "message"),
    [
        ("agieval", PROMPTS, ",math", ",maths", "2: no column 'math' (it has: gaokao-physics, maths)"),
        ("agieval", PROMPTS, "{'passage': None", "{passage: None", "2: math: not a Python literal"),
        ("bbh", "cot-prompts/snarks.txt", "answer is (A)", "answer is one",
         "5: no final answer among the options (`So the answer is ...`)"),
    ],
)  # fmt: skip
def test_a_bad_worked_example_is_one_clear_line(tmp_path, name, file, old, new, message):
    assert spoilt(tmp_path, name, file, lambda text: text.replace(old, new, 1), shots=1) == f"{file}:{message}"


def test_a_broken_gzip_file_is_named(tmp_path):
    given_ = settings("human_eval", tmp_path)
    path = tmp_path / "HumanEval.jsonl.gz"
    for content in (b"no gzip", path.read_bytes()[:-20]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"HumanEval.jsonl.gz: not a whole gzip file"):
            read(given_)


# --- the hub ---


def test_a_repository_is_read_by_the_publishers_names(tmp_path, monkeypatch):
    import huggingface_hub

    files = {}
    for name in ("mmlu", "hendrycks_math"):
        settings(name, tmp_path / name)
        files |= {str(p.relative_to(tmp_path / name)): p for p in (tmp_path / name).rglob("*.*")}
    asked = []

    def download(repository, name, repo_type, revision):
        asked.append((repository, name, repo_type, revision))
        if name not in files:
            raise ValueError("404 no such file")
        return str(files[name])

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr(huggingface_hub, "list_repo_files", lambda *_, **__: list(files))
    given_ = {"folder": None, "hub": "someone/tests", "revision": "abc"}
    for name in ("mmlu", "hendrycks_math"):
        there = settings(name, tmp_path / name, 2)
        elsewhere = there.model_copy(update=given_)
        assert read(elsewhere) == read(there)
        assert local_files(elsewhere, elsewhere.abilities) == []
    assert asked[0] == ("someone/tests", "data/dev/anatomy_dev.csv", "dataset", "abc")
    missing = settings("agieval", tmp_path / "agieval").model_copy(update=given_)
    with pytest.raises(InputError, match=r"cannot get the file 'data/v1/gaokao-physics\.jsonl' from the hub: 404"):
        read(missing)
