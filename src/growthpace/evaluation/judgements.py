"""Judgements: what a judge said of the answers of a checkpoint, raw, in one Parquet file per judged suite.

They are kept beside predictions and grades, so that a changed scorer grades anew without asking anybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from growthpace.files import write_table

ALONE, ANSWER_FIRST, REFERENCE_FIRST = "alone", "answer_first", "reference_first"
"""How a judge is shown an answer: by itself, or beside the reference, in either order."""


@dataclass(frozen=True)
class Verdict:
    """What the judge said once about one answer."""

    item_id: str
    shown: Literal["alone", "answer_first", "reference_first"]
    second_pass: bool
    """Asked once more, for agreement alone: no grade comes of it."""
    score: int | None
    """`alone`: on the scale from `lowest` to `highest`. None elsewhere, and where the verdict is missing."""
    lowest: int | None
    highest: int | None
    winner: str | None
    """In pairs: `first`, `second` or `tie`. None elsewhere, and where the verdict is missing."""
    reasoning: str
    missing: str
    """Why there is no verdict (see `endpoint.requests.Result`); empty where there is one."""
    detail: str
    """More about it."""
    attempts: int
    prompt_tokens: int
    """Of all attempts."""
    answer_tokens: int
    request: str
    """Hash that names the cached answer."""
    judge: str
    """The judge's model, as the endpoint called it."""


SCHEMA = pa.schema(
    [
        ("item_id", pa.string()),
        ("shown", pa.string()),
        ("second_pass", pa.bool_()),
        ("score", pa.int32()),
        ("lowest", pa.int32()),
        ("highest", pa.int32()),
        ("winner", pa.string()),
        ("reasoning", pa.string()),
        ("missing", pa.string()),
        ("detail", pa.string()),
        ("attempts", pa.int32()),
        ("prompt_tokens", pa.int32()),
        ("answer_tokens", pa.int32()),
        ("request", pa.string()),
        ("judge", pa.string()),
    ]
)


def write_judgements(path: str | Path, verdicts: Iterable[Verdict], metadata: dict[str, Any]) -> None:
    """Writes verdicts in the given order; `metadata` as in `files.write_table`."""
    write_table(path, pa.Table.from_pylist([vars(verdict) for verdict in verdicts], schema=SCHEMA), metadata)


def read_judgements(path: str | Path) -> list[Verdict]:
    """The verdicts of a Parquet file, in its order."""
    return [Verdict(**row) for row in pq.read_table(path, schema=SCHEMA).to_pylist()]
