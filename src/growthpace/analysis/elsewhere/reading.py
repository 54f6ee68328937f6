"""A table of scores (CSV, TSV, Parquet, JSON lines) as one tidy table, every row checked.

    cells = read_scores("scores.csv", score_map)

Each fault is one `InputError` that names the file, the row (from 1, without the header) and the column.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from growthpace.analysis.elsewhere.score_map import FIELDS, Given, ScoreMap
from growthpace.analysis.scores import OVERALL
from growthpace.data.importers.records import numbered_objects
from growthpace.errors import InputError
from growthpace.study.basics import UNTUNED

FORMATS = (".csv", ".tsv", ".parquet", ".jsonl")
CELL = ["model", "source", "volume", "seed", "epoch", "suite", "ability"]
"""What names a score."""
LARGEST = 2**53
"""Whole numbers above are no longer exact in a column that was read as floats."""
SHOWN = 60
"""Characters of a value that a message quotes."""


def read_scores(path: str | Path, score_map: ScoreMap) -> pd.DataFrame:
    """The table in `path`: one row per score with the columns of `FIELDS` and `flagged` (bool).

    score and chance are fractions of 1; parameters, volume, seed, epoch and items whole numbers; the rest texts. Where
    the volume is 0 the source is ''. Raises `InputError` for a file that cannot be read, a column that is not there, a
    value that is none, and for faults between rows (see `checked`).
    """
    path = Path(path)
    raw = _table(path)
    cells = pd.DataFrame(index=raw.index)
    told = {field: getattr(score_map.columns, field) for field in FIELDS}
    for field, column in told.items():  # before any value: a wrong name makes all of them seem wrong
        if not isinstance(column, Given):
            _column_of(path, raw, column, f"columns.{field}")
    for field in FIELDS:
        cells[field] = _filled(path, raw, field, score_map.columns)
    column = _Column(path, told, score_map.scale or "")
    for field in ("parameters", "items"):
        cells[field] = column.whole(cells[field], field, 1)
    for field in ("volume", "seed", "epoch"):
        cells[field] = column.whole(cells[field], field, 0)
    for field in ("model", "suite", "ability"):
        cells[field] = column.text(cells[field], field)
    untuned = cells["volume"] == 0
    cells["source"] = column.text(cells["source"].where(~untuned, "none"), "source").where(~untuned, "")
    for field in ("score", "chance"):
        cells[field] = column.fraction(cells[field], field)
    cells["flagged"] = False
    if score_map.epochs.column is not None:
        cells["flagged"] = _flags(path, raw, score_map.epochs.column)
    return checked(cells, lambda row: f"{path}: row {row + 1}")


def checked(cells: pd.DataFrame, place: Callable[[int], str]) -> pd.DataFrame:
    """The cells, if no two rows contradict each other; `place(row)` says where a row came from.

    Raises `InputError` for a score given twice, a model with two sizes, an ability of one suite with two chances, or a
    reserved name.
    """
    twice = cells.duplicated(CELL)
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        same = (cells.iloc[:row][CELL] == cells.iloc[row][CELL]).all(axis=1)
        named = ", ".join(f"{key} {cells.iloc[row][key]}" for key in CELL)
        raise InputError(f"{place(row)}: a second score for {named}; the first is {_short(place(int(same.argmax())))}")
    for keys, field in ((["model"], "parameters"), (["suite", "ability"], "chance")):
        first = cells.groupby(keys, sort=False)[field].transform("first")
        other = ~np.isclose(cells[field], first, rtol=0, atol=1e-9)
        if other.any():
            row = int(np.flatnonzero(other)[0])
            who = ", ".join(f"{key} {cells.iloc[row][key]}" for key in keys)
            found = f"{cells.iloc[row][field]:g}, in an earlier row {first.iloc[row]:g}"
            raise InputError(f"{place(row)}: {field} of {who} is {found}; it must be one")
    for field, reserved in (("ability", OVERALL), ("source", UNTUNED)):
        bad = cells[field] == reserved
        if bad.any():
            why = "the mean over abilities" if field == "ability" else "the models themselves: give them volume 0"
            raise InputError(f"{place(int(np.flatnonzero(bad)[0]))}: {field} {reserved!r} is reserved for {why}")
    return cells


def _short(place: str) -> str:
    """A place without its file."""
    return place.rsplit(": ", 1)[-1]


def _table(path: Path) -> pd.DataFrame:
    """The file as it is: texts from CSV and TSV, typed values from the others."""
    if path.suffix not in FORMATS:
        raise InputError(f"{path}: a table of scores ends in {', '.join(FORMATS)} (results of the harness: a folder)")
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.suffix == ".jsonl":
        raw = pd.DataFrame([content for _, content in numbered_objects(path)], dtype=object)
    elif path.suffix == ".parquet":
        raw = _parquet(path)
    else:
        raw = _separated(path, "\t" if path.suffix == ".tsv" else ",")
    if raw.empty:
        raise InputError(f"{path}: holds no rows")
    return raw


def _parquet(path: Path) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path).to_pandas()
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: no Parquet file ({str(error).splitlines()[0]})") from None


def _separated(path: Path, separator: str) -> pd.DataFrame:
    try:
        with open(path, encoding="utf-8-sig", newline="") as handle:
            rows = list(csv.reader(handle, delimiter=separator, strict=True))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start + 1}; save it as UTF-8") from None
    except csv.Error as error:
        raise InputError(f"{path}: cannot be read as {path.suffix[1:].upper()} ({error})") from None
    rows = [row for row in rows if row]
    if not rows:
        raise InputError(f"{path}: empty")
    header, *body = rows
    if len(set(header)) < len(header):
        twice = next(name for place, name in enumerate(header) if name in header[:place])
        raise InputError(f"{path}: the column {twice!r} is given twice")
    for number, row in enumerate(body, start=1):
        if len(row) != len(header):
            raise InputError(f"{path}: row {number}: {len(row)} values, but the header has {len(header)} columns")
    return pd.DataFrame(body, columns=header, dtype=object)


def _column_of(path: Path, raw: pd.DataFrame, name: str, key: str) -> pd.Series:
    if name not in raw.columns:
        found = ", ".join(map(str, raw.columns))
        raise InputError(f"{path}: no column {name!r}, which the map names as {key} (columns: {found})")
    return raw[name]


def _filled(path: Path, raw: pd.DataFrame, field: str, columns) -> pd.Series:
    """A field's raw values: a column's, one value, or one by what another field says."""
    told = getattr(columns, field)
    if not isinstance(told, Given):
        return _column_of(path, raw, told, f"columns.{field}")
    if told.by is None:
        return pd.Series([told.value] * len(raw), index=raw.index, dtype=object)
    if told.by == field or isinstance(getattr(columns, told.by), Given):
        raise InputError(f"columns.{field}.by: {told.by} is no column of the table, so nothing can go by it")
    keys = _column_of(path, raw, getattr(columns, told.by), f"columns.{told.by}").astype(str)
    unknown = ~keys.isin(list(told.values))
    if unknown.any():
        row = int(np.flatnonzero(unknown)[0])
        raise InputError(
            f"{path}: row {row + 1}, column {getattr(columns, told.by)}: {_quoted(keys.iloc[row])} is not in the map's "
            f"columns.{field}.values (there: {', '.join(told.values)})"
        )
    return keys.map(told.values).astype(object)


class _Column:
    """Turns raw values into a field's, or says which row is wrong."""

    def __init__(self, path: Path, told: dict, scale: str):
        self.path, self.told, self.scale = path, told, scale

    def refuse(self, values: pd.Series, bad, field: str, allowed: str) -> None:
        bad = np.asarray(bad, bool)
        if not bad.any():
            return
        row = int(np.flatnonzero(bad)[0])
        told = self.told[field]
        where = f"columns.{field} of the map" if isinstance(told, Given) else f"column {told}"
        found = _quoted(values.iloc[row])
        raise InputError(f"{self.path}: row {row + 1}, {where}: found {found}, allowed: {allowed}")

    def number(self, values: pd.Series, field: str, allowed: str) -> pd.Series:
        numbers = pd.to_numeric(values.map(_plain), errors="coerce").astype(float)
        self.refuse(values, ~np.isfinite(numbers.to_numpy(float)), field, allowed)
        return numbers

    def whole(self, values: pd.Series, field: str, least: int) -> pd.Series:
        allowed = f"a whole number from {least}"
        numbers = self.number(values, field, allowed)
        bad = (numbers != np.floor(numbers)) | (numbers < least) | (numbers > LARGEST)
        self.refuse(values, bad, field, allowed)
        return numbers.astype("int64")

    def text(self, values: pd.Series, field: str) -> pd.Series:
        known = values.map(lambda value: isinstance(value, str | int) and not isinstance(value, bool))
        texts = values.where(known, "").astype(str).str.strip()
        self.refuse(values, texts == "", field, "a text, not empty")
        return texts

    def fraction(self, values: pd.Series, field: str) -> pd.Series:
        most = 100.0 if self.scale == "percent" else 1.0
        allowed = f"0 to {most:g} (the map's scale is {self.scale})"
        numbers = self.number(values, field, allowed)
        self.refuse(values, ~numbers.between(0, most), field, allowed)
        return numbers / most


def _plain(value):
    """A value that may be a number; None for what never is, such as true, which pandas would take for 1."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, str | int | float | np.number):
        return None
    return value.strip() if isinstance(value, str) else value


def _quoted(value) -> str:
    missing = value is None or (isinstance(value, float) and np.isnan(value)) or value == ""
    text = "nothing" if missing else repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def _flags(path: Path, raw: pd.DataFrame, name: str) -> pd.Series:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    values = _column_of(path, raw, name, "epochs.column")
    flags = values.map(lambda value: words.get(str(value).strip().lower()))
    bad = flags.isna().to_numpy()
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        found = _quoted(values.iloc[row])
        raise InputError(f"{path}: row {row + 1}, column {name}: found {found}, allowed: {', '.join(words)}")
    return flags.astype(bool)
