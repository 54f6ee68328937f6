"""Tiny folders in every publisher's layout, with made-up content, and settings that read them."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from growthpace.data.importers import read_items_of
from growthpace.data.items import Item, check_unique
from growthpace.study import BenchmarkItems

ITEMS, EXAMPLES = 20, 3
"""Test items and worked examples of every subject written here."""


def _csv(path: Path, rows: list[list], header: list[str] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([header, *rows] if header else rows)


def _json(path: Path, content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")


def _jsonl(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def _choice(number: int) -> tuple[list[str], str]:
    """Four options and the letter of the right one."""
    return [f"{number}-{option}" for option in "wxyz"], "ABCD"[number % 4]


def mmlu(folder: Path) -> list[str]:
    for subject in ("anatomy", "virology"):
        for split, count in (("test", ITEMS), ("dev", EXAMPLES)):
            rows = [[f"{split} {n}, which?", *_choice(n)[0], _choice(n)[1]] for n in range(count)]
            _csv(folder / f"data/{split}/{subject}_{split}.csv", rows)
    return ["anatomy", "virology"]


def cmmlu(folder: Path) -> list[str]:
    for split, count in (("test", ITEMS), ("dev", EXAMPLES)):
        rows = [[n, f"{split} 第{n}题？", *_choice(n)[0], _choice(n)[1]] for n in range(count)]
        header = ["", "Question", "A", "B", "C", "D", "Answer"]
        _csv(folder / f"data/{split}/agronomy.csv", rows, header)
    return ["agronomy"]


def ceval(folder: Path) -> list[str]:
    header = ["id", "question", "A", "B", "C", "D", "answer"]
    rows = [[n, f"第{n}题？", *_choice(n)[0], _choice(n)[1]] for n in range(ITEMS)]
    _csv(folder / "val/physician_val.csv", rows, header)
    rows = [[n, f"例{n}？", *_choice(n)[0], _choice(n)[1], "因为"] for n in range(EXAMPLES)]
    _csv(folder / "dev/physician_dev.csv", rows, [*header, "explanation"])
    return ["physician"]


def agieval(folder: Path) -> list[str]:
    def row(number: int, label=None) -> dict:
        options, letter = _choice(number)
        options = [f"({own}){text}" for own, text in zip("ABCD", options, strict=True)]
        passage = f"text {number // 2}"
        return {"passage": passage, "question": f"{number}?", "options": options, "label": label or letter}

    def free(number: int) -> dict:
        return {"passage": None, "question": f"{number}+1?", "options": None, "label": None, "answer": f"{number + 1}"}

    several = [row(90, ["A", "C"]), row(91, "BD"), row(92, "A C")]
    _jsonl(folder / "data/v1/gaokao-physics.jsonl", [*several, *map(row, range(ITEMS))])
    _jsonl(folder / "data/v1/math.jsonl", list(map(free, range(ITEMS))))
    rows = []
    for number in range(EXAMPLES):
        example = row(60 + number)
        if number == 1:  # as the publisher wrote one of its own
            options = [f"{letter}. {text}" for letter, text in zip("ABCD", _choice(61)[0], strict=True)]
            example["options"] = ["\t".join(options)]
        rows.append([f"sample {number}", repr(example), repr(free(60 + number))])
        rows.append([f"explanation {number}", "因为", "one more"])
    rows += [["sample 3", repr(row(63, ["A", "B"])), ""], ["explanation 3", "", ""]]
    _csv(folder / "data/few_shot_prompts.csv", rows, ["", "gaokao-physics", "math"])
    return ["gaokao-physics", "math"]


def bbh(folder: Path) -> list[str]:
    made: dict[str, Callable[[int], tuple[str, str]]] = {
        "snarks": lambda n: (f"{n}?\nOptions:\n(A) one {n}\n(B) two {n}", f"({'AB'[n % 2]})"),
        "web_of_lies": lambda n: (f"Does {n} tell the truth?", ("Yes", "No")[n % 2]),
        "object_counting": lambda n: (f"How many are {n} and one?", str(n + 1)),
    }
    for subject, example in made.items():
        rows = [dict(zip(("input", "target"), example(n), strict=True)) for n in range(ITEMS)]
        _json(folder / f"bbh/{subject}.json", {"canary": "never train on this", "examples": rows})
        shots = "".join(
            f"\nQ: {question}\nA: Let's think step by step.\nThe answer is not clear.\n(1) So the answer is {target}.\n"
            for question, target in map(example, range(50, 50 + EXAMPLES))
        )
        path = folder / f"cot-prompts/{subject}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"never train on this\n-----\nDo the task.\n{shots}", encoding="utf-8")
    return list(made)


def gsm8k(folder: Path) -> list[str]:
    for split, count in (("test", ITEMS), ("train", EXAMPLES)):
        rows = [
            {"question": f"{split} {n}+1?", "answer": f"It is {n}+1=<<{n}+1={n + 1}>>{n + 1}.\n#### {n + 1}"}
            for n in range(count)
        ]
        _jsonl(folder / f"{split}.jsonl", rows)
    return []


def hendrycks_math(folder: Path) -> list[str]:
    for split, count in (("test", ITEMS), ("train", EXAMPLES)):
        for n in range(count):
            solution = rf"We get $\boxed{{\frac{{{n}}}{{7}}}}$."
            row = {"problem": f"{split} {n}/7?", "level": "Level 1", "type": "Algebra", "solution": solution}
            _json(folder / f"MATH/{split}/algebra/{n}.json", row)
    return ["algebra"]


def human_eval(folder: Path) -> list[str]:
    rows = [
        {
            "task_id": f"HumanEval/{n}",
            "prompt": f'def add_{n}(x):\n    """Adds {n}."""\n',
            "entry_point": f"add_{n}",
            "canonical_solution": f"    return x + {n}\n",
            "test": f"def check(candidate):\n    assert candidate(1) == {n + 1}\n",
        }
        for n in range(ITEMS)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "HumanEval.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    return []


def mbpp(folder: Path) -> list[str]:
    rows = [
        {
            "text": f"Write a function that adds {n}.",
            "code": f"def add(x):\r\n    return x + {n}",
            "task_id": n,
            "test_setup_code": "one = 1" if n % 2 else "",
            "test_list": [f"assert add({k}) == {k + n}" for k in range(3)],
        }
        for n in [*range(1, 1 + EXAMPLES), *range(11, 11 + ITEMS), 511, 601]
    ]
    _jsonl(folder / "mbpp.jsonl", rows)
    return []


def logiqa2(folder: Path) -> list[str]:
    for subject, ending in (("english", ""), ("chinese", "_zh")):
        for split, count in (("test", ITEMS), ("dev", EXAMPLES)):
            rows = []
            for n in range(count):
                options = _choice(n)[0]
                if subject == "chinese":
                    options = [f"{letter}.{text}" for letter, text in zip("ABCD", options, strict=True)]
                text = {"answer": n % 4, "text": f"{split} text {n}", "question": f"{n}?", "options": options}
                rows.append(text)
            _jsonl(folder / f"logiqa/DATA/LOGIQA/{split}{ending}.txt", rows)
    return ["english", "chinese"]


def _reading(path: Path, count: int, options: int) -> None:
    entries = []
    for n in range(0, count, 2):
        questions = []
        for k in (n, n + 1)[: count - n]:
            choice = [f"{k}-{option}" for option in "wxyz"[:options]]
            questions.append({"question": f"{k}?", "choice": choice, "answer": choice[k % options]})
        entries.append([[f"M: {path.stem} {n}", "W: yes"], questions, f"4-{n}"])
    _json(path, entries)


def c3(folder: Path) -> list[str]:
    for kind in "md":
        _reading(folder / f"data/c3-{kind}-test.json", ITEMS, 4)
        _reading(folder / f"data/c3-{kind}-dev.json", EXAMPLES, 4)
    return ["dialogue", "mixed"]


def dream(folder: Path) -> list[str]:
    _reading(folder / "data/test.json", ITEMS, 3)
    _reading(folder / "data/dev.json", EXAMPLES, 3)
    return []


def mt_bench(folder: Path) -> list[str]:
    rows = []
    for n in range(ITEMS):
        row = {"question_id": 81 + n, "category": ("writing", "math")[n % 2], "turns": [f"{n}?", "Again?"]}
        rows.append(row | ({"reference": [f"{n}.", ""]} if n % 2 else {}))
    _jsonl(folder / "question.jsonl", rows)
    return ["writing", "math"]


WRITERS: dict[str, Callable[[Path], list[str]]] = {
    writer.__name__: writer
    for writer in (
        agieval, bbh, c3, ceval, cmmlu, dream, gsm8k, hendrycks_math, human_eval, logiqa2, mbpp, mmlu, mt_bench,
    )
}  # fmt: skip
"""By benchmark: writes its files into a folder and gives the subjects that are there (empty where it has none)."""
OFFERS_SHOTS = tuple(name for name in WRITERS if name not in ("human_eval", "mt_bench"))


def settings(name: str, folder: Path, shots: int = 0, **changes) -> BenchmarkItems:
    """Settings that read a benchmark's tiny folder, which is written first where it is not there."""
    marker = folder / f"{name}-subjects.json"
    if not marker.exists():
        subjects = WRITERS[name](folder)
        marker.write_text(json.dumps(subjects))
    subjects = json.loads(marker.read_text()) or None
    given = {"importer": "benchmark", "name": name, "folder": folder, "shots": shots, "subjects": subjects}
    return BenchmarkItems(**given | changes)


def read(items_settings: BenchmarkItems, left_out: Counter | None = None) -> list[Item]:
    """A benchmark's items, their ids unique."""
    read_ = read_items_of(items_settings, items_settings.abilities, left_out=left_out)
    return check_unique(read_, items_settings.name)
