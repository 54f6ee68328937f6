"""The history of a source's review: one JSON line for each verdict, only ever appended to.

`history.jsonl` lies in the review's folder (`sources.X.reviewed`). A line says who, when, on which version of which
item (its hash), what, and the text before and after, so that it can be read without the source. It is written in one
piece: a reader sees the old file or the new one.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from growthpace.data.importers.records import read_records
from growthpace.files import write_text

VERDICTS = ("pass", "revise", "reject")
ROLES = ("reviewer", "adjudicator")
FILE = "history.jsonl"


@dataclass(frozen=True)
class Entry:
    """One verdict."""

    item_id: str
    ability: str
    content: str
    """Hash of the version that it is about (`revision.content_of`)."""
    reviewer: str
    role: str
    """One of ROLES."""
    verdict: str
    """One of VERDICTS."""
    revised_instruction: str | None
    revised_answer: str | None
    """revise: what the new version says instead of the source's item; None where it says the same."""
    revised_content: str | None
    """revise: hash of the new version."""
    comment: str
    date: str
    """ISO 8601: when it was given, where the file says so, else when it was imported."""
    file: str
    """Name of the file that it came in."""
    file_sha256: str
    before_instruction: str
    before_answer: str
    """The texts that were judged."""

    @property
    def said(self) -> tuple:
        """What a repetition of it says as well."""
        return (self.verdict, self.revised_content, self.comment)


def read_history(folder: Path) -> list[Entry]:
    """All verdicts in their order; none where there is no history. `InputError` with file and line for a broken one."""
    path = folder / FILE
    if not path.exists():
        return []
    entries = []
    optional = {"revised_instruction", "revised_answer", "revised_content"}
    for record in read_records(path):
        values = {f.name: record.field(f.name, str, required=f.name not in optional) for f in fields(Entry)}
        for key, allowed in (("verdict", VERDICTS), ("role", ROLES)):
            if values[key] not in allowed:
                raise record.wrong(f"{key}: {values[key]!r} (allowed: {', '.join(allowed)})")
        entries.append(Entry(**values))
    return entries


def append(folder: Path, entries: Iterable[Entry]) -> None:
    """Adds verdicts at the end; nothing is written where there are none."""
    added = "".join(json.dumps(asdict(entry), ensure_ascii=False) + "\n" for entry in entries)
    if added:
        path = folder / FILE
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        write_text(path, before + added)


@contextmanager
def alone(folder: Path):
    """While no other import changes the history. The lock is a file of its own, since the history is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "a") as handle:
        fcntl.lockf(handle, fcntl.LOCK_EX)
        yield
