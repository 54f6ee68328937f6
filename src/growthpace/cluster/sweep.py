"""The SLURM jobs of one study: adopts those that live, batches and submits what waits, decides what follows an end.

Knows nothing of Snakemake (its executor plugin hands tasks in and out) and meets SLURM in a few functions of
`growthpace.cluster.slurm`, so that a simulation can stand in for the cluster.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from growthpace.cluster import slurm as real_slurm
from growthpace.cluster.attempts import FREE, Cause, Decision, History, cause_of, decide
from growthpace.cluster.ledger import Member, SlurmFolder, Ticket, exit_codes
from growthpace.cluster.placement import Need, most_memory_mb, place, sbatch_options
from growthpace.cluster.site import Partition, Site
from growthpace.errors import InputError
from growthpace.training.states import is_complete, states, step_of

QUERY_SECONDS = 10
"""Between two questions to squeue. What ends well is seen at once, from the job's own files."""
BROKEN_SECONDS = 3
"""The same while something went wrong, since only SLURM knows why."""
START_SECONDS = 10
"""What starting a job costs: the interpreter, torch (measured 6 s) and SLURM's own work."""
START_SHARE = 0.1
"""Most of a batch's time that may go into starting it."""
UNKNOWN_BATCH = 4
"""Predictions in a batch while nothing is known about how long they take."""
APPEARS_SECONDS = 30
"""After its submission a job may be missing in squeue's answers for so long."""
ACCOUNTING_SECONDS = 60
"""How long SLURM's accounting is asked about a job that squeue no longer knows."""
TEMPORARY = ("timed out", "unable to contact", "refused", "temporarily", "submit", "try again", "busy")
"""What sbatch says where trying again later helps; `submit` is in the names of all limits on queued jobs."""

MEMORY_WORDS = ("exceeded memory limit", "oom_kill event", "oom-kill event")
"""What slurmstepd writes into a job's output when it or the kernel kills for memory."""


@dataclass
class Task:
    """One of Snakemake's jobs on its way through SLURM."""

    member: Member
    need: Need
    seconds: float | None
    """Estimated work; None where nothing is known."""
    batchable: bool
    """Whether it may share a SLURM job with others of its kind."""
    advice: str
    """The setting to change where memory runs out for good."""
    handle: Any
    """Whatever it belongs to."""
    history: History = field(default_factory=History)
    progress: float = 0.0
    not_before: float = 0.0


@dataclass
class SlurmJob:
    """A submitted job and the tasks that wait for it."""

    ticket: Ticket
    id: str | None
    """None while it is unclear whether SLURM took it."""
    submitted: float
    tasks: dict[int, Task]
    """By member; ended ones are gone from here."""
    vanished: float | None = None
    """When squeue first did not know it any more."""


class Sweep:
    """All SLURM jobs of a study, under one head process."""

    def __init__(
        self,
        study: str,
        folder: SlurmFolder,
        site: Site,
        script: Callable[[Ticket], str],
        report: Callable[[str], None],
        slurm: Any = real_slurm,
        clock: Callable[[], float] = time.time,
    ):
        """script: the job script of a ticket. Raises `InputError` where SLURM does not answer."""
        self.study, self.folder, self.site, self.script = study, folder, site, script
        self.report, self.slurm, self.clock = report, slurm, clock
        self.waiting: list[Task] = []
        self.jobs: dict[str, SlurmJob] = {}
        self.submissions: deque[float] = deque()
        self.asked = -math.inf
        self.hold_until = 0.0
        self.lock = threading.Lock()  # Snakemake hands tasks in and looks for ends in two threads
        folder.prepare()
        self._take_over()

    # --- what an earlier head process left ---

    def _take_over(self) -> None:
        queue = self.slurm.queue(self.study)
        if queue is None:
            raise InputError("SLURM does not answer (squeue); its controller is down. Try again when it is back")
        live = {job.comment.split()[-1]: job.id for job in queue if job.live and job.comment.startswith("growthpace ")}
        self.left: dict[str, tuple[Ticket, int, str | None]] = {}
        """By cell: what was submitted by an earlier head and not seen to end; its id while it lives."""
        lines = self.folder.ledger()
        ended = {(line["ticket"], line["cell"]) for line in lines if line["event"] == "ended"}
        known = dict.fromkeys([*(line["ticket"] for line in lines if line["event"] == "submitted"), *live])
        for name in known:
            ticket = self.folder.read_ticket(name)
            for k, member in enumerate(ticket.members if ticket else []):
                if (name, member.cell) not in ended:
                    self.left[member.cell] = (ticket, k, live.get(name))
        if live:
            self.report(f"{len(live)} SLURM jobs of this study are still queued or running; they are waited for")

    def adopt(self, task: Task) -> str | None:
        """What an earlier head left of a task: "done", "live" (it is waited for now), or None (to be submitted).

        A live job on other inputs, of this task alone, is cancelled: what it computes is no longer wanted.
        """
        with self.lock:
            return self._adopt(task)

    def _adopt(self, task: Task) -> str | None:
        left = self.left.pop(task.member.cell, None)
        if left is None:
            return None
        ticket, k, job_id = left
        same = ticket.members[k].stamp == task.member.stamp
        code = self._exit_codes(ticket).get(k)
        if same and code == 0 and all(Path(path).exists() for path in task.member.outputs):
            self._record_end(ticket, job_id, task, Cause.DONE, code, "")
            return "done"
        if job_id is None:
            return None
        if not same:
            if len(ticket.members) == 1:
                self.report(f"{task.member.cell}: SLURM job {job_id} computes it with other settings, it is cancelled")
                self.slurm.cancel([job_id])
                task.not_before = self.clock() + QUERY_SECONDS
            # A batch goes on for the sake of its others. What it is at now holds that state's lock until it has ended,
            # and what it has not begun it computes with the present settings, as everybody does.
            return None
        job = self.jobs.setdefault(ticket.name, SlurmJob(ticket, job_id, self.clock(), {}))
        job.tasks[k] = task
        task.progress = progress_of(task.member.state)
        self.report(f"{task.member.cell}: SLURM job {job_id} is at it already, it is waited for")
        return "live"

    def _exit_codes(self, ticket: Ticket) -> dict[int, int]:
        return exit_codes(self.folder.ends(ticket), ticket.need.nodes)

    # --- one look at everything ---

    def add(self, task: Task) -> None:
        """Queues a task; the next `tick` submits it as the site's limits allow."""
        with self.lock:
            self.waiting.append(task)

    def tick(self) -> list[tuple[Task, Cause, Decision]]:
        """Looks at all jobs and submits what can be; the tasks that have come to an end, good or bad."""
        with self.lock:
            return list(self._tick())

    def _tick(self) -> Iterator[tuple[Task, Cause, Decision]]:
        found = {name: self._exit_codes(job.ticket) for name, job in self.jobs.items()}
        broken = any(code for codes in found.values() for code in codes.values())
        queue = None
        if self.jobs and self.clock() - self.asked >= (BROKEN_SECONDS if broken else QUERY_SECONDS):
            self.asked = self.clock()
            queue = self.slurm.queue(self.study)
        for name, job in list(self.jobs.items()):
            yield from self._look_at(job, found[name], queue)
            if not job.tasks:
                del self.jobs[name]
        yield from self._submit_waiting()

    def _look_at(self, job: SlurmJob, codes: dict[int, int], queue: list | None):
        for k, code in codes.items():
            if k not in job.tasks:
                continue
            cause = cause_of(code, None)
            # On several nodes the first complaint may be of another node's end.
            final = cause == Cause.DONE or (cause not in FREE | {Cause.OUT_OF_MEMORY} and job.ticket.need.nodes == 1)
            if final:
                yield from self._ended(job, k, cause, code)
        if queue is None or not job.tasks:
            return
        state = self._terminal_state(job, queue)
        if state is None:
            return
        started = {line["member"] for line in self.folder.ends(job.ticket) if line["event"] == "start"}
        for k in list(job.tasks):
            cause = cause_of(codes.get(k), None if state == "UNKNOWN" else state)
            if cause in (Cause.KILLED, Cause.LOST) and self._memory_was_exceeded(job.ticket):
                cause = Cause.OUT_OF_MEMORY
            yield from self._ended(job, k, cause, codes.get(k), charged=k in started)

    def _terminal_state(self, job: SlurmJob, queue: list) -> str | None:
        """How SLURM says that a job ended ("UNKNOWN": it cannot tell); None while it lives or nobody can be asked."""
        entries = [entry for entry in queue if entry.comment.endswith(job.ticket.name)]
        if entries:
            job.id, job.vanished = entries[-1].id, None
            return None if entries[-1].live else entries[-1].state
        if self.clock() - job.submitted < APPEARS_SECONDS:
            return None
        if job.id is None:  # SLURM never took it
            self.report(f"ticket {job.ticket.name} never reached SLURM, it is submitted again")
            return "UNKNOWN"
        job.vanished = job.vanished or self.clock()
        state = self.slurm.ended_state(job.id)
        if state in real_slurm.LIVE:  # accounting lags behind
            state = None
        return state or ("UNKNOWN" if self.clock() - job.vanished > ACCOUNTING_SECONDS else None)

    def _memory_was_exceeded(self, ticket: Ticket) -> bool:
        """Whether SLURM says in the job's output that it killed something for its memory; where it limits memory
        without control groups, its state does not tell (measured: a job of such a step is just FAILED)."""
        log = self.folder.log_path(ticket.name)
        text = log.read_text(errors="replace")[-10_000:] if log.exists() else ""
        return any(words in text for words in MEMORY_WORDS)

    def _ended(self, job: SlurmJob, k: int, cause: Cause, code: int | None, charged: bool = True):
        """Takes a task off its job and carries out what follows."""
        task = job.tasks.pop(k)
        now = progress_of(task.member.state)
        decision = decide(cause, task.history, progress=now > task.progress, advice=task.advice)
        memory_mb = task.need.memory_mb
        if decision.memory_factor > 1:
            memory_mb = min(int(memory_mb * decision.memory_factor), most_memory_mb(task.need, self.site))
            if memory_mb <= task.need.memory_mb:
                message = f"ran out of memory with all that a node here has ({memory_mb / 1000:g} GB). {task.advice}"
                decision = Decision("stop", task.history, message=message)
        if not charged and cause != Cause.CANCELLED:  # it had not begun
            decision = Decision("again", task.history)
        self._record_end(job.ticket, job.id, task, cause, code, decision.message)
        if decision.action != "again":
            yield task, cause, decision
            return
        task.history = decision.history
        task.need = replace(task.need, memory_mb=memory_mb)
        task.not_before = self.clock() + decision.delay_seconds
        more = f", with {task.need.memory_mb / 1000:.1f} GB of memory" if decision.memory_factor > 1 else ""
        self.report(f"{task.member.cell}: SLURM job {job.id} ended ({cause}), goes on in a new one{more}")
        self.waiting.append(task)

    def _record_end(self, ticket: Ticket, job_id, task: Task, cause: Cause, code: int | None, message: str) -> None:
        facts = {"ticket": ticket.name, "slurm": job_id, "cell": task.member.cell, "cause": cause.value, "exit": code}
        self.folder.record("ended", **facts, message=message, log=task.member.log)

    # --- submission ---

    def _submit_waiting(self):
        now = self.clock()
        # The longest first: a long training that starts last is waited for by itself.
        ready = sorted((t for t in self.waiting if t.not_before <= now), key=lambda t: -(t.seconds or math.inf))
        if not ready or now < self.hold_until:
            return
        placed: list[tuple[Task, Partition, Need]] = []
        for task in ready:
            try:
                placed.append((task, *place(task.need, self.site, task.member.cell)))
            except InputError as error:
                self.waiting.remove(task)
                yield task, Cause.BAD_INPUT, Decision("stop", task.history, message=str(error))
        room = max(0, self.site.jobs_at_once - len(self.jobs))
        for batch in batches(placed, self.site, room)[:room]:
            while self.submissions and self.submissions[0] < now - 60:
                self.submissions.popleft()
            if len(self.submissions) >= self.site.submissions_per_minute:
                return
            refusal = self._submit(batch)
            if refusal is None:
                continue
            if any(word in refusal.lower() for word in TEMPORARY):
                self.report(f"sbatch cannot take jobs now, tried again in a minute: {refusal}")
                self.hold_until = now + 60
                return
            for task, _, _ in batch:
                yield task, Cause.BAD_INPUT, Decision("stop", task.history, message=f"sbatch refused: {refusal}")

    def _submit(self, batch: list[tuple[Task, Partition, Need]]) -> str | None:
        """Submits a batch; what sbatch said where it refused."""
        tasks, partition = [task for task, _, _ in batch], batch[0][1]
        need = joined([need for _, _, need in batch], partition)
        margin = int(min(self.site.margin_minutes * 60, need.minutes * 6))  # at most a tenth of the limit
        ticket = Ticket([task.member for task in tasks], need, partition.name, margin)
        self.folder.write_ticket(ticket)
        others = f" +{len(tasks) - 1}" if len(tasks) > 1 else ""
        options = [
            f"--job-name={self.slurm.job_name(self.study)}",
            f"--comment=growthpace {tasks[0].member.cell}{others} {ticket.name}",
            f"--output={self.folder.log_path(ticket.name)}",
            "--open-mode=append",
            "--requeue",
            *sbatch_options(need, partition, self.site),
        ]
        job_id, refusal = self.slurm.submit(options, self.script(ticket))
        self.submissions.append(self.clock())
        if job_id is None and "timed out" not in refusal.lower():
            for task in tasks:
                if not any(word in refusal.lower() for word in TEMPORARY):
                    self.waiting.remove(task)
            return refusal
        for task in tasks:
            self.waiting.remove(task)
            task.progress = progress_of(task.member.state)
        self.jobs[ticket.name] = SlurmJob(ticket, job_id, self.clock(), dict(enumerate(tasks)))
        facts = {"cells": [task.member.cell for task in tasks], "partition": partition.name, "gpus": need.gpus}
        more = {"nodes": need.nodes, "cpus": need.cpus, "memory_mb": need.memory_mb, "minutes": need.minutes}
        self.folder.record("submitted", ticket=ticket.name, slurm=job_id, **facts, **more)
        return None


def batches(placed: Iterable[tuple[Task, Partition, Need]], site: Site, room: int) -> list[list]:
    """Tasks put together into SLURM jobs.

    Small ones of a kind share a job: enough of them that starting it is at most `START_SHARE` of its time, no more
    than the site's `batch_minutes`, and spread over the jobs that there is `room` for.
    """
    found: list[list] = []
    together: dict[tuple, list] = {}
    for entry in placed:
        task, partition, need = entry
        if not task.batchable:
            found.append([entry])
        else:
            together.setdefault((partition.name, need.gpus, need.nodes, need.cpus, task.seconds is None), []).append(
                entry
            )
    for entries in together.values():
        if entries[0][0].seconds is None:
            found += [entries[k : k + UNKNOWN_BATCH] for k in range(0, len(entries), UNKNOWN_BATCH)]
            continue
        work = sum(task.seconds for task, _, _ in entries)
        least = START_SECONDS / START_SHARE
        target = min(max(work / max(room - len(found), 1), least), site.batch_minutes * 60)
        batch, filled = [], 0.0
        for entry in entries:
            if batch and filled + entry[0].seconds > target:
                found.append(batch)
                batch, filled = [], 0.0
            batch.append(entry)
            filled += entry[0].seconds
        found.append(batch)
    return found


def joined(needs: list[Need], partition: Partition) -> Need:
    """What a job of several tasks, one after the other, asks for."""
    minutes = min(sum(need.minutes for need in needs), int(partition.max_hours * 60))
    return replace(needs[0], memory_mb=max(need.memory_mb for need in needs), minutes=minutes)


def progress_of(state: str | None) -> float:
    """How far a state folder has come, in a measure that only grows: saved steps of a training, answered batches."""
    if state is None or not (folder := Path(state)).exists():
        return 0.0
    if (folder / "finished.json").exists() or (folder / "finished").exists():
        return math.inf
    saved = [step_of(found) for found in states(folder) if is_complete(found)]
    batches = folder / "batches.jsonl"
    answered = batches.read_bytes().count(b"\n") if batches.exists() else 0
    return float(max(saved, default=0) + answered)
