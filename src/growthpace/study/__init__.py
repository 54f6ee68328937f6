"""The study: one typed, frozen config file. This package is the only place where a config key is known.

`load_study(path)` reads a YAML file and returns a `Study`, or raises `InputError` with one line per fault: the key,
the value found and what is allowed. Nothing here looks at data; `growthpace check` (see `checks.py`) does.
Each section has a module; what no single section can see is in `faults.py`; how YAML is read and faults are worded in
`growthpace.config_file`.

Paths in a study are relative to the folder of its config file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from growthpace.config_file import described, located, read_yaml
from growthpace.errors import InputError
from growthpace.study.audit import Audit
from growthpace.study.basics import GENERAL, UNTUNED, Abilities, Count, Name, Strict, distinct
from growthpace.study.endpoint import Endpoint, Limits, Prices
from growthpace.study.evaluation import Analysis, Figures, Palette, Selection, Suite
from growthpace.study.faults import faults_between_sections, faults_of_folders
from growthpace.study.items import (
    AlpacaItems,
    Benchmark,
    BenchmarkItems,
    ChatItems,
    DoitItems,
    Files,
    HubDatasetItems,
    Items,
    Microworld,
    MicroworldItems,
    PublicItems,
    PublicName,
    PublicSet,
)
from growthpace.study.judge import Judge
from growthpace.study.models import Initialise, Lora, Model, Pretraining
from growthpace.study.sources import Mix, MixAdvice, Source
from growthpace.study.synthetic import SyntheticItems, Teacher
from growthpace.study.training import Training
from growthpace.study.transfer import Transfer


class Study(Strict):
    """One config file: the grid, the training recipe, the evaluation, the analysis."""

    study: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9][a-z0-9_-]*$",
            max_length=64,
            description="of up to 64 lower-case letters, digits and _ - (a letter or digit first)",
        ),
    ]
    """Its name; results go to `results/{study}/`."""
    description: str
    abilities: Abilities
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1), AfterValidator(distinct)]
    """Each seed draws its own nested datasets and trains its own runs."""
    format: Literal["paper", "chat_template"]
    """How messages become tokens: the paper's <user>, <assistant>, <eot>, or the tokenizer's own chat template."""
    models: Annotated[dict[Name, Model], Field(min_length=1)]
    sources: Annotated[dict[Name, Source], Field(min_length=1)]
    mixes: dict[Name, Mix] = {}
    untuned: bool
    """Whether the base models themselves are evaluated too, as volume 0."""
    training: Training
    suites: Annotated[dict[Name, Suite], Field(min_length=1)]
    selection: Selection
    analysis: Analysis
    figures: Figures
    keep_checkpoints: Literal["selected", "all"]
    """`selected`: a run's other epochs are removed once everything that needs them is evaluated."""
    threads: Count = 1
    """CPU threads of a training or prediction job. Sums in floating point depend on it, so it is part of the study."""
    microworld: Microworld | None = None
    judge: Judge | None = None
    """Who grades the suites that are `judged`."""
    audit: Audit | None = None
    """Whether items that leak or repeat others are trained on; they are when absent."""
    transfer: Transfer | None = None
    """Runs on one ability alone and on all but one."""

    @property
    def judged(self) -> list[str]:
        """Suites that have items for the judge."""
        return [name for name, suite in self.suites.items() if suite.judged]

    @field_validator("abilities")
    @classmethod
    def _not_reserved(cls, abilities):
        if GENERAL in abilities:
            raise ValueError(f"{GENERAL!r} is reserved for items of sources that are not labelled by ability")
        return abilities

    @field_validator("mixes")
    @classmethod
    def _not_untuned(cls, mixes):
        if UNTUNED in mixes:
            raise ValueError(f"{UNTUNED!r} is reserved for the base models themselves")
        return mixes

    @model_validator(mode="after")
    def _joined(self):
        faults = list(faults_between_sections(self))
        if faults:
            raise ValueError("\n".join(faults))
        return self


def load_study(path: str | Path) -> Study:
    """The study in a config file.

    Raises `InputError` that lists every fault, one line each, as `path: key: what is wrong (what is allowed)`.
    """
    path = Path(path)
    content = read_yaml(path)
    try:
        study = Study.model_validate(content)
    except ValidationError as error:
        raise InputError("\n".join(f"{path}: {line}" for line in described(error, Study, content))) from None
    study = located(study, path.resolve().parent)
    if faults := list(faults_of_folders(study)):
        raise InputError("\n".join(f"{path}: {line}" for line in faults))
    return study


__all__ = [
    "GENERAL",
    "UNTUNED",
    "AlpacaItems",
    "Analysis",
    "Audit",
    "Benchmark",
    "BenchmarkItems",
    "ChatItems",
    "DoitItems",
    "Endpoint",
    "Figures",
    "Files",
    "HubDatasetItems",
    "Initialise",
    "Items",
    "Judge",
    "Limits",
    "Lora",
    "Microworld",
    "MicroworldItems",
    "Mix",
    "MixAdvice",
    "Model",
    "Palette",
    "Pretraining",
    "Prices",
    "PublicItems",
    "PublicName",
    "PublicSet",
    "Selection",
    "Source",
    "Study",
    "Suite",
    "SyntheticItems",
    "Teacher",
    "Training",
    "Transfer",
    "load_study",
]
