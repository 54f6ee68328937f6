"""What benchmarks have in common: the shape of a benchmark's module, its files, its turns.

A benchmark's module says where its publisher keeps the test items and the worked examples, and how one row becomes an
`Item` without shots. `with_shots` puts examples in front, the same way for all of them.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol

from growthpace.data.importers.records import Record, read_members, read_records, read_under
from growthpace.data.items import Item, Message
from growthpace.errors import InputError

if TYPE_CHECKING:
    from growthpace.data.benchmarks.hub import Hub

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_END = "\x1fend"


class Benchmark(Protocol):
    """One benchmark. Every module beside this one, but `reading`, is a Benchmark and is called as its NAME.

    An optional `GROUPS` {name: subjects} gives some of the subjects a name of their own. An optional `FEWER`, true,
    says that some subjects have fewer worked examples than others: they get what there is, elsewhere it is an error.
    A module without HUB has a `RELEASE`: where its files, from ROOT on, can be fetched at a fixed commit.
    """

    NAME: str
    VERSION: int
    """To be raised with every change that can change an item: suites of older versions are then made anew."""
    HUB: Hub | None
    """The usual dataset on the hub and how its rows stand in for the publisher's files; None where none is known to."""
    ROOT: str
    """The folder of the publisher's release that its files lie in, `` for the release itself."""
    SUBJECTS: tuple[str, ...]
    """Its parts; empty for a benchmark without parts."""
    SHOTS: int | None
    """How many worked examples its publisher offers for an item, at most; None for as many as a file of them holds."""

    @staticmethod
    def files(shelf: Shelf, subject: str, shots: bool) -> list[str]:
        """Names, from ROOT on, of the files that are read for a subject (`` where it has none); `shots`: also those of
        the worked examples."""
        ...

    @staticmethod
    def items(shelf: Shelf, subject: str) -> Iterator[Item]:
        """The test items of a subject without shots, in the publisher's order. Their `ability` is set by the caller.
        Raises `InputError` with file and line for a row that is no item."""
        ...

    @staticmethod
    def examples(shelf: Shelf, subject: str) -> Iterator[Item]:
        """The worked examples of a subject as items, in the publisher's order. None where SHOTS is 0."""
        ...


class Shelf:
    """The files of one benchmark, in a local folder or in a dataset repository of the hub.

    Files are named from the benchmark's ROOT on. The folder (or repository) may be the whole release, ROOT itself or
    any folder between: with the root `a/b`, `x.csv` is found as `a/b/x.csv`, `b/x.csv` and `x.csv`. Never further down,
    where a worked example could be looked for among test items.
    """

    def __init__(
        self, root: str, folder: Path | None, fetch: Callable[[str], Path] | None, listed: Callable[[], list[str]]
    ):
        """folder: the local folder. For the hub instead: `fetch` gives the local path of a file by its name (raising
        `InputError` where there is none), `listed` the names of all files."""
        parts = root.split("/") if root else []
        self._roots = ["".join(f"{part}/" for part in parts[start:]) for start in range(len(parts) + 1)]
        self.folder, self._fetch, self._listed = folder, fetch, listed
        self.left_out: Counter[str] = Counter()
        """Rows that are no item by a rule of the benchmark, counted by subject and reason."""

    def path(self, name: str) -> Path:
        """Local path of a file, whether or not it exists; the hub's is fetched."""
        if self.folder is not None:
            found = (self.folder / f"{root}{name}" for root in self._roots)
            return next((path for path in found if path.is_file()), self.folder / self._released(name))
        first: InputError | None = None
        for root in self._roots:
            try:
                return self._fetch(f"{root}{name}")
            except InputError as error:
                first = first or error
        raise first

    def names(self, folder: str, suffix: str) -> list[str]:
        """Names of the files directly in a folder, those that begin with a number by number; empty where there is no
        such folder."""
        for root in self._roots:
            if self.folder is not None:
                found = [path.name for path in (self.folder / f"{root}{folder}").glob(f"*{suffix}") if path.is_file()]
            else:
                paths = map(PurePosixPath, self._listed())
                found = [p.name for p in paths if str(p.parent) == f"{root}{folder}" and p.suffix == suffix]
            if found:
                return [f"{folder}/{name}" for name in sorted(found, key=_by_number)]
        return []

    def places(self, name: str) -> list[str]:
        """Where a file is looked for, from the folder (or repository) on."""
        return [f"{root}{name}" for root in self._roots]

    def _released(self, name: str) -> str:
        """A file's name in the whole release, as origins say it."""
        return f"{self._roots[0]}{name}"

    # --- reading ---

    def lines(self, name: str) -> Iterator[Record]:
        """The objects of a JSON-lines file (or of one JSON array), which may be compressed by gzip (`.gz`)."""
        yield from read_records(self.path(name), self._released(name))

    def arrays(self, name: str) -> Iterator[Record]:
        """The entries of a JSON file that is a list of lists, each as {"entry": list}."""
        yield from read_records(self.path(name), self._released(name), kind=list)

    def under(self, name: str, key: str) -> Iterator[Record]:
        """The objects of the list that a JSON file has under a key."""
        yield from read_under(self.path(name), self._released(name), key)

    def members(self, name: str, inside: str | None = None) -> Iterator[tuple[str, Record]]:
        """(key, record) pairs of a JSON file that is an object of objects; `inside`: a file of the zip archive."""
        yield from read_members(self.path(name), self._released(name), inside)

    def whole(self, name: str) -> Record:
        """A JSON file that is one object."""
        path = self.path(name)
        record = Record({}, path, self._released(name), 1)
        try:
            content = json.loads(_text(path))
        except json.JSONDecodeError as error:
            raise InputError(f"{path}:{error.lineno}: malformed JSON ({error.msg}, column {error.colno})") from None
        except RecursionError:
            raise record.wrong("malformed JSON (nested too deeply)") from None
        return replace(record, content=record.typed(content, dict, "the file"))

    def text(self, name: str) -> str:
        """A file's text."""
        return _text(self.path(name))

    def table(
        self, name: str, columns: Sequence[str], header: bool = True, more: Sequence[str] | None = ()
    ) -> list[Record]:  # fmt: skip
        """The rows of a csv file by `columns`, which its `header` must name in this order if it has one.

        more: columns that may follow, None for any. Every row has all columns, as texts.
        """
        path = self.path(name)
        # A mark behind the text: it is a row of its own, unless a quotation mark before it was never closed.
        reader = csv.reader(chain(io.StringIO(_text(path), newline=""), [_END]))
        found, names, line = [], list(columns), 1
        try:
            for row in reader:
                if row == [_END]:
                    break
                record, line = Record({}, path, self._released(name), line), reader.line_num + 1
                if not row:
                    continue
                if header:
                    rest = row[len(columns) :] if more is None else more
                    if len(row) < len(columns) or row != [*columns, *rest][: len(row)]:
                        raise record.wrong(f"header {','.join(row)!r} (expected {','.join(columns)!r})")
                    header, names = False, row
                elif len(row) != len(names):
                    raise record.wrong(f"{len(row)} columns (expected {len(names)}: {', '.join(names)})")
                else:
                    found.append(replace(record, content=dict(zip(names, row, strict=True))))
            else:
                raise record.wrong("a quotation mark is not closed (is the file cut off?)")
        except csv.Error as error:
            raise InputError(f"{path}:{line}: malformed csv ({error})") from None
        if not found:
            raise InputError(f"{path}: empty, it holds no rows")
        return found


def _by_number(name: str) -> tuple[int, str]:
    number = re.match(r"\d+", name)
    return (int(number[0]) if number else 0, name)


def _text(path: Path) -> str:
    """A file's text without byte order mark; `InputError` where it cannot be read or is not UTF-8."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}:{line}: not UTF-8 at byte {error.start + 1} of the file") from None


# --- turns ---


def with_shots(item: Item, examples: Sequence[Item]) -> Item:
    """The item with worked examples in front: for each a user's turn and an assistant's. Its question, and all that
    it is scored by, stay as they are."""
    turns = [message for example in examples for message in example.messages]
    return replace(item, messages=(*turns, *item.messages), shots=len(examples))


def lettered(record: Record, instruction: str, question: str, options: Sequence[str], answer: str) -> dict:
    """Fields of an item with lettered options in the given order, of which `answer` is a letter.

    The question is written as items to train on are: the instruction, the question, then `A. text` a line each.
    """
    letters = tuple(LETTERS[: len(options)])
    if len(letters) < 2:
        raise record.wrong(f"{len(options)} options (at least two are needed)")
    if answer not in letters:
        raise record.wrong(f"the answer {answer!r} is no option (allowed: {', '.join(letters)})")
    lines = [f"{letter}. {text.strip()}".strip() for letter, text in zip(letters, options, strict=True)]
    return {
        "messages": asked("\n".join([instruction, question.strip(), *lines]), answer),
        "scorer": "letter",
        "answer": answer,
        "candidates": letters,
        "chance": 1 / len(letters),
    }


def letter_of(record: Record, options: Sequence[str], answer: str) -> str:
    """The letter of the one option that says what `answer` says; `InputError` where none or several do."""
    found = [letter for letter, text in zip(LETTERS, options, strict=False) if text.strip() == answer.strip()]
    if len(found) != 1:
        raise record.wrong(f"the answer {answer!r} is {'none' if not found else 'several'} of the options")
    return found[0]


def asked(question: str, answer: str) -> tuple[Message, Message]:
    """A user's turn and the assistant's."""
    return Message("user", question), Message("assistant", answer)


def shared(benchmark: str, subject: str, passage: str) -> str:
    """The group of items about one passage, from the passage itself; '' without one."""
    digest = hashlib.sha256(passage.strip().encode()).hexdigest()[:8]
    return "/".join(filter(None, [benchmark, subject, digest])) if passage.strip() else ""


_BRACKETED = re.compile(r"\s*[(（]\s*[A-Z]\s*[)）]\s*")


def unlettered(options: Sequence[str]) -> list[str]:
    """Options without the letters that their publisher wrote into them.

    `(A)text` loses its bracket whatever the letter; `A. text` loses its letter where every option has its own, so that
    an option that begins with an initial keeps it.
    """
    bare = [re.compile(rf"\s*{letter}\s*[.．、,，:：]\s*") for letter in LETTERS[: len(options)]]
    matches = [pattern.match(option) for pattern, option in zip(bare, options, strict=True)]
    if len(options) > 1 and all(matches):
        return [option[match.end() :].strip() for match, option in zip(matches, options, strict=True)]
    return [_BRACKETED.sub("", option, count=1).strip() if _BRACKETED.match(option) else option.strip()
            for option in options]  # fmt: skip


def texts(record: Record, key: str) -> list[str]:
    """A field that is a list of texts."""
    found = record.field(key, list)
    return [record.typed(text, str, f"{key}[{position}]") for position, text in enumerate(found, start=1)]
