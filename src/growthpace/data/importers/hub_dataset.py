"""Any Hugging Face dataset, by name on the hub or from a local folder, through a mapping of its columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from growthpace.data.importers.alpaca import joined
from growthpace.data.importers.chat import OPENAI_ROLES, SHAREGPT_ROLES
from growthpace.data.importers.records import Record, read_messages
from growthpace.data.importers.references import told_item
from growthpace.data.items import Item, Message
from growthpace.errors import InputError
from growthpace.study import GENERAL, HubDatasetItems


def read(settings: HubDatasetItems, abilities: list[str] | None) -> Iterator[Item]:
    """Items of the abilities (None: all rows, as general items) in the dataset's order.

    Raises `InputError` where the dataset cannot be loaded, lacks a column or has no row of an ability, and with the
    number of a row that is wrong.
    """
    rows = loaded_split(settings.name, settings.subset, settings.split, settings.revision, "name")
    for role, column in settings.columns.items():
        if column not in rows.column_names:
            raise InputError(
                f"dataset {settings.name}, split {settings.split}: columns.{role}: no column {column!r} "
                f"(it has: {', '.join(rows.column_names)})"
            )
    wanted: Iterable[int] = range(len(rows))
    if abilities is not None:
        labels = list(rows[settings.columns["ability"]])
        for ability in abilities:
            if ability not in labels:
                known = ", ".join(sorted({str(label) for label in labels})) or "no rows"
                raise InputError(
                    f"dataset {settings.name}, split {settings.split}: no row of the ability {ability!r} in the column "
                    f"{settings.columns['ability']!r} (found: {known})"
                )
        wanted = [number for number, label in enumerate(labels) if label in abilities]
    # A local folder is named by its last part only: no path of this machine enters a pool.
    name = Path(settings.name).name if Path(settings.name).is_dir() else settings.name
    for number in wanted:
        row = rows[number]
        content = {role: row[column] for role, column in settings.columns.items()}
        record = Record(content, Path(f"{settings.name}[{settings.split}]"), f"{name}[{settings.split}]", number + 1)
        labelled = abilities is not None
        ability = content["ability"] if labelled else GENERAL
        identifier = record.field("id", (str, int), required=False)
        named = "" if identifier is None else str(identifier)
        yield told_item(_messages(record), ability, labelled, record.origin, named)


def loaded_split(name: str, subset: str | None, split: str, revision: str | None, key: str, **more):
    """A split, loaded by the datasets library, whose many kinds of error become one.

    key: the study's key for a local folder, told in the error. more: further arguments of `load_dataset`. No script is
    ever run: the library knows none.
    """
    import datasets

    try:
        return datasets.load_dataset(name, subset, split=split, revision=revision, **more)
    except Exception as error:  # the library raises its own, the hub's, the reader's and the network's errors
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        at = f"{f', configuration {subset}' if subset else ''}{f', revision {revision}' if revision else ''}"
        raise InputError(
            f"dataset {name}{at}, split {split}: cannot be loaded: {reason} "
            f"(without a network, download it elsewhere and give its folder as {key})"
        ) from error


def _messages(record: Record) -> tuple[Message, ...]:
    if "messages" in record.content:
        entries = record.field("messages", list)
        if entries and isinstance(entries[0], dict) and "from" in entries[0]:
            return read_messages(record, "messages", "from", "value", SHAREGPT_ROLES)
        return read_messages(record, "messages", "role", "content", OPENAI_ROLES)
    question = joined(record.field("instruction", str), record.field("input", str, required=False) or "")
    return Message("user", question), Message("assistant", record.field("output", str))
