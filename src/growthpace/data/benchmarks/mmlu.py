"""MMLU (Hendrycks et al. 2021): 57 subjects, four options, in the csv files without header of its release.

`data/test/{subject}_test.csv` is the test, `data/dev/{subject}_dev.csv` holds five examples a subject; columns:
question, the four options, the letter of the answer.
"""

from __future__ import annotations

from collections.abc import Iterator

from growthpace.data.benchmarks.base import LETTERS, Shelf, lettered, texts
from growthpace.data.benchmarks.hub import Hub
from growthpace.data.importers.records import Record
from growthpace.data.items import Item

NAME, VERSION, ROOT, SHOTS = "mmlu", 1, "data", 5
INSTRUCTION = "The following is a multiple choice question about {subject}. Answer with the letter of the right option."
COLUMNS = ("question", "A", "B", "C", "D", "answer")
SUBJECTS = (
    "abstract_algebra", "anatomy", "astronomy", "business_ethics", "clinical_knowledge", "college_biology",
    "college_chemistry", "college_computer_science", "college_mathematics", "college_medicine", "college_physics",
    "computer_security", "conceptual_physics", "econometrics", "electrical_engineering", "elementary_mathematics",
    "formal_logic", "global_facts", "high_school_biology", "high_school_chemistry", "high_school_computer_science",
    "high_school_european_history", "high_school_geography", "high_school_government_and_politics",
    "high_school_macroeconomics", "high_school_mathematics", "high_school_microeconomics", "high_school_physics",
    "high_school_psychology", "high_school_statistics", "high_school_us_history", "high_school_world_history",
    "human_aging", "human_sexuality", "international_law", "jurisprudence", "logical_fallacies", "machine_learning",
    "management", "marketing", "medical_genetics", "miscellaneous", "moral_disputes", "moral_scenarios",
    "nutrition", "philosophy", "prehistory", "professional_accounting", "professional_law", "professional_medicine",
    "professional_psychology", "public_relations", "security_studies", "sociology", "us_foreign_policy", "virology",
    "world_religions",
)  # fmt: skip


def _hub_record(row: Record) -> dict:
    """The publisher's columns: the hub has the options in one, and the answer as their number from 0."""
    choices, answer = texts(row, "choices"), row.field("answer", int)
    if len(choices) != 4 or not 0 <= answer < 4:
        raise row.wrong(f"{len(choices)} choices and the answer {answer} (expected 4 and 0 to 3)")
    return dict(zip(COLUMNS, [row.field("question", str), *choices, LETTERS[answer]], strict=True))


HUB = Hub(
    "cais/mmlu",
    file="{split}/{config}_{split}.csv",
    columns=("question", "choices", "answer"),
    splits={"test": "test", "dev": "dev"},
    record=_hub_record,
)


def files(shelf: Shelf, subject: str, shots: bool) -> list[str]:
    return [f"{split}/{subject}_{split}.csv" for split in (("dev", "test") if shots else ("test",))]


def items(shelf: Shelf, subject: str) -> Iterator[Item]:
    return split_items(shelf, subject, "test")


def examples(shelf: Shelf, subject: str) -> Iterator[Item]:
    return split_items(shelf, subject, "dev")


def split_items(shelf: Shelf, subject: str, split: str) -> Iterator[Item]:
    """The items of any of the publisher's splits: dev, val, test."""
    instruction = INSTRUCTION.format(subject=subject.replace("_", " "))
    for row, record in enumerate(shelf.table(f"{split}/{subject}_{split}.csv", COLUMNS, header=False)):
        options = [record.content[letter] for letter in "ABCD"]
        fields = lettered(record, instruction, record.content["question"], options, record.content["answer"].strip())
        yield Item(f"{NAME}/{subject}/{split}/{row}", "", origin=record.origin, subject=subject, **fields)
