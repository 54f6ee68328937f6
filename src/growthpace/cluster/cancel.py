"""`growthpace cancel`: ends the SLURM jobs of a study, its head process first so that nothing is submitted again."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from growthpace.cluster import progress, slurm
from growthpace.cluster.ledger import SlurmFolder
from growthpace.errors import InputError
from growthpace.paths import Paths
from growthpace.study import load_study

JOBS_SECONDS = 120
"""Longest wait for jobs to end."""
HEAD_SECONDS = 60
"""Longest wait for the head process to end."""
LOOK_SECONDS = 2
SHOWN = 20


def cancel(config: Path, yes: bool, report: Callable[[str], None], slurm: Any = slurm, sleep=time.sleep) -> int:
    """Ends what runs and waits; returns 0 where nothing is left, 1 where something is.

    Raises `InputError` without SLURM, where it does not answer, and without `yes` where nobody can be asked.
    """
    study = load_study(config)
    slurm.require()
    head_lock = SlurmFolder(Paths(study).root).root / "head"
    live, head = _live(study.study, slurm), progress.holder(head_lock)
    if not live and head is None:
        report(f"no job of {study.study} is queued or running in SLURM, and no head process is alive")
        return 0
    for job in live[:SHOWN]:
        report(f"  {job.id}  {job.state.lower():10}  {' '.join(job.comment.split()[1:-1])}")
    if len(live) > SHOWN:
        report(f"  and {len(live) - SHOWN} more")
    if head:
        report(f"head process: {head}")
    if not yes and not agreed(f"End {'them' if len(live) != 1 else 'it'} all?", "--yes ends them without asking"):
        report("nothing is ended")
        return 0
    _end_head(head, head_lock, report, sleep)
    left = _end_jobs(study.study, live, report, slurm, sleep)
    if left:
        report(f"still there: {', '.join(job.id for job in left)}; look again with `growthpace status {config}`")
        return 1
    report(f"all jobs have ended. What was saved stays; `growthpace resume {config}` goes on from there")
    return 0


def agreed(question: str, otherwise: str) -> bool:
    """Asks at a terminal; `InputError` saying what to do `otherwise` where there is none."""
    if not sys.stdin.isatty():
        raise InputError(f"this is no terminal, so nobody can be asked; {otherwise}")
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def _live(study: str, slurm: Any) -> list:
    queue = slurm.queue(study)
    if queue is None:
        raise InputError("SLURM does not answer (squeue), so nothing can be ended now; try again when it is back")
    return [job for job in queue if job.live]


def _end_head(head: str | None, lock: Path, report: Callable[[str], None], sleep) -> None:
    """Interrupts the head process where it is on this machine, and waits for its end."""
    found = re.match(r"process (\d+) on (\S+?)(?:,|$)", head or "")
    if head is None:
        return
    if not found or found[2] != os.uname().nodename:
        report(f"press Ctrl-C in the head process too ({head}), or it goes on with what has not been submitted yet")
        return
    report(f"ending the head process ({head})")
    # One that was started in the background of a script takes no notice of the first.
    for asked, longest in ((signal.SIGINT, HEAD_SECONDS // 4), (signal.SIGTERM, HEAD_SECONDS)):
        with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
            os.kill(int(found[1]), asked)
        for _ in range(longest):
            if progress.holder(lock) is None:
                return
            sleep(1)
    report(f"the head process has not ended after {HEAD_SECONDS} s; end it by hand ({head})")


def _end_jobs(study: str, live: list, report: Callable[[str], None], slurm: Any, sleep) -> list:
    """Ends jobs, and what a head process elsewhere submits meanwhile; returns what is left after the longest wait."""
    ended: set[str] = set()
    said, waited = None, 0
    while live and waited <= JOBS_SECONDS:
        slurm.cancel([job.id for job in live if job.id not in ended])
        ended |= {job.id for job in live}
        if said is None or waited - said >= 15:
            report(f"waiting for {len(live)} job{'s' * (len(live) != 1)} to save and end")
            said = waited
        sleep(LOOK_SECONDS)
        waited += LOOK_SECONDS
        live = _live(study, slurm)
    return live
