"""Local copies of what datasets hold on the hub, made of the content of the publishers' layouts.

`write_copy(name, folder, to)` reads the tiny folder that `publishers` wrote and writes its content in the columns,
configurations and splits of the benchmark's usual dataset: Parquet files, and the card that says which is which.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml
from datasets import ClassLabel, Dataset, Features, List, Value

Tables = Iterator[tuple[str, str, Dataset]]
"""(configuration, split, rows)"""


def _lines(path: Path) -> list[dict]:
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in raw.decode().splitlines()]


def _table(path: Path) -> list[list[str]]:
    with open(path, newline="", encoding="utf-8") as handle:
        return list(csv.reader(handle))


def mmlu(folder: Path) -> Tables:
    letters = ClassLabel(names=["A", "B", "C", "D"])
    text = Value("string")
    features = Features({"question": text, "subject": text, "choices": List(text), "answer": letters})
    for subject in ("anatomy", "virology"):
        for split in ("test", "dev"):
            rows = [
                {"question": question, "subject": subject, "choices": options, "answer": letter}
                for question, *options, letter in _table(folder / f"data/{split}/{subject}_{split}.csv")
            ]
            yield subject, split, Dataset.from_list(rows, features=features)


def cmmlu(folder: Path) -> Tables:
    for split in ("test", "dev"):
        _, *rows = _table(folder / f"data/{split}/agronomy.csv")
        columns = ("Question", "A", "B", "C", "D", "Answer")
        yield "agronomy", split, Dataset.from_list([dict(zip(columns, row[1:], strict=True)) for row in rows])


def ceval(folder: Path) -> Tables:
    for split in ("val", "dev"):
        header, *rows = _table(folder / f"{split}/physician_{split}.csv")
        found = [{"explanation": "", **dict(zip(header, row, strict=True)), "id": int(row[0])} for row in rows]
        yield "physician", split, Dataset.from_list(found)
    yield "physician", "test", Dataset.from_list([found[0] | {"answer": ""}])


def bbh(folder: Path) -> Tables:
    for path in sorted((folder / "bbh").glob("*.json")):
        yield path.stem, "test", Dataset.from_list(json.loads(path.read_text())["examples"])


def gsm8k(folder: Path) -> Tables:
    for config in ("main", "socratic"):
        for split in ("train", "test"):
            rows = _lines(folder / f"{split}.jsonl")
            if config == "socratic":
                rows = [row | {"question": "another"} for row in rows]
            yield config, split, Dataset.from_list(rows)


def hendrycks_math(folder: Path) -> Tables:
    for split in ("train", "test"):
        paths = sorted((folder / f"MATH/{split}/algebra").iterdir(), key=lambda path: int(path.stem))
        yield "algebra", split, Dataset.from_list([json.loads(path.read_text()) for path in paths])


def human_eval(folder: Path) -> Tables:
    yield "openai_humaneval", "test", Dataset.from_list(_lines(folder / "HumanEval.jsonl.gz"))


def mbpp(folder: Path) -> Tables:
    rows = _lines(folder / "mbpp.jsonl")
    tasks = {"prompt": range(1, 11), "test": range(11, 511), "validation": range(511, 601), "train": range(601, 975)}
    for split, numbers in tasks.items():
        found = [row | {"challenge_test_list": []} for row in rows if row["task_id"] in numbers]
        yield "full", split, Dataset.from_list(found)
        kept = [{"task_id": row["task_id"], "prompt": row["text"], "code": row["code"]} for row in found]
        yield "sanitized", split, Dataset.from_list(kept)


def logiqa2(folder: Path) -> Tables:
    for config, ending in (("logiqa2", ""), ("logiqa2_zh", "_zh")):
        for split, file in (("test", "test"), ("validation", "dev")):
            yield config, split, Dataset.from_list(_lines(folder / f"logiqa/DATA/LOGIQA/{file}{ending}.txt"))


def c3(folder: Path) -> Tables:
    for config, letter in (("mixed", "m"), ("dialog", "d")):
        for split, file in (("test", "test"), ("validation", "dev")):
            entries = json.loads((folder / f"data/c3-{letter}-{file}.json").read_text(encoding="utf-8"))
            rows = [
                {
                    "documents": lines,
                    "document_id": identity,
                    "questions": {key: [q[key] for q in questions] for key in ("question", "answer", "choice")},
                }
                for lines, questions, identity in entries
            ]
            yield config, split, Dataset.from_list(rows)


def dream(folder: Path) -> Tables:
    for split, file in (("test", "test"), ("validation", "dev")):
        rows = [
            {"id": place, "dialogue_id": identity, "dialogue": lines, **question}
            for lines, questions, identity in json.loads((folder / f"data/{file}.json").read_text(encoding="utf-8"))
            for place, question in enumerate(questions)
        ]
        yield "plain_text", split, Dataset.from_list(rows)


def mt_bench(folder: Path) -> Tables:
    rows = [
        {"prompt": row["turns"], "reference": row.get("reference", []), "category": row["category"], "prompt_id": 7 * n}
        for n, row in enumerate(_lines(folder / "question.jsonl"))
    ]
    yield "default", "train", Dataset.from_list(rows)


COPIES: dict[str, Callable[[Path], Tables]] = {
    make.__name__: make
    for make in (
        bbh, c3, ceval, cmmlu, dream, gsm8k, hendrycks_math, human_eval, logiqa2, mbpp, mmlu, mt_bench,
    )
}  # fmt: skip
"""By benchmark: the rows of its usual dataset, of the publisher's content in a folder."""


def write_copy(name: str, folder: Path, to: Path) -> Path:
    """Writes the copy and returns its folder."""
    files: dict[str, list[dict]] = {}
    for config, split, rows in COPIES[name](folder):
        path = to / config / f"{split}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows.to_parquet(path)
        files.setdefault(config, []).append({"split": split, "path": f"{config}/{split}-*"})
    card = {"configs": [{"config_name": config, "data_files": found} for config, found in files.items()]}
    (to / "README.md").write_text(f"---\n{yaml.safe_dump(card)}---\n# A copy\n", encoding="utf-8")
    return to
