"""Resumable states of a run, of which only whole ones are ever used.

A state is a folder `checkpoint-{step}` that transformers' Trainer writes: weights, optimiser, scheduler, random number
generators. It counts once `complete.json` stands in it, written last, with the size of every file; a state whose files
do not agree with it is removed.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from growthpace.files import read_json, write_json, write_text

COMPLETE = "complete.json"


def mark_complete(state: Path) -> None:
    """Flushes a state's files to disk and marks it as whole."""
    sizes = {}
    for path in sorted(state.rglob("*")):
        if path.is_file() and path.name != COMPLETE:
            with open(path, "rb+") as handle:
                os.fsync(handle.fileno())
            sizes[str(path.relative_to(state))] = path.stat().st_size
    write_json(state / COMPLETE, sizes)


def is_complete(state: Path) -> bool:
    """Whether every file of a state is there in the size it was written with."""
    if not (state / COMPLETE).exists():
        return False
    return all((state / n).exists() and (state / n).stat().st_size == s for n, s in read_json(state / COMPLETE).items())


def step_of(state: Path) -> int:
    """Number of finished optimiser steps of a state."""
    return int(state.name.removeprefix("checkpoint-"))


def states(folder: Path) -> list[Path]:
    """All state folders, whole or not, oldest first."""
    return sorted(folder.glob("checkpoint-*"), key=step_of)


def newest_whole(folder: Path, below: int) -> Path | None:
    """The newest whole state of a step before `below`; half-written ones and later ones are removed on the way."""
    newest = None
    for state in states(folder):
        if is_complete(state) and step_of(state) < below:
            newest = state
        else:
            shutil.rmtree(state)
    return newest


class History:
    """Loss, learning rate, tokens and seconds of every step, one JSON line each, kept across attempts."""

    def __init__(self, path: Path):
        self.path = path

    def read(self) -> list[dict]:
        if not self.path.exists():
            return []
        return [json.loads(line) for line in self.path.read_text().splitlines() if line.endswith("}")]

    def cut(self, steps: int) -> None:
        """Forgets what came after a state that training resumes from."""
        write_text(self.path, "".join(json.dumps(step) + "\n" for step in self.read()[:steps]))

    def add(self, step: dict) -> None:
        with open(self.path, "a", encoding="utf-8") as handle:
            handle.write(json.dumps(step) + "\n")

    def flush(self) -> None:
        """Brings what was added to the disk, before a state that counts on it."""
        with open(self.path, "rb+") as handle:
            os.fsync(handle.fileno())
