"""What a start of a study finds gone or out of place, besides what is simply missing (see `wiring`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from growthpace.grid import Run


@dataclass(frozen=True)
class Move:
    """Answers at `selected` that are of an epoch that is no longer the chosen one."""

    run: Run
    suite: str
    answered: int
    """The epoch that they are of."""
    chosen: int
    answers: Path
    aside: Path
    """Where they belong now."""
    kept: Path
    """Where answers of the chosen epoch may have been set aside before."""


@dataclass(frozen=True)
class Lost:
    """An epoch whose weights are gone while a missing prediction needs them."""

    run: Run
    suite: str
    epoch: int
    marker: Path
