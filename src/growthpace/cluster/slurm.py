"""What growthpace asks of SLURM, through its own commands: squeue, sacct, scontrol, sinfo, sbatch, scancel.

A question that SLURM cannot answer now (its controller or database is down) gives None, never an empty answer: a job
that nobody can tell about has not ended.
"""

from __future__ import annotations

import getpass
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from growthpace.errors import InputError

LIVE = frozenset({
    "PENDING", "RUNNING", "SUSPENDED", "COMPLETING", "CONFIGURING", "RESIZING", "REQUEUED", "REQUEUE_FED",
    "REQUEUE_HOLD", "RESV_DEL_HOLD", "SIGNALING", "SPECIAL_EXIT", "STAGE_OUT", "STOPPED",
})  # fmt: skip
"""States of a job that runs or will run (again); every other state is an end. From squeue's manual page."""

ASKING = 60
"""Seconds that a command may take."""


@dataclass(frozen=True)
class QueuedJob:
    """A job as squeue shows it."""

    id: str
    state: str
    reason: str
    """Why it is pending, such as Resources or Priority; `None` while it runs."""
    nodes: str
    elapsed: str
    """[days-]hours:minutes:seconds since its (last) start."""
    limit: str
    partition: str
    comment: str
    start: str
    """Start, or expected start, as SLURM writes times; N/A where unknown."""

    @property
    def live(self) -> bool:
        """Whether it runs or will run."""
        return self.state in LIVE


def job_name(study: str) -> str:
    """The name that all SLURM jobs of a study have."""
    return f"growthpace-{study}"


def available() -> bool:
    """Whether this machine has SLURM's commands."""
    return all(shutil.which(command) for command in ("sbatch", "squeue", "scancel", "scontrol"))


def require() -> None:
    """Raises `InputError` on a machine without SLURM's commands."""
    missing = [command for command in ("sbatch", "squeue", "scancel", "scontrol") if not shutil.which(command)]
    if missing:
        raise InputError(
            f"{', '.join(missing)}: not found on this machine; log in to the cluster's login node, or run the study "
            "here with `growthpace run`"
        )


def queue(study: str) -> list[QueuedJob] | None:
    """The study's jobs that squeue knows, ended ones of the last minutes too (MinJobAge); None if it cannot tell."""
    fields = "%i|%T|%r|%N|%M|%l|%P|%S|%k"  # the comment last: it may hold anything
    whose = ["--user", getpass.getuser(), "--name", job_name(study)]
    answer = ask(["squeue", "--noheader", *whose, "--states", "all", "--format", fields])
    if answer is None:
        return None
    found = []
    for line in answer.splitlines():
        number, state, reason, nodes, elapsed, limit, partition, start, comment = line.split("|", 8)
        found.append(QueuedJob(number, state, reason, nodes, elapsed, limit, partition, comment, start))
    return found


def ended_state(job: str) -> str | None:
    """How a job ended that squeue no longer knows, from SLURM's accounting; None if that cannot tell (yet)."""
    if not shutil.which("sacct"):
        return None
    answer = ask(["sacct", "--noheader", "--parsable2", "--allocations", "--jobs", job, "--format", "State"])
    states = [line.split()[0] for line in (answer or "").splitlines() if line.strip()]  # "CANCELLED by 1000"
    return states[-1] if states else None


def submit(options: Sequence[str], script: str) -> tuple[str | None, str]:
    """Submits a job script; (its id, "") or (None, what sbatch said)."""
    command = ["sbatch", "--parsable", *options]
    done = subprocess.run(command, input=script, capture_output=True, text=True)
    if done.returncode:
        return None, done.stderr.strip() or f"sbatch ended with exit code {done.returncode}"
    return done.stdout.strip().split(";")[0].splitlines()[-1], ""


def cancel(jobs: Iterable[str]) -> None:
    """Ends jobs; those that have ended already are left alone."""
    jobs = list(jobs)
    for first in range(0, len(jobs), 100):
        subprocess.run(["scancel", "--quiet", *jobs[first : first + 100]], check=False)


def settings() -> dict[str, str] | None:
    """SLURM's configuration (`scontrol show config`); None if its controller does not answer."""
    answer = ask(["scontrol", "show", "config"])
    if answer is None:
        return None
    pairs = (line.split("=", 1) for line in answer.splitlines() if "=" in line)
    return {key.strip(): value.strip() for key, value in pairs}


@dataclass(frozen=True)
class PartitionFacts:
    """A partition as the cluster itself describes it."""

    name: str
    up: bool
    max_minutes: float | None
    """None for no limit."""
    nodes: int
    cpus_per_node: int
    memory_mb: int
    gpus: dict[str, int]
    """GPUs per node by type ("" where none is named); the largest found on any node."""


def partitions() -> dict[str, PartitionFacts] | None:
    """The cluster's partitions by name; None if its controller does not answer."""
    answer = ask(["sinfo", "--noheader", "--format", "%R|%a|%l|%D|%c|%m|%G"])
    if answer is None:
        return None
    found: dict[str, PartitionFacts] = {}
    for line in answer.splitlines():
        name, up, limit, nodes, cpus, memory, gres = line.split("|", 6)
        known = found.get(name)
        gpus = dict(known.gpus) if known else {}
        for kind, number in re.findall(r"gpu(?::([^:,()]+))?:(\d+)", gres):
            gpus[kind] = max(gpus.get(kind, 0), int(number))
        found[name] = PartitionFacts(
            name=name,
            up=up == "up",
            max_minutes=minutes(limit),
            nodes=int(nodes) + (known.nodes if known else 0),
            cpus_per_node=max(int(cpus.rstrip("+")), known.cpus_per_node if known else 0),
            memory_mb=max(int(memory.rstrip("+")), known.memory_mb if known else 0),
            gpus=gpus,
        )
    return found


def minutes(text: str) -> float | None:
    """Minutes of a time as SLURM writes it ([days-]hours:minutes:seconds, minutes:seconds); None for no limit."""
    if text in ("infinite", "UNLIMITED", "n/a", "N/A", ""):
        return None
    days, _, clock = text.rpartition("-")
    parts = [float(part) for part in clock.split(":")]
    if days and len(parts) < 3:
        parts += [0.0] * (3 - len(parts))
    seconds = sum(part * 60**place for place, part in enumerate(reversed(parts)))
    return int(days or 0) * 24 * 60 + seconds / 60


def ask(command: list[str]) -> str | None:
    """What a command printed; None where it failed or took too long."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ASKING)
    except (subprocess.TimeoutExpired, FileNotFoundError):
        return None
    return done.stdout if done.returncode == 0 else None
