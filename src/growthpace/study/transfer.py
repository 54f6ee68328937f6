"""What abilities do for each other: runs on one ability alone, and on all but one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import model_validator

from growthpace.study.basics import Count, Name, Names, Strict

if TYPE_CHECKING:
    from growthpace.study import Study

ALONE, ALL_BUT = "alone", "all_but"
"""What a dataset of transfer keeps of the full one: one ability's items, or those of all others."""


@dataclass(frozen=True)
class Part:
    """One dataset of transfer: a part of the grid's dataset `{source}-{volume}`."""

    name: str
    kind: str
    """ALONE or ALL_BUT."""
    ability: str
    """The one that it keeps, or leaves out."""
    kept: tuple[str, ...]
    """The abilities that it has items of."""
    volume: int
    """Number of its items."""

    def __str__(self) -> str:
        return f"{self.ability} alone" if self.kind == ALONE else f"all but {self.ability}"


class Transfer(Strict):
    """Runs on parts of one dataset of the grid, the full one: `{source}-{volume}`, which is balanced over abilities.

    A part has the full dataset's own items of the abilities it keeps, the same for the same seed: `volume` divided by
    the number of abilities of each. It is trained for as many epochs as the full one, so that data alone differ.
    """

    source: Name
    """A labelled source."""
    volume: Count
    """One of the source's volumes, over all abilities: that of the full dataset."""
    alone: bool
    """Whether runs are trained on each ability alone (`{source}-{volume}-only-{ability}`)."""
    all_but_one: bool
    """Whether runs are trained on all abilities but one (`{source}-{volume}-without-{ability}`)."""
    models: Names | None = None
    """Models that are trained on the parts; all that are swept over the source when absent."""

    @model_validator(mode="after")
    def _asks(self):
        if not (self.alone or self.all_but_one):
            raise ValueError(
                "would have no effect, alone and all_but_one are false (allowed: one or both true, or no section)"
            )
        return self

    @property
    def full(self) -> str:
        """Name of the dataset that all parts are taken from."""
        return f"{self.source}-{self.volume}"

    def parts(self, abilities: Sequence[str]) -> list[Part]:
        """The datasets of transfer, in the study's order of abilities."""
        share, found = self.volume // len(abilities), []
        for ability in abilities if self.alone else ():
            found.append(Part(f"{self.full}-only-{ability}", ALONE, ability, (ability,), share))
        for ability in abilities if self.all_but_one else ():
            others = tuple(other for other in abilities if other != ability)
            found.append(Part(f"{self.full}-without-{ability}", ALL_BUT, ability, others, share * len(others)))
        return found


def transfer_faults(study: Study) -> Iterator[str]:
    """What is wrong with the section beside the others, one line a fault."""
    transfer, sources = study.transfer, study.sources
    if transfer is None:
        return
    labelled = ", ".join(name for name, source in sources.items() if source.labelled and source.volumes)
    if transfer.source not in sources:
        yield f"transfer.source: {transfer.source!r} is no source of this study (allowed: {labelled or 'none'})"
        return
    source = sources[transfer.source]
    if not source.labelled:
        yield (
            f"transfer.source: {transfer.source!r} is not labelled by ability, so none can be left out "
            f"(allowed: {labelled or 'none, label one'})"
        )
        return
    if transfer.volume not in source.volumes:
        swept = ", ".join(map(str, source.volumes)) or "none, give it volumes"
        yield (
            f"transfer.volume: the grid has no {transfer.full}, which the parts are taken from "
            f"(allowed: a volume of {transfer.source}: {swept})"
        )
    models = source.models or list(study.models)
    for name in transfer.models or []:
        if name not in models:
            yield (
                f"transfer.models: {name!r} is not swept over {transfer.source}, so that it lacks the full dataset "
                f"(allowed: {', '.join(models)})"
            )
    if len(study.abilities) == 1:
        yield "transfer: would have no effect, the study has one ability (allowed: two abilities or more)"
    if len(study.abilities) == 2 and transfer.alone and transfer.all_but_one:
        yield (
            "transfer.all_but_one: would train the same again, all but one of two abilities is the other alone "
            "(allowed: false)"
        )
    if transfer.alone and not study.untuned:
        yield "transfer.alone: true, but nothing to compare with: untuned is false (allowed: untuned: true)"
    names = {part.name for part in transfer.parts(study.abilities)}
    for name in study.mixes:
        if name in names:
            yield f"mixes.{name}: this name already means a dataset of transfer (allowed: any other name)"
