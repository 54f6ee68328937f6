"""Types and helpers that every section of a study is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

GENERAL = "general"
"""The ability of an item from a source that is not labelled by ability."""
UNTUNED = "untuned"
"""The dataset name under which a base model itself is evaluated: volume 0, epoch 0."""

Name = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        max_length=64,
        description="of up to 64 letters, digits and . _ - (a letter or digit first)",
    ),
]
Ability = Annotated[
    str,
    Field(
        pattern=r"^[a-z][a-z0-9_]*$",
        max_length=64,
        description="of up to 64 lower-case letters, digits and _ (a letter first)",
    ),
]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
LocalPath = Annotated[Path, Field(strict=False)]  # YAML has no paths: a text is meant


def distinct(values: list) -> list:
    """The list itself; ValueError naming the first value that is given twice."""
    for position, value in enumerate(values):
        if value in values[:position]:
            raise ValueError(f"{value!r} is given twice")
    return values


Names = Annotated[list[Name], Field(min_length=1), AfterValidator(distinct)]
Abilities = Annotated[list[Ability], Field(min_length=1), AfterValidator(distinct)]
Epochs = Annotated[list[Count], Field(min_length=1), AfterValidator(distinct)]
FileNames = Annotated[list[str], Field(min_length=1), AfterValidator(distinct)]

# Known here, so that a misspelt palette is found before the first job and not by the last. seaborn's names.


class Strict(BaseModel):
    """Frozen, any key it does not declare is an error, and no value is bent into shape (`true` is no number)."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, strict=True, allow_inf_nan=False)


def exactly_one(section: Strict, keys: tuple[str, ...]) -> None:
    """ValueError unless exactly one of the keys is set."""
    found = [key for key in keys if getattr(section, key) is not None]
    if len(found) != 1:
        raise ValueError(f"found {' and '.join(found) or 'none'}, allowed: exactly one of {', '.join(keys)}")
