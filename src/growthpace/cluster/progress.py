"""How far trainings and predictions are, from the files in their state folders alone, finished or at work."""

from __future__ import annotations

import errno
import fcntl
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from growthpace.errors import InputError
from growthpace.files import read_json
from growthpace.training.states import is_complete, states, step_of

RECENT = 20
"""Steps that loss and speed are averaged over."""
_STARTED = re.compile(r"^(\S+) (?:\[\S+\] )?starts at (?:step|item) (\d+) of (\d+)", re.MULTILINE)
_STOPPED = re.compile(r"^(\S+) (?:\[\S+\] )?stopped at step (\d+)", re.MULTILINE)
_DONE = re.compile(r"^(\S+) (?:\[\S+\] )?(?:done|everything .*)$", re.MULTILINE)


class Attempt(NamedTuple):
    """A start that a state's log tells of."""

    time: float
    """Seconds since 1970."""
    at: int
    """Step or item it went on after."""
    of: int


def attempts(state: Path) -> list[Attempt]:
    """All starts in a state's log, oldest first."""
    return [Attempt(_seconds(when), int(at), int(of)) for when, at, of in _STARTED.findall(_log(state))]


def endings(state: Path) -> list[float]:
    """When a state's work was finished, in seconds since 1970; more than once for weights that were trained again."""
    return [_seconds(when) for when in _DONE.findall(_log(state))]


def stops(state: Path) -> list[tuple[float, int]]:
    """When a training stopped after saving, in seconds since 1970, and after which step."""
    return [(_seconds(when), int(step)) for when, step in _STOPPED.findall(_log(state))]


def _log(state: Path) -> str:
    path = state / "log.txt"
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _seconds(when: str) -> float:
    return datetime.fromisoformat(when).timestamp()


def saved_step(state: Path) -> int | None:
    """The step that a training would go on after; None where it has no whole state."""
    return next((step_of(found) for found in reversed(states(state)) if is_complete(found)), None)


def history(state: Path) -> list[dict[str, Any]]:
    """The steps of a training, oldest first; a torn last line is left out."""
    path = state / "history.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("}\n")]


def training(state: Path) -> dict[str, Any] | None:
    """How far a training at work is; None before its first sign of life.

    step, of, loss and tokens_per_second (means of the last 20 steps), seconds_left (by the time that this attempt's
    steps took, saving included); None before the first step.
    """
    begun = attempts(state)
    if not begun:
        return None
    steps = history(state)
    recent = steps[-RECENT:]
    seconds = sum(step["seconds"] for step in recent)
    _, at, of = begun[-1]
    left = None
    if len(steps) > at:
        wall = (state / "history.jsonl").stat().st_mtime - begun[-1].time
        left = max(0.0, (of - len(steps)) * wall / (len(steps) - at))
    return {
        "step": len(steps),
        "of": of,
        "loss": sum(step["loss"] for step in recent) / len(recent) if recent else None,
        "tokens_per_second": sum(step["tokens"] for step in recent) / seconds if seconds else None,
        "seconds_left": left,
    }


def prediction(state: Path) -> dict[str, Any] | None:
    """How far a prediction at work is; None before its first sign of life.

    items, of, items_per_second and seconds_left (None before the first batch).
    """
    path = state / "progress.json"
    if path.exists():
        shown = read_json(path)
        rate = shown["items_per_second"]
        left = (shown["of"] - shown["done"]) / rate if rate else None
        return {"items": shown["done"], "of": shown["of"], "items_per_second": rate, "seconds_left": left}
    if begun := attempts(state):
        return {"items": begun[-1].at, "of": begun[-1].of, "items_per_second": None, "seconds_left": None}
    return None


def holder(folder: Path) -> str | None:
    """Who holds `<folder>.lock` (see `interruptible.locked`), in its own words; None if nobody does.

    Asks for a shared lock and lets it go at once, which changes nothing for the holder. Not to be called in the process
    that holds it: closing any handle of the file would end the lock.
    """
    path = folder.with_name(folder.name + ".lock")
    if not path.exists():
        return None
    with open(path, encoding="utf-8") as handle:
        try:
            fcntl.lockf(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                return handle.read().strip() or "unknown"
            raise InputError(f"{path}: its file system has no locks ({error.strerror})") from None
    return None
