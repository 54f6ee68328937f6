"""JSON that is read piece by piece: the elements of an array or the members of an object, each with its line.

Only one record and a piece of the file are in memory, so that the size of a file does not matter.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from growthpace.errors import InputError

LONGEST = 4_000_000
"""Characters (of a line: bytes) that a record may have. More is a lost line break or no text file: the largest records
of public instruction data are well below a tenth of it."""
_PIECE = 1 << 20
"""Bytes that are read at once."""
_SPACE = " \t\r\n"


def _no_constant(name: str):
    """NaN and Infinity are refused."""
    raise ValueError(f"{name} is no JSON value")


DECODER = json.JSONDecoder(parse_constant=_no_constant)
"""Decodes strict JSON."""


class JsonText:
    """A JSON file, from its beginning on. Raises `InputError` as `file:line: what is wrong`."""

    def __init__(self, handle: BinaryIO, path: Path, first: bytes = b"", line: int = 1):
        """first: what of `handle` was read already, from the beginning of `line` on (from 1)."""
        self._handle, self._path, self._waiting, self._line = handle, path, first, line
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text, self._position, self._counted, self._column = "", 0, 0, 0
        self._bytes_line, self._bytes_of_line, self._ended = line, 0, False

    # --- what it is made of ---

    def elements(self) -> Iterator[tuple[int, Any]]:
        """(line, value) pairs of the array that begins here; nothing may follow it but its end."""
        self.take("[")
        yield from self._listed("]", "array")

    def members(self) -> Iterator[tuple[int, str, Any]]:
        """(line, key, value) of the object that begins here."""
        self.take("{")
        if self.next() == "}":
            self.take("}")
            return
        while True:
            line = self.line()
            key = self._key()
            yield line, key, self.value()
            if not self._more("}", "object"):
                return

    def under(self, key: str) -> Iterator[tuple[int, Any]]:
        """(line, value) pairs of the list that the object beginning here has under a key."""
        self.take("{")
        found = False
        while True:
            if self._key() == key:
                if self.next() != "[":
                    raise self.fault(f"{key}: expected a list")
                found = True
                self.take("[")
                yield from self._listed("]", "array")
            else:
                self.value()
            if not self._more("}", "object"):
                break
        if not found:
            raise self.fault(f"{key}: missing (expected a list)")

    def end(self) -> None:
        """Nothing but space may follow."""
        if self.next():
            raise self.fault("something follows the end of the JSON array")

    def _listed(self, closing: str, what: str) -> Iterator[tuple[int, Any]]:
        if self.next() == closing:
            self.take(closing)
            return
        while True:
            if not self.next():
                raise self._unended(what)
            line = self.line()
            yield line, self.value()
            if not self._more(closing, what):
                return

    def _more(self, closing: str, what: str) -> bool:
        """Whether another one follows, behind its comma."""
        found = self.next()
        if found not in (",", closing):
            if not found:
                raise self._unended(what)
            raise self.fault(f"malformed JSON (expected ',' or '{closing}' after a record)")
        self.take(found)
        return found == ","

    def _key(self) -> str:
        if self.next() != '"':
            raise self.fault("malformed JSON (expected a key in quotation marks)")
        key = self.value()
        self.take(":")
        return key

    def _unended(self, what: str) -> InputError:
        return self.fault(f"the JSON {what} does not end (is the file cut off?)")

    # --- the text ---

    def next(self) -> str:
        """The next character that is no space, not yet taken; '' at the end of the file."""
        while True:
            while self._position < len(self._text) and self._text[self._position] in _SPACE:
                self._position += 1
            if self._position < len(self._text):
                return self._text[self._position]
            if not self._fill():
                return ""

    def take(self, character: str) -> None:
        """Passes over a character that must come next."""
        if (found := self.next()) != character:
            if not found:
                raise self._unended("text")
            raise self.fault(f"malformed JSON (expected {character!r}, found {found!r})")
        self._position += 1

    def value(self) -> Any:
        """The value that comes next."""
        self.next()
        self._drop()
        while True:
            try:
                content, end = DECODER.raw_decode(self._text, self._position)
            except json.JSONDecodeError as error:
                # Perhaps only the rest of it is not read yet.
                if len(self._text) - self._position <= LONGEST and self._fill():
                    continue
                if len(self._text) - self._position > LONGEST and error.msg.startswith("Unterminated string"):
                    raise self._too_long() from None
                raise self._malformed(error) from None
            except (ValueError, RecursionError) as error:
                raise self.fault(f"malformed JSON ({reason(error)})") from None
            if end == len(self._text) and self._fill():
                continue  # a number may go on
            if end - self._position > LONGEST:
                raise self._too_long()
            self._position = end
            return content

    def line(self) -> int:
        """The line of the next character."""
        self.next()
        self._line += self._text.count("\n", self._counted, self._position)
        self._counted = self._position
        return self._line

    def fault(self, what: str) -> InputError:
        """The error that says what is wrong at the next character."""
        return InputError(f"{self._path}:{self.line()}: {what}")

    def _too_long(self) -> InputError:
        return self.fault(
            f"a record of more than {LONGEST:,} characters (is a quotation mark or a line break missing?)"
        )

    def _malformed(self, error: json.JSONDecodeError) -> InputError:
        start = self._text.rfind("\n", 0, error.pos) + 1
        column = error.pos - start + 1 + (0 if start else self._column)
        line = self.line() + self._text.count("\n", self._position, error.pos)
        return InputError(f"{self._path}:{line}: malformed JSON ({error.msg}, column {column})")

    def _drop(self) -> None:
        """Forgets what was taken, once it is much."""
        if self._position > _PIECE:
            taken = self._text[: self._position]
            start = taken.rfind("\n") + 1
            self._column = len(taken) - start + (0 if start else self._column)
            self.line()
            self._text, self._position, self._counted = self._text[self._position :], 0, 0

    def _fill(self) -> bool:
        """Reads another piece; False at the end of the file."""
        if self._ended:
            return False
        raw, self._waiting = self._waiting or self._handle.read(_PIECE), b""
        pending = self._decoder.getstate()[0]
        try:
            self._text += self._decoder.decode(raw, final=not raw)
        except UnicodeDecodeError as error:
            before = error.object[: error.start]
            start = before.rfind(b"\n") + 1
            offset = error.start - start + (0 if start else self._bytes_of_line - len(pending))
            line = self._bytes_line + before.count(b"\n")
            raise InputError(f"{self._path}:{line}: not UTF-8 at byte {offset + 1} of the line") from None
        self._ended = not raw
        self._bytes_line += raw.count(b"\n")
        last = raw.rfind(b"\n") + 1
        self._bytes_of_line = len(raw) - last + (0 if last else self._bytes_of_line)
        return bool(raw)


def reason(error: Exception) -> str:
    """Why a JSON text could not be decoded."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg}, column {error.colno}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)
