"""CMMLU (Li et al. 2023): 67 subjects in Chinese, four options, in the csv files of its release.

`data/test/{subject}.csv` is the test, `data/dev/{subject}.csv` holds five examples a subject.
"""

from __future__ import annotations

from collections.abc import Iterator

from growthpace.data.benchmarks.base import Shelf, lettered
from growthpace.data.benchmarks.hub import Hub
from growthpace.data.items import Item

NAME, VERSION, ROOT, SHOTS = "cmmlu", 1, "data", 5
INSTRUCTION = "以下是一道单项选择题，请直接给出正确选项的字母。"
COLUMNS = ("", "Question", "A", "B", "C", "D", "Answer")
"""The first, without a name, numbers the rows from 0."""
HUB = Hub("haonan-li/cmmlu", file="{split}/{config}.csv", columns=COLUMNS[1:], splits={"test": "test", "dev": "dev"})
SUBJECTS = (
    "agronomy", "anatomy", "ancient_chinese", "arts", "astronomy", "business_ethics", "chinese_civil_service_exam",
    "chinese_driving_rule", "chinese_food_culture", "chinese_foreign_policy", "chinese_history",
    "chinese_literature", "chinese_teacher_qualification", "clinical_knowledge", "college_actuarial_science",
    "college_education", "college_engineering_hydrology", "college_law", "college_mathematics",
    "college_medical_statistics", "college_medicine", "computer_science", "computer_security", "conceptual_physics",
    "construction_project_management", "economics", "education", "electrical_engineering", "elementary_chinese",
    "elementary_commonsense", "elementary_information_and_technology", "elementary_mathematics", "ethnology",
    "food_science", "genetics", "global_facts", "high_school_biology", "high_school_chemistry",
    "high_school_geography", "high_school_mathematics", "high_school_physics", "high_school_politics",
    "human_sexuality", "international_law", "journalism", "jurisprudence", "legal_and_moral_basis", "logical",
    "machine_learning", "management", "marketing", "marxist_theory", "modern_chinese", "nutrition", "philosophy",
    "professional_accounting", "professional_law", "professional_medicine", "professional_psychology",
    "public_relations", "security_study", "sociology", "sports_science", "traditional_chinese_medicine", "virology",
    "world_history", "world_religions",
)  # fmt: skip


def files(shelf: Shelf, subject: str, shots: bool) -> list[str]:
    return [f"{split}/{subject}.csv" for split in (("dev", "test") if shots else ("test",))]


def items(shelf: Shelf, subject: str) -> Iterator[Item]:
    return _items(shelf, subject, "test")


def examples(shelf: Shelf, subject: str) -> Iterator[Item]:
    return _items(shelf, subject, "dev")


def _items(shelf: Shelf, subject: str, split: str) -> Iterator[Item]:
    for row, record in enumerate(shelf.table(f"{split}/{subject}.csv", COLUMNS)):
        options = [record.content[letter] for letter in "ABCD"]
        fields = lettered(record, INSTRUCTION, record.content["Question"], options, record.content["Answer"].strip())
        yield Item(f"{NAME}/{subject}/{split}/{row}", "", origin=record.origin, subject=subject, **fields)
