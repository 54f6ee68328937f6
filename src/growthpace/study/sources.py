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


class MixAdvice(Strict):
    """What a mix is for whose numbers the study's own growth curves say (docs/advise.md)."""

    budget: Count
    """Number of items, all of which are given."""
    weights: dict[Ability, Annotated[float, Field(ge=0)]] = {}
    """What abilities weigh in the mean score that is to be largest; 1 where none is given."""
    sources: Names | None = None
    """Other labelled sources that an ability's items may come from instead; none when absent."""
    suite: Name | None = None
    """The suite whose curves are used. When absent that of `selection`: what is chosen by the suite that claims are
    about would be measured on the items that it was chosen by."""


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
    also: dict[Name, Annotated[dict[Ability, Count], Field(min_length=1)]] = {}
    """Items of other labelled sources, by ability: {source: {ability: number}}."""
    advice: MixAdvice | None = None
    """Instead of shares: the study divides the budget itself, once its grid is evaluated, and trains that."""
    models: Names | None = None
    """Models that are trained on it; all when absent."""

    @model_validator(mode="after")
    def _whole(self):
        if self.same_as is not None:
            given = [k for k in ("source", "total", "rest") if getattr(self, k) is not None]
            given += [k for k in ("shares", "add", "also", "advice") if getattr(self, k)]
            if given:
                raise ValueError(f"same_as names a dataset as it is; {', '.join(given)} would have no effect")
            return self
        if self.advice is not None:
            given = [k for k in ("total", "shares", "rest", "add", "also") if getattr(self, k)]
            if given:
                raise ValueError(f"advice says what the mix is made of; {', '.join(given)} would have no effect")
            if self.source is None:
                raise ValueError("source missing: advice divides its budget over the abilities of a labelled source")
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
        if self.advice is not None:
            return self.advice.budget
        fixed = [number for number in self.shares.values() if number != "all"]
        if self.total is None and (self.rest != "none" or len(fixed) < len(self.shares)):
            return None
        others = sum(self.add.values()) + sum(sum(own.values()) for own in self.also.values())
        return (sum(fixed) if self.total is None else self.total) + others
