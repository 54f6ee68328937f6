"""Reviews for tests: a small study's source, reviewers who fill in their files, and programs that save them again."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from growthpace.review.exporting import FORMATS, Request, export
from growthpace.review.importing import import_files
from growthpace.review.source import open_source
from growthpace.study import load_study
from small_study import CONTENT, write_items, write_study

TODAY = "2024-05-06"


def nothing(line):
    """A report that nobody reads."""


class Review:
    """The review of `curated` in a study whose items lie beside it."""

    def __init__(self, folder: Path, content=CONTENT):
        folder.mkdir(exist_ok=True)
        write_items(folder)
        self.home, self.config = folder, write_study(folder, content)
        self.rounds = 0

    @property
    def source(self):
        return open_source(load_study(self.config), "curated", self.config)

    @property
    def folder(self) -> Path:
        return self.home / "reviews/curated"

    def export(self, report=nothing, formats="csv", **request) -> dict[str, list[Path]]:
        self.rounds += 1
        if "adjudicator" not in request:
            request = {"reviewers": ("anna", "ben")} | request
        wanted = Request(to=self.home / f"round-{self.rounds}", formats=FORMATS[formats], seed=1, **request)
        return export(self.source, wanted, self.config, report)

    def take(self, *paths: Path, report=nothing):
        return import_files(self.source, paths, self.config, TODAY, report)

    def judge(self, verdicts: dict[str, dict[str, tuple]], **request) -> None:
        """A round: exported, filled in as {reviewer: {item id: (verdict, instruction, answer, comment)}}, imported."""
        for name, (path,) in self.export(**request).items():
            fill(path, verdicts.get(name, {}))
            self.take(path)


def rows_of(path: Path) -> list[dict[str, str]]:
    """A table's rows as a spreadsheet shows them."""
    with open(path, encoding="utf-8-sig", newline="") as handle:
        return list(csv.DictReader(handle))


def fill(path: Path, verdicts: dict[str, tuple], save=None) -> None:
    """Fills in a reviewer's table and saves it as `save` does (as it was, when None)."""
    rows = rows_of(path)
    for row in rows:
        given = verdicts.get(row["item_id"].removeprefix("'"), ())
        keys = ("verdict", "revised_instruction", "revised_answer", "comment")
        row.update(dict(zip(keys, given, strict=False)))
    path.write_bytes((save or as_written)(list(rows[0]), rows))


def _saved(columns, rows, separator=",", line_end="\r\n", encoding="utf-8-sig", quoting=csv.QUOTE_MINIMAL) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(
        text, columns, delimiter=separator, lineterminator=line_end, quoting=quoting, extrasaction="ignore"
    )
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode(encoding)


def as_written(columns, rows):
    return _saved(columns, rows, quoting=csv.QUOTE_ALL)


def excel_utf8(columns, rows):
    """Excel, CSV UTF-8, where the list separator is a comma."""
    return _saved(columns, rows)


def excel_semicolons(columns, rows):
    """Excel where the comma is the decimal sign, with empty rows left at the end."""
    return _saved(columns, rows, ";") + b";;;;;;\r\n\r\n"


def excel_unicode_text(columns, rows):
    """Excel, Unicode text: UTF-16 with tabs."""
    return _saved(columns, rows, "\t", encoding="utf-16")


def excel_named_separator(columns, rows):
    """A table that names its separator in the first line."""
    return b"\xef\xbb\xbfsep=;\r\n" + _saved(columns, rows, ";", encoding="utf-8")


def libreoffice(columns, rows):
    """LibreOffice: no byte order mark, Unix line ends, texts in quotes."""
    return _saved(columns, rows, line_end="\n", encoding="utf-8", quoting=csv.QUOTE_ALL)


def rearranged(columns, rows):
    """Columns in another order, some more beside them, those that are only shown deleted."""
    shown = ("conversation", "reference", "candidates", "notes")
    kept = ["my notes", *(c for c in reversed(columns) if c not in shown), ""]
    heading = {c: c.upper() if c else c for c in kept}
    return _saved(list(heading.values()), [{heading[c]: row.get(c, "x") for c in kept} for row in rows], ";")


SAVED = (
    as_written, excel_utf8, excel_semicolons, excel_unicode_text, excel_named_separator, libreoffice, rearranged,
)  # fmt: skip


def label_studio(path: Path, verdicts: dict[str, tuple], minimal=False) -> Path:
    """What Label Studio exports after a reviewer has worked on these tasks (JSON, or JSON-MIN); untouched texts come
    back as they were, as a text area gives what it was filled with."""
    tasks = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    done = []
    for number, task in enumerate(tasks, start=1):
        data = task["data"]
        given = dict(zip(("verdict", "revised_instruction", "revised_answer", "comment"),
                         verdicts.get(data["item_id"], ()), strict=False))  # fmt: skip
        values = {}
        if given:
            values = {
                "revised_instruction": given.get("revised_instruction") or data["instruction"],
                "revised_answer": given.get("revised_answer") or data["reference"],
                "verdict": given["verdict"],
            }
            values |= {"comment": given["comment"]} if given.get("comment") else {}
        if minimal:
            done.append({"id": number, "annotator": 1, "updated_at": "2024-05-01T10:00:00.000000Z", **data, **values})
            continue
        result = [
            {"id": f"r{number}{name}", "type": "choices", "from_name": name, "to_name": "reference",
             "origin": "manual", "value": {"choices": [text]}}
            if name == "verdict" else
            {"id": f"r{number}{name}", "type": "textarea", "from_name": name, "to_name": "reference",
             "origin": "manual", "value": {"text": [text]}}
            for name, text in values.items()
        ]  # fmt: skip
        annotation = {"id": number, "completed_by": 1, "result": result, "was_cancelled": False,
                      "updated_at": "2024-05-01T10:00:00.000000Z"}  # fmt: skip
        done.append({"id": number, "annotations": [annotation] if values else [], "predictions": [], **task})
    exported = path.with_name(f"project-{path.stem}.json")
    exported.write_text(json.dumps(done, ensure_ascii=False), encoding="utf-8")
    return exported
