"""C-Eval (Huang et al. 2023): 52 subjects in Chinese, four options, in the csv files of its release.

Its test has no published answers, so `val/{subject}_val.csv` is the test here, as in most reports. The examples are
`dev/{subject}_dev.csv`, five a subject; their explanations are not shown.
"""

from __future__ import annotations

from collections.abc import Iterator

from growthpace.data.benchmarks.base import Shelf, lettered
from growthpace.data.benchmarks.hub import Hub
from growthpace.data.items import Item

NAME, VERSION, ROOT, SHOTS = "ceval", 1, "data", 5
INSTRUCTION = "以下是一道单项选择题，请直接给出正确选项的字母。"
COLUMNS = ("id", "question", "A", "B", "C", "D", "answer")
HUB = Hub("ceval/ceval-exam", file="{split}/{config}_{split}.csv", columns=COLUMNS, splits={"val": "val", "dev": "dev"})
SUBJECTS = (
    "accountant", "advanced_mathematics", "art_studies", "basic_medicine", "business_administration",
    "chinese_language_and_literature", "civil_servant", "clinical_medicine", "college_chemistry",
    "college_economics", "college_physics", "college_programming", "computer_architecture", "computer_network",
    "discrete_mathematics", "education_science", "electrical_engineer", "environmental_impact_assessment_engineer",
    "fire_engineer", "high_school_biology", "high_school_chemistry", "high_school_chinese", "high_school_geography",
    "high_school_history", "high_school_mathematics", "high_school_physics", "high_school_politics",
    "ideological_and_moral_cultivation", "law", "legal_professional", "logic", "mao_zedong_thought", "marxism",
    "metrology_engineer", "middle_school_biology", "middle_school_chemistry", "middle_school_geography",
    "middle_school_history", "middle_school_mathematics", "middle_school_physics", "middle_school_politics",
    "modern_chinese_history", "operating_system", "physician", "plant_protection", "probability_and_statistics",
    "professional_tour_guide", "sports_science", "tax_accountant", "teacher_qualification",
    "urban_and_rural_planner", "veterinary_medicine",
)  # fmt: skip


def files(shelf: Shelf, subject: str, shots: bool) -> list[str]:
    return [f"{split}/{subject}_{split}.csv" for split in (("dev", "val") if shots else ("val",))]


def items(shelf: Shelf, subject: str) -> Iterator[Item]:
    return _items(shelf, subject, "val")


def examples(shelf: Shelf, subject: str) -> Iterator[Item]:
    return _items(shelf, subject, "dev")


def _items(shelf: Shelf, subject: str, split: str) -> Iterator[Item]:
    for row, record in enumerate(shelf.table(f"{split}/{subject}_{split}.csv", COLUMNS, more=("explanation",))):
        options = [record.content[letter] for letter in "ABCD"]
        fields = lettered(record, INSTRUCTION, record.content["question"], options, record.content["answer"].strip())
        yield Item(f"{NAME}/{subject}/{split}/{row}", "", origin=record.origin, subject=subject, **fields)
