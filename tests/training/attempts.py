"""Attempts at a training, each in a process of its own that can be killed or stopped at a chosen moment.

The processes are forked from one that has only imported what training needs (multiprocessing's `forkserver`): torch
starts once, and an attempt costs well under a second.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import tiny

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["growthpace.cli", "growthpace.training.run", "transformers.models.llama", "torch._dynamo", "deepspeed"]
)  # deepspeed, where it is there, because transformers then imports it with every Trainer
CONFIG = "study.yaml"


@dataclass(frozen=True)
class Moment:
    """Just before the `count`-th call of a function of growthpace (or of torch) about something."""

    function: str
    """`module:attribute`, the attribute with dots."""
    about: str = ""
    """What the text of its arguments must contain to count."""
    count: int = 1
    half: bool = False
    """Half of a file that is being written is there."""
    signal: int = signal.SIGKILL


def _arm(moment: Moment) -> None:
    """Replaces the function so that the process sends itself the signal at the moment."""
    module, _, attribute = moment.function.partition(":")
    owner = importlib.import_module(module)
    *path, name = attribute.split(".")
    for part in path:
        owner = getattr(owner, part)
    original = getattr(owner, name)
    calls = 0

    def armed(*arguments, **keywords):
        nonlocal calls
        calls += moment.about in str(arguments)
        if calls == moment.count and moment.about in str(arguments):
            if moment.half:
                original(*arguments, **keywords)
                file = next(Path(a) for a in arguments if isinstance(a, str | Path))
                os.truncate(file, file.stat().st_size // 2)
            os.kill(os.getpid(), moment.signal)
        return original(*arguments, **keywords)

    setattr(owner, name, armed)


def _attempt(folder: Path, moments: tuple[Moment, ...]) -> None:
    os.chdir(folder)
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):  # pytest captures neither of another process
        os.dup2(os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
        stream.flush()
    from growthpace import cli

    for moment in moments:
        _arm(moment)
    sys.argv = ["growthpace", "train", CONFIG, str(tiny.RUN)]
    cli.main()


def start(folder: Path, *moments: Moment):
    """Starts `growthpace train` on the study in the folder."""
    process = PROCESSES.Process(target=_attempt, args=(folder, moments))
    process.start()
    return process


def attempt(folder: Path, *moments: Moment) -> int:
    """Runs `growthpace train` to its end: the exit code, or minus the number of the signal that killed it."""
    process = start(folder, *moments)
    process.join(120)
    assert process.exitcode is not None, "still running after two minutes"
    return process.exitcode
