"""Conversations: OpenAI's `messages` [{role, content}] or ShareGPT's `conversations` [{from, value}].

A `system` text beside ShareGPT's conversations comes first. Tool calls and images cannot be learned here and are
refused, as is a conversation that does not alternate or does not end with an answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from growthpace.data.importers.records import Record, read_messages, read_records
from growthpace.data.importers.references import told_item
from growthpace.data.items import Item, Message

OPENAI_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
SHAREGPT_ROLES = {
    "system": "system",
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "assistant": "assistant",
}


def read(path: Path, name: str, ability: str, labelled: bool) -> Iterator[Item]:
    """Items of one file, without ids. Raises `InputError` with file and line."""
    for record in read_records(path, name):
        yield told_item(read_chat(record), ability, labelled, record.origin)


def read_chat(record: Record) -> tuple[Message, ...]:
    """The messages of a record in either style."""
    if ("messages" in record.content) == ("conversations" in record.content):
        raise record.wrong("expected exactly one of the fields messages, conversations")
    if "messages" in record.content:
        return read_messages(record, "messages", "role", "content", OPENAI_ROLES)
    system = record.field("system", str, required=False)
    turns = read_messages(record, "conversations", "from", "value", SHAREGPT_ROLES)
    return (Message("system", system), *turns) if system else turns
