"""Results of lm-evaluation-harness 0.4: `results_*.json`, and the samples beside them.

    found = read_results("output", score_map)
    found.cells, found.item_grades, found.left_out

A run of the harness writes `results_{date}.json` (results by task and group, sample counts, the model's name) and, with
`--log_samples`, `samples_{task}_{date}.jsonl` (one JSON object per document: doc_id, doc_hash, filter, the metrics).
The layout is that of its `lm_eval/loggers/evaluation_tracker.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from growthpace.analysis.elsewhere.reading import checked
from growthpace.analysis.elsewhere.score_map import FROM_MATCH, HarnessRun, HarnessTask, ScoreMap
from growthpace.data.importers.records import Record, read_records
from growthpace.errors import InputError

PREFIX = "results_"
ARGUMENTS = ("pretrained", "model", "path", "engine")
"""Where older result files, without `model_name`, name the model in `config.model_args`."""


@dataclass(frozen=True)
class Found:
    """What a folder of results says."""

    cells: pd.DataFrame
    """As `reading.read_scores` gives it."""
    item_grades: pd.DataFrame | None
    """One row per run and item, the columns of `cells` that name a score, then item_id, subject, grade, chance; None
    without samples."""
    files: list[Path]
    left_out: list[str]
    """Tasks and groups that the map does not name."""


@dataclass(frozen=True)
class Result:
    """One result file."""

    path: Path
    content: dict[str, Any]
    model: str
    """The model's name as the harness wrote it."""

    def members(self, task: str) -> list[str]:
        """The tasks of a group, through groups inside it; a task's own name else."""
        own = self.content.get("group_subtasks", {}).get(task) or []
        return [name for member in own for name in self.members(member)] or [task]

    def items(self, task: str) -> int:
        """Documents that a task, or all tasks of a group, were asked."""
        counts = self.content.get("n-samples", {})
        total = 0
        for member in self.members(task):
            number = counts.get(member, {}).get("effective")
            if not isinstance(number, int) or number < 1:
                raise InputError(f"{self.path}: n-samples.{member}.effective is {number!r} (allowed: from 1)")
            total += number
        return total

    def score(self, task: str, metric: str) -> float:
        found = self.content["results"][task]
        if metric not in found:
            known = [key for key in found if "," in key and "_stderr" not in key]
            told = ", ".join(known) or "none, as of a group that its config does not average"
            raise InputError(f"{self.path}: {task} has no metric {metric!r} (it has: {told})")
        value = found[metric]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise InputError(f"{self.path}: {task}, {metric} is {value!r} (allowed: 0 to 1)")
        return float(value)

    def samples(self, task: str, metric: str) -> Iterator[tuple[Record, float]]:
        """(record, grade) of every document of one task, under the metric's filter."""
        date = self.path.stem.removeprefix(PREFIX)
        path = self.path.with_name(f"samples_{task}_{date}.jsonl")
        if not path.is_file():
            raise InputError(
                f"{path}: no such file; run the harness with --log_samples, or write samples: false in the map"
            )
        name, _, its_filter = metric.partition(",")
        empty = True
        for record in read_records(path):
            if record.content.get("filter", "none") != (its_filter or "none"):
                continue
            value = record.content.get(name)
            if not isinstance(value, bool | int | float) or not 0 <= value <= 1:  # a NaN is not
                raise record.wrong(f"{name} is {value!r} (allowed: 0 to 1)")
            empty = False
            yield record, float(value)
        if empty:
            raise InputError(f"{path}: no sample has the filter {its_filter or 'none'!r}, which the map's metric names")


def read_results(path: str | Path, score_map: ScoreMap) -> Found:
    """All results under a folder (or in one result file), as the map's `harness` says what they are.

    Raises `InputError` for a file that is none of the harness's, a model that no pattern matches, a task in the map
    that no file has, a metric that is not there, samples that are missing, that are not the same documents in all runs,
    or whose chance cannot be counted, and for faults between scores (see `reading.checked`).
    """
    harness = score_map.harness
    results = [_result(one) for one in _files(Path(path))]
    rows, grades, origins, seen, unknown = [], [], [], set(), set()
    for result in results:
        run = _run(result, harness.runs)
        present = result.content["results"]
        unknown |= set(present) - set(harness.tasks)
        for name, task in harness.tasks.items():
            if name not in present:
                continue
            seen.add(name)
            about = {**run, "suite": task.suite, "ability": task.ability}
            if harness.samples:
                own = _item_grades(result, name, task)
                score, items, chance = own["grade"].mean(), len(own), own["chance"].mean()
                grades.append(own.assign(**about))
            else:
                score, items, chance = result.score(name, task.metric), result.items(name), task.chance
            rows.append({**about, "score": score, "items": items, "chance": chance, "flagged": False})
            origins.append(f"{result.path}: {name}")
    if missing := sorted(set(harness.tasks) - seen):
        found = ", ".join(sorted(unknown | seen))
        raise InputError(f"{path}: harness.tasks.{missing[0]} is in no result file (found there: {found})")
    covered = {member for result in results for task in seen for member in result.members(task)}
    cells = checked(pd.DataFrame(rows), lambda row: origins[row])
    items = pd.concat(grades, ignore_index=True) if grades else None
    return Found(cells, None if items is None else _same(items), [r.path for r in results], sorted(unknown - covered))


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"{path}: no such folder or file")
    found = sorted(path.rglob(f"{PREFIX}*.json"))
    if not found:
        raise InputError(f"{path}: no {PREFIX}*.json of lm-evaluation-harness in it or under it")
    return found


def _result(path: Path) -> Result:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{path}: not JSON ({error})") from None
    if not isinstance(content, dict) or not isinstance(content.get("results"), dict):
        raise InputError(f"{path}: not a result file of lm-evaluation-harness, it has no results")
    name = content.get("model_name") or _of_arguments(content.get("config", {}).get("model_args"))
    if not name:
        raise InputError(f"{path}: names no model (model_name, or pretrained in config.model_args)")
    return Result(path, content, str(name))


def _of_arguments(arguments: Any) -> str:
    if isinstance(arguments, str):
        arguments = dict(part.split("=", 1) for part in arguments.split(",") if "=" in part)
    arguments = arguments if isinstance(arguments, dict) else {}
    return next((str(arguments[key]) for key in ARGUMENTS if arguments.get(key)), "")


def _run(result: Result, runs: list[HarnessRun]) -> dict[str, Any]:
    """The fields that name a run, by the first pattern found in the model's name."""
    for own in runs:
        match = re.search(own.match, result.model)
        if match is None:
            continue
        fields: dict[str, Any] = {"parameters": own.parameters}
        for name in FROM_MATCH:
            value = getattr(own, name) if getattr(own, name) is not None else match[name]
            if name in ("volume", "seed", "epoch") and isinstance(value, str | None):
                if value is None or not value.isdecimal():
                    raise InputError(f"{result.path}: {own.match!r} finds {name} {value!r} in {result.model!r} "
                                     "(allowed: digits)")  # fmt: skip
                value = int(value)
            if not isinstance(value, int) and not value:
                raise InputError(f"{result.path}: {own.match!r} finds no {name} in {result.model!r}")
            fields[name] = value
        return fields | ({"source": ""} if fields["volume"] == 0 else {})
    told = ", ".join(repr(own.match) for own in runs)
    raise InputError(f"{result.path}: harness.runs: no pattern is found in the model's name {result.model!r} ({told})")


def _item_grades(result: Result, name: str, task: HarnessTask) -> pd.DataFrame:
    """item_id, subject, grade, chance and doc_hash of a task's documents, or of all tasks' of a group."""
    members = result.members(name)
    rows = []
    for member in members:
        for record, grade in result.samples(member, task.metric):
            number = record.content.get("doc_id")
            chance = _chance(record, result, member) if task.chance is None else task.chance
            rows.append((f"{member}/{number}", member if len(members) > 1 else "", grade, chance,
                         str(record.content.get("doc_hash", ""))))  # fmt: skip
    own = pd.DataFrame(rows, columns=["item_id", "subject", "grade", "chance", "doc_hash"])
    twice = own["item_id"].duplicated()
    if twice.any():
        raise InputError(f"{result.path}: {own[twice].iloc[0]['item_id']} has two samples under {task.metric!r}")
    return own


def _chance(record: Record, result: Result, task: str) -> float:
    """One over the number of options of a document, where its task is one of multiple choice."""
    kind = result.content.get("configs", {}).get(task, {}).get("output_type")
    options = record.content.get("filtered_resps")
    if kind != "multiple_choice" or not isinstance(options, list) or len(options) < 2:
        raise record.wrong(f"the chance of {task} cannot be counted (output_type {kind!r}); give the map its chance")
    asked = record.content.get("arguments")
    texts = [one.get("arg_1") for one in asked.values()] if isinstance(asked, dict) else []
    return 1 / (len(set(texts)) if len(texts) == len(options) and None not in texts else len(options))


def _same(items: pd.DataFrame) -> pd.DataFrame:
    """The items, if every run was asked the same documents."""
    keys = ["suite", "ability", "item_id"]
    first = items.groupby(keys, sort=False)[["doc_hash", "chance"]].transform("first")
    other = (items["doc_hash"] != first["doc_hash"]) | ~np.isclose(items["chance"], first["chance"])
    if other.any():
        row = items[other].iloc[0]
        raise InputError(
            f"{row['item_id']}: {row['model']} on {row['source']}-{row['volume']} was asked another document than an "
            "earlier run (doc_hash or options differ), so they cannot be compared; use one version of the task"
        )
    return items.drop(columns="doc_hash")
