"""Files of a made-up study on SLURM: runs that are trained, states, tickets, ends and a ledger."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from growthpace.cluster.ledger import SlurmFolder
from growthpace.cluster.slurm import QueuedJob
from growthpace.files import write_json, write_text
from growthpace.grid import SELECTED, Grid
from growthpace.paths import Paths
from growthpace.study import load_study
from small_study import CONTENT, changed, write_study

EVENING = datetime(2026, 3, 1, 20, 0, tzinfo=UTC).timestamp()

HOLD = """
import sys, time
from pathlib import Path
from growthpace.interruptible import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


@contextlib.contextmanager
def held(folder: Path):
    """Another process holds the lock of a folder."""
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.stdin.close()


def queued(number: str, state: str, ticket: str, cell: str = "x", reason: str = "None", **more) -> QueuedJob:
    facts = {"nodes": "n1", "elapsed": "1:00:00", "limit": "1-00:00:00", "partition": "gpu", "start": "N/A", **more}
    return QueuedJob(number, state, reason, comment=f"growthpace {cell} {ticket}", **facts)


class Files:
    """A small study in the present folder."""

    def __init__(self, **changes):
        content = CONTENT
        for path, value in changes.items():
            content = changed(path.replace("__", "."), value, content)
        self.config = write_study(Path(), content)
        self.study = load_study(self.config)
        self.paths, self.grid = Paths(self.study), Grid(self.study)
        self.folder = SlurmFolder(self.paths.root)

    def state(self, run: str, log: str, steps: int, saved: int | None = None, **more) -> Path:
        """A training's state: steps of 10 s and 1000 tokens with a loss of 2."""
        state = self.paths.root / "runs" / run / "state"
        state.mkdir(parents=True)
        (state / "log.txt").write_text(log)
        write_text(state / "fingerprint", more.get("fingerprint", "abc"))
        step = {"loss": 2.0, "learning_rate": 1e-5, "tokens": 1000, "answer_tokens": 10, "seconds": 10.0}
        (state / "history.jsonl").write_text((json.dumps(step) + "\n") * steps + '{"loss": 2')
        if saved is not None:
            self.checkpoint(state, saved)
        return state

    @staticmethod
    def checkpoint(state: Path, step: int) -> Path:
        folder = state / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        (folder / "weights").write_text("w" * 100)
        write_json(folder / "complete.json", {"weights": {"size": 100, "xxh3": "unread"}})
        return folder

    def finish(self, text: str, epoch: int = 3) -> None:
        """All results of a run, with the weights of every epoch."""
        run = self.grid.run(text)
        for e in range(1, self.grid.epochs(run) + 1):
            weights = self.paths.weights(run, e)
            weights.mkdir(parents=True)
            (weights / "model.safetensors").write_text("w" * 1000)
            write_json(self.paths.marker(run, e), {"epoch": e})
        write_json(self.paths.training(run), {"epochs": []})
        write_json(self.paths.run(run) / "state" / "finished.json", {})
        write_json(self.paths.selected(run), {"epoch": epoch})
        for suite, at in self.grid.evaluations(run):
            self.predict(run, suite, at)

    def predict(self, run, suite: str, epoch: int | str = SELECTED) -> None:
        path = self.paths.prediction(run, suite, epoch)
        state = path.with_suffix(".state")
        state.mkdir(parents=True)
        for place in (path, state / "finished"):
            place.write_text("p" * 10)

    def submitted(self, ticket: str, *cells: str, gpus: int = 1) -> None:
        self.folder.prepare()
        self.folder.record("submitted", ticket=ticket, slurm="7", cells=list(cells), gpus=gpus)
        write_json(self.folder.ticket_path(ticket), {"members": []})

    def ended(self, ticket: str, cell: str, cause: str, code: int | None = 0, message: str = "", log: str = "") -> None:
        facts = {"ticket": ticket, "slurm": "7", "cell": cell, "cause": cause, "exit": code}
        self.folder.record("ended", **facts, message=message, log=log or f"results/small/logs/{cell}.log")

    def part(self, ticket: str, member: int, start: float, end: float | None, code: int = 0) -> None:
        """What a job writes about one part of its own."""
        lines = [{"event": "start", "member": member, "node": 0, "time": start}]
        if end is not None:
            lines.append({"event": "end", "member": member, "node": 0, "time": end, "exit": code})
        with open(self.folder.root / "ends" / f"{ticket}.0.jsonl", "a") as handle:
            handle.writelines(json.dumps(line) + "\n" for line in lines)
