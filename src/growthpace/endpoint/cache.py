"""Answers on disk, one file for each request and attempt, named by a hash of everything that was sent.

An answer is written as soon as it arrives, in one piece, so that a killed process loses none that it was given. Several
processes may share a folder. A file that is not what it should be is set aside (`.broken`) and its request asked again.

`spent.jsonl` beside them counts tokens and money, a line for each answer, so that a limit is over all processes; what
a process could not write down before it was killed is made up for from the answers themselves.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from growthpace.endpoint.requests import Answer, Request, Settings, Spent, canonical
from growthpace.files import fingerprint, write_text

_lock = threading.Lock()  # a record lock of the system belongs to the whole process, see interruptible.locked


class Cache:
    """The answers of a folder."""

    def __init__(self, folder: Path, settings: Settings):
        self.folder, self.settings = folder, settings

    def path(self, identity: str) -> Path:
        return self.folder / identity[:2] / f"{identity}.json"

    def get(self, request: Request, attempt: int) -> Answer | None:
        """The known answer to an attempt."""
        path = self.path(request.identity(self.settings.base_url, attempt))
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            answer = Answer(**content["answer"], date=content.get("date", ""))
            sound = content["body"] == request.body and content["checksum"] == fingerprint(answer.content)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError):  # also text that is not UTF-8
            sound = False
        if sound:
            return answer
        path.replace(path.with_suffix(".broken"))
        return None

    def put(self, request: Request, attempt: int, answer: Answer) -> None:
        """Keeps an answer; it outlives this process from now on."""
        identity = request.identity(self.settings.base_url, attempt)
        content = {
            "base_url": self.settings.base_url,
            "body": request.body,
            "repeat": request.repeat,
            "attempt": attempt,
            "answer": answer.content,
            "checksum": fingerprint(answer.content),
            "date": answer.date,
        }
        with _unshared(self.path(identity)) as path:
            write_text(path, canonical(content) + "\n")


@contextmanager
def _unshared(path: Path) -> Iterator[Path]:
    """The path, for one thread of this process: files in the making are named by process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _lock:
        yield path


class Ledger:
    """Tokens and money of all answers of a cache's folder, over all processes that share it."""

    def __init__(self, folder: Path, settings: Settings):
        self.path, self.settings = folder / "spent.jsonl", settings
        self._read_to = 0
        self._known: set[str] = set()
        self.spent = Spent()
        self.answers, self.estimated = 0, 0
        """How many answers were counted by the endpoint, and how many tokens their requests were estimated to have."""
        self.counted = Spent()
        """What those took."""
        self._make_up(folder)

    def add(self, identity: str, request: Request, answer: Answer) -> None:
        """Writes an answer's tokens and money down."""
        found = self.settings.cost(answer.prompt_tokens, answer.answer_tokens)
        line = {
            "identity": identity,
            "prompt_tokens": found.prompt_tokens,
            "answer_tokens": found.answer_tokens,
            "money": found.money,
            "estimated": request.most_prompt_tokens if answer.counted else 0,
        }
        with held(self.path) as handle:
            self._read(handle)
            if identity in self._known and identity:
                return
            handle.seek(0, os.SEEK_END)
            handle.write(json.dumps(line).encode() + b"\n")
            handle.flush()
            self._read(handle)

    def refresh(self) -> Spent:
        """What has been spent, by all processes, up to now."""
        with held(self.path) as handle:
            self._read(handle)
        return self.spent

    def _read(self, handle) -> None:
        handle.seek(self._read_to)
        for line in handle:
            if not line.endswith(b"\n"):  # torn by a killed process; what follows begins after it
                handle.write(b"\n")
                line += b"\n"
            self._read_to += len(line)
            try:
                found: dict[str, Any] = json.loads(line)
                one = Spent(found["prompt_tokens"], found["answer_tokens"], found["money"])
            except (ValueError, KeyError):
                continue
            self._known.add(found["identity"])
            self.spent += one
            if found["estimated"]:
                self.answers += 1
                self.estimated += found["estimated"]
                self.counted += one

    def _make_up(self, folder: Path) -> None:
        """Adds answers that lie in the folder but not in the ledger: their process was killed in between."""
        self.refresh()
        for path in sorted(folder.glob("??/*.json")):
            if path.stem in self._known:
                continue
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
                answer = Answer(**content["answer"])
                self.add(path.stem, Request("", content["body"]), answer)
            except (OSError, ValueError, TypeError, KeyError, AttributeError):
                continue  # broken, or being set aside: `Cache.get` deals with it


@contextmanager
def held(path: Path) -> Iterator[Any]:
    """The file, open for reading and writing bytes, while no other thread or process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _lock, open(path, "a+b") as handle:
        fcntl.lockf(handle, fcntl.LOCK_EX)
        yield handle
