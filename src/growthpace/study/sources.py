"""What models are trained on: sources with their volumes, and mixes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from growthpace.study.basics import Ability, Count, LocalPath, Name, Names, Strict, distinct
from growthpace.study.items import Items


class Source(Strict):
    """Where training data comes from, and at which volumes it is swept."""

    items: Items
    labelled: bool = True
    """True: one pool per ability, datasets balanced over abilities. False: one general pool, drawn unbalanced."""
    volumes: Annotated[list[Count], AfterValidator(distinct), AfterValidator(sorted)]
    """Numbers of training items over all abilities. For a labelled source each must be a multiple of the number of
    abilities: balanced means equal, so a volume that cannot be shared equally is refused. Empty for a source that
    only mixes draw from."""
    models: Names | None = None
    """Models that are swept over this source; all when absent."""
    reviewed: LocalPath | None = None
    """Folder of a review (docs/review.md): the pools take only items that two people passed, in their revised form."""
    licence: Annotated[str, Field(min_length=1)] | None = None
    """What its items may be used for, such as `CC BY 4.0`; the audit reports it, `unknown` when absent."""

    @model_validator(mode="after")
    def _swept(self):
        if self.models is not None and not self.volumes:
            raise ValueError("models would have no effect: there are no volumes to sweep them over")
        return self


class Mix(Strict):
    """A named dataset that is not balanced: shares per ability, and additions from other sources.

    Rule for remainders: with `rest: uniform` the items that `shares` leave of `total` are divided equally over the
    other abilities; what does not divide goes one each to the first of them in the study's order.
    """

    same_as: str | None = None
    """Another name for a dataset of this study, such as `curated-10000`: trained once."""
    source: Name | None = None
    total: Count | None = None
    """Number of items before `add`; needed by, and only by, `rest: uniform`."""
    shares: dict[Ability, Count | Literal["all"]] = {}
    """Number of items of an ability, or `all` its pool holds."""
    rest: Literal["uniform", "all", "none"] | None = None
    """What abilities without a share get."""
    add: dict[Name, Count] = {}
    """Items on top, by source: {source: number}."""
    models: Names | None = None
    """Models that are trained on it; all when absent."""

    @model_validator(mode="after")
    def _whole(self):
        if self.same_as is not None:
            given = [k for k in ("source", "total", "rest") if getattr(self, k) is not None]
            given += [k for k in ("shares", "add") if getattr(self, k)]
            if given:
                raise ValueError(f"same_as names a dataset as it is; {', '.join(given)} would have no effect")
            return self
        if self.source is None or self.rest is None:
            lacking = " and ".join(key for key in ("source", "rest") if getattr(self, key) is None)
            raise ValueError(f"{lacking} missing: a mix has source and rest (uniform, all or none), or same_as alone")
        if self.rest == "uniform" and self.total is None:
            raise ValueError("total missing: rest: uniform divides what shares leave of it")
        if self.rest != "uniform" and self.total is not None:
            raise ValueError(f"total {self.total} would have no effect with rest: {self.rest} (allowed: rest: uniform)")
        return self

    @property
    def volume(self) -> int | None:
        """Number of its items; None where a pool's size decides, or another dataset."""
        fixed = [number for number in self.shares.values() if number != "all"]
        if self.total is None and (self.rest != "none" or len(fixed) < len(self.shares)):
            return None
        return (sum(fixed) if self.total is None else self.total) + sum(self.add.values())
