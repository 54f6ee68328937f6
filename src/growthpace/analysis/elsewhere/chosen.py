"""From all scores to those of each run's chosen epoch, in the shape that the analysis has everywhere."""

from __future__ import annotations

import pandas as pd

from growthpace.analysis.elsewhere.score_map import Epochs, ScoreMap
from growthpace.analysis.scores import CHECKPOINT, ordered
from growthpace.analysis.selection import choose_epoch
from growthpace.errors import InputError
from growthpace.study.basics import UNTUNED

RUN_KEYS = ["model", "dataset", "seed"]


def datasets(cells: pd.DataFrame, mixes: list[str]) -> pd.DataFrame:
    """The cells with `kind` (untuned, grid or mix) and `dataset` (`untuned`, `{source}-{volume}` or the mix's name).

    Raises `InputError` for a mix that no row has, or that has two volumes.
    """
    cells = cells.copy()
    cells["kind"] = "grid"
    cells.loc[cells["source"].isin(mixes), "kind"] = "mix"
    cells.loc[cells["volume"] == 0, "kind"] = UNTUNED
    names = cells["source"] + "-" + cells["volume"].astype(str)
    names = names.where(cells["kind"] != "mix", cells["source"])
    cells["dataset"] = names.where(cells["kind"] != UNTUNED, UNTUNED)
    for mix in mixes:
        volumes = sorted(cells.loc[cells["dataset"] == mix, "volume"].unique())
        if len(volumes) != 1:
            found = ", ".join(map(str, volumes)) or "no row has it as its source"
            raise InputError(f"mixes: {mix!r} needs one volume, found: {found}")
    clash = cells.groupby("dataset")["kind"].nunique()
    if (clash > 1).any():
        raise InputError(f"mixes: {clash.idxmax()!r} is also the name of a dataset of the grid; rename the mix")
    return cells


def choose(cells: pd.DataFrame, score_map: ScoreMap) -> pd.DataFrame:
    """The rows of the epochs that count, by the map's rule; for `each`, with the epoch in the suite's name. The column
    `read_as` keeps the suite's own.

    Raises `InputError` where a run has no epoch or more than one by that rule.
    """
    epochs, cells = score_map.epochs, cells.assign(read_as=cells["suite"])
    if epochs.rule == "each":
        trained = cells["kind"] != UNTUNED
        levels = sorted(cells.loc[trained, "epoch"].unique())
        width = len(str(max(levels, default=0)))  # so that suites stand in the order of epochs
        named = cells["suite"] + "-epoch-" + cells["epoch"].astype(str).str.zfill(width)
        # The untuned model stands in every epoch's suite: it has no epochs of its own.
        untuned = [cells[~trained].assign(suite=lambda own, e=e: own["suite"] + f"-epoch-{e:0{width}}") for e in levels]
        return pd.concat([cells[trained].assign(suite=named[trained]), *untuned], ignore_index=True)
    if epochs.rule == "best" and epochs.suite not in set(cells["suite"]):
        found = ", ".join(cells["suite"].unique())
        raise InputError(f"epochs.suite: {epochs.suite!r} has no scores (suites: {found})")
    kept = []
    for run, own in cells.groupby(RUN_KEYS, sort=False):
        kept.append(own["epoch"] == _epoch(own, epochs, score_map.in_domain, "/".join(map(str, run))))
    chosen = cells[pd.concat(kept).reindex(cells.index)]
    if epochs.rule == "best":
        chosen = chosen[chosen["suite"] != epochs.suite]
        if chosen.empty:
            raise InputError(f"epochs.suite: {epochs.suite!r} is the only suite, and what chose is not reported")
    return chosen.reset_index(drop=True)


def _epoch(own: pd.DataFrame, epochs: Epochs, in_domain: list[str], run: str) -> int:
    found = sorted(own["epoch"].unique())
    if epochs.rule == "last" or len(found) == 1:
        return int(found[-1])
    if epochs.rule == "flagged":
        flagged = sorted(own.loc[own["flagged"], "epoch"].unique())
        if len(flagged) != 1:
            told = ", ".join(map(str, flagged)) or "none"
            raise InputError(f"epochs.column: {run} needs one flagged epoch, found: {told}")
        return int(flagged[0])
    if epochs.rule == "best":
        rows = own[own["suite"] == epochs.suite]
        rows = rows[rows["ability"].isin(in_domain)] if in_domain else rows
        by_epoch = {int(e): dict(zip(r["ability"], r["score"], strict=True)) for e, r in rows.groupby("epoch")}
        if not by_epoch:
            raise InputError(f"epochs.suite: {run} has no scores on {epochs.suite!r} to choose an epoch by")
        return choose_epoch(by_epoch, "best_mean", min(by_epoch))
    told = ", ".join(map(str, found))
    raise InputError(f"epochs.rule: only, but {run} has epochs {told} (allowed then: last, best, flagged, each)")


def graded(items: pd.DataFrame, chosen: pd.DataFrame, in_domain: list[str]) -> pd.DataFrame:
    """The item grades of the chosen scores, in the shape that `scores.collect` gives.

    items: as `harness.Found.item_grades`; chosen: as `choose` gives it, of the same results.
    """
    keys = ["model", "source", "volume", "seed", "epoch", "read_as", "ability"]
    named = [*keys, "parameters", "dataset", "kind", "suite"]
    own = items.rename(columns={"suite": "read_as"}).drop(columns="parameters").merge(chosen[named], on=keys)
    own = own.assign(
        selected=True, group="", cut=0.0, margin=float("nan"), missing=False, in_domain=own["ability"].isin(in_domain),
        # 0 abilities of its own would match an `overall` over nothing
        abilities_in_study=max(len(in_domain), 1),
    )  # fmt: skip
    last = ["item_id", "subject", "group", "grade", "chance", "cut", "margin", "missing", "in_domain"]
    own = own[[*CHECKPOINT, "ability", *last, "abilities_in_study"]]
    return ordered(own, in_domain, ["item_id"])
