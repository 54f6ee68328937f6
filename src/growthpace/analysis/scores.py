"""From grade files to one tidy table of scores, and the item grades that every interval is computed from.

A score is the mean grade of an ability in a suite at a checkpoint, a fraction of 1. Every item of an ability weighs the
same in it (micro); beside it stands the mean in which every subject does (macro), as benchmarks such as MMLU with its
57 subjects are often reported. Chance stands in a column beside it and never in a row of its own, so that no mean can
mix the two. By hand:

    scores, item_grades = collect(paths, confidence=0.95)
    write_frame("scores.parquet", scores, {"study": "demo"})
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from growthpace.analysis.uncertainty import (
    Sample,
    cluster_variance,
    make_sample,
    satterthwaite,
    score_interval,
    weighted_mean,
)
from growthpace.errors import InputError
from growthpace.files import read_metadata, write_table

OVERALL = "overall"
"""The ability of rows that average a study's own abilities, each weighing the same."""
NEAR_TIE = 0.4
"""Nats by which the best of two candidates must lead to stay the best in another batch: in half precision each
candidate's log-probability was seen to move by up to 0.19 (1,200 candidates of a 7b-shaped model;
benchmarks/evaluation.md), and two may move apart."""
KINDS = ("untuned", "grid", "mix", "transfer")
"""What a dataset is, in the order of all tables here."""
CHECKPOINT = ["model", "parameters", "dataset", "kind", "source", "volume", "seed", "epoch", "selected", "suite"]
"""The columns that name a checkpoint and the suite it answered."""
GRADES = ["item_id", "ability", "group", "grade", "chance", "cut"]
MACRO = ["score_macro", "standard_error_macro", "low_macro", "high_macro"]
"""The columns of the mean over subjects, in the order of `_estimate`."""
METADATA = ["study", *CHECKPOINT, "abilities_in_domain"]


def collect(paths: Iterable[str | Path], confidence: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All scores of a study, and all item grades, from its grade files (one per run, epoch and suite).

    Returns `(scores, item_grades)`, both in an order that does not depend on that of `paths`: models by parameters,
    datasets untuned, grid, mixes, transfer and by volume, abilities as the study lists them, others after them,
    `overall` last.

    scores: the columns of `CHECKPOINT`, then ability, score, standard_error (clustered over groups; NaN for a single
    cluster), low, high (see `score_interval`, at level `confidence`), items, clusters, chance (mean of the items'
    own; all in [0, 1]), cut (share of items whose prompt was too long and lost tokens at its front), missing (number of
    items, besides `items`, to which a judge gave no grade: they are in no mean), near_ties (number of items whose best
    candidate leads by less than NEAR_TIE: another precision or batch could turn them), the columns of `MACRO` (the same
    four for the mean over an ability's subjects, each weighing the same; equal to the former where there is one subject
    or none), in_domain, released_average. A row `overall` is the mean over the study's own abilities and exists only
    where all of them are there. Where its suite is graded as the paper's released code did, `released_average` is what
    that code called the average, the scores' sum over twice their number (its chance rows were counted as sets, fault
    B4); else null.

    item_grades: the columns of `CHECKPOINT`, then item_id, ability, group, subject ('' in files of older versions),
    grade (NaN where missing), chance, cut, margin (NaN where none), missing, in_domain and abilities_in_study (how many
    abilities the study has of its own).

    Raises `InputError` for metadata that is missing, files of different studies, one checkpoint given twice, an item
    given twice, grades or chances outside [0, 1] or not there (but for a judge's, see above), and an ability of which
    every grade is missing.
    """
    frames, seen, study = [], {}, None
    for path in sorted(map(Path, paths)):
        frame, own, key = _read(path)
        if study is not None and own != study:
            raise InputError(f"{path}: study and abilities are {own}, in other grade files {study}")
        study = own
        if key in seen:
            raise InputError(f"{path}: the same run, epoch and suite as {seen[key]}")
        seen[key] = path
        frames.append(frame)
    if not frames:
        raise InputError("no grade files: nothing to collect")
    abilities = list(study[1])
    grades = pd.concat(frames, ignore_index=True)
    grades["in_domain"] = grades["ability"].isin(abilities)
    grades["abilities_in_study"] = len(abilities)
    grades = ordered(grades, abilities, ["item_id"])

    keys = ["model", "dataset", "seed", "epoch", "suite"]
    rows = []
    for _, checkpoint in grades.groupby(keys, sort=False):
        named = checkpoint.iloc[0][CHECKPOINT].to_dict()
        rows += [{**named, **row} for row in _scores(checkpoint, abilities, confidence)]
    scores = pd.DataFrame(rows).astype({"released_average": float})
    return ordered(scores, abilities, []), grades.drop(columns="released_rules")


def _read(path: Path) -> tuple[pd.DataFrame, tuple, tuple]:
    """A grade file as a table, its study with abilities, and the key of its checkpoint and suite."""
    about = read_metadata(path)
    missing = [key for key in METADATA if key not in about]
    if missing:
        raise InputError(f"{path}: not a grade file, its metadata lacks {', '.join(missing)}")
    if about["kind"] not in KINDS:
        raise InputError(f"{path}: kind is {about['kind']!r} (allowed: {', '.join(KINDS)})")
    table = pq.read_table(path)
    missing = [column for column in GRADES if column not in table.column_names]
    if missing:
        raise InputError(f"{path}: not a grade file, it lacks the columns {', '.join(missing)}")
    frame = table.select(GRADES).to_pandas()
    subjects = table["subject"].to_pandas().fillna("") if "subject" in table.column_names else ""
    frame.insert(GRADES.index("group") + 1, "subject", subjects)
    if frame.empty:
        raise InputError(f"{path}: holds no grades")
    frame["released_rules"] = "paper_rules" in about
    frame["margin"] = table["margin"].to_pandas() if "margin" in table.column_names else float("nan")
    known = table["missing"].to_pandas().fillna(False).astype(bool) if "missing" in table.column_names else False
    frame["missing"] = known & frame["grade"].isna()
    for column in ("grade", "chance"):
        bad = ~frame[column].between(0, 1)  # NaN is between nothing
        bad &= ~frame["missing"] if column == "grade" else True
        if bad.any():
            first = frame[bad].iloc[0]
            raise InputError(f"{path}: item {first['item_id']!r}: {column} is {first[column]} (allowed: 0 to 1)")
    twice = frame.duplicated(["ability", "item_id"])
    if twice.any():
        raise InputError(f"{path}: item {frame[twice].iloc[0]['item_id']!r} is graded twice")
    if len(lost := frame.groupby("ability")["missing"].all().loc[lambda of: of]):
        raise InputError(
            f"{path}: every grade of {lost.index[0]} is missing, since the judge gave no verdict; remove its file "
            "in judgements/ and start the study again, it will be judged once more"
        )
    if OVERALL in set(frame["ability"]):
        raise InputError(f"{path}: an ability is called {OVERALL!r}, which is reserved for the mean over abilities")
    for position, column in enumerate(CHECKPOINT):
        frame.insert(position, column, about[column])
    study = (about["study"], tuple(about["abilities_in_domain"]))
    return frame, study, tuple(about[key] for key in ("model", "dataset", "seed", "epoch", "suite"))


def ordered(table: pd.DataFrame, abilities: list[str], last: list[str]) -> pd.DataFrame:
    """The table in the order that `collect` states; `last` are columns that break the remaining ties."""
    others = sorted(set(table["ability"]) - set(abilities) - {OVERALL})
    rank = {ability: position for position, ability in enumerate([*abilities, *others, OVERALL])}
    keys = table.assign(
        _kind=table["kind"].map({kind: position for position, kind in enumerate(KINDS)}),
        _ability=table["ability"].map(rank),
    )
    by = ["suite", "parameters", "model", "_kind", "source", "volume", "dataset", "seed", "epoch", "_ability", *last]
    return table.loc[keys.sort_values(by, kind="stable").index].reset_index(drop=True)


def _scores(checkpoint: pd.DataFrame, abilities: list[str], confidence: float):
    """The score rows of one checkpoint in one suite."""
    for ability, part in checkpoint.groupby("ability", sort=False):
        in_domain = bool(part["in_domain"].iloc[0])
        yield {"ability": ability, **_score(part, confidence), "in_domain": in_domain, "released_average": None}
    own = checkpoint[checkpoint["in_domain"]]
    if set(own["ability"]) == set(abilities):
        whole = _score(own, confidence)
        released = whole["score"] / 2 if own["released_rules"].all() else None
        yield {"ability": OVERALL, **whole, "in_domain": True, "released_average": released}


def _score(part: pd.DataFrame, confidence: float) -> dict[str, Any]:
    """Mean grade over the abilities of `part`, each weighing the same, with its uncertainty; micro and macro."""
    missing, part = int(part["missing"].sum()), part[~part["missing"]]
    sample: Sample = make_sample(part["ability"].to_numpy(), part["group"].to_numpy())
    score, chance, cut = weighted_mean(sample, part[["grade", "chance", "cut"]].to_numpy(float)).tolist()
    variances = cluster_variance(sample, part[["grade"]].to_numpy(float))[:, 0]
    micro = _estimate(score, variances, sample.clusters_by_stratum, confidence)
    macro = _macro(part, confidence) if part.groupby("ability")["subject"].nunique().max() > 1 else micro
    return {
        **dict(zip(["score", "standard_error", "low", "high"], micro, strict=True)),
        "items": len(part), "clusters": sample.clusters, "chance": chance, "cut": cut, "missing": missing,
        "near_ties": int((part["margin"] < NEAR_TIE).sum()),
        **dict(zip(MACRO, macro, strict=True)),
    }  # fmt: skip


def _macro(part: pd.DataFrame, confidence: float) -> tuple[float, float, float, float]:
    """The mean over abilities, each weighing the same, of the mean over an ability's subjects, each weighing the same.

    With A abilities, ability a having S_a subjects, and v_s the clustered variance of subject s's mean, its variance is
    sum_a sum_s v_s / (A S_a)^2: subjects are strata, as abilities are in a micro mean.
    """
    scores, variances, clusters = [], [], []
    for _, own in part.groupby("ability", sort=False):
        sample = make_sample(own["subject"].to_numpy(), own["group"].to_numpy())
        scores.append(weighted_mean(sample, own[["grade"]].to_numpy(float))[0])
        variances.append(cluster_variance(sample, own[["grade"]].to_numpy(float))[:, 0])
        clusters.append(sample.clusters_by_stratum)
    joined = np.concatenate(variances) / len(scores) ** 2
    return _estimate(float(np.mean(scores)), joined, np.concatenate(clusters), confidence)


def _estimate(
    score: float, variances: np.ndarray, clusters: np.ndarray, confidence: float
) -> tuple[float, float, float, float]:
    """A score with its standard error, low and high, from the variances and numbers of clusters of its strata."""
    error = float(np.sqrt(variances.sum()))
    low, high = score_interval(score, error, satterthwaite(variances, clusters - 1), int(clusters.sum()), confidence)
    return score, error, low, high


def write_frame(path: str | Path, frame: pd.DataFrame, metadata: dict[str, Any]) -> None:
    """Writes a pandas table as Parquet through `files.write_table`: equal tables, equal bytes."""
    write_table(path, pa.Table.from_pandas(frame, preserve_index=False), metadata)


def read_frame(path: str | Path) -> pd.DataFrame:
    """What `write_frame` wrote."""
    return pq.read_table(path).to_pandas()


CURVES = [*CHECKPOINT, "item_id", "ability", "group", "grade", "chance", "missing", "in_domain", "abilities_in_study"]
"""The columns of item grades that curves and comparisons use."""
TEXTS = ["model", "dataset", "kind", "source", "suite", "item_id", "ability", "group"]


def read_chosen(path: str | Path, suite: str | None = None) -> pd.DataFrame:
    """The rows of `item_grades.parquet` that are of chosen epochs, in the columns of `CURVES`, texts as categories: all
    that curves and comparisons use. A sweep of 15 epochs has 15 times as many rows on its selection suite.
    With `suite` those of this suite alone."""
    columns = [name for name in CURVES if name in pq.read_schema(path).names]  # older tables know no missing grades
    filters = [("selected", "=", True), *([] if suite is None else [("suite", "=", suite)])]
    return pq.read_table(path, columns=columns, filters=filters, read_dictionary=TEXTS).to_pandas()
