"""`growthpace clean`: frees what a study needs no more. What a run still needs, or could go on from, is never touched.

Whether a run is finished is Snakemake's to say: one for which a dry run plans anything keeps all it has.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from growthpace.cluster import progress, slurm
from growthpace.cluster.cancel import agreed
from growthpace.cluster.failures import failures
from growthpace.cluster.hours import hours
from growthpace.cluster.ledger import SlurmFolder
from growthpace.cluster.survey import Survey, train_cell
from growthpace.errors import InputError
from growthpace.files import read_json
from growthpace.grid import Grid, Run
from growthpace.interruptible import code_version, locked
from growthpace.paths import Paths
from growthpace.study import Study, load_study


@dataclass
class Group:
    """What can be freed for one reason."""

    name: str
    why: str
    paths: list[Path]
    size: int = 0
    """Bytes."""


def clean(config: Path, yes: bool, as_json: bool, orphans: bool, report: Callable[[str], None], ask=agreed) -> int:
    """Lists what can be freed and frees it, with `yes` or after a yes at a terminal; returns the exit code (0).

    orphans: also what belongs to runs and models that are no longer in the study. Raises `InputError` while anything of
    the study runs, or where nobody can tell.
    """
    study = load_study(config)
    paths = Paths(study)
    refuse_at_work(study, paths)
    groups = [group for group in freeable(study, paths, _unsettled(config), orphans) if group.paths]
    total = sum(group.size for group in groups)
    if not as_json:
        for group in groups:
            number = len(group.paths)
            report(
                f"{size(group.size):>9}  {group.name} ({number:,} {'item' if number == 1 else 'items'}): {group.why}"
            )
        report(f"{size(total):>9}  in all" if groups else f"nothing of {study.study} can be freed")
    freed = bool(groups) and (yes or (not as_json and ask("Free this?", "--yes frees it without asking")))
    if freed:
        with ExitStack() as held:
            if (folder := SlurmFolder(paths.root)).root.exists():
                held.enter_context(locked(folder.root / "head"))  # no head process may start meanwhile
            refuse_at_work(study, paths, own_lock=True)
            _free(study, paths, groups)
    if as_json:
        listed = [
            {"name": group.name, "why": group.why, "bytes": group.size, "paths": [str(path) for path in group.paths]}
            for group in groups
        ]
        report(json.dumps({"study": study.study, "groups": listed, "bytes": total, "freed": freed}, indent=1))
    elif groups:
        report("freed" if freed else "nothing was freed")
    return 0


def refuse_at_work(study: Study, paths: Paths, own_lock: bool = False) -> None:
    """Raises `InputError` while a job of the study lives, or where nobody can tell."""
    folder = SlurmFolder(paths.root)
    if not own_lock and (who := progress.holder(folder.root / "head")):
        raise InputError(f"{study.study} is at work ({who}); wait for it, or `growthpace cancel`")
    if waiting := _unended(folder):
        if not slurm.available():
            raise InputError(
                f"{len(waiting)} SLURM jobs may be at work, which only the login node can tell; clean there"
            )
        queue = slurm.queue(study.study)
        if queue is None:
            raise InputError("SLURM does not answer (squeue), so nobody can tell whether jobs are at work; try later")
        if live := [job for job in queue if job.live]:
            raise InputError(
                f"{len(live)} SLURM jobs of {study.study} are at work; wait for them, or `growthpace cancel`"
            )
    for cell, who in Survey(study, paths).working.items():
        raise InputError(f"{cell} is at work ({who}); wait for it")
    for lock in Path(".snakemake/locks").glob("*.lock"):
        if any(line.startswith(f"{paths.root}/") for line in lock.read_text().splitlines()):
            raise InputError(
                f"Snakemake is at work on {study.study} in this folder; wait for it (or, if it was killed, run "
                "`snakemake --unlock` with the study's --configfile)"
            )


def _unended(folder: SlurmFolder) -> set[str]:
    """Tickets of which the ledger tells no end of some part."""
    open_parts: dict[str, set[str]] = {}
    for line in folder.ledger():
        if line["event"] == "submitted":
            open_parts[line["ticket"]] = set(line["cells"])
        elif line["event"] == "ended":
            open_parts.get(line["ticket"], set()).discard(line["cell"])
    known = {path.stem for path in (folder.root / "tickets").glob("*.json")}
    return {ticket for ticket in known if open_parts.get(ticket, {"never recorded"})}


def _unsettled(config: Path) -> set[str]:
    """Runs for which Snakemake would do anything."""
    from growthpace.plan.dry_run import planned_jobs

    return {job.run for job in planned_jobs(config) if job.run is not None}


def freeable(study: Study, paths: Paths, unsettled: set[str], orphans: bool) -> list[Group]:
    """What can be freed; unsettled: runs of which anything is still to be done."""
    grid, folder = Grid(study), SlurmFolder(paths.root)
    settled = [run for run in grid.runs if str(run) not in unsettled]
    groups = [
        Group("states set aside", "of other settings or data than the study's", list(_stale(paths))),
        Group("saved states of finished runs", "nothing goes on from them", list(_finished_states(paths, settled))),
        Group("states of finished predictions", "copies of the predictions", list(_finished_predictions(paths, grid))),
        Group("half-written files", "left by jobs that were killed", list(_partial(paths))),
        Group("files of ended SLURM jobs", "their hours are kept in the ledger", _ended_files(study, paths, folder)),
        Group("old copies of growthpace", "that SLURM jobs ran", list(_old_code(folder))),
    ]
    if study.keep_checkpoints == "selected":
        weights = list(_unchosen(paths, settled))
        groups.insert(2, Group("weights of epochs that were not chosen", "all that needs them is done", weights))
    if orphans:
        found = list(_orphans(study, paths, grid))
        groups.append(Group("orphans", "results of runs and models that are no longer in the study", found))
    for group in groups:
        group.size = sum(map(_size, group.paths))
    return groups


def _stale(paths: Paths) -> Iterator[Path]:
    yield from sorted((paths.root / "runs").glob("*/*/seed-*/state.stale"))
    yield from sorted((paths.root / "predictions").glob("*/*/seed-*/epoch-*/*.state.stale"))


def _finished_states(paths: Paths, settled: Iterable[Run]) -> Iterator[Path]:
    for run in settled:
        state = paths.run(run) / "state"
        if (state / "finished.json").exists():
            yield from sorted(state.glob("checkpoint-*"))


def _unchosen(paths: Paths, settled: Iterable[Run]) -> Iterator[Path]:
    for run in settled:
        if not paths.selected(run).exists():
            continue
        kept = paths.weights(run, read_json(paths.selected(run))["epoch"])
        yield from (found for found in sorted(paths.run(run).glob("epoch-*")) if found.is_dir() and found != kept)


def _finished_predictions(paths: Paths, grid: Grid) -> Iterator[Path]:
    for run in [*grid.runs, *grid.untuned_runs]:
        for state in sorted((paths.root / "predictions" / str(run)).glob("epoch-*/*.state")):
            if state.with_suffix(".parquet").exists() and (state / "finished").exists():
                yield state


def _partial(paths: Paths) -> Iterator[Path]:
    yield from sorted(paths.root.glob("runs/*/*/seed-*/.epoch-*.partial"))
    for place in (
        "data",
        "models",
        "runs",
        "predictions",
        "judgements",
        "asked",
        "grades",
        "selected",
        "analysis",
        "specs",
        "figures",
    ):
        yield from (path for path in sorted((paths.root / place).rglob(".*.partial")) if path.is_file())


def _ended_files(study: Study, paths: Paths, folder: SlurmFolder) -> list[Path]:
    """Of jobs that the ledger tells all ends of, but for those of failures that still stand."""
    kept = _unended(folder) | {one["ticket"] for one in _last_ends(study, paths, folder)}
    found = []
    for place, pattern in (("tickets", "*.json"), ("ends", "*.jsonl"), ("logs", "*.out")):
        files = sorted((folder.root / place).glob(pattern))
        found += [path for path in files if path.name.split(".")[0] not in kept]
    return found


def _last_ends(study: Study, paths: Paths, folder: SlurmFolder) -> list[dict[str, Any]]:
    ledger = folder.ledger()
    failed = {one["cell"] for one in failures(folder, ledger, Survey(study, paths).unfinished)}
    return [line for line in ledger if line["event"] == "ended" and line["cell"] in failed]


def _old_code(folder: SlurmFolder) -> Iterator[Path]:
    present = code_version()
    yield from (copy for copy in sorted((folder.root / "code").glob("*")) if copy.name != present)
    yield from sorted((folder.root / "code").glob(".*.partial"))


def _orphans(study: Study, paths: Paths, grid: Grid) -> Iterator[Path]:
    runs = {str(run) for run in [*grid.runs, *grid.untuned_runs]}
    for place in ("runs", "predictions", "judgements", "grades", "selected"):
        for found in sorted((paths.root / place).glob("*/*/seed-*")):
            if str(found.relative_to(paths.root / place).with_suffix("")) not in runs and found.suffix != ".lock":
                yield found
    yield from (found for found in sorted((paths.root / "models").glob("*")) if found.name not in study.models)


def _free(study: Study, paths: Paths, groups: list[Group]) -> None:
    folder = SlurmFolder(paths.root)
    ended = {path.stem for group in groups for path in group.paths if path.parent == folder.root / "tickets"}
    if ended:  # the hours are derived from the files that go
        survey = Survey(study, paths)
        states = {train_cell(run): paths.run(run) / "state" for run in survey.grid.runs}
        sums = hours(folder, folder.ledger(), (), states.get, tickets=ended).described()
        folder.record("cleaned", hours=sums, tickets=sorted(ended))
    for group in groups:
        for path in group.paths:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _size(path: Path) -> int:
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    return sum(inner.lstat().st_size for inner in path.rglob("*") if not inner.is_dir())


def size(number: int) -> str:
    """Bytes in words: `1.2 GB`."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= factor:
            return f"{number / factor:.3g} {unit}"
    return f"{number} bytes"
