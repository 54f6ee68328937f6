"""Items: one instruction with its reference, how it is scored and its chance level.

Every importer yields `Item`s and every later stage reads them from Parquet files of one schema (`schema`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from growthpace.data.seen import Seen
from growthpace.errors import InputError
from growthpace.files import write_tables

if TYPE_CHECKING:  # see files.py
    import pyarrow as pa

BATCH = 16_000_000
"""Characters of a row group."""

ROLES = ("system", "user", "assistant")

SCORERS = (
    "letter", "true_false", "letters", "cloze", "math", "perplexity", "exact_match", "token_f1", "code", "judge",
    "none",
)  # fmt: skip
"""How an item can be scored. `none`: it only trains (an instruction with a free answer)."""


@dataclass(frozen=True)
class Message:
    role: str
    """One of ROLES."""
    content: str


@dataclass(frozen=True)
class Item:
    """One instruction with its reference answer."""

    id: str
    """Unique within a pool or suite; ranks the item in nested datasets."""
    ability: str
    messages: tuple[Message, ...]
    """Turns, alternating from a user's (after an optional system message); the last is the assistant's reference.
    Under the scorer `judge` an assistant's turn may be empty: nobody wrote one, and the model answers in its place."""
    scorer: str
    """One of SCORERS."""
    answer: str = ""
    """What the scorer compares with: a letter, letters such as `AC`, a phrase, a number. Empty for `none`."""
    candidates: tuple[str, ...] = ()
    """Answers compared by log-probability. letter: the letters; true_false: the two words; perplexity: the texts,
    the right one first; letters: the letters that may be chosen; code: at most one, a program's beginning (see
    `evaluation.scorers.code`). Empty elsewhere."""
    chance: float = 0.0
    """Expected grade of a uniform guesser, in [0, 1]."""
    group: str = ""
    """Items that share a passage or dialogue carry the same non-empty group; their errors are not independent."""
    origin: str = ""
    """`file:line` it was read from, for messages and audits."""
    references: tuple[str, ...] = ()
    """Other answers that are as right as `answer` (exact_match, token_f1), or what a judge is shown beside it."""
    tests: str = ""
    """code: the Python program that tries the answer out (see `evaluation.scorers.code`)."""
    shots: int = 0
    """How many pairs of turns at the front, after a system message, are worked examples of a benchmark."""
    subject: str = ""
    """Part of a benchmark, such as MMLU's `anatomy`: a macro mean weighs subjects equally, a micro mean items."""
    taken_from: tuple[str, ...] = ()
    """perplexity: ids of the items whose references the wrong candidates are, in their order, where they were chosen by
    rule (see `data.candidates`)."""


def content_id(ability: str, messages: Iterable[Message], answer: str = "", candidates: Iterable[str] = ()) -> str:
    """Id of an item whose publisher gave none: the first 16 hex digits of the SHA-256 of what it says.

    Independent of file order; equal items get equal ids, see `numbered_repeats`.
    """
    content = [ability, [[m.role, m.content] for m in messages], answer, list(candidates)]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:16]


def numbered_repeats(items: Iterable[Item]) -> Iterator[Item]:
    """Items whose content-made id occurs again get `#2`, `#3`, ... so that exact repeats stay countable.

    Only for ids made by `content_id`: the repeats are equal, so which one comes first does not matter.
    """
    seen = Seen()
    for item in items:
        count = seen.add(item.id)
        yield item if count == 1 else replace(item, id=f"{item.id}#{count}")


def check_item(item: Item) -> Item:
    """The item itself, or `InputError` naming its origin and what is wrong with it."""

    def wrong(what: str):
        return InputError(f"{item.origin or item.id}: {what}")

    if not item.messages or item.messages[-1].role != "assistant":
        last = f"its last message is by {item.messages[-1].role!r}" if item.messages else "it has no messages"
        raise wrong(f"an item ends with the assistant's reference answer, but {last}")
    turns = item.messages[1:] if item.messages[0].role == "system" else item.messages
    for position, message in enumerate(turns):
        expected = ("user", "assistant")[position % 2]
        if message.role != expected:
            raise wrong(f"message {position + 1} is by {message.role!r}, expected {expected!r} (turns alternate)")
        if not message.content.strip() and (message.role == "user" or item.scorer != "judge"):
            what = "empty answer" if message.role == "assistant" else "empty message"
            raise wrong(f"{what} (message {position + 1})")
    if len(turns) < 2:
        raise wrong("an item needs a user's message before the answer")
    if item.scorer not in SCORERS:
        raise wrong(f"unknown scorer {item.scorer!r} (allowed: {', '.join(SCORERS)})")
    if item.scorer not in ("none", "judge") and not item.answer.strip():
        raise wrong(f"empty answer for the scorer {item.scorer!r}")
    if not 0 <= item.chance < 1:
        raise wrong(f"chance {item.chance} is not in [0, 1)")
    if item.scorer in ("letter", "true_false", "perplexity"):
        if len(item.candidates) < 2:
            raise wrong(f"the scorer {item.scorer!r} needs at least two candidates, found {len(item.candidates)}")
        for position, candidate in enumerate(item.candidates):
            if not candidate.strip():
                raise wrong(f"an empty candidate ({position + 1})")
            if candidate in item.candidates[:position]:
                raise wrong(f"the candidate {candidate!r} is given twice")
        if item.answer not in item.candidates:
            raise wrong(f"the answer {item.answer!r} is not among the candidates {list(item.candidates)}")
    if item.scorer == "code" and not item.tests.strip():
        raise wrong("the scorer 'code' needs tests, found none")
    if item.scorer == "code" and len(item.candidates) > 1:
        raise wrong(f"{len(item.candidates)} candidates (allowed for code: at most one, the program's beginning)")
    if not 0 <= 2 * item.shots <= len(turns) - 2:
        raise wrong(f"{item.shots} shots among {len(turns)} turns (a shot is two turns, the question and answer last)")
    if item.scorer == "letters" and not set(item.answer) <= set(item.candidates):
        raise wrong(f"the answer {item.answer!r} has letters that are not among {list(item.candidates)}")
    return item


def check_unique(items: Iterable[Item], where: str) -> list[Item]:
    """The items as a list, each checked; `InputError` naming the first id that occurs twice and both places."""
    known = list(items)
    return list(unique(known, where, lambda: known))


def unique(items: Iterable[Item], where: str, again: Callable[[], Iterable[Item]]) -> Iterator[Item]:
    """The items one by one, each checked; `InputError` naming the first id that occurs twice and both places.

    In memory are a few bytes an id. `again` gives the same items anew: only to find the other place, once an id seems
    to be there twice.
    """
    seen = Seen()
    for number, item in enumerate(items):
        check_item(item)
        if seen.add(item.id) > 1:
            first = next((other for other in islice(again(), number) if other.id == item.id), None)
            if first is not None:
                raise InputError(f"{where}: the item id {item.id!r} occurs twice: {first.origin} and {item.origin}")
        yield item


@cache
def schema() -> pa.Schema:
    """Columns of every file of items."""
    import pyarrow as pa

    return pa.schema(
        [
            ("id", pa.string()),
            ("ability", pa.string()),
            ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
            ("scorer", pa.string()),
            ("answer", pa.string()),
            ("candidates", pa.list_(pa.string())),
            ("chance", pa.float64()),
            ("group", pa.string()),
            ("origin", pa.string()),
            ("references", pa.list_(pa.string())),
            ("tests", pa.string()),
            ("shots", pa.int32()),
            ("subject", pa.string()),
            ("taken_from", pa.list_(pa.string())),
        ]
    )


def write_items(path: str | Path, items: Iterable[Item], metadata: dict[str, Any]) -> int:
    """Writes items in the given order, a row group of a few megabytes at a time; returns their number. `metadata` as in
    `files.write_table`, looked at once all items are written: what is counted on the way may still be added to it."""
    import pyarrow as pa

    written = 0

    def tables() -> Iterator[pa.Table]:
        nonlocal written
        for batch in _batches(items):
            written += len(batch)
            yield pa.Table.from_pylist([_row(item) for item in batch], schema=schema())

    write_tables(path, schema(), tables(), metadata)
    return written


def _row(item: Item) -> dict[str, Any]:
    """What `dataclasses.asdict` gives, in a tenth of the time."""
    return vars(item) | {"messages": [vars(message) for message in item.messages]}


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Lists of items with `BATCH` characters or a little more in their messages."""
    batch: list[Item] = []
    characters = 0
    for item in items:
        batch.append(item)
        characters += 1000 + sum(len(message.content) for message in item.messages)  # a small item is not free
        if characters >= BATCH:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def read_items(path: str | Path) -> list[Item]:
    """The items of a Parquet file, in its order. What a file of an older version lacks is an item's default."""
    return list(stream_items(path))


def stream_items(path: str | Path, rows: int = 10_000) -> Iterator[Item]:
    """As `read_items`, with only so many rows in memory at a time."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(rows):
            yield from map(_item, batch.to_pylist())


def count_items(path: str | Path) -> int:
    """The number of items of a Parquet file."""
    import pyarrow.parquet as pq

    return pq.read_metadata(path).num_rows


def item_ids(path: str | Path) -> Iterator[str]:
    """The ids of a Parquet file's items, in its order; nothing else of them is read."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=["id"]):
            yield from batch.column("id").to_pylist()


def items_with(path: str | Path, ids: Sequence[str]) -> list[Item]:
    """The items of a Parquet file that have these ids, in the order of the ids. No others are decoded."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    wanted, found = pa.array(ids, pa.string()), {}
    with pq.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            rows = file.read_row_group(number)
            for row in rows.filter(pc.is_in(rows["id"], wanted)).to_pylist():
                found[row["id"]] = _item(row)
    return [found[identifier] for identifier in ids]


def _item(row: dict[str, Any]) -> Item:
    texts = ("candidates", "references", "taken_from")
    messages = tuple(Message(**message) for message in row["messages"])
    return Item(**{**row, "messages": messages, **{name: tuple(row[name]) for name in texts if name in row}})
