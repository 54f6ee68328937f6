"""Predictions: what a checkpoint answered on each item, raw, in one Parquet file per suite.

They are kept beside the grades, so that a changed scorer regrades without a GPU. Each file is written in one piece:
repeating a prediction replaces its file and never adds to it (fault B12 of the paper's released code). Until then the
batches that are done lie in a `Batches` file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from growthpace.errors import InputError
from growthpace.files import write_table, write_text


@dataclass(frozen=True)
class Prediction:
    """One answer: a generated text, the log-probabilities of the item's candidates, or both where a study asks."""

    item_id: str
    text: str | None
    """Generated answer without the end-of-turn token; None when candidates were scored."""
    finished: bool | None
    """Generation ended by end-of-turn (True) or by max_new_tokens (False); None when candidates were scored."""
    logprobs: tuple[float, ...]
    """One per candidate: the summed natural-log probability of its tokens, with the end-of-turn token where the
    scorer's END_OF_TURN says so. Empty when a text was generated."""
    tokens: tuple[int, ...]
    """One per candidate: the number of tokens summed over."""
    prompt_tokens: int
    generated_tokens: int
    cut_tokens: int
    """Prompt tokens cut at the front because the context was too short."""
    prompt_hash: str
    """16 hex digits of the rendered prompt ids."""
    bytes: tuple[int, ...] = ()
    """One per candidate: the length of its text in UTF-8."""
    shots: int = 0
    """Worked examples that the prompt kept; fewer than the item has where the context was too short."""
    seconds: float = field(default=0.0, compare=False)
    """Latency: wall time of the batch that it was answered in. It stands beside the file of predictions
    (`write_latencies`), which is the same however long they took."""
    earlier: tuple[str, ...] = ()
    """What the model answered in earlier turns that the item leaves to it, before `text`."""
    last_step: tuple[float, ...] = ()
    """Of letter items in a suite that is `paper_compatible`: log-probabilities of the tokens `A` to `D` at the last
    step of generating `text`, where its turn ends or was cut off."""


SCHEMA = pa.schema(
    [
        ("item_id", pa.string()),
        ("text", pa.string()),
        ("finished", pa.bool_()),
        ("logprobs", pa.list_(pa.float64())),
        ("tokens", pa.list_(pa.int32())),
        ("prompt_tokens", pa.int32()),
        ("generated_tokens", pa.int32()),
        ("cut_tokens", pa.int32()),
        ("prompt_hash", pa.string()),
        ("bytes", pa.list_(pa.int32())),
        ("shots", pa.int32()),
        ("earlier", pa.list_(pa.string())),
        ("last_step", pa.list_(pa.float64())),
    ]
)


def check_prediction(prediction: Prediction) -> Prediction:
    """The prediction itself, or `InputError` naming its item and what is wrong with its shape.

    Values of log-probabilities are the scorers' to judge: a NaN is kept in the file, so that it can be seen.
    """

    def wrong(what: str):
        return InputError(f"prediction of the item {prediction.item_id!r}: {what}")

    if len(prediction.logprobs) != len(prediction.tokens):
        raise wrong(f"{len(prediction.logprobs)} log-probabilities but {len(prediction.tokens)} token counts")
    if prediction.text is None and not prediction.logprobs:
        raise wrong("it holds neither a text nor log-probabilities of candidates")
    for name in ("prompt_tokens", "generated_tokens", "cut_tokens", "shots", "seconds"):
        if getattr(prediction, name) < 0:
            raise wrong(f"{name} is {getattr(prediction, name)} (allowed: 0 or more)")
    return prediction


def write_predictions(path: str | Path, predictions: Iterable[Prediction], metadata: dict[str, Any]) -> None:
    """Writes predictions in the given order; `metadata` as in `files.write_table`. `InputError` on a bad shape."""
    rows = [{name: getattr(check_prediction(one), name) for name in SCHEMA.names} for one in predictions]
    write_table(path, pa.Table.from_pylist(rows, schema=SCHEMA), metadata)


def write_latencies(path: str | Path, predictions: Iterable[Prediction]) -> None:
    """Writes how long each prediction took, one JSON object a line: item_id, seconds."""
    lines = (json.dumps({"item_id": one.item_id, "seconds": one.seconds}) for one in predictions)
    write_text(path, "".join(f"{line}\n" for line in lines))


def read_latencies(path: str | Path) -> dict[str, float]:
    """What `write_latencies` wrote, by item; empty where there is no such file."""
    path = Path(path)
    rows = map(json.loads, path.read_text().splitlines()) if path.exists() else ()
    return {row["item_id"]: row["seconds"] for row in rows}


def read_predictions(path: str | Path) -> list[Prediction]:
    """The predictions of a Parquet file, in its order."""
    return [_prediction(row) for row in pq.read_table(path).to_pylist()]


def _prediction(row: dict[str, Any]) -> Prediction:
    return Prediction(**{name: tuple(value) if isinstance(value, list) else value for name, value in row.items()})


class Batches:
    """Predictions made so far, one JSON line for each batch, so that a batch is there as a whole or not at all.

    A line that a crash left torn is cut off, with what follows it. Use it as a context manager.
    """

    def __init__(self, path: Path):
        self.path = path
        self.found: dict[str, Prediction] = {}
        """Every prediction that is there, by the id of its item."""

    def __enter__(self) -> Batches:
        self._file = open(self.path, "ab+")
        self._file.seek(0)
        whole = 0
        for line in self._file:
            try:
                rows = json.loads(line)
            except ValueError:
                break
            if not line.endswith(b"\n"):
                break
            self._keep([_prediction(row) for row in rows])
            whole += len(line)
        self._file.truncate(whole)
        return self

    def __exit__(self, *exc) -> None:
        self._file.close()

    def add(self, batch: Sequence[Prediction]) -> None:
        """Adds a batch, which outlives this process from now on; a machine that fails may lose the last few."""
        self._file.write(json.dumps([vars(check_prediction(p)) for p in batch], allow_nan=False).encode() + b"\n")
        self._file.flush()
        self._keep(batch)

    def _keep(self, batch: Sequence[Prediction]) -> None:
        self.found.update((prediction.item_id, prediction) for prediction in batch)
