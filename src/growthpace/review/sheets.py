"""Review tables for spreadsheets: CSV that Excel and LibreOffice open as it is meant, and read back as they save it.

Written: UTF-8 with a byte order mark (Excel reads anything else as its own code page), commas, every cell in quotes,
line ends as in RFC 4180. A cell that a spreadsheet would run as a formula (OWASP, CSV injection), or turn into a
number, a date or a truth value, gets an apostrophe in front, which reading takes away again.

Read: commas, semicolons or tabs, UTF-8 or UTF-16, any line ends, columns in any order, other columns beside them.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from growthpace.errors import InputError
from growthpace.files import written_aside
from growthpace.review.columns import COLUMNS, FILLED, KEYS, Answered, Task, answered

LONGEST_CELL = 32_767
"""Characters that Excel holds in a cell (Excel specifications and limits); LibreOffice holds more."""

_RUN = tuple("=+-@\t\r\n＝＋－＠")
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_CONVERTED = re.compile(
    r"[\s\d.,:/\-%$€£¥()eE+年月日]*\d[\s\d.,:/\-%$€£¥()eE+年月日]*|true|false"
    rf"|(\d+\W*)?({_MONTHS})[a-z]*(\W*\d+){{0,2}}|[\d:\s]+[ap]m?",
    re.IGNORECASE,
)
_SEPARATORS = ",;\t"


def _endangered(text: str) -> bool:
    """Whether a spreadsheet would take a cell for something else than its text."""
    bare = text.lstrip("'") if text[:1] == "'" else text
    return bare.startswith(_RUN) or (len(bare) <= 64 and _CONVERTED.fullmatch(bare) is not None)


def safe_cell(text: str) -> str:
    """The text as it is put into a cell; `plain_text` gives it back."""
    return f"'{text}" if _endangered(text) else text


def plain_text(cell: str) -> str:
    """The text of a cell that `safe_cell` made, or that a person wrote."""
    return cell[1:] if cell[:1] == "'" and _endangered(cell[1:]) else cell


def cells_of(task: Task) -> dict[str, str]:
    """A row of the table, by column, before it is made safe."""
    shown = {
        "ability": task.item.ability,
        "conversation": task.conversation,
        "reference": task.reference,
        "candidates": task.candidates,
        "notes": task.notes,
    }
    return task.keys | shown | dict.fromkeys(FILLED, "")


def write_sheet(path: Path, tasks: Iterable[Task]) -> int:
    """Writes a table; returns the length of its longest cell."""
    longest = 0
    with written_aside(path) as aside, open(aside, "w", encoding="utf-8-sig", newline="") as handle:
        writer = csv.writer(handle, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        for task in tasks:
            cells = cells_of(task)
            longest = max(longest, *map(len, cells.values()))
            writer.writerow([safe_cell(cells[column]) for column in COLUMNS])
    return longest


def read_sheet(path: Path) -> list[Answered]:
    """The rows of a table, in its order; rows without any text are passed over.

    Raises `InputError` for a file that is no such table (with the line where it breaks), that lacks a column, or that
    has one twice.
    """
    lines = _rows(_text(path), path)
    heading_line, heading = next(lines, (1, []))
    columns = [cell.strip().lower() for cell in heading]
    lacking = [column for column in (*KEYS, *FILLED) if column not in columns]
    if lacking:
        raise InputError(
            f"{path}:{heading_line}: no column {', '.join(lacking)} (found: "
            f"{', '.join(filter(None, columns)) or 'none'}; keep the heading that growthpace review export wrote)"
        )
    twice = [column for column in COLUMNS if columns.count(column) > 1]
    if twice:
        raise InputError(f"{path}:{heading_line}: the column {', '.join(twice)} occurs twice")
    found = []
    for row, (line, cells) in enumerate(lines, start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if any(cell.strip() for cell in cells[len(columns) :]):
            raise InputError(f"{path}:{line}: row {row} has {len(cells)} cells, the heading {len(columns)}")
        values = dict(zip(columns, map(plain_text, cells), strict=False))
        found.append(answered({"item_id": ""} | values, path, line, row))
    return found


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise InputError(
            f"{path}:{line}: not {encoding.removesuffix('-sig').upper()} "
            "(save it again as CSV UTF-8; in LibreOffice choose the character set Unicode UTF-8)"
        ) from None


def _rows(text: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """(first line, cells) of each row."""
    csv.field_size_limit(2**31 - 1)  # a conversation may be longer than the module's 131,072 characters
    first, skipped = text.splitlines()[0] if text else "", 0
    if re.fullmatch(r"sep=.\s*", first):  # Excel's own way to name a separator
        separator, skipped = first[4], 1
        text = text[len(first) :].removeprefix("\r\n").removeprefix("\n")
    else:
        separator = max(_SEPARATORS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = 1
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise InputError(f"{path}:{line + skipped}: no row of a table ({error})") from None
        if cells is None:
            return
        yield line + skipped, cells
        line = reader.line_num + 1
