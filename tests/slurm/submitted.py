"""Copies of the project whose study runs on a test cluster through `growthpace submit`, and who did what there when.

A copy may be `watched`: every process then writes into `events.jsonl`, beside the results, when it takes a state
folder, comes to a safe point, and lets go. That is the test's own evidence, apart from growthpace's logs, of who
worked on what at any time. What the work computes is not touched.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

from cluster import Cluster
from growthpace.warm import WarmServer

if str(Path(__file__).resolve().parents[1]) not in sys.path:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from workflow.projects import Project, new_project

SITE = """\
partitions:
  - name: main
    gpu: h200
    gpu_memory_gb: 141
    gpu_tflops: 989
    gpus_per_node: 1
    cpus_per_node: {cpus}
    memory_gb_per_node: {memory_gb}
    max_hours: {max_hours}
    max_nodes: 4
submissions_per_minute: 600
"""

WATCH = '''

# --- added by the test to its copy: who works on what, when ---
def _event(kind, folder, **facts):
    import json
    facts |= {{"time": time.time(), "kind": kind, "state": str(Path(folder).absolute()), "pid": os.getpid()}}
    facts |= {{"node": os.environ.get("SLURMD_NODENAME"), "job": os.environ.get("SLURM_JOB_ID")}}
    with open({events!r}, "a") as handle:
        handle.write(json.dumps(facts) + "\\n")


def _eat(folder):
    """Takes far more memory than the job asked for, where the test says so."""
    told = Path({eat!r}) / str(os.environ.get("SLURM_JOB_ID"))
    if told.exists():
        told.unlink()
        _event("eats", folder)
        kept = bytearray({eaten})
        time.sleep(10)
        del kept


def _watch():
    entered, left, log, show = StateFolder.__enter__, StateFolder.__exit__, StateFolder.log, StateFolder.show

    def enter(self):
        entered(self)
        self.watched = True
        _event("takes", self.folder)
        return self

    def leave(self, kind, *more):
        _event("leaves", self.folder, error=kind and kind.__name__)
        return left(self, kind, *more)

    def say(self, line):
        log(self, line)
        _event("says", self.folder, line=line)

    def shown(self, progress, at_once=False):
        _event("shows", self.folder, done=progress.get("done"))
        return show(self, progress, at_once)

    def safe_point(self):
        if getattr(self, "watched", False):
            _event("passes", self.folder)
            _eat(self.folder)
            time.sleep({pause})
        return bool(stop_reason())

    StateFolder.__enter__, StateFolder.__exit__, StateFolder.log = enter, leave, say
    StateFolder.show, StateFolder.stop_requested = shown, property(safe_point)


_watch()
'''
SLOW_SAVING = """

# --- added by the test to its copy: the moment before a state counts is a long one ---
_mark_complete = mark_complete


def mark_complete(state):
    import time

    time.sleep({pause})
    _mark_complete(state)
"""
EATEN = 6_000_000_000
"""Bytes; more than any job of the study asks for."""


class Submitted(Project):
    """A copy of the project with one study and the site file of a test cluster."""

    def __init__(self, folder: Path, cluster: Cluster, config: str):
        super().__init__(folder)
        self.cluster, self.config_name = cluster, config
        self.config = folder / config
        self.results = folder / "results" / yaml.safe_load(self.config.read_text())["study"]

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        """Runs the study on this machine alone; the result must be checked by the caller."""
        # Both of the copy's own source, the warm process as well.
        with patch.dict(os.environ, self.environment()), WarmServer() as warm:
            return self.snakemake(
                "--profile", "profiles/local", *arguments, config=self.config_name, **warm.environment
            )

    @property
    def events_path(self) -> Path:
        return self.folder / "events.jsonl"

    def watch(self, pause: float) -> None:
        """Has every process write down what it does; each safe point takes `pause` seconds more."""
        (self.folder / "eat").mkdir()
        facts = {"events": str(self.events_path), "eat": str(self.folder / "eat"), "eaten": EATEN, "pause": pause}
        for file, text in (("interruptible.py", WATCH), ("training/states.py", SLOW_SAVING)):
            with open(self.folder / "src" / "growthpace" / file, "a", encoding="utf-8") as handle:
                handle.write(text.format(**facts))

    def start(self, verb: str = "submit", *options: str, log: Path | None = None) -> subprocess.Popen:
        """Starts `growthpace submit` or `resume` beside this process; what it says goes to `head.log`."""
        command = [sys.executable, "-m", "growthpace", verb, self.config_name, *options]
        environment = {key: value for key, value in self.environment().items() if not key.startswith("SLURM")}
        environment |= {"SLURM_CONF": str(self.cluster.conf), "OMP_NUM_THREADS": "1"}
        with open(log or self.folder / "head.log", "a", encoding="utf-8") as handle:
            handle.write(f"--- {verb}\n")
            handle.flush()
            return subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=handle, stderr=handle, start_new_session=True
            )

    def submit(self, verb: str = "submit", *options: str, seconds: float = 900) -> tuple[int, str]:
        """Runs a verb to its end; its exit code, and everything that heads have said in this project."""
        head = self.start(verb, *options)
        try:
            code = head.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(head.pid, signal.SIGKILL)
            raise AssertionError(f"growthpace {verb} hangs:\n{self.said()[-3000:]}") from None
        return code, self.said()

    def said(self) -> str:
        """What the head processes have said."""
        return (self.folder / "head.log").read_text(encoding="utf-8", errors="replace")

    def ledger(self) -> list[dict[str, Any]]:
        return lines(self.results / "slurm" / "ledger.jsonl")

    def ticket(self, name: str) -> dict[str, Any] | None:
        path = self.results / "slurm" / "tickets" / f"{name}.json"
        return json.loads(path.read_text()) if path.exists() and path.stat().st_size else None

    def events(self) -> list[dict[str, Any]]:
        return lines(self.events_path)

    def hashes(self) -> dict[str, str]:
        """SHA-256 of every epoch's weights, every prediction and the table of scores."""
        patterns = ("runs/**/epoch-*/model*.safetensors", "predictions/**/epoch-*/*.parquet", "scores.parquet")
        found = sorted(path for pattern in patterns for path in self.results.glob(pattern))
        return {str(path.relative_to(self.results)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def new_submitted(
    folder: Path, cluster: Cluster, study: Path, cpus: int = 1, max_hours: float = 1, **changes
) -> Submitted:
    """A fresh copy of the project with the study, whose keys (dotted with `__`) may be changed."""
    new_project(folder)
    config = f"config/{study.name}"
    (folder / config).write_text(study.read_text(encoding="utf-8"), encoding="utf-8")
    site = SITE.format(cpus=cpus, memory_gb=MEMORY_GB, max_hours=max_hours)
    (folder / "profiles/slurm/site.yaml").write_text(site, encoding="utf-8")
    made = Submitted(folder, cluster, config)
    made.edit_config(**changes)
    return made


MEMORY_GB = 5
"""Of a node, as the test cluster has it."""


# --- who worked on what -----------------------------------------------------------------------------------------------


@dataclass
class Attempt:
    """One process's time with a state folder."""

    state: str
    pid: int
    node: str | None
    job: str | None
    first: float
    last: float
    start: int | None = None
    """Step, or answered items, that it went on from."""
    passed: int = 0
    """Safe points since: a training's steps."""
    shown: int | None = None
    """Answered items, as a prediction counted them."""
    of: int | None = None
    said: list[str] = field(default_factory=list)
    left: bool = False
    """Whether it let go by itself."""

    @property
    def reached(self) -> int | None:
        """Step, or answered items, that it came to."""
        if self.start is None:
            return None
        return self.start + self.passed if "/runs/" in self.state else max(self.start, self.shown or 0)


def attempts(events: list[dict[str, Any]]) -> dict[str, list[Attempt]]:
    """All attempts by state folder, in the order of their beginning."""
    found: dict[str, list[Attempt]] = defaultdict(list)
    current: dict[tuple, Attempt] = {}
    for event in events:
        key = (event["state"], event["pid"], event["node"], event["job"])
        if event["kind"] == "takes":
            current[key] = Attempt(*key, event["time"], event["time"])
            found[event["state"]].append(current[key])
        attempt = current[key]
        attempt.last = event["time"]
        if event["kind"] == "says":
            attempt.said.append(event["line"])
            if event["line"].startswith("starts at "):
                words = event["line"].replace(",", " ").split()
                attempt.start, attempt.of = int(words[3]), int(words[5])
        elif event["kind"] == "passes" and attempt.start is not None:
            attempt.passed += 1
        elif event["kind"] == "shows":
            attempt.shown = event["done"]
        elif event["kind"] == "leaves":
            attempt.left = True
    return found


def lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of JSON lines, but for those that a full disk has torn."""
    found = []
    for line in path.read_text(encoding="utf-8").split("\n") if path.exists() else ():
        with suppress(json.JSONDecodeError):
            found.append(json.loads(line))
    return found
