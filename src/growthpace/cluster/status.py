"""`growthpace status`: what is done, at work, waiting and broken, from a study's files and squeue. Changes nothing."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from growthpace.cluster import progress, slurm
from growthpace.cluster.attempts import Cause
from growthpace.cluster.failures import failures
from growthpace.cluster.hours import hours
from growthpace.cluster.ledger import SlurmFolder, lines_of
from growthpace.cluster.reasons import in_words
from growthpace.cluster.survey import STATES, Survey
from growthpace.paths import Paths
from growthpace.study import Study, load_study

EVERY_SECONDS = 10
"""Between two looks with `--watch`."""


def show(config: Path, watch: bool = False, as_json: bool = False, all_failures: bool = False) -> int:
    """Prints the status once, or again and again until Ctrl-C; returns the exit code (0)."""
    from growthpace.cluster.status_text import console, shown

    study = load_study(config)
    paths = Paths(study)

    def look() -> dict[str, Any]:
        return gather(study, paths, config)

    if as_json and not watch:
        print(json.dumps(look(), indent=1, ensure_ascii=False))
        return 0
    screen = console()
    try:
        if not watch:
            screen.print(shown(look(), all_failures))
        elif as_json or not sys.stdout.isatty():
            while True:
                found = look()
                screen.print_json(data=found) if as_json else screen.print(shown(found, all_failures))
                sys.stdout.flush()
                time.sleep(EVERY_SECONDS)
        else:
            from rich.live import Live

            with Live(shown(look(), all_failures), console=screen, auto_refresh=False) as live:
                while True:
                    time.sleep(EVERY_SECONDS)
                    live.update(shown(look(), all_failures), refresh=True)
    except KeyboardInterrupt:
        pass
    return 0


def gather(study: Study, paths: Paths, config: Path) -> dict[str, Any]:
    """The whole status as a JSON-able object, described in docs/cluster.md."""
    folder, survey = SlurmFolder(paths.root), Survey(study, paths)
    ledger = folder.ledger()
    queue = slurm.queue(study.study) if ledger and slurm.available() else []
    live = [job for job in queue or [] if job.live]
    cells = {line["ticket"]: line["cells"] for line in ledger if line["event"] == "submitted"}
    jobs = [_job(folder, job, cells) for job in live]
    at_work = {cell: "running" if job["state"] == "RUNNING" else "pending" for job in jobs for cell in job["left"]}
    for job in jobs:
        job["progress"] = _progress(survey, job["cell"])
    failed = failures(folder, ledger, survey.unfinished)
    failed = [one for one in failed if one["cell"] not in survey.working]
    cancelled = [one["cell"] for one in failed if one["cause"] == Cause.CANCELLED]
    failed = [one for one in failed if one["cause"] != Cause.CANCELLED]
    rows = survey.rows(at_work, {one["cell"]: one for one in failed})
    counts = Counter(row["state"] for row in rows)

    def state_of(cell: str) -> Path | None:
        kind, name = cell.split()[:2]
        return paths.root / "runs" / name / "state" if kind == "train" else None

    return {
        "study": study.study,
        "config": str(config),
        "time": _iso(time.time()),
        "head": head(paths) if folder.root.exists() else None,
        "slurm": _slurm(ledger, queue),
        "counts": {state: counts[state] for state in STATES},
        "models": list(study.models),
        "runs": rows,
        "jobs": jobs,
        "working": [
            {"cell": cell, "who": who, "progress": _progress(survey, cell)}
            for cell, who in survey.working.items()
            if cell not in at_work
        ],
        "cancelled": cancelled,
        "failures": [{**one, "time": _iso(one["time"])} for one in failed],
        "hours": hours(folder, ledger, {job["ticket"] for job in jobs}, state_of).described() if ledger else None,
    }


def head(paths: Paths) -> dict[str, Any]:
    """Whether a head process is alive, which (`process N on HOST`) and since when; both null where none is."""
    folder = SlurmFolder(paths.root).root / "head"
    who = progress.holder(folder)
    since = _iso(os.stat(folder.with_name("head.lock")).st_mtime) if who else None
    return {"alive": who is not None, "who": who, "since": since}


def _slurm(ledger: list, queue: list | None) -> str:
    if not ledger:
        return "never used"
    if not slurm.available():
        return "not on this machine"
    return "does not answer" if queue is None else "answers"


def _job(folder: SlurmFolder, job: slurm.QueuedJob, cells: dict[str, list[str]]) -> dict[str, Any]:
    ticket = job.comment.split()[-1] if job.comment.startswith("growthpace ") else ""
    members = cells.get(ticket)
    if members is None:  # the head died between submitting it and writing that down
        known = folder.read_ticket(ticket) if ticket else None
        members = [member.cell for member in known.members] if known else []
    done, at = set(), 0
    for line in lines_of(folder.root / "ends" / f"{ticket}.0.jsonl"):
        at = line["member"]
        if line["event"] == "end" and line["exit"] == 0:
            done.add(at)
    left = [cell for k, cell in enumerate(members) if k not in done]
    running = job.state == "RUNNING"
    return {
        "id": job.id,
        "ticket": ticket,
        "state": job.state,
        "reason": None if running or job.reason == "None" else job.reason,
        "reason_in_words": None if running or job.reason == "None" else in_words(job.reason),
        "partition": job.partition,
        "nodes": job.nodes or None,
        "elapsed_minutes": slurm.minutes(job.elapsed),
        "limit_minutes": slurm.minutes(job.limit),
        "start": None if job.start in ("N/A", "") else job.start,
        "cells": members,
        "left": left,
        "cell": members[at] if running and members and at not in done else None,
    }


def _progress(survey: Survey, cell: str | None) -> dict[str, Any] | None:
    state = survey.unfinished.get(cell)
    if state is None:
        return None
    return progress.training(state) if cell.startswith("train ") else progress.prediction(state)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
