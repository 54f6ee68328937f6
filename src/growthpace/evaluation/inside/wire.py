"""How a program under test and the tests talk: values as plain data, calls as messages over two pipes.

A message is eight bytes of length, then JSON. Only these values cross as data: None, booleans, numbers, text, bytes,
lists, tuples, sets, dictionaries, ranges, slices, built-in types, fractions, decimals and dates, each of the plain
type (a Counter as a dict), so that what arrives compares as Python's own types do, whatever class it was made with.
Everything else crosses as a number that stands for it.
"""

import builtins
import importlib
import json
import os
import resource

LONGEST_MESSAGE = 16 << 20
"""Bytes."""
DEEPEST = 100
"""Levels of lists within lists."""

_TEXTS = {  # types that a text says whole: {name: (module, how it is written, how it is read)}
    "Fraction": ("fractions", str, lambda kind, text: kind(text)),
    "Decimal": ("decimal", str, lambda kind, text: kind(text)),
    "datetime": ("datetime", lambda value: value.isoformat(), lambda kind, text: kind.fromisoformat(text)),
    "date": ("datetime", lambda value: value.isoformat(), lambda kind, text: kind.fromisoformat(text)),
    "time": ("datetime", lambda value: value.isoformat(), lambda kind, text: kind.fromisoformat(text)),
}


class Broken(BaseException):
    """The other side has ended or sends nonsense. No test can catch it as an Exception."""


def limit(limits):
    """Limits this process for good: {"cpu_seconds", "memory_bytes", "file_bytes", "open_files"}."""
    for what, value in (
        (resource.RLIMIT_CPU, limits["cpu_seconds"]),
        (resource.RLIMIT_AS, limits["memory_bytes"]),
        (resource.RLIMIT_FSIZE, limits["file_bytes"]),
        (resource.RLIMIT_NOFILE, limits["open_files"]),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        resource.setrlimit(what, (value, value))


class Pipes:
    """Messages over two file descriptors."""

    def __init__(self, reading, writing):
        self._reading, self._writing = reading, writing

    def send(self, message):
        body = json.dumps(message).encode()
        data = memoryview(len(body).to_bytes(8, "big") + body)
        try:
            while data:
                data = data[os.write(self._writing, data) :]
        except OSError:
            raise Broken("the other side has ended") from None

    def receive(self):
        length = int.from_bytes(self._read(8), "big")
        if length > LONGEST_MESSAGE:
            raise Broken(f"a message of more than {LONGEST_MESSAGE} bytes")
        try:
            message = json.loads(self._read(length))
        except (ValueError, RecursionError):
            raise Broken("a message that is no JSON") from None
        if not isinstance(message, dict):
            raise Broken("a message of no known kind")
        return message

    def _read(self, length):
        parts = []
        while length:
            part = os.read(self._reading, min(length, 1 << 20))
            if not part:
                raise Broken("the program ended before its tests did")
            parts.append(part)
            length -= len(part)
        return b"".join(parts)


class Values:
    """Values as JSON and back. `standing_for` makes the object that stands for another side's (number, class name)."""

    def __init__(self, standing_for, number_of):
        self._standing_for, self._number_of = standing_for, number_of
        self.mine = []  # what stands on the other side as a number: kept, so that numbers stay true
        self._known = {}

    def write(self, value, depth=0):
        if depth > DEEPEST:
            raise ValueError("a value nested too deeply to be handed over")
        if value is None or value is True or value is False:
            return value
        kind = type(value)
        number = self._number_of(value)
        if number is not None:
            return ["yours", number]
        if issubclass(kind, str):
            return ["text", str.__str__(value)]
        if issubclass(kind, int):
            return ["int", format(int.__index__(value), "x")]
        if issubclass(kind, float):
            return ["float", float.hex(value)]
        if issubclass(kind, complex):
            return ["complex", float.hex(value.real), float.hex(value.imag)]
        if issubclass(kind, (bytes, bytearray)):
            return ["bytes" if issubclass(kind, bytes) else "bytearray", bytes(value).hex()]
        for base in (list, tuple, set, frozenset):
            if issubclass(kind, base):
                return [base.__name__, [self.write(inner, depth + 1) for inner in base.__iter__(value)]]
        if issubclass(kind, dict):
            items = dict.items(value)
            return ["dict", [[self.write(key, depth + 1), self.write(inner, depth + 1)] for key, inner in items]]
        if kind in (range, slice):
            return [kind.__name__, [self.write(part, depth + 1) for part in (value.start, value.stop, value.step)]]
        if kind is type and getattr(builtins, value.__name__, None) is value:
            return ["type", value.__name__]
        if value is Ellipsis:
            return ["ellipsis"]
        if kind.__name__ in _TEXTS and kind.__module__ in (_TEXTS[kind.__name__][0], "_" + _TEXTS[kind.__name__][0]):
            return ["as_text", kind.__name__, _TEXTS[kind.__name__][1](value)]
        if id(value) not in self._known:
            self._known[id(value)] = len(self.mine)
            self.mine.append(value)
        named = value.__name__ if isinstance(value, type) else kind.__name__
        return ["mine", self._known[id(value)], str(named), isinstance(value, type)]

    def read(self, data):
        """The value; `Broken` for anything that `write` does not write."""
        try:
            return self._read(data)
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError, ArithmeticError):
            raise Broken("a value of no known kind") from None

    def _read(self, data):
        if data is None or data is True or data is False:
            return data
        kind, *parts = data
        if kind == "text":
            return _plain_text(parts[0])
        if kind == "int":
            return int(parts[0], 16)
        if kind == "float":
            return float.fromhex(parts[0])
        if kind == "complex":
            return complex(*map(float.fromhex, parts))
        if kind in ("bytes", "bytearray"):
            return {"bytes": bytes, "bytearray": bytearray}[kind].fromhex(parts[0])
        if kind in ("list", "tuple", "set", "frozenset"):
            return {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}[kind](map(self._read, parts[0]))
        if kind == "dict":
            return {self._read(key): self._read(inner) for key, inner in parts[0]}
        if kind in ("range", "slice"):
            return {"range": range, "slice": slice}[kind](*map(self._read, parts[0]))
        if kind == "type":
            found = getattr(builtins, parts[0])
            if type(found) is not type:
                raise ValueError
            return found
        if kind == "ellipsis":
            return Ellipsis
        if kind == "as_text":
            module, _, read = _TEXTS[parts[0]]
            return read(getattr(importlib.import_module(module), parts[0]), _plain_text(parts[1]))
        if kind == "yours":
            if parts[0] < 0:
                raise ValueError
            return self.mine[parts[0]]
        if kind == "mine":
            number, name, is_class = parts
            if type(number) is not int or type(name) is not str or type(is_class) is not bool:
                raise ValueError
            return self._standing_for(number, name, is_class)
        raise ValueError


def _plain_text(text):
    if type(text) is not str:
        raise TypeError
    return text


def error_message(error):
    """How an exception crosses: the names of its classes, nearest first, and what it says."""
    try:
        says = str(error)[:200]
    except BaseException:
        says = ""
    return {"raised": [kind.__name__ for kind in type(error).__mro__][:8], "says": says}


def raised_elsewhere(message):
    """The exception that a message tells of: the nearest of Python's own, or a RuntimeError.

    An iteration's end is none: raised by a function it would end the loop of a test as if all had gone well.
    """
    names, says = message.get("raised"), message.get("says")
    if not isinstance(names, list) or not isinstance(says, str):
        raise Broken("an exception of no known kind")
    for name in names:
        kind = getattr(builtins, name, None) if type(name) is str else None
        if not isinstance(kind, type) or not issubclass(kind, Exception):
            continue
        if issubclass(kind, (StopIteration, StopAsyncIteration)):
            break
        try:
            return kind(says)
        except TypeError:  # UnicodeDecodeError and the like need more than a text
            continue
    return RuntimeError(says)
