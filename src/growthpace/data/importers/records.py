"""Records in files: JSON lines or one JSON array (both streamed), each with the line it begins on.

What every importer of files needs: `read_records(path, name)` yields `Record`s, whose methods give typed fields or
raise `InputError` as `file:line: what is wrong`.
"""

from __future__ import annotations

import gzip
import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from growthpace.data.importers.json_stream import DECODER, LONGEST, JsonText, reason
from growthpace.data.items import Item, Message, content_id, numbered_repeats
from growthpace.errors import InputError

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_KINDS = {str: "a text", int: "a whole number", list: "a list", dict: "an object", bool: "true or false"}


@dataclass(frozen=True)
class Record:
    """One object of a file and where it stands."""

    content: dict[str, Any]
    path: Path
    """The file as it was opened, for messages to the user."""
    name: str
    """The file as the study names it: free of this machine's folders, so that pools are the same everywhere."""
    line: int
    """First line of the record, from 1."""

    @property
    def origin(self) -> str:
        """`file:line`, as items carry it."""
        return f"{self.name}:{self.line}"

    def wrong(self, what: str) -> InputError:
        """The error that says what is wrong with this record and where it stands."""
        return InputError(f"{self.path}:{self.line}: {what}")

    def field(self, key: str, kinds: type | tuple[type, ...], required: bool = True) -> Any:
        """The value of a field; None where it is absent (or null) and not required."""
        return self.typed(self.content.get(key), kinds, key, required)

    def typed(self, value: Any, kinds: type | tuple[type, ...], what: str, required: bool = True) -> Any:
        """`value` if it is of one of `kinds`; `what` names it in the error. A text must be valid Unicode."""
        kinds = kinds if isinstance(kinds, tuple) else (kinds,)
        if value is None:
            if required:
                raise self.wrong(f"{what}: missing (expected {_named(kinds)})")
            return None
        # true is an int in Python, but never a meant index or number in a file
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise self.wrong(f"{what}: expected {_named(kinds)}, found {_shortened(value)}")
        if isinstance(value, str):
            try:
                value.encode("utf-8")
            except UnicodeEncodeError as error:
                raise self.wrong(f"{what}: half of a surrogate pair at character {error.start + 1}") from None
        return value


def _named(kinds: tuple[type, ...]) -> str:
    return " or ".join(_KINDS.get(kind, "a number" if kind is float else kind.__name__) for kind in kinds)


def _shortened(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def read_records(path: str | Path, name: str | None = None, kind: type = dict) -> Iterator[Record]:
    """The objects of a JSON-lines file, one at a time, or of a file that is one JSON array; with `kind` list the lists,
    each as {"entry": list}. A file called `.gz` is decompressed.

    Blank lines are skipped and a UTF-8 byte order mark is tolerated. Raises `InputError` for a file that is missing,
    empty, not UTF-8 (naming the line) or not JSON, and for a record that is not of its kind.
    """
    path = Path(path)
    name = str(path) if name is None else name
    for line, content in numbered_objects(path, kind):
        yield Record(content if kind is dict else {"entry": content}, path, name, line)


def numbered_objects(path: Path, kind: type = dict) -> Iterator[tuple[int, Any]]:
    """(line, object) pairs of a file; see `read_records`. One record at a time is in memory."""
    found = False
    with opened(path) as handle:
        for number, raw in _lines(handle):
            if number == 1:
                raw = raw.removeprefix(_BYTE_ORDER_MARK)
            if not found and raw.lstrip().startswith(b"["):
                yield from _array(JsonText(handle, path, raw, number), path, kind)
                return
            if len(raw) > LONGEST:
                raise InputError(f"{path}:{number}: a line of more than {LONGEST:,} bytes (is a line break missing?)")
            text = _decoded(raw, path, number).strip()
            if not text:
                continue
            found = True
            try:
                content = DECODER.decode(text)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{path}:{number}: not a JSON object on one line ({reason(error)})") from None
            if not isinstance(content, kind):
                raise InputError(f"{path}:{number}: expected {_KINDS[kind]}, found {_shortened(content)}")
            yield number, content
    if not found:
        raise InputError(f"{path}: empty, it holds no records")


def _lines(handle: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers; of one that is too long, a little more than `LONGEST` bytes."""
    number = 0
    while raw := handle.readline(LONGEST + 1):
        number += 1
        yield number, raw


def _array(text: JsonText, path: Path, kind: type) -> Iterator[tuple[int, Any]]:
    """The objects (or lists, by `kind`) of a file that is one JSON array."""
    found = False
    for line, content in text.elements():
        if not isinstance(content, kind):
            raise InputError(f"{path}:{line}: expected {_KINDS[kind]}, found {_shortened(content)}")
        yield line, content
        found = True
    if not found:
        raise InputError(f"{path}: empty, it holds no records")
    text.end()


def read_under(path: Path, name: str, key: str) -> Iterator[Record]:
    """The objects of the list that a JSON file, which is one object, has under a key."""
    with opened(path) as handle:
        for line, content in JsonText(handle, path).under(key):
            record = Record({}, path, name, line)
            yield replace(record, content=record.typed(content, dict, key))


def read_members(path: Path, name: str, inside: str | None = None) -> Iterator[tuple[str, Record]]:
    """(key, record) pairs of a JSON file that is one object of objects; `inside`: a file of the zip archive `path`."""
    with opened(path, inside) as handle:
        for line, key, content in JsonText(handle, path).members():
            record = Record({}, path, name, line)
            yield key, replace(record, content=record.typed(content, dict, key))


@contextmanager
def opened(path: Path, inside: str | None = None) -> Iterator[BinaryIO]:
    """A file open for reading bytes: one called `.gz` is decompressed as it is read; `inside` is a file of a zip
    archive."""
    try:
        with ExitStack() as stack:
            if inside is not None:
                archive = stack.enter_context(zipfile.ZipFile(path))
                if inside not in archive.namelist():
                    raise InputError(f"{path}: no file {inside!r} in it (it holds: {', '.join(archive.namelist())})")
                yield stack.enter_context(archive.open(inside))
            elif path.suffix == ".gz":
                yield stack.enter_context(gzip.open(path, "rb"))
            else:
                yield stack.enter_context(open(path, "rb"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder, expected a file") from None
    except (zipfile.BadZipFile, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path}: not a whole {'gzip' if inside is None else 'zip'} file ({error})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def _decoded(raw: bytes, path: Path, number: int) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}:{number}: not UTF-8 at byte {error.start + 1} of the line") from None


def read_messages(
    record: Record,
    key: str,
    role_key: str,
    content_key: str,
    roles: dict[str, str],
) -> tuple[Message, ...]:
    """The messages in a record's list `key`: objects with `role_key` and `content_key`.

    `roles` maps the publisher's names of roles to ours; any other is an error. A content may be a list of text parts
    ({"type": "text", "text": ...}), which are joined.
    """
    messages = []
    for position, entry in enumerate(record.field(key, list), start=1):
        what = f"{key}[{position}]"
        record.typed(entry, dict, what)
        role = record.typed(entry.get(role_key), str, f"{what}.{role_key}")
        if role not in roles:
            raise record.wrong(f"{what}.{role_key}: unknown role {role!r} (allowed: {', '.join(roles)})")
        content = record.typed(entry.get(content_key), (str, list), f"{what}.{content_key}")
        if isinstance(content, list):
            content = "".join(_text_part(record, part, f"{what}.{content_key}") for part in content)
        messages.append(Message(roles[role], content))
    return tuple(messages)


def _text_part(record: Record, part: Any, what: str) -> str:
    record.typed(part, dict, what)
    if part.get("type") != "text":
        raise record.wrong(f"{what}: a part of type {part.get('type')!r} (only text can be learned)")
    return record.typed(part.get("text"), str, f"{what}.text")


def identified(items: Iterable[Item]) -> Iterator[Item]:
    """Items without an id get one made of their content, repeats numbered; others keep their publisher's, so that an
    id which the publisher gave twice is found."""
    without = []  # the one item that waits for its number

    def waiting() -> Iterator[Item]:
        while True:
            item = without.pop()
            yield replace(item, id=content_id(item.ability, item.messages, item.answer, item.candidates))

    numbered = numbered_repeats(waiting())
    for item in items:
        if item.id:
            yield item
        else:
            without.append(item)
            yield next(numbered)
