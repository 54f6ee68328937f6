"""Hours that a study's SLURM jobs have used, and what of them was lost to interruptions.

Used: from the start to the end of each part of a job, as the jobs themselves wrote down. Lost, of a training that
saved and stopped: its start. Lost, of one that was killed: all but the steps that the run's history still holds of it,
so that its saving counts as lost too. What the files do not tell is counted apart and never guessed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from growthpace.cluster import progress
from growthpace.cluster.ledger import SlurmFolder, lines_of


@dataclass
class Hours:
    """Sums over all attempts; GPU hours are hours times GPUs."""

    job_hours: float = 0.0
    gpu_hours: float = 0.0
    lost_job_hours: float = 0.0
    lost_gpu_hours: float = 0.0
    interrupted: int = 0
    """Attempts that ended before their work was done."""
    undecided_gpu_hours: float = 0.0
    """Used by interrupted attempts of which nothing tells how much was kept."""
    unknown_ends: int = 0
    """Attempts that were killed and left no time of their end: their hours are in none of the sums."""

    def add(self, other: dict[str, Any]) -> None:
        """Adds sums that were written down before."""
        for key, value in other.items():
            setattr(self, key, getattr(self, key) + value)

    def described(self) -> dict[str, Any]:
        """As a JSON-able object."""
        return {key: round(value, 4) for key, value in asdict(self).items()}


@dataclass(frozen=True)
class Span:
    """One attempt at a part of a job."""

    member: int
    start: float
    end: float | None
    """None where nothing tells; for a part that runs now, now."""
    exit: int | None
    """None where it was killed, or runs."""
    runs: bool = False


def hours(
    folder: SlurmFolder,
    ledger: list[dict[str, Any]],
    live: Collection[str],
    state_of: Callable[[str], Path | None],
    tickets: Collection[str] | None = None,
) -> Hours:
    """The sums of a study, or of some of its tickets alone.

    live: tickets of jobs that have not ended. state_of: the state folder of a cell's training, None for other cells.
    """
    total = Hours()
    submitted: dict[str, dict[str, Any]] = {}
    for line in ledger:
        if line["event"] == "submitted" and (tickets is None or line["ticket"] in tickets):
            submitted[line["ticket"]] = line
        elif line["event"] == "cleaned" and tickets is None:
            total.add(line["hours"])
    kept = _Kept()
    for ticket, line in submitted.items():
        for span in _spans(folder, ticket, ticket in live):
            if span.end is None:
                total.unknown_ends += 1
                total.interrupted += 1
                continue
            used = max(0.0, span.end - span.start) / 3600
            total.job_hours += used
            total.gpu_hours += used * line["gpus"]
            if span.runs or span.exit == 0:
                continue
            total.interrupted += 1
            state = state_of(line["cells"][span.member])
            saved = kept.hours(state, span.start, span.end) if state else None
            if saved is None:
                total.undecided_gpu_hours += used * line["gpus"]
                continue
            lost = max(0.0, used - saved)
            total.lost_job_hours += lost
            total.lost_gpu_hours += lost * line["gpus"]
    return total


def _spans(folder: SlurmFolder, ticket: str, lives: bool) -> Iterator[Span]:
    begun: dict[str, Any] | None = None
    for line in lines_of(folder.root / "ends" / f"{ticket}.0.jsonl"):
        if line["event"] == "start":
            if begun is not None:  # SLURM killed it and started the job again
                yield Span(begun["member"], begun["time"], None, None)
            begun = line
        elif begun is not None and line["member"] == begun["member"]:
            yield Span(line["member"], begun["time"], line["time"], line["exit"])
            begun = None
    if begun is None:
        return
    if lives:
        yield Span(begun["member"], begun["time"], time.time(), None, runs=True)
        return
    printed = folder.log_path(ticket)
    last = printed.stat().st_mtime if printed.exists() else 0.0  # SLURM's own last words, or the work's
    yield Span(begun["member"], begun["time"], last if last > begun["time"] else None, None)


class _Kept:
    """Hours of attempts at trainings whose steps are still in the history."""

    def __init__(self):
        self._read: dict[Path, tuple[list, list, list, list]] = {}

    def hours(self, state: Path, start: float, end: float) -> float | None:
        """Of the attempt between two times; None where nothing tells."""
        if not (state / "fingerprint").exists() or (state / "fingerprint").stat().st_mtime > end:
            return None  # what it wrote was set aside or removed
        if state not in self._read:
            steps = [step["seconds"] for step in progress.history(state)]
            self._read[state] = progress.attempts(state), progress.stops(state), progress.endings(state), steps
        attempts, stops, endings, steps = self._read[state]
        these = [k for k, attempt in enumerate(attempts) if start - 1 <= attempt.time <= end + 1]
        if not these:
            return 0.0  # it never came to its first step
        this = these[-1]
        later = attempts[this + 1 :]
        if later and any(attempts[this].time <= ending <= later[-1].time for ending in endings):
            return None  # trained again since then, which wrote another history
        finished = len(steps) if endings else progress.saved_step(state) or 0
        until = later[0].at if later else finished
        if any(start <= time <= end + 1 and step <= until for time, step in stops):
            return (end - attempts[this].time) / 3600  # it saved all it did
        return sum(steps[attempts[this].at : until]) / 3600 if until <= len(steps) else None
