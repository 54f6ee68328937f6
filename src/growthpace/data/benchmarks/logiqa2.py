"""LogiQA 2.0 (Liu et al. 2023): reading with logic, four options, JSON lines in English and Chinese.

`logiqa/DATA/LOGIQA/test.txt` and `test_zh.txt` are the tests, `dev.txt` and `dev_zh.txt` hold the worked examples;
`answer` counts the options from 0. Letters that the Chinese files wrote into the options are taken out.
"""

from __future__ import annotations

from collections.abc import Iterator

from growthpace.data.benchmarks.base import LETTERS, Shelf, lettered, shared, texts, unlettered
from growthpace.data.benchmarks.hub import Hub
from growthpace.data.items import Item

NAME, VERSION, ROOT, SHOTS = "logiqa2", 1, "logiqa/DATA/LOGIQA", None
SUBJECTS = ("english", "chinese")
HUB = Hub(
    "baber/logiqa2",
    file="{split}{config}.txt",
    columns=("text", "question", "options", "answer"),
    splits={"test": "test", "dev": "validation"},
    configs={"": "logiqa2", "_zh": "logiqa2_zh"},
)
INSTRUCTIONS = {
    "english": "Read the text and answer the question with the letter of the right option.",
    "chinese": "阅读下面的文字，请直接给出正确选项的字母。",
}


def files(shelf: Shelf, subject: str, shots: bool) -> list[str]:
    return [_file(subject, split) for split in (("dev", "test") if shots else ("test",))]


def items(shelf: Shelf, subject: str) -> Iterator[Item]:
    return _items(shelf, subject, "test")


def examples(shelf: Shelf, subject: str) -> Iterator[Item]:
    return _items(shelf, subject, "dev")


def _file(subject: str, split: str) -> str:
    return f"{split}{'_zh' if subject == 'chinese' else ''}.txt"


def _items(shelf: Shelf, subject: str, split: str) -> Iterator[Item]:
    for row, record in enumerate(shelf.lines(_file(subject, split))):
        text, options, answer = record.field("text", str), texts(record, "options"), record.field("answer", int)
        if not 0 <= answer < len(options):
            raise record.wrong(f"the answer {answer} is no option (allowed: 0 to {len(options) - 1})")
        question = f"{text.strip()}\n{record.field('question', str).strip()}"
        yield Item(
            f"{NAME}/{subject}/{split}/{row}",
            "",
            **lettered(record, INSTRUCTIONS[subject], question, unlettered(options), LETTERS[answer]),
            group=shared(NAME, subject, text),
            origin=record.origin,
            subject=subject,
        )
