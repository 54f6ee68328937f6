"""Item grades as one array per suite: items x runs, so that everything after it is a linear combination of columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from growthpace.analysis.scores import OVERALL
from growthpace.analysis.uncertainty import Noise, Sample, make_sample, seed_noise
from growthpace.errors import InputError

RUN = ["model", "parameters", "dataset", "kind", "source", "volume", "seed"]
ITEM = ["ability", "item_id", "group", "chance", "in_domain"]


@dataclass(frozen=True)
class Block:
    """One ability's (or, as `overall`, all the study's abilities') items in one suite, over the runs that have them."""

    suite: str
    ability: str
    in_domain: bool
    items: pd.DataFrame
    """n rows: ability, item_id, group, chance, in_domain."""
    runs: pd.DataFrame
    """One row per column of `values`: the columns of `RUN`. Index 0, 1, ..."""
    values: np.ndarray
    """[n, runs], grades in [0, 1]."""

    @cached_property
    def sample(self) -> Sample:
        return make_sample(self.items["ability"].to_numpy(), self.items["group"].to_numpy())

    @cached_property
    def noise(self) -> Noise:
        """Between-seed dispersion, pooled over all models and datasets of this ability and suite."""
        trained = self.runs[self.runs["kind"] != "untuned"]
        cells = trained.groupby(["model", "dataset"], sort=False).indices
        return seed_noise(self.sample, self.values, [trained.index.to_numpy()[rows] for rows in cells.values()])

    @property
    def chances(self) -> np.ndarray:
        """[n] chance of each item."""
        return self.items["chance"].to_numpy(float)

    def columns(self, **wanted) -> np.ndarray:
        """The columns of the runs whose attributes equal `wanted`, such as `model="7b", dataset="curated-160"`."""
        chosen = np.ones(len(self.runs), bool)
        for name, value in wanted.items():
            chosen &= (self.runs[name] == value).to_numpy()
        return np.flatnonzero(chosen)


def blocks(item_grades: pd.DataFrame) -> Iterator[Block]:
    """The blocks of every suite: its abilities in the table's order, then `overall`.

    `item_grades` as `scores.collect` gives it; only rows of chosen epochs (`selected`) are used. `overall` covers the
    runs in which all the study's abilities are graded, and is left out where there are none. An item whose grade is
    missing in one run (a judge gave no verdict) is left out of all, so that all runs answer the same items.

    Raises `InputError` where a run has two chosen epochs, where runs disagree about an item's group or chance, or where
    a run answered only some of an ability's items: then scores would not be comparable.
    """
    chosen = item_grades[item_grades["selected"].astype(bool)]
    for suite, graded in chosen.groupby("suite", sort=False):
        grades = _everywhere(str(suite), graded)
        items = grades[ITEM].drop_duplicates().reset_index(drop=True)
        twice = items.duplicated(["ability", "item_id"])
        if twice.any():
            raise InputError(f"suite {suite}: runs disagree about item {items[twice].iloc[0]['item_id']!r}")
        runs = grades[RUN].drop_duplicates().reset_index(drop=True)
        item_keys = pd.MultiIndex.from_frame(items[["ability", "item_id"]])
        run_keys = pd.MultiIndex.from_frame(runs[["model", "dataset", "seed"]])
        row = item_keys.get_indexer(pd.MultiIndex.from_frame(grades[["ability", "item_id"]]))
        column = run_keys.get_indexer(pd.MultiIndex.from_frame(grades[["model", "dataset", "seed"]]))
        if len(np.unique(row * len(runs) + column)) < len(grades):
            epochs = grades.groupby(["model", "dataset", "seed"])["epoch"].nunique()
            raise InputError(f"suite {suite}: more than one chosen epoch for {epochs.idxmax()}")
        values = np.full((len(items), len(runs)), np.nan)
        values[row, column] = grades["grade"].to_numpy(float)
        yield from _blocks(str(suite), items, runs, values, int(grades["abilities_in_study"].iloc[0]))


def _everywhere(suite: str, grades: pd.DataFrame) -> pd.DataFrame:
    """The grades of items that are missing in no run; `InputError` where an ability has none left."""
    if "missing" not in grades or not grades["missing"].any():
        return grades
    keys = pd.MultiIndex.from_frame(grades[["ability", "item_id"]])
    kept = grades[~keys.isin(keys[grades["missing"].to_numpy(bool)])]
    for ability in grades["ability"].unique():
        if ability not in set(kept["ability"]):
            raise InputError(
                f"suite {suite}, ability {ability}: every item's grade is missing in one run or another, so that no "
                "two runs could be compared; remove judgements with many missing verdicts, they will be made again"
            )
    return kept


def _blocks(suite: str, items: pd.DataFrame, runs: pd.DataFrame, values: np.ndarray, abilities: int) -> Iterator[Block]:
    def block(ability, rows, columns, in_domain):
        kept = runs.iloc[columns].reset_index(drop=True)
        return Block(suite, ability, in_domain, items.iloc[rows], kept, values[np.ix_(rows, columns)])

    whole = np.ones(len(runs), bool)
    for ability, labels in items.groupby("ability", sort=False).indices.items():
        graded = ~np.isnan(values[labels])
        some, all_of_it = graded.any(axis=0), graded.all(axis=0)
        if (some & ~all_of_it).any():
            run = runs.iloc[int(np.flatnonzero(some & ~all_of_it)[0])]
            raise InputError(
                f"suite {suite}, ability {ability}: {run['model']}, {run['dataset']}, seed {run['seed']} answered "
                "other items than the other runs; grade it again"
            )
        in_domain = bool(items["in_domain"].iloc[labels[0]])
        if in_domain:
            whole &= all_of_it
        yield block(ability, labels, np.flatnonzero(all_of_it), in_domain)
    own = np.flatnonzero(items["in_domain"].to_numpy(bool))
    if items["ability"].iloc[own].nunique() == abilities and whole.any():
        yield block(OVERALL, own, np.flatnonzero(whole), True)
