"""What failed and still stands: from the ledger and from the marks in state folders, with the end of the right log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from growthpace.cluster.attempts import Cause
from growthpace.cluster.ledger import SlurmFolder
from growthpace.interruptible import OUT_OF_MEMORY, failure

LINES = 15
"""Of a log, at most."""
_BY_SLURM = frozenset(
    {Cause.PREEMPTED, Cause.TIMEOUT, Cause.NODE_FAILURE, Cause.KILLED, Cause.LOST, Cause.CANCELLED, Cause.OUT_OF_MEMORY}
)
"""Ends of which SLURM's own words, in what the job printed, tell more than the job's log."""


def failures(folder: SlurmFolder, ledger: list[dict[str, Any]], states: Mapping[str, Path]) -> list[dict[str, Any]]:
    """Failures, newest first; states: state folders of what is unfinished, by cell.

    One that was followed by another attempt, or whose work is done, stands no more. Of each: cell, time (seconds since
    1970), cause, message, log (path of the file that `lines` is the end of, None where there is none), lines.
    """
    found: dict[str, dict[str, Any]] = {}
    for line in ledger:
        if line["event"] == "submitted":
            for cell in line["cells"]:
                found.pop(cell, None)
        elif line["event"] == "ended":
            found.pop(line["cell"], None)
            if line["message"]:
                found[line["cell"]] = line
    told = {cell: _of_slurm(folder, line, states.get(cell)) for cell, line in found.items()}
    for cell, state in states.items():
        mark = failure(state)
        if mark is None:
            continue
        if cell in told:
            told[cell]["message"] = mark["error"]
        else:
            cause = Cause.BAD_INPUT if mark["kind"] == "input" else Cause.DEFECT
            facts = {"cause": cause.value, "message": mark["error"], **_end_of([state / "log.txt"])}
            told[cell] = {"cell": cell, "time": datetime.fromisoformat(mark["when"]).timestamp(), **facts}
    return sorted(told.values(), key=lambda one: one["time"])[::-1]


def _of_slurm(folder: SlurmFolder, line: dict[str, Any], state: Path | None) -> dict[str, Any]:
    logs = [Path(line["log"]), *([state / "log.txt"] if state else [])]
    printed = folder.log_path(line["ticket"])
    killed = line["cause"] in _BY_SLURM and line["exit"] != OUT_OF_MEMORY
    end = _end_of([printed, *logs] if killed else [*logs, printed])
    return {"cell": line["cell"], "time": line["time"], "cause": line["cause"], "message": line["message"], **end}


def _end_of(logs: list[Path]) -> dict[str, Any]:
    for log in logs:
        if log.exists() and (lines := last_lines(log)):
            return {"log": str(log), "lines": lines}
    return {"log": None, "lines": []}


def last_lines(log: Path, number: int = LINES) -> list[str]:
    """The last lines of a log, of its last 16 KB at most."""
    with open(log, "rb") as handle:
        handle.seek(0, 2)
        handle.seek(max(0, handle.tell() - 16384))
        text = handle.read().decode(errors="replace")
    return [line.rstrip() for line in text.splitlines() if line.strip()][-number:]
