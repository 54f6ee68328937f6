"""How much too good the chosen epochs look on the items they were chosen by.

The best of several epochs on `valid` is partly the luckiest. Its score there is too high; its score on `test` is not,
for the test had no say, but another epoch may have been better.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from growthpace.analysis.matrix import positions
from growthpace.analysis.selection import TIE
from growthpace.analysis.uncertainty import POINTS, Sample, make_sample, weighted_mean
from growthpace.errors import InputError

RUN = ["model", "parameters", "dataset", "kind", "source", "volume", "seed"]
READ = [*RUN, "epoch", "selected", "suite", "ability", "item_id", "group", "grade", "in_domain"]
"""What is read of the item grades."""
ONE_RUN, MEAN = "run", "mean"
ESTIMATED, NOTHING_CHOSEN = "estimated", "one candidate"
SEED = 0
"""Of the bootstrap: the same items in every replicate of every run."""
PIECE = 500_000
"""Rows that are read at once."""
AT_ONCE = 4_000_000
"""Numbers in one array of replicates x runs x epochs: 32 MB."""
NAN = float("nan")
COLUMNS = [
    "level", "suite", "model", "parameters", "source", "dataset", "volume", "seed", "runs", "epoch", "epochs", "score",
    "optimism", "low", "high", "expected", "other_epoch", "loss", "spread_kept", "status", "items", "clusters",
    "replicates", "confidence",
]  # fmt: skip


def read_candidates(path: str | Path, suite: str) -> pd.DataFrame:
    """The rows of `item_grades.parquet` that `selection_bias` uses: trained runs on the selection suite, the study's
    own abilities. These are most of a large study's rows, since every candidate epoch is graded on it: they are read
    piece by piece, with names as categories and small numbers as such."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    texts = ["model", "dataset", "kind", "source", "suite", "ability", "item_id", "group"]
    kept = (pc.field("suite") == suite) & (pc.field("kind") != "untuned") & pc.field("in_domain")
    pieces = []
    with pq.ParquetFile(path, read_dictionary=texts) as file:
        for batch in file.iter_batches(batch_size=PIECE, columns=READ, use_threads=False):
            piece = pa.Table.from_batches([batch]).filter(kept)
            for name in ("seed", "epoch", "volume"):
                place = piece.schema.get_field_index(name)
                piece = piece.set_column(place, name, piece[name].cast(pa.int32()))
            pieces.append(piece)
    return pa.concat_tables(pieces).unify_dictionaries().to_pandas(split_blocks=True, self_destruct=True)


def selection_bias(
    item_grades: pd.DataFrame, suite: str, first_epoch: int | None, replicates: int, confidence: float
) -> pd.DataFrame:
    """One row per model and source (or mix), level `mean`, and then one per run, level `run`.

    `item_grades`: the grades on the selection `suite` (in the columns of `READ`); `first_epoch`: the first candidate,
    None where the last epoch is kept whatever its score (then nothing is chosen, and status is `one candidate`).

    With s_e a run's mean score over abilities at candidate epoch e, and s*_e that of items drawn with replacement
    (whole clusters, within each ability; the same draw for all runs and epochs), d_e = s*_e - s_e is what a draw of
    items does. The truth that a replicate is about is not s_e, whose differences hold the luck of the items already,
    but t_e = mean + k (s_e - mean), drawn in by k = sqrt(max(0, 1 - N / S)), S being the variance of s_e over a run's
    epochs and N what draws of items alone make of it, both pooled over the runs of a model and source. In each
    replicate the best epoch b of t_e + d_e is chosen, by the rule of `selection.choose_epoch`, and

        optimism = d_b - mean over epochs of d_e        loss = max over epochs of t_e - t_b

    the mean of which over replicates is by how much a score at the chosen epoch is too high, in points, and how far
    the chosen epoch is below the best one on new items. (Efron 1983, JASA 78, for the bootstrap's optimism; the mean of
    d_e, which no choice has a part in, is 0 on average and only takes noise away. k = 1 would see about 30 % too little
    where epochs are alike.) Optimism's interval is that of the replicates, at level `confidence`; of a `mean` row that
    of the mean over its runs, in which the shared items do not cancel.

    Columns: level, suite, model, parameters, source, dataset ('' in a mean), volume, seed, epoch (the chosen one; NaN
    in a mean), runs, epochs (candidates; the most in a mean), score (at the chosen epoch, a fraction), optimism, low,
    high (points), expected (score on new items of the same kind: score less optimism), other_epoch (share of replicates
    of the scores as they are in which another epoch is the best), loss (points), spread_kept (k), status, items,
    clusters, replicates, confidence. Means are over runs with two candidates or more. Deterministic.

    Raises `InputError` where a run's chosen epoch is none of its candidates.
    """
    used = (item_grades["kind"] != "untuned") & item_grades["in_domain"].astype(bool)
    found = _runs(item_grades if used.all() else item_grades[used], first_epoch)
    if found is None:
        return pd.DataFrame(columns=COLUMNS)
    draws = _Draws(found.sample, replicates)
    means, singles = [], []
    for _, group in found.runs.groupby(["model", "source", "kind"], sort=False, observed=True):
        mean, own = _group(found, group, draws, confidence)
        means.append(mean)
        singles += own
    about = {
        "suite": suite, "items": len(found.sample.weights), "clusters": found.sample.clusters,
        "replicates": replicates, "confidence": confidence,
    }  # fmt: skip
    return pd.DataFrame([{**about, **row} for row in [*means, *singles]], columns=COLUMNS)


@dataclass(frozen=True)
class _Found:
    """Trained runs with the grades of their candidate epochs."""

    sample: Sample
    runs: pd.DataFrame
    """One row per run: the columns of `RUN` and chosen, the chosen epoch."""
    epochs: list[np.ndarray]
    """Of each run: its candidates, ascending."""
    columns: list[np.ndarray]
    """Of each run: their columns of `values`."""
    values: np.ndarray
    """[n, columns] item grades."""


def _runs(grades: pd.DataFrame, first_epoch: int | None) -> _Found | None:
    """The runs that have chosen an epoch; items that miss a grade anywhere are left out. None without any."""
    chosen = grades.loc[grades["selected"].astype(bool), [*RUN, "epoch"]].drop_duplicates()
    if chosen.empty:
        return None
    keys = ["ability", "item_id", "group"]
    items = grades[keys].drop_duplicates().astype(str).sort_values(keys).reset_index(drop=True)
    row = positions(grades[keys], items)
    checkpoints = grades[["model", "dataset", "seed", "epoch"]].drop_duplicates().reset_index(drop=True)
    column = positions(grades[list(checkpoints)], checkpoints)
    values = np.full((len(items), len(checkpoints)), np.nan)
    values[row, column] = grades["grade"].to_numpy(float)
    del row, column
    whole = ~np.isnan(values).any(axis=1)
    items, values = items[whole], values[whole]
    place = checkpoints.groupby(["model", "dataset", "seed"], observed=True).indices
    epochs, columns = [], []
    for run in chosen.itertuples():
        own = place[run.model, run.dataset, run.seed]
        number = checkpoints["epoch"].to_numpy()[own]
        kept = number == run.epoch if first_epoch is None else number >= first_epoch
        if run.epoch not in number[kept]:
            where = f"{run.model}, {run.dataset}, seed {run.seed}"
            raise InputError(f"{where}: epoch {run.epoch} is chosen, but candidates are those from {first_epoch} on")
        order = np.argsort(number[kept])
        epochs.append(number[kept][order])
        columns.append(own[kept][order])
    sample = make_sample(items["ability"].to_numpy(), items["group"].to_numpy())
    runs = chosen.rename(columns={"epoch": "chosen"}).reset_index(drop=True)
    return _Found(sample, runs, epochs, columns, values)


class _Draws:
    """Items drawn with replacement: clusters, within each stratum, each replicate as many as there are."""

    def __init__(self, sample: Sample, replicates: int):
        rng = np.random.default_rng(SEED)
        self.sample = sample
        self.counts = []
        """Of each stratum [replicates, C]: how often each cluster was drawn."""
        for count in sample.clusters_by_stratum:
            self.counts.append(rng.multinomial(count, np.full(count, 1 / count), size=replicates).astype(float))

    def moves(self, values: np.ndarray) -> np.ndarray:
        """[replicates, k] d: the drawn means less the sample's, of each column of `values` [n, k]."""
        sample = self.sample
        sizes = np.diff(np.append(sample.starts, len(sample.order))).astype(float)
        sums = np.add.reduceat(values[sample.order], sample.starts, axis=0)
        total = np.zeros((len(self.counts[0]), values.shape[1]))
        for stratum, counts in enumerate(self.counts):
            own = sample.cluster_strata == stratum
            total += counts @ sums[own] / (counts @ sizes[own])[:, None]
        return total / sample.strata_count - weighted_mean(sample, values)


def _first_best(scores: np.ndarray) -> np.ndarray:
    """The earliest of the best, along the last axis."""
    return (scores >= scores.max(axis=-1, keepdims=True) - TIE).argmax(axis=-1)


def _chunks(found: _Found, runs: np.ndarray, replicates: int) -> Iterator[tuple[np.ndarray, int]]:
    """(runs with equally many candidates, how many those are), so few that their replicates fit in `AT_ONCE`."""
    counts = np.array([len(found.epochs[run]) for run in runs])
    for count in np.unique(counts):
        own = runs[counts == count]
        step = max(1, AT_ONCE // (replicates * int(count)))
        for first in range(0, len(own), step):
            yield own[first : first + step], int(count)


def _group(
    found: _Found, group: pd.DataFrame, draws: _Draws, confidence: float
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The row of a model and source, and those of its runs."""
    all_runs = group.index.to_numpy()
    several = np.array([run for run in all_runs if len(found.epochs[run]) > 1], dtype=int)
    replicates = len(draws.counts[0])
    seen = by_items = 0.0
    prepared = []
    for runs, count in _chunks(found, several, replicates):
        columns = np.concatenate([found.columns[run] for run in runs])
        scores = weighted_mean(found.sample, found.values[:, columns]).reshape(len(runs), count)
        moves = draws.moves(found.values[:, columns]).reshape(replicates, len(runs), count)
        seen += scores.var(axis=1, ddof=1).sum()
        by_items += moves.var(axis=2, ddof=1).mean(axis=0).sum()
        prepared.append((runs, scores, moves))
    kept = float(np.sqrt(max(0.0, 1 - by_items / seen))) if seen else 0.0

    together = np.zeros(replicates)
    numbers = {}
    for runs, scores, moves in prepared:
        middle = scores.mean(axis=1, keepdims=True)
        truth = middle + kept * (scores - middle)
        best = _first_best(truth + moves)[..., None]
        optimism = POINTS * (np.take_along_axis(moves, best, axis=2)[..., 0] - moves.mean(axis=2))
        reached = np.take_along_axis(np.broadcast_to(truth, moves.shape), best, axis=2)[..., 0]
        loss = POINTS * (truth.max(axis=1) - reached).mean(axis=0)
        chosen = np.array([np.flatnonzero(found.epochs[run] == group.at[run, "chosen"])[0] for run in runs])
        other = (_first_best(scores + moves) != chosen).mean(axis=0)
        together += optimism.sum(axis=1)
        ends = np.quantile(optimism, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
        for place, run in enumerate(runs):
            numbers[run] = _numbers(
                scores[place, chosen[place]], optimism[:, place].mean(), ends[:, place], other[place], loss[place]
            )
    singles = [_single(found, group.loc[run], run, numbers.get(run), kept) for run in all_runs]
    told = [numbers[run] for run in several]
    first = group.iloc[0]
    mean: dict[str, Any] = {
        "level": MEAN, "model": first["model"], "parameters": first["parameters"], "source": first["source"],
        "dataset": "", "volume": NAN, "seed": NAN, "epoch": NAN, "runs": len(several) or len(all_runs),
        "epochs": max(len(found.epochs[run]) for run in all_runs),
        "spread_kept": kept if told else NAN, "status": ESTIMATED if told else NOTHING_CHOSEN,
    }  # fmt: skip
    if told:
        average = {name: float(np.mean([own[name] for own in told])) for name in told[0]}
        ends = np.quantile(together / len(told), [(1 - confidence) / 2, (1 + confidence) / 2])
        mean |= average | {"low": float(ends[0]), "high": float(ends[1])}
    return mean, singles


def _numbers(score, optimism, ends, other, loss) -> dict[str, float]:
    return {
        "score": float(score), "optimism": float(optimism), "low": float(ends[0]), "high": float(ends[1]),
        "expected": float(score - optimism / POINTS), "other_epoch": float(other), "loss": float(loss),
    }  # fmt: skip


def _single(found: _Found, run: pd.Series, place: int, numbers: dict | None, kept: float) -> dict[str, Any]:
    row = {"level": ONE_RUN, **{name: run[name] for name in RUN if name != "kind"}, "epoch": int(run["chosen"])}
    row |= {"runs": 1, "epochs": len(found.epochs[place]), "status": ESTIMATED if numbers else NOTHING_CHOSEN}
    return row | (numbers | {"spread_kept": kept} if numbers else {})
