"""The tables that figures are drawn from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd


@dataclass(frozen=True)
class Tables:
    """Tables of `growthpace.analysis` by name, such as `points` and `pace`."""

    suite: str
    """The suite that the study's claims are about."""
    frames: Mapping[str, pd.DataFrame]
    """Each table with the rows of all suites that a figure may show."""

    def __contains__(self, name: str) -> bool:
        return name in self.frames

    def __getitem__(self, name: str) -> pd.DataFrame:
        """The table's rows of `suite`. `KeyError` for a table that is not there."""
        frame = self.frames[name]
        return frame[frame["suite"] == self.suite].reset_index(drop=True)

    def get(self, name: str) -> pd.DataFrame | None:
        """The table's rows of `suite`; None for a table that is not there."""
        return self[name] if name in self.frames else None

    def everywhere(self, name: str) -> pd.DataFrame:
        """The table's rows of all suites, those of `suite` first. `KeyError` for a table that is not there."""
        frame = self.frames[name]
        own = frame["suite"] == self.suite
        return pd.concat([frame[own], frame[~own]], ignore_index=True)


def read_tables(folder: Path, needed: Iterable[str], beside: Iterable[str], suite: str, left_out: str) -> Tables:
    """Reads `needed` tables of an `analysis` folder, and those of `beside` that are there.

    `suite`: see `Tables`; `left_out`: the suite that epochs are chosen on, whose scores are too good to be shown beside
    others.
    """
    from growthpace.analysis.scores import read_frame

    there = [name for name in beside if (folder / f"{name}.parquet").exists()]
    frames = {name: read_frame(folder / f"{name}.parquet") for name in [*needed, *there]}
    return Tables(suite, {name: frame[frame["suite"] != left_out] for name, frame in frames.items()})
