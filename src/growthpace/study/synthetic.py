"""Items that a teacher writes: self-instruct (arXiv 2212.10560) from seed items. docs/synthesise.md says how."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from growthpace.study.basics import Ability, Count, Name, Positive, Share, Strict, distinct
from growthpace.study.endpoint import Endpoint

Texts = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1), AfterValidator(distinct)]


class Teacher(Endpoint):
    """Who writes instructions and answers."""

    temperature: Annotated[float, Field(ge=0, le=2)]
    """Of instructions and of answers."""


class SyntheticItems(Strict):
    """Instructions that a teacher writes after seed items, with its answers to them, filtered."""

    importer: Literal["synthetic"]
    teacher: Teacher
    seeds: Name
    """Another source of this study. Its items are the examples, and nothing kept may be too similar to one of them."""
    seed_items: Count
    """How many of them, for each ability; the same few however many there are (self-instruct had 175)."""
    examples: Count
    """Seed items that a request shows."""
    volume: Count
    """Items to keep, over all abilities. A larger one keeps those of a smaller one, and asks only for the rest."""
    per_request: Count
    """Instructions that a request asks for."""
    most_similar: Annotated[Share, Field(gt=0)]
    """An instruction is dropped if its ROUGE-L with a seed's or an earlier one is above this (self-instruct: 0.7)."""
    most_overlap: Annotated[Share, Field(gt=0)]
    """... or if the two share more than this part of their words, in whatever order (Dice's coefficient)."""
    validation: Literal["scorer", "none"]
    """`scorer`: where the seeds' scorer can check an answer, it must: two independent answers agree, or a program
    passes its tests. `none`: nothing is checked."""
    overdraw: Positive = 4
    """At most so many times the wanted number of instructions are asked for; the teacher is given up after that.
    Changes no item."""
    topics: Texts | dict[Ability, Texts] | None = None
    """Each request is about one of them, drawn by its hash."""
    styles: Texts | dict[Ability, Texts] | None = None
    """Each request is written in one of them."""

    @model_validator(mode="after")
    def _joined(self):
        if self.validation == "scorer" and self.teacher.temperature == 0:
            raise ValueError(
                "teacher.temperature: 0 makes two answers one, so that validation would have no effect "
                "(allowed: above 0, or validation: none)"
            )
        if self.overdraw < 1:
            raise ValueError(f"overdraw {self.overdraw:g} could never be enough (allowed: from 1)")
        return self

    def of_ability(self, lists: Literal["topics", "styles"], ability: str) -> list[str]:
        """Topics or styles for an ability; none where the study has none."""
        found = getattr(self, lists)
        return list(found.get(ability, [])) if isinstance(found, dict) else list(found or [])
