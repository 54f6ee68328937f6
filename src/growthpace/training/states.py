"""Resumable states of a run, of which only whole ones are ever used.

A state is a folder `checkpoint-{step}` with what transformers' Trainer (and DeepSpeed) write: weights, optimiser,
scheduler, random number generators. It is written in `aside/`, brought to the disk, listed in `complete.json` with the
size and checksum of every file, and only then renamed to its place. A state that does not agree with its list is
removed.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from growthpace.files import read_json, write_json, write_text

COMPLETE = "complete.json"
KEPT = 2
"""States that are kept: should the newest not be readable, the one before it is."""
CHUNK = 2**24


def aside(folder: Path) -> Path:
    """Where a state is written before it is put in place."""
    return folder / "aside"


def mark_complete(state: Path) -> None:
    """Brings a state's files to the disk and lists them, with which it is whole."""
    listed = {}
    for path in sorted(state.rglob("*")):
        if path.is_file():
            with open(path, "rb+") as handle:
                os.fsync(handle.fileno())
            listed[str(path.relative_to(state))] = _described(path)
    write_json(state / COMPLETE, listed)


def put_in_place(folder: Path, step: int) -> None:
    """Completes the state of a step that was written aside, puts it in its place and removes all but the newest."""
    written = aside(folder) / f"checkpoint-{step}"
    mark_complete(written)
    os.replace(written, folder / written.name)
    _sync_folder(folder)
    for old in states(folder)[:-KEPT]:
        shutil.rmtree(old)


def _described(path: Path) -> dict[str, int | str]:
    """Size and checksum (XXH3, which reads as fast as memory) of a file."""
    import xxhash

    digest = xxhash.xxh3_128()
    with open(path, "rb") as handle:
        while block := handle.read(CHUNK):
            digest.update(block)
    return {"size": path.stat().st_size, "xxh3": digest.hexdigest()}


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_complete(state: Path) -> bool:
    """Whether every file of a state is there in the size it was written with (a quick look; see `is_sound`)."""
    if not (state / COMPLETE).exists():
        return False
    listed = read_json(state / COMPLETE).items()
    return all((state / n).exists() and (state / n).stat().st_size == known["size"] for n, known in listed)


def is_sound(state: Path) -> bool:
    """Whether every file of a state is, byte for byte, what was written: reads all of it."""
    return is_complete(state) and all(
        _described(state / name) == known for name, known in read_json(state / COMPLETE).items()
    )


def step_of(state: Path) -> int:
    """Number of finished optimiser steps of a state."""
    return int(state.name.removeprefix("checkpoint-"))


def states(folder: Path) -> list[Path]:
    """All state folders in their places, oldest first."""
    return sorted(folder.glob("checkpoint-*"), key=step_of)


def newest_whole(folder: Path, below: int) -> Path | None:
    """The newest sound state of a step before `below`; what cannot be used is removed on the way."""
    shutil.rmtree(aside(folder), ignore_errors=True)
    newest = None
    for state in reversed(states(folder)):
        if step_of(state) >= below or not (newest or is_sound(state)):
            shutil.rmtree(state)
        else:
            newest = newest or state
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
