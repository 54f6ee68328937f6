"""FairytaleQA (Xu et al. 2022): tales told in sections, and questions about them, in csv files, three a split and tale.

Part `continuation`: given the section before (the tale's title for the first one), tell the next section. Part
`questions`: a question and the sections that it is about; all answers of both annotators are references.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from growthpace.data.benchmarks.base import Shelf, asked
from growthpace.data.importers.public.base import continued, spoken
from growthpace.data.importers.records import Record
from growthpace.data.items import Item

NAME, VERSION, ROOT, HUB = "fairytaleqa", 1, "", None
RELEASE = "https://raw.githubusercontent.com/uci-soe/FairytaleQAData/a24ddc17364666b7c13a425b9970c87368b03417"
PARTS = ("continuation", "questions")
SPLITS = {"train": ("train",), "valid": ("val",), "test": ("test",)}
THEIRS = ("train", "val", "test")
TALES = "story_meta.csv"
FIRST = "Begin a fairy tale called {title}."
NEXT = "Continue this fairy tale."
QUESTION = "Read this part of a fairy tale and answer the question."
ANSWERS = ("answer1", "answer2", "answer3", "answer4", "answer5", "answer6")
COLUMNS = ("question_id", "cor_section", "question", *ANSWERS)
"""Read of the files, which have more of them, in several orders."""
OTHERWISE = {"snow-man": "Snow-man"}
"""File names that the list of tales spells otherwise."""


def files(part: str, split: str) -> list[str]:
    return [TALES]  # which in turn names the tales' files


def items(shelf: Shelf, part: str, split: str) -> Iterator[Item]:
    for tale in shelf.table(TALES, ("filename", "origin", "split"), more=None):
        if tale.content["split"] == split:
            name = OTHERWISE.get(tale.content["filename"], tale.content["filename"])
            yield from (_sections if part == "continuation" else _questions)(shelf, split, name)


def _told(shelf: Shelf, split: str, tale: str) -> list[Record]:
    """The sections of a tale, each with its text in one piece."""
    return shelf.table(f"data-by-train-split/section-stories/{split}/{tale}-story.csv", ("section", "text"))


def _sections(shelf: Shelf, split: str, tale: str) -> Iterator[Item]:
    before = ""
    for number, record in enumerate(_told(shelf, split, tale), start=1):  # one tale numbers two sections alike
        prompt = f"{NEXT}\n\n{before}" if before else FIRST.format(title=tale.replace("-", " ").capitalize())
        text = _flowing(record.content["text"])
        yield continued(f"{NAME}/{tale}/section/{number}", spoken((prompt, text)), record, group=f"{NAME}/{tale}")
        before = text


def _questions(shelf: Shelf, split: str, tale: str) -> Iterator[Item]:
    sections: dict[str, str] = {}
    for record in _told(shelf, split, tale):
        number = record.content["section"].strip()
        sections[number] = "\n\n".join(filter(None, [sections.get(number, ""), record.content["text"]]))
    name = f"data-by-train-split/questions/{split}/{tale}-questions.csv"
    for row, record in enumerate(shelf.table(name, ("question_id",), more=None), start=1):  # some numbers occur twice
        for column in COLUMNS:
            if column not in record.content:
                raise replace(record, line=1).wrong(f"no column {column!r} (it has: {', '.join(record.content)})")
        wanted = re.findall(r"\d+", record.content["cor_section"])
        if not wanted or not set(wanted) <= set(sections):
            raise record.wrong(f"cor_section: {record.content['cor_section']!r} (the tale has 1 to {len(sections)})")
        answers = [" ".join(record.content[column].split()) for column in ANSWERS]
        answers = list(dict.fromkeys(filter(None, answers)))
        if not answers:
            raise record.wrong("no answer (columns answer1 to answer6)")
        text = "\n\n".join(_flowing(sections[number]) for number in wanted)
        yield Item(
            f"{NAME}/{tale}/question/{row}",
            "",
            asked(f"{QUESTION}\n\n{text}\n\n{record.content['question'].strip()}", answers[0]),
            "token_f1",
            answers[0],
            group=f"{NAME}/{tale}",
            references=tuple(answers[1:]),
            origin=record.origin,
        )


def _flowing(text: str) -> str:
    """Paragraphs, each on a line: the files break lines within them."""
    return "\n".join(" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text.strip()))
