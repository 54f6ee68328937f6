"""The layout that C3 and DREAM share: a list of [[lines], [{question, choice, answer}], id]."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from growthpace.data.benchmarks.base import Shelf, letter_of, lettered, texts
from growthpace.data.importers.records import Record
from growthpace.data.items import Item


def entry(row: Record, lines: list[str], columns: dict[str, list]) -> list:
    """An entry of the layout from a row of the hub: `columns` has the questions, choices and answers as lists."""
    keys = ("question", "choice", "answer")
    values = zip(*(row.typed(columns.get(key), list, key) for key in keys), strict=True)
    return [lines, [dict(zip(keys, question, strict=True)) for question in values]]


def questions_on_texts(shelf: Shelf, name: str, instruction: str, prefix: str, subject: str) -> Iterator[Item]:
    """The questions of a file, each below its text; ids `{prefix}/{text}/{question}`, numbered from 0 in the file."""
    for number, record in enumerate(shelf.arrays(name)):
        entry = record.content["entry"]
        if len(entry) < 2:
            raise record.wrong("expected [[lines], [questions], id]")
        lines = texts(replace(record, content={"lines": entry[0]}), "lines")
        for position, question in enumerate(record.typed(entry[1], list, "questions")):
            asked = replace(record, content=record.typed(question, dict, f"questions[{position + 1}]"))
            options = texts(asked, "choice")
            answer = letter_of(asked, options, asked.field("answer", str))
            text = "\n".join([*lines, asked.field("question", str).strip()])
            yield Item(
                f"{prefix}/{number}/{position}",
                "",
                **lettered(asked, instruction, text, options, answer),
                group=f"{prefix}/{number}",
                origin=record.origin,
                subject=subject,
            )
