"""Grading: what each prediction of a suite is worth. Pure, on the CPU, and repeatable without a model.

growthpace grade ITEMS PREDICTIONS OUTPUT
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from growthpace.data.items import Item, read_items
from growthpace.errors import InputError
from growthpace.evaluation import paper_rules
from growthpace.evaluation.judgements import Verdict, read_judgements
from growthpace.evaluation.predictions import Prediction, read_predictions
from growthpace.evaluation.scorers import SCORERS, judge
from growthpace.files import write_table

SCHEMA = pa.schema(
    [
        ("item_id", pa.string()),
        ("ability", pa.string()),
        ("group", pa.string()),  # non-empty where items share a passage: their errors are not independent
        ("grade", pa.float64()),  # in [0, 1]; null where it is missing: a judge gave no verdict
        ("chance", pa.float64()),  # expected grade of a uniform guesser on this item
        ("parsed", pa.string()),  # what was understood as the answer, '' where nothing was
        ("cut", pa.bool_()),  # the prompt was too long and lost tokens at its front
        ("subject", pa.string()),  # part of a benchmark, '' elsewhere
        ("text_grade", pa.float64()),  # what the text is worth where the grade is of log-probabilities; null elsewhere
        ("margin", pa.float64()),  # nats by which the best candidate leads (its mean, for perplexity); null elsewhere
        ("missing", pa.bool_()),  # a judge gave no verdict: there is no grade, which is not 0
    ]
)


def grade_predictions(
    items: Sequence[Item],
    predictions: Iterable[Prediction],
    *,
    paper_compatible: bool = False,
    verdicts: Iterable[Verdict] = (),
) -> pa.Table:
    """One row per item, in the items' order, with the columns of `SCHEMA`. verdicts: a judge's, on items that need one.

    paper_compatible: by the rules of the paper's released code, where it had any for an item's scorer
    (`paper_rules.GRADES`).

    Raises `InputError` naming ids when an item has no prediction or more than one, when an item occurs twice, when a
    prediction belongs to no item, when an item's scorer is unknown or cannot grade its prediction, and when
    paper_compatible would have no effect.
    """
    predictions = list(predictions)
    item_counts = Counter(item.id for item in items)
    prediction_counts = Counter(prediction.item_id for prediction in predictions)
    faults = (
        ("occur twice among the items", [id for id, count in item_counts.items() if count > 1]),
        ("have no prediction", [id for id in item_counts if id not in prediction_counts]),
        ("have more than one prediction", [id for id, count in prediction_counts.items() if count > 1]),
        ("are predicted but are not among the items", [id for id in prediction_counts if id not in item_counts]),
        ("have a scorer that cannot grade", [item.id for item in items if item.scorer not in SCORERS]),
    )
    messages = [f"items that {what}: {_named(ids)}" for what, ids in faults if ids]
    if messages:
        raise InputError("\n".join(messages))
    by_paper = paper_rules.GRADES if paper_compatible else {}
    if paper_compatible and not any(item.scorer in by_paper for item in items):
        raise InputError(
            "paper_compatible would have no effect: no item has a scorer that the paper's released code had "
            f"({', '.join(by_paper)})"
        )
    by_item = {prediction.item_id: prediction for prediction in predictions}
    judged: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        judged.setdefault(verdict.item_id, []).append(verdict)
    rows = []
    for item in items:
        prediction = by_item[item.id]
        if item.id in judged and item.scorer == judge.NAME:
            grade = judge.graded(item, judged[item.id])
        else:
            grade = by_paper.get(item.scorer, SCORERS[item.scorer].grade)(item, prediction)
        rows.append(
            {
                "item_id": item.id,
                "ability": item.ability,
                "group": item.group,
                "grade": grade.grade,
                "chance": grade.chance,
                "parsed": grade.parsed,
                "cut": prediction.cut_tokens > 0,
                "subject": item.subject,
                "text_grade": None if item.scorer in by_paper else _text_grade(item, prediction),
                "margin": _margin(item, prediction),
                "missing": grade.grade is None,
            }
        )
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _text_grade(item: Item, prediction: Prediction) -> float | None:
    """The grade of a prediction's text alone, where there are log-probabilities too."""
    if prediction.text is None or not prediction.logprobs:
        return None
    return SCORERS[item.scorer].grade(item, replace(prediction, logprobs=(), tokens=())).grade


def _margin(item: Item, prediction: Prediction) -> float | None:
    """By how much the best candidate leads the next, in what its scorer compares (nats, or nats a token); None where no
    candidates are compared."""
    scorer = SCORERS[item.scorer]
    if scorer.NEEDS != "candidates" or len(prediction.logprobs) < 2:
        return None
    values = prediction.logprobs
    if scorer.END_OF_TURN:
        values = [total / count for total, count in zip(values, prediction.tokens, strict=True)]
    second, first = sorted(values)[-2:]
    return first - second


def _named(ids: list[str]) -> str:
    """The first ids and how many more there are."""
    more = f" and {len(ids) - 5} more" if len(ids) > 5 else ""
    return ", ".join(repr(id) for id in ids[:5]) + more


def write_grades(path: str | Path, grades: pa.Table, metadata: dict[str, Any]) -> None:
    """Writes a table of `SCHEMA` in its order; `metadata` as in `files.write_table`."""
    write_table(path, grades.cast(SCHEMA), metadata)


def read_grades(path: str | Path) -> pa.Table:
    """The table of a grades file, with the columns of `SCHEMA`; its metadata is read by `files.read_metadata`."""
    return pq.read_table(path, schema=SCHEMA)


def grade_file(
    items_path: str | Path,
    predictions_path: str | Path,
    output_path: str | Path,
    metadata: dict[str, Any],
    *,
    paper_compatible: bool = False,
    judgements_path: str | Path | None = None,
) -> None:
    """Grades a suite's predictions file, with the judgements of a suite that is judged, into a grades file;
    paper_compatible as in `grade_predictions`.

    `metadata` goes into the output, with `scorers`, the versions of the scorers that were used, and with
    `paper_rules`, the version of the released code's rules, where they were. Raises `InputError` as
    `grade_predictions` does, with the predictions' path before it.
    """
    items = read_items(items_path)
    try:
        verdicts = read_judgements(judgements_path) if judgements_path else ()
        predictions = read_predictions(predictions_path)
        grades = grade_predictions(items, predictions, paper_compatible=paper_compatible, verdicts=verdicts)
    except InputError as error:
        raise InputError(f"{predictions_path}: {error}") from None
    used = {name: SCORERS[name].VERSION for name in sorted({item.scorer for item in items})}
    rules = {"paper_rules": paper_rules.VERSION} if paper_compatible else {}
    write_grades(output_path, grades, {"scorers": used, **rules, **metadata})
