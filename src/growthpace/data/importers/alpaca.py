"""Plain instruction records, as in Stanford Alpaca: `instruction`, `input` (may be absent or empty), `output`.

Spellings of the same layout that are read too: `response` for `output` (GPTeacher), `system`, and `history`, a list of
[user, assistant] pairs that come before (LLaMA-Factory). Instruction and input are joined by a line break.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from growthpace.data.importers.records import Record, read_records
from growthpace.data.importers.references import told_item
from growthpace.data.items import Item, Message


def read(path: Path, name: str, ability: str, labelled: bool) -> Iterator[Item]:
    """Items of one file, without ids. Raises `InputError` with file and line."""
    for record in read_records(path, name):
        yield told_item(read_instruction(record), ability, labelled, record.origin)


def read_instruction(record: Record) -> tuple[Message, ...]:
    """The messages of a record."""
    return tuple(_messages(record))


def _messages(record: Record) -> Iterator[Message]:
    system = record.field("system", str, required=False)
    if system:
        yield Message("system", system)
    for position, turn in enumerate(record.field("history", list, required=False) or [], start=1):
        what = f"history[{position}]"
        if len(record.typed(turn, list, what)) != 2:
            raise record.wrong(f"{what}: expected a pair [user, assistant], found {len(turn)} entries")
        yield Message("user", record.typed(turn[0], str, f"{what}[1]"))
        yield Message("assistant", record.typed(turn[1], str, f"{what}[2]"))
    instruction = record.field("instruction", str)
    context = record.field("input", str, required=False) or ""
    if "output" in record.content and "response" in record.content:
        raise record.wrong("both output and response: which of them is the answer?")
    answer = record.field("response" if "response" in record.content else "output", str)
    yield Message("user", joined(instruction, context))
    yield Message("assistant", answer)


def joined(instruction: str, context: str) -> str:
    """An instruction with its input, one below the other; either alone where the other is blank."""
    return "\n".join(part.strip() for part in (instruction, context) if part.strip())
