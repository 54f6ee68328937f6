"""Item grades as one array per suite: items x runs, so that everything after it is a linear combination of columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
        """Between-seed dispersion, pooled over all models and datasets of this ability and suite. Parts of transfer are
        left out: what a study asks beside its curves does not change their intervals."""
        return self.noise_of(self.runs["kind"].isin(("grid", "mix")))

    def noise_of(self, wanted: pd.Series) -> Noise:
        """Between-seed dispersion, pooled over the models and datasets of the `wanted` runs (one bool each)."""
        runs = self.runs[wanted]
        cells = runs.groupby(["model", "dataset"], sort=False).indices
        return seed_noise(self.sample, self.values, [runs.index.to_numpy()[rows] for rows in cells.values()])

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


def blocks(item_grades: pd.DataFrame | Iterable[Block]) -> Iterator[Block]:
    """The blocks of every suite: its abilities in the table's order, then `overall`.

    `item_grades` as `scores.collect` gives it, or blocks that were made before (for several tables from one reading, or
    of scores without item grades: `elsewhere.binomial`), which are given back as they are. Only rows of chosen epochs
    (`selected`) are used. `overall` covers the runs in which all the study's abilities are graded, and is left out
    where there are none. An item whose grade is missing in one run (a judge gave no verdict) is left out of all, so
    that all runs answer the same items.

    Raises `InputError` where a run has two chosen epochs, where runs disagree about an item's group or chance, or where
    a run answered only some of an ability's items: then scores would not be comparable.
    """
    if not isinstance(item_grades, pd.DataFrame):
        yield from item_grades
        return
    chosen = item_grades[item_grades["selected"].astype(bool)]
    for suite, graded in chosen.groupby("suite", sort=False, observed=True):
        grades = _everywhere(str(suite), graded)
        items = _plain(grades[ITEM].drop_duplicates())
        twice = items.duplicated(["ability", "item_id"])
        if twice.any():
            raise InputError(f"suite {suite}: runs disagree about item {items[twice].iloc[0]['item_id']!r}")
        runs = _plain(grades[RUN].drop_duplicates())
        row = positions(grades[["ability", "item_id"]], items)
        column = positions(grades[["model", "dataset", "seed"]], runs)
        if len(np.unique(row * len(runs) + column)) < len(grades):
            epochs = grades.groupby(["model", "dataset", "seed"], observed=True)["epoch"].nunique()
            raise InputError(f"suite {suite}: more than one chosen epoch for {epochs.idxmax()}")
        values = np.full((len(items), len(runs)), np.nan)
        values[row, column] = grades["grade"].to_numpy(float)
        yield from _blocks(str(suite), items, runs, values, int(grades["abilities_in_study"].iloc[0]))


def positions(rows: pd.DataFrame, of: pd.DataFrame) -> np.ndarray:
    """For each of `rows` the first row of `of` (by position) that has the same values in the columns of `rows`; each
    must have one. By whole columns, so that millions of rows are quick."""
    code, known = np.zeros(len(rows), np.int64), np.zeros(len(of), np.int64)
    for name in rows.columns:
        values = rows[name]
        if isinstance(values.dtype, pd.CategoricalDtype):
            names, own = values.cat.categories, values.cat.codes.to_numpy(np.int64)
        else:
            own, names = pd.factorize(values)
        code = code * len(names) + own
        known = known * len(names) + pd.Index(names).get_indexer(of[name])
    order = np.argsort(known, kind="stable")
    return order[np.searchsorted(known[order], code)]


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """With text as plain objects, which are quicker than pandas' other kinds of text for so few rows."""
    texts = [name for name in table.columns if not pd.api.types.is_numeric_dtype(table[name])]
    return table.astype(dict.fromkeys(texts, object)).reset_index(drop=True)


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
