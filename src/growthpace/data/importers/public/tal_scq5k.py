"""TAL-SCQ5K (2023): questions of mathematics competitions with four or five options, in Chinese and English.

The reference is the letter; the publisher's worked solution is kept beside it (`references`), for a judge to see. A row
with one option is none (`write the answer on the sheet`) and is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from growthpace.data.benchmarks.base import LETTERS, Shelf, lettered, texts
from growthpace.data.importers.records import Record
from growthpace.data.items import Item

NAME, VERSION, ROOT, HUB = "tal_scq5k", 1, "", None
RELEASE = "https://raw.githubusercontent.com/math-eval/TAL-SCQ5K/8a66d6e14c65ba002beda39747e6b7c43bd2d472"
PARTS = ("chinese", "english")
SPLITS = {"train": ("train",), "test": ("test",)}
THEIRS = ("train", "test")
CODES, SIZES = {"chinese": "ch", "english": "en"}, {"train": "3K", "test": "2K"}
INSTRUCTIONS = {
    "chinese": "以下是一道单项选择题，请直接给出正确选项的字母。",
    "english": "Answer the question with the letter of the right option.",
}


def files(part: str, split: str) -> list[str]:
    code = CODES[part]
    return [f"{code}_single_choice_constructed_5K/{code}_single_choice_{split}_{SIZES[split]}.jsonl"]


def items(shelf: Shelf, part: str, split: str) -> Iterator[Item]:
    for row, record in enumerate(shelf.lines(files(part, split)[0])):
        options = [_option(record, entry, n) for n, entry in enumerate(record.field("answer_option_list", list))]
        if len(options) == 1:
            shelf.left_out[f"{NAME}, {part}: one option"] += 1
            continue
        solutions = [] if record.content.get("answer_analysis") is None else texts(record, "answer_analysis")
        solution = "\n".join(text.strip() for text in solutions).strip()
        question, answer = record.field("problem", str), record.field("answer_value", str).strip()
        fields = lettered(record, INSTRUCTIONS[part], question, options, answer)
        references = (solution,) if solution else ()
        yield Item(f"{NAME}/{part}/{split}/{row}", "", **fields, references=references, origin=record.origin)


def _option(record: Record, entry: object, number: int) -> str:
    """The text of an option, which is a list of one object and must have the letter of its place."""
    what = f"answer_option_list[{number + 1}]"
    found = record.typed(entry, list, what)
    option = replace(record, content=record.typed(found[0] if found else None, dict, what))
    letter = option.field("aoVal", str).strip()
    if letter != LETTERS[number]:
        raise record.wrong(f"{what}.aoVal: {letter!r} (expected {LETTERS[number]})")
    return option.field("content", str)
