"""Attempts at a training, each in a process of its own that can be killed or stopped at a chosen moment.

The processes are forked from one that has only imported what training needs (multiprocessing's `forkserver`): torch
starts once, and an attempt costs well under a second.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import random
import re
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml

import tiny
from growthpace.files import read_json, sha256
from growthpace.training.launch import Place, _free_port, ranks_of

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["growthpace.cli", "growthpace.training.run", "transformers.models.llama", "torch._dynamo", "deepspeed"]
)  # deepspeed, where it is there, because transformers then imports it with every Trainer
CONFIG = "study.yaml"
STUDY = "results/tiny/runs/small/curated-18/seed-1"
STEP = "growthpace.training.run:History.add"
KILLED = -signal.SIGKILL
MEASURED = (
    "seconds",
    "tokens_per_second",
    "answer_tokens_per_second",
    "tokens_per_second_per_device",
    "model_flop_utilisation",  # None without a GPU
    "peak_memory_gb",
    "gpu_hours",
)
"""What `training.json` tells of how it went, which is never twice the same."""


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


def _attempt(folder: Path, moments: tuple[Moment, ...], variables: dict[str, str]) -> None:
    os.chdir(folder)
    os.environ.update(variables)
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):  # pytest captures neither of another process
        os.dup2(os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
        stream.flush()
    from growthpace import cli

    for moment in moments:
        _arm(moment)
    sys.argv = ["growthpace", "train", CONFIG, str(tiny.RUN)]
    cli.main()


def start(folder: Path, *moments: Moment, variables: dict[str, str] | None = None):
    """Starts `growthpace train` on the study in the folder; variables: of its environment."""
    process = PROCESSES.Process(target=_attempt, args=(folder, moments, variables or {}))
    process.start()
    return process


def ended(process) -> int:
    """Waits for a process: its exit code, or minus the number of the signal that killed it."""
    process.join(120)
    assert process.exitcode is not None, "still running after two minutes"
    return process.exitcode


def attempt(folder: Path, *moments: Moment) -> int:
    """Runs `growthpace train` to its end."""
    return ended(start(folder, *moments))


def start_ranks(folder: Path, processes: int, moments: dict[int, Moment] | None = None) -> list:
    """Starts `growthpace train` in several ranks; moments: {rank: its moment}. On CPUs where there are no two GPUs."""
    on = {} if torch.cuda.device_count() >= 2 else {"CUDA_VISIBLE_DEVICES": ""}
    ranks = ranks_of(Place(0, 1, "127.0.0.1", _free_port()), processes)
    chosen = moments or {}
    return [start(folder, *[chosen[n]] if n in chosen else [], variables=on | v) for n, v in enumerate(ranks)]


def attempt_ranks(folder: Path, processes: int, moments: dict[int, Moment] | None = None) -> list[int]:
    """Runs `growthpace train` in several ranks to their ends."""
    return [ended(process) for process in start_ranks(folder, processes, moments)]


def kill_at_random(folder: Path, processes: int, kills: int, seed: int) -> int:
    """Starts a training again and again and kills one of its ranks at a random moment, in a step, in the writing of a
    state or of weights, or between epochs, and at once the others, as their launcher does. Returns how often that was
    before its end."""
    chance, killed = random.Random(seed), 0
    history = folder / STUDY / "state/history.jsonl"
    for _ in range(kills):
        begun, more = history.read_text().count("\n") if history.exists() else 0, chance.choice([0, 1, 1, 2])
        # It does not run away from a busy machine: soon after, it waits for its end.
        stop = Moment(STEP, count=more + 3, signal=signal.SIGSTOP)
        ranks = start_ranks(folder, processes, {0: stop}) if processes > 1 else [start(folder, stop)]
        waiting_for(folder, ranks[0], begun + more)
        time.sleep(chance.expovariate(30))  # most in the step or the state that follows
        for rank in chance.sample(ranks, processes):
            rank.kill()
        killed += KILLED in [ended(rank) for rank in ranks]
    return killed


def waiting_for(folder: Path, process, lines: int) -> None:
    """Waits until so many steps stand in the history, or the process has ended."""
    history = folder / STUDY / "state/history.jsonl"
    deadline = time.monotonic() + 60
    while process.is_alive() and time.monotonic() < deadline:
        if history.exists() and history.read_text().count("\n") >= lines:
            return
        time.sleep(0.002)


def rewrite(folder: Path, **recipe) -> None:
    """Changes the recipe in the study's file."""
    content = yaml.safe_load((folder / CONFIG).read_text())
    content["training"].update(recipe)
    (folder / CONFIG).write_text(yaml.safe_dump(content))


def outcome(folder: Path) -> dict:
    """Everything that a training leaves and that must not depend on how it came about."""
    run = folder / STUDY
    training = read_json(run / "training.json")
    for key in MEASURED:
        training.pop(key)
    files = {str(p.relative_to(run)): sha256(p) for p in run.glob("epoch-*/*")}
    markers = {p.name: read_json(p) for p in run.glob("epoch-*.json")}
    return {"training": training, "files": files, "markers": markers}


def starts(folder: Path) -> list[int]:
    """The step after which each attempt began, from the log that outlives attempts."""
    return [int(step) for step in re.findall(r"starts at step (\d+)", (folder / STUDY / "state/log.txt").read_text())]


def leftovers(folder: Path) -> list[str]:
    """Files that a finished run has no use for."""
    run = folder / STUDY
    return [str(p) for pattern in ("state/checkpoint-*", "**/.*partial", "**/.*.partial") for p in run.glob(pattern)]
