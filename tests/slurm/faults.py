"""Faults of every kind, let loose on a study that runs on a test cluster; what became of each, and whether the results
are those of an undisturbed run, bit for bit.

    python tests/slurm/faults.py --each 3 --seed 1 --table benchmarks/faults.md

As root, where `cluster.py` can run. The study is `fault_study.yaml`; each of its steps is slowed down, so that faults
hit in the middle. One head process after the other runs `growthpace submit`, then `resume`, until everything is done,
while faults are thrown at random moments, several at a time. Ends with exit code 1 where anything is not as it should.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fault_record import Fault, Hit, faults_of_results, followed, table
from processes import command_line, environments
from submitted import Attempt, Submitted, attempts, new_submitted

from cluster import NODES, Cluster

STUDY = Path(__file__).with_name("fault_study.yaml")
PAUSE = 1.5
"""Seconds that every step of a training and every batch of a prediction takes longer."""
MINUTES = 1.01
"""That a job gets: a training that starts slowly, or waits, stops by itself and goes on in another job."""
LONGEST = 1800
"""Seconds that a sweep may take, before it counts as hanging."""
RESULTS_MB = 96
"""Of the file system that the results lie on, so that it can be filled."""


@dataclass
class Victim:
    """A running job of the study."""

    job: str
    restart: int
    nodes: str
    cells: list[str]
    states: list[str | None]
    attempt: Attempt | None
    """The process that holds one of its state folders, if one does yet."""

    @property
    def cell(self) -> str:
        """What it is at, as far as one can see from outside."""
        return self.cells[self.states.index(self.attempt.state) if self.attempt else 0]

    @property
    def left(self) -> int | None:
        """Steps or items still to do; None while it starts."""
        if self.attempt is None or self.attempt.start is None:
            return None
        return self.attempt.of - self.attempt.reached

    @property
    def moment(self) -> str:
        if self.attempt is None or self.attempt.start is None:
            return "starting"
        unit = "step" if "/runs/" in self.attempt.state else "item"
        return f"{unit} {self.attempt.reached} of {self.attempt.of}"


class Storm:
    """A sweep, from its first head to its last, and the faults that are thrown at it."""

    def __init__(self, project: Submitted, cluster: Cluster, kinds: list[str], chance: random.Random, pace: float):
        """kinds: of the faults, in their order; pace: seconds from one to the next, on average."""
        self.project, self.cluster, self.left, self.chance, self.pace = project, cluster, list(kinds), chance, pace
        self.faults: list[Fault] = []
        self.codes: list[int] = []
        self.later: list[tuple[float, Callable[[], Any]]] = []
        self.away: set[str] = set()  # nodes, and slurmdbd
        self.doomed: dict[str, float] = {}  # jobs that end soon of an earlier fault: until when to leave them alone
        self.early: list[str] = []  # heads that ended well too soon
        self.head: subprocess.Popen | None = None

    def run(self) -> None:
        """Until everything is done, or a head gives up although nothing disturbs it any more."""
        self.head, began, calm, thrown = self.project.start("submit"), time.time(), 0, 0
        next_one = began + 5
        while True:
            time.sleep(0.25)
            now = time.time()
            for entry in [entry for entry in self.later if entry[0] <= now]:
                self.later.remove(entry)
                entry[1]()
            if self.head is None:
                if not self._full:  # somebody makes room before he goes on
                    self.head, thrown = self.project.start("resume"), len(self.faults)
            elif (code := self.head.poll()) is not None:
                self.codes.append(code)
                self.head = None
                if code == 0 and (self.project.results / "report.html").exists():
                    break
                if code == 0:
                    self.early.append(f"head {len(self.codes)} ended with exit code 0 before everything was done")
                calm = 0 if len(self.faults) > thrown else calm + 1
                if calm > 3:
                    break
            elif now >= next_one and self.left:
                kind = next((kind for kind in self.left if self._throw(kind)), None)
                if kind is not None:
                    self.left.remove(kind)
                    next_one = time.time() + self.chance.uniform(0.2, 1.8) * self.pace
            if now - began > LONGEST:
                if self.head:
                    os.killpg(self.head.pid, signal.SIGKILL)
                self.codes.append(124)
                break
        for _, undo in self.later:
            undo()

    def _throw(self, kind: str) -> bool:
        """Whether there was something to hit; the fault is on record then."""
        found = getattr(self, kind.replace(" ", "_"))()
        if found is None:
            return False
        hit, victims = found
        cells = [Hit(v.cell, v.attempt and v.attempt.state, v.moment, (v.job, v.restart)) for v in victims]
        fault = Fault(kind, hit, time.time(), cells)
        self.faults.append(fault)
        moments = ", ".join(f"{one.cell} ({one.moment})" for one in cells)
        print(f"{time.strftime('%H:%M:%S')} {kind}: {hit}; {moments}", flush=True)
        return True

    # --- what there is to hit ---

    def running(self) -> list[Victim]:
        """The study's running jobs."""
        answer = self.cluster.command("squeue", "-h", "-t", "R", "-O", "JobID:20,RestartCnt:10")
        restarts = dict(line.split() for line in answer.splitlines())
        live = [a for own in attempts(self.project.events()).values() for a in own[-1:] if not a.left]
        found = []
        for job in self.cluster.jobs():
            if job.id not in restarts or not job.comment.startswith("growthpace "):
                continue
            if ticket := self.project.ticket(job.comment.split()[-1]):
                members = ticket["members"]
                folders = [m["state"] and str(self.project.folder / m["state"]) for m in members]
                attempt = next((a for a in live if a.job == job.id and a.state in folders), None)
                cells = [m["cell"] for m in members]
                found.append(Victim(job.id, int(restarts[job.id]), job.node, cells, folders, attempt))
        return found

    def _one(self, fits: Callable[[Victim], Any] = lambda victim: True) -> Victim | None:
        """A job, most often one that has begun to work: starting takes long, and is the least that can be lost."""
        now = time.time()
        found = [v for v in self.running() if fits(v) and self.doomed.get(v.job, 0) < now]
        working = [victim for victim in found if victim.moment != "starting"]
        if working and self.chance.random() < 0.75:
            found = working
        return self.chance.choice(found) if found else None

    def _after(self, seconds: float, action: Callable[[], Any]) -> None:
        self.later.append((time.time() + seconds, action))

    # --- one job ---

    def preemption(self):
        if victim := self._one():
            self.cluster.preempt(victim.job, seconds=self.chance.uniform(1, 5))
            return f"job {victim.job}", [victim]

    def requeue(self):
        if victim := self._one():
            self.cluster.requeue(victim.job)
            return f"job {victim.job}", [victim]

    def scancel(self):
        if victim := self._one():
            self.cluster.cancel(victim.job)
            return f"job {victim.job}", [victim]

    def time_limit(self):
        if victim := self._one(lambda victim: victim.left is None or victim.left > 15):  # SLURM looks every half minute
            end = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(time.time() + 2))
            self.cluster.command("scontrol", "update", f"JobId={victim.job}", f"EndTime={end}")
            self.doomed[victim.job] = time.time() + 35
            return f"job {victim.job}", [victim]

    def out_of_memory(self):
        if victim := self._one(lambda victim: victim.left is not None and victim.left > 2):
            (self.project.folder / "eat" / victim.job).touch()
            self.doomed[victim.job] = time.time() + 10
            return f"job {victim.job} takes more than it asked for", [victim]

    def killed_rank(self):
        victim = self._one(lambda victim: "-" in victim.nodes or "," in victim.nodes)
        if victim is None or victim.attempt is None:
            return None
        known, ranks = environments(), {}
        for pid in self.cluster.pids(victim.job):
            if known.get(pid, {}).get("RANK") and "growthpace" in command_line(pid):
                ranks[known[pid]["RANK"]] = pid
        if len(ranks) < 2:
            return None
        rank = self.chance.choice(sorted(ranks))
        os.kill(ranks[rank], signal.SIGKILL)
        return f"rank {rank} of job {victim.job} on {victim.nodes}", [victim]

    # --- the cluster ---

    def _node(self) -> tuple[str, list[Victim]] | None:
        """A node, with what runs there. One node at a time is out: jobs of two nodes must find theirs."""
        if self.away:
            return None
        node = self.chance.choice(NODES)
        hosts = {v.job: self.cluster.command("scontrol", "show", "hostnames", v.nodes).split() for v in self.running()}
        victims = [victim for victim in self.running() if node in hosts.get(victim.job, ())]
        if victims:
            self.away.add(node)
            return node, victims
        return None

    def node_down(self):
        if found := self._node():
            node, victims = found
            self.cluster.node_down(node)
            self._after(self.chance.uniform(3, 20), lambda: (self.cluster.node_up(node), self.away.discard(node)))
            return node, victims

    def slurmd_killed(self):
        if found := self._node():
            node, victims = found
            self.cluster.kill_slurmd(node)
            seconds = self.chance.uniform(5, 40)  # SLURM gives the node up after ten
            self._after(seconds, lambda: (self.cluster.start_slurmd(node), self.away.discard(node)))
            return f"{node}, for {seconds:.0f} s", victims

    def slurmctld_restarted(self):
        if victims := self.running():
            seconds = self.chance.uniform(1, 15)
            self.cluster.stop_slurmctld()
            time.sleep(seconds)
            self.cluster.start_slurmctld()
            return f"away for {seconds:.0f} s", victims

    def slurmdbd_stopped(self):
        if "slurmdbd" not in self.away and (victims := self.running()):
            self.away.add("slurmdbd")
            self.cluster.stop_slurmdbd()
            self._after(60, lambda: (self.cluster.start_slurmdbd(), self.away.discard("slurmdbd")))
            return "for 60 s", victims

    def head_killed(self):
        if victims := self.running():
            self.head.kill()
            return f"kill -9 {self.head.pid}", victims

    # --- the disk ---

    @property
    def _full(self) -> bool:
        return (self.project.results / "filler").exists()

    def full_disk(self):
        if self._full or not (victims := self.running()):
            return None
        filler, seconds = self.project.results / "filler", self.chance.uniform(3, 12)
        with open(filler, "wb", buffering=0) as handle:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while True:
                        handle.write(b"0" * size)
                except OSError:
                    continue  # the next smaller piece may still fit
        self._after(seconds, filler.unlink)
        return f"for {seconds:.0f} s", victims


KINDS = (
    "preemption", "requeue", "scancel", "time limit", "out of memory", "killed rank", "node down", "slurmd killed",
    "slurmctld restarted", "slurmdbd stopped", "head killed", "full disk",
)  # fmt: skip


@dataclass
class Outcome:
    """What one storm left."""

    faults: list[Fault]
    wrong: list[str]
    """Everything that is not as it should be."""
    seconds: float
    steps: int
    """Of all trainings, done again ones too."""
    needed: int
    cells: int
    heads: int
    budget: int
    """Times that a job stopped by itself since its time was over."""
    said: str = field(repr=False)


def made(folder: Path, cluster: Cluster, seeds: int) -> Submitted:
    """A fresh copy of the study with so many seeds, whose predictions take several batches."""
    project = new_submitted(folder, cluster, STUDY, max_hours=MINUTES / 60, seeds=list(range(1, seeds + 1)))
    project.edit_source("evaluation/memory.py", "MOST_SCORED = 2**14", "MOST_SCORED = 2**8")
    project.edit_source("evaluation/memory.py", "MOST_GENERATED = 2**16", "MOST_GENERATED = 2**8")
    return project


def reference(folder: Path, cluster: Cluster, seeds: int) -> dict[str, str]:
    """The hashes of an undisturbed run on this machine alone, without SLURM and without slow steps."""
    project = made(folder, cluster, seeds)
    done = project.run(f"results/{project.results.name}/scores.parquet")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return project.hashes()


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of its own for a folder."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={RESULTS_MB}m", "results", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def storm(folder: Path, cluster: Cluster, kinds: list[str], chance, seeds: int, pace: float, expected) -> Outcome:
    """Throws faults at one sweep in `folder`; expected: the hashes of an undisturbed run."""
    project = made(folder, cluster, seeds)
    project.watch(PAUSE)
    with small_disk(project.results):
        storm, began = Storm(project, cluster, kinds, chance, pace), time.time()
        storm.run()
        seconds = time.time() - began
        wrong = [f"exit codes of the heads: {storm.codes}"] if storm.codes[-1:] != [0] else []
        wrong += storm.early
        wrong += [f"no chance for: {', '.join(storm.left)}"] if storm.left else []
        wrong += faults_of_results(project, expected)
        for fault in storm.faults:
            followed(fault, storm.faults, project, expected)
        own = attempts(project.events())
        steps = sum(a.passed for state, attempts_ in own.items() if "/runs/" in state for a in attempts_)
        needed = sum(max((a.of or 0) for a in attempts_) for state, attempts_ in own.items() if "/runs/" in state)
        if wrong:
            keep = folder.with_name(folder.name + ".kept")
            shutil.copytree(project.results, keep, dirs_exist_ok=True)
            wrong.append(f"what it left: {keep} and {folder}")
        budget = sum(line["event"] == "ended" and line["cause"] == "stopped" for line in project.ledger())
        return Outcome(storm.faults, wrong, seconds, steps, needed, len(own), len(storm.codes), budget, project.said())


def shuffled(each: int, kinds: tuple[str, ...], chance: random.Random) -> list[str]:
    """So many faults of each kind in a random order."""
    return chance.sample(kinds * each, len(kinds) * each)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--each", type=int, default=3, help="faults of each kind")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), metavar="KIND")
    parser.add_argument("--seeds", type=int, default=6, help="cells of the study: two trainings each")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="of the randomness")
    parser.add_argument("--pace", type=float, default=10, help="seconds between two faults, on average")
    parser.add_argument("--table", type=Path, help="Markdown file to write")
    parser.add_argument("--folder", type=Path, help="a new one, kept; else one under /tmp, removed if all is well")
    parser.add_argument("--reference", type=Path, help="file with the hashes of an undisturbed run; made if missing")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that the cluster goes as well
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="faults-", dir="/tmp"))
    chance = random.Random(arguments.seed)
    with Cluster(cpus=1) as cluster:
        if (known := arguments.reference) and known.exists():
            expected = json.loads(known.read_text())
        else:
            expected = reference(folder / "undisturbed", cluster, arguments.seeds)
            known and known.write_text(json.dumps(expected))
        kinds = shuffled(arguments.each, tuple(arguments.kinds), chance)
        outcome = storm(folder / "disturbed", cluster, kinds, chance, arguments.seeds, arguments.pace, expected)
    text = table(outcome, arguments.seed)
    print(text)
    if arguments.table:
        arguments.table.write_text(text, encoding="utf-8")
    if not arguments.folder and not outcome.wrong:
        shutil.rmtree(folder)
    sys.exit(bool(outcome.wrong))


if __name__ == "__main__":
    main()
