"""A cluster in simulated time, behind the functions of `growthpace.cluster.slurm` that a `Sweep` calls.

Trainings on it do no work but take their time: start-up, steps, a saved state every so often. They leave what real
ones leave (the ends of members, complete states), so that the sweep decides on what it would see. Running jobs are
preempted at random, at an hourly rate, without a moment's grace, and SLURM holds a requeued job for a while.
"""

from __future__ import annotations

import heapq
import itertools
import json
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

from growthpace.cluster.ledger import SlurmFolder, Ticket
from growthpace.cluster.slurm import QueuedJob, job_name


@dataclass
class Job:
    """A job of the simulated cluster."""

    id: str
    ticket: Ticket
    comment: str
    state: str = "PENDING"
    eligible: float = 0.0
    """It does not start before."""
    started: float = 0.0
    restarts: int = 0
    run: int = 0
    """Counts its starts, so that events of an earlier one are ignored."""


@dataclass
class SimulatedCluster:
    """So many GPUs; one job takes one."""

    folder: SlurmFolder
    gpus: int
    work: dict[str, float]
    """Seconds of each cell's training."""
    preemptions_per_hour: float
    """Share of running jobs that are preempted within an hour."""
    save_seconds: float
    start_seconds: float
    hold_seconds: float = 150.0
    """What SLURM holds a requeued job (measured)."""
    seed: int = 0
    now: float = 0.0
    used: float = 0.0
    """GPU seconds allocated."""
    preempted: int = 0
    job_name = staticmethod(job_name)

    def __post_init__(self):
        self.random = random.Random(self.seed)
        self.jobs: dict[str, Job] = {}
        self.pending: list[Job] = []
        self.free = self.gpus
        self.numbers, self.events = itertools.count(1), []
        self.done: dict[str, float] = dict.fromkeys(self.work, 0.0)  # saved seconds of work

    # --- what a sweep calls ---

    def submit(self, options, script) -> tuple[str, str]:
        comment = next(o for o in options if o.startswith("--comment=")).removeprefix("--comment=")
        ticket = self.folder.read_ticket(comment.split()[-1])
        job = Job(str(next(self.numbers)), ticket, comment, eligible=self.now)
        self.jobs[job.id] = job
        self.pending.append(job)
        return job.id, ""

    def queue(self, study: str) -> list[QueuedJob]:
        return [QueuedJob(j.id, j.state, "", "", "", "", "", j.comment, "") for j in self.jobs.values()]

    def ended_state(self, job: str) -> str | None:
        return None

    def cancel(self, jobs) -> None:
        raise AssertionError("nothing is cancelled in this simulation")

    # --- the passing of time ---

    def advance(self, until: float) -> None:
        """Lets time pass."""
        self._start()
        while self.events and self.events[0][0] <= until:
            self.now, _, what, job, run = heapq.heappop(self.events)
            if run == job.run and job.state == "RUNNING":
                getattr(self, f"_{what}")(job)
            self._start()
        self.now = until
        for job in [job for job in self.jobs.values() if job.state not in ("PENDING", "RUNNING")]:
            del self.jobs[job.id]  # long enough for a look that comes at every step of time

    def next_event(self) -> float | None:
        return self.events[0][0] if self.events else None

    def _start(self) -> None:
        for job in [job for job in self.pending if job.eligible <= self.now][: self.free]:
            self.pending.remove(job)
            self.free -= 1
            job.state, job.started, job.run = "RUNNING", self.now, job.run + 1
            self._write(job, "start")
            (member,) = job.ticket.members
            left = self.start_seconds + self.work[member.cell] - self.done[member.cell]
            limit = job.ticket.need.minutes * 60 - job.ticket.margin_seconds
            self._at(min(left, limit), "finish" if left <= limit else "stop", job)
            self._at(self.random.expovariate(self.preemptions_per_hour / 3600), "preempt", job)
        for job in self.pending:
            if job.eligible > self.now:
                heapq.heappush(self.events, (job.eligible, id(job), "nothing", job, -1))

    def _at(self, seconds: float, what: str, job: Job) -> None:
        heapq.heappush(self.events, (self.now + seconds, next(self.numbers), what, job, job.run))

    def _release(self, job: Job) -> None:
        self.free += 1
        self.used += self.now - job.started

    def _finish(self, job: Job) -> None:
        self._save(job, self.work[job.ticket.members[0].cell])
        self._end(job, 0, "COMPLETED")

    def _stop(self, job: Job) -> None:
        """Its time is over: it saves and stops."""
        worked = self.now - job.started - self.start_seconds
        self._save(job, self.done[job.ticket.members[0].cell] + worked)
        self._end(job, 75, "FAILED")

    def _end(self, job: Job, code: int, state: str) -> None:
        self._release(job)
        self._write(job, "end", exit=code)
        job.state = state

    def _preempt(self, job: Job) -> None:
        """It is killed; what it had saved by then stays."""
        self._release(job)
        self.preempted += 1
        cell = job.ticket.members[0].cell
        worked = max(0.0, self.now - job.started - self.start_seconds)
        self._save(job, self.done[cell] + worked // self.save_seconds * self.save_seconds)
        job.state, job.eligible, job.restarts = "PENDING", self.now + self.hold_seconds, job.restarts + 1
        self.pending.append(job)

    def _save(self, job: Job, seconds: float) -> None:
        (member,) = job.ticket.members
        self.done[member.cell] = seconds
        state = Path(member.state)
        shutil.rmtree(state, ignore_errors=True)
        (state / f"checkpoint-{int(seconds)}").mkdir(parents=True)
        (state / f"checkpoint-{int(seconds)}" / "complete.json").write_text("{}")

    def _write(self, job: Job, event: str, **facts) -> None:
        line = {"event": event, "member": 0, "node": 0, "time": self.now, "slurm": job.id, "restart": job.restarts}
        with open(self.folder.ends_path(job.ticket.name, 0), "a", encoding="utf-8") as handle:
            handle.write(json.dumps({**line, **facts}) + "\n")
