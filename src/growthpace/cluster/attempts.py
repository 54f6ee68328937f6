"""Retry by cause: why an attempt at a job ended, and what follows. Pure decisions; the executor carries them out.

| cause | what happened | what follows |
|---|---|---|
| done | exit code 0 | nothing |
| stopped, preempted, timeout, node failure, killed, lost | the allocation ended, not the work | again at no charge |
| busy | another live job holds the state | again in a minute |
| out of memory | the system or the GPU ran out of memory | once more with twice the memory, then stop |
| defect, bad input, no space, cancelled | it would end the same way again, or somebody wanted it to end | stop |

"At no charge" has one limit: an attempt that gets nowhere. After `FRUITLESS` attempts in a row that saved no progress
the cell stops and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from growthpace.interruptible import BAD_INPUT, BUSY, NO_SPACE, OUT_OF_MEMORY, STOPPED

FRUITLESS = 5
"""Attempts in a row without progress before a cell is given up."""
KILLED, TERMINATED = 137, 143
"""Exit codes of a process that SIGKILL or SIGTERM ended, as a shell reports them."""


class Cause(StrEnum):
    """Why an attempt ended."""

    DONE = "done"
    STOPPED = "stopped"
    PREEMPTED = "preempted"
    TIMEOUT = "time limit"
    NODE_FAILURE = "node failure"
    KILLED = "killed"
    LOST = "lost"
    BUSY = "busy"
    OUT_OF_MEMORY = "out of memory"
    NO_SPACE = "disk full"
    CANCELLED = "cancelled"
    BAD_INPUT = "bad input"
    DEFECT = "defect"


FREE = frozenset({Cause.STOPPED, Cause.PREEMPTED, Cause.TIMEOUT, Cause.NODE_FAILURE, Cause.KILLED, Cause.LOST})
"""Causes that say nothing about the work itself."""

BY_EXIT = {
    0: Cause.DONE,
    BAD_INPUT: Cause.BAD_INPUT,
    STOPPED: Cause.STOPPED,
    BUSY: Cause.BUSY,
    OUT_OF_MEMORY: Cause.OUT_OF_MEMORY,
    NO_SPACE: Cause.NO_SPACE,
    KILLED: Cause.KILLED,
    TERMINATED: Cause.STOPPED,
}
BY_STATE = {
    "CANCELLED": Cause.CANCELLED,
    "PREEMPTED": Cause.PREEMPTED,
    "TIMEOUT": Cause.TIMEOUT,
    "DEADLINE": Cause.TIMEOUT,
    "NODE_FAIL": Cause.NODE_FAILURE,
    "BOOT_FAIL": Cause.NODE_FAILURE,
    "OUT_OF_MEMORY": Cause.OUT_OF_MEMORY,
}


def cause_of(exit_code: int | None, state: str | None) -> Cause:
    """Why an attempt ended.

    exit_code: of its process, None where it left none (it was killed with its allocation); state: how SLURM says that
    the job ended, None where nobody can tell any more.
    """
    if exit_code is not None and exit_code not in (STOPPED, KILLED, TERMINATED):
        return BY_EXIT.get(exit_code, Cause.DEFECT)
    # It was stopped or killed: SLURM knows by whom.
    if state in BY_STATE:
        return BY_STATE[state]
    if exit_code is not None:
        return BY_EXIT[exit_code]
    return Cause.LOST if state in (None, "COMPLETED") else Cause.KILLED


@dataclass(frozen=True)
class History:
    """What is known of a cell's earlier attempts in this sweep."""

    fruitless: int = 0
    """Attempts in a row that ended at no charge and saved no progress."""
    out_of_memory: int = 0
    """Attempts that ran out of memory."""


@dataclass(frozen=True)
class Decision:
    """What follows an attempt."""

    action: Literal["done", "again", "stop"]
    history: History
    memory_factor: float = 1.0
    """How much more memory the next attempt gets than the last one had."""
    delay_seconds: int = 0
    message: str = ""
    """For a user, where it stops."""


def decide(cause: Cause, history: History, progress: bool, advice: str = "") -> Decision:
    """What follows an attempt that ended by `cause`.

    progress: whether it saved more than there was before. advice: the setting to change where memory runs out twice.
    """
    if cause == Cause.DONE:
        return Decision("done", History())
    if cause == Cause.BUSY:
        return Decision("again", history, delay_seconds=60)
    if cause == Cause.OUT_OF_MEMORY:
        if history.out_of_memory == 0:
            return Decision("again", History(history.fruitless, 1), memory_factor=2.0)
        return Decision(
            "stop", history, message=f"ran out of memory twice, the second time with more. {advice}".strip()
        )
    if cause in FREE:
        fruitless = 0 if progress else history.fruitless + 1
        if fruitless < FRUITLESS:
            return Decision("again", History(fruitless, history.out_of_memory))
        return Decision(
            "stop",
            History(fruitless, history.out_of_memory),
            message=f"ended {fruitless} times in a row before it could save anything (the last time: {cause}). Give it "
            "longer jobs (max_hours in the site's file) or lower training.save_minutes",
        )
    messages = {
        Cause.CANCELLED: "cancelled in SLURM by somebody; `growthpace resume` goes on with it",
        Cause.NO_SPACE: "the disk is full or a quota is reached; make room, then `growthpace resume` goes on with it",
        Cause.BAD_INPUT: "its input is wrong; see the message in its log",
        Cause.DEFECT: "it failed by itself and would fail again; see the error in its log",
    }
    return Decision("stop", history, message=messages[cause])
