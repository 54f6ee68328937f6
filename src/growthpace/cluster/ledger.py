"""What was submitted and how it ended: tickets, their ends, and the ledger of a study, under `results/{study}/slurm/`.

- `tickets/{ticket}.json`: what one SLURM job is to do, written before it is submitted.
- `ends/{ticket}.{node}.jsonl`: what became of each part of it, written by the job itself.
- `ledger.jsonl`: submissions and ends as the head process saw them, for `growthpace status` and the report.
- `logs/{ticket}.out`: what the job printed, SLURM's own words too.

A head process that takes over from a dead one finds everything here and in squeue (a job's comment is its ticket).
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from growthpace.cluster import slurm
from growthpace.cluster.placement import Need
from growthpace.files import read_json, write_json
from growthpace.paths import Paths


@dataclass(frozen=True)
class Member:
    """One of Snakemake's jobs within a SLURM job."""

    cell: str
    """Such as `train 7b/curated-640/seed-42` or `predict 7b/curated-640/seed-42 test selected`."""
    command: str
    """Shell command on the first node."""
    elsewhere: str
    """Shell command on every other node."""
    outputs: list[str]
    log: str
    state: str | None
    """State folder of a job that can be resumed."""
    stamp: str
    """Fingerprint of its inputs when it was submitted: a job on other inputs is another job."""


@dataclass(frozen=True)
class Ticket:
    """What one SLURM job is to do."""

    members: list[Member]
    need: Need
    partition: str
    margin_seconds: int
    """It saves and stops this long before its time limit."""
    name: str = field(default_factory=lambda: uuid.uuid4().hex[:12])


class SlurmFolder:
    """The files of a study's SLURM jobs."""

    def __init__(self, root: Path):
        self.root = root / "slurm"

    def prepare(self) -> None:
        """Makes the folders."""
        for name in ("tickets", "ends", "logs"):
            (self.root / name).mkdir(parents=True, exist_ok=True)

    def ticket_path(self, name: str) -> Path:
        return self.root / "tickets" / f"{name}.json"

    def log_path(self, name: str) -> Path:
        return self.root / "logs" / f"{name}.out"

    def write_ticket(self, ticket: Ticket) -> None:
        write_json(self.ticket_path(ticket.name), asdict(ticket))

    def read_ticket(self, name: str) -> Ticket | None:
        """A ticket by name; None if there is none."""
        path = self.ticket_path(name)
        return ticket_from(read_json(path)) if path.exists() else None

    def ends_path(self, name: str, node: int) -> Path:
        return self.root / "ends" / f"{name}.{node}.jsonl"

    def ends(self, ticket: Ticket) -> list[dict[str, Any]]:
        """What a job wrote of its parts, on all nodes, in order of time; a torn last line is ignored."""
        nodes = range(ticket.need.nodes)
        found = [line for node in nodes for line in lines_of(self.ends_path(ticket.name, node))]
        return sorted(found, key=lambda line: line["time"])

    def record(self, event: str, **facts: Any) -> None:
        """Adds a line to the ledger."""
        add_line(self.root / "ledger.jsonl", {"event": event, "time": round(time.time(), 3), **facts})

    def ledger(self) -> list[dict[str, Any]]:
        """All lines of the ledger, oldest first."""
        return list(lines_of(self.root / "ledger.jsonl"))


def ticket_from(content: dict[str, Any]) -> Ticket:
    """A ticket as its file holds it."""
    members = [Member(**member) for member in content["members"]]
    return Ticket(**{**content, "members": members, "need": Need(**content["need"])})


def add_line(path: Path, content: dict[str, Any]) -> None:
    """Adds a JSON line and brings it to the disk. It begins a new line whatever a full disk left of the one before."""
    with open(path, "a+b") as handle:
        if handle.seek(0, os.SEEK_END):
            handle.seek(-1, os.SEEK_END)
            torn = handle.read(1) != b"\n"
        else:
            torn = False
        handle.write((b"\n" if torn else b"") + json.dumps(content).encode() + b"\n")
        handle.flush()
        os.fsync(handle.fileno())


def lines_of(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a file of JSON lines, but for torn ones; none where there is no file."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(json.JSONDecodeError):  # torn: a full disk, a crash, or it is being written now
            yield json.loads(line)


def exit_codes(ends: list[dict[str, Any]], nodes: int) -> dict[int, int]:
    """Exit code of each member that has ended on `nodes` nodes, by its position; of a requeued job the last time's.

    It has ended once the first node says so, well only once all do. A process that a signal ended on any node is the
    cause of what the other nodes then complain of.
    """
    last: dict[int, int] = {}
    found: dict[int, dict[int, int]] = {}
    for line in sorted(ends, key=lambda line: line["restart"]):
        member = line["member"]
        if line["restart"] != last.get(member):
            last[member], found[member] = line["restart"], {}
        if line["event"] == "end":
            found[member][line["node"]] = line["exit"]
    worst = {
        member: max(codes.values(), key=lambda code: (code > 128, code != 0))
        for member, codes in found.items()
        if 0 in codes
    }
    return {member: code for member, code in worst.items() if code or len(found[member]) == nodes}


def live_cells(study: str, paths: Paths) -> dict[str, str]:
    """SLURM ids of a study's live jobs by cell, such as `train 7b/curated-640/seed-42`; none if SLURM cannot tell."""
    folder, found = SlurmFolder(paths.root), {}
    for job in slurm.queue(study) or []:
        ticket = folder.read_ticket(job.comment.split()[-1]) if job.live and job.comment else None
        found |= {member.cell: job.id for member in ticket.members} if ticket else {}
    return found
