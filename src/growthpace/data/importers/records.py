"""Records in files: JSON lines (streamed) or one JSON array, each with the line it begins on.

What every importer of files needs: `read_records(path, name)` yields `Record`s, whose methods give typed fields or
raise `InputError` as `file:line: what is wrong`.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

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
    """(line, object) pairs of a file; see `read_records`."""
    found = False
    with _opened(path) as handle:
        for number, raw in enumerate(handle, start=1):
            if number == 1:
                raw = raw.removeprefix(_BYTE_ORDER_MARK)
            text = _decoded(raw, path, number).strip()
            if not text:
                continue
            if not found and text.startswith("["):
                yield from _array(_decoded(raw, path, number), handle, path, number, kind)
                return
            found = True
            try:
                content = json.loads(text, parse_constant=_no_constant)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{path}:{number}: not a JSON object on one line ({_reason(error)})") from None
            if not isinstance(content, kind):
                raise InputError(f"{path}:{number}: expected {_KINDS[kind]}, found {_shortened(content)}")
            yield number, content
    if not found:
        raise InputError(f"{path}: empty, it holds no records")


def _opened(path: Path) -> BinaryIO:
    try:
        if path.suffix == ".gz":
            return io.BytesIO(gzip.decompress(path.read_bytes()))
        return open(path, "rb")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder, expected a file") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path}: not a whole gzip file ({error})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def _decoded(raw: bytes, path: Path, number: int) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}:{number}: not UTF-8 at byte {error.start + 1} of the line") from None


def _no_constant(name: str):
    raise ValueError(f"{name} is no JSON value")


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg}, column {error.colno}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _array(first: str, handle: BinaryIO, path: Path, number: int, kind: type) -> Iterator[tuple[int, Any]]:
    """The objects (or lists, by `kind`) of a JSON array that begins in the line `first`; the rest is still in `handle`.

    Read whole, but decoded element by element, so that each has its line and a fault is named where it stands.
    """
    text = first + "".join(_decoded(raw, path, n) for n, raw in enumerate(handle, start=number + 1))
    decoder = json.JSONDecoder(parse_constant=_no_constant)
    line, counted, found = number, 0, False

    def line_at(position: int) -> int:
        nonlocal line, counted
        line += text.count("\n", counted, position)
        counted = position
        return line

    def skipped(position: int) -> int:
        while position < len(text) and text[position] in " \t\r\n":
            position += 1
        return position

    def fault(position: int, what: str) -> InputError:
        return InputError(f"{path}:{line_at(position)}: {what}")

    position = skipped(text.index("[") + 1)
    if text[position : position + 1] == "]":
        raise InputError(f"{path}: empty, it holds no records")
    while True:
        if position >= len(text):
            raise fault(len(text), "the JSON array does not end (is the file cut off?)")
        start = line_at(position)
        try:
            content, position = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            raise fault(error.pos, f"malformed JSON ({error.msg}, column {error.colno})") from None
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}:{start}: malformed JSON ({_reason(error)})") from None
        if not isinstance(content, kind):
            raise InputError(f"{path}:{start}: expected {_KINDS[kind]}, found {_shortened(content)}")
        yield start, content
        found = True
        position = skipped(position)
        if text[position : position + 1] == ",":
            position = skipped(position + 1)
        elif text[position : position + 1] == "]":
            break
        elif position >= len(text):
            raise fault(position, "the JSON array does not end (is the file cut off?)")
        else:
            raise fault(position, "malformed JSON (expected ',' or ']' after a record)")
    after = skipped(position + 1)
    if found and after < len(text):
        raise fault(after, "something follows the end of the JSON array")


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
