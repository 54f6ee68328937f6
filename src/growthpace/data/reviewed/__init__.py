"""Which items of a source two reviewers passed, and in which form: what a pool with `reviewed:` takes.

A review's folder holds `history.jsonl` (see `history`) and, made from it by `growthpace review import`, a file of
decisions for each ability, `kept/{ability}.jsonl`: a line for each item that is kept. A pool is read from that file
alone, so that a verdict which decides nothing plans nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from growthpace.data.importers.records import read_records
from growthpace.data.items import Item
from growthpace.errors import InputError

if TYPE_CHECKING:
    from growthpace.data.reviewed.decisions import Outcome

NOT_PASSED, CHANGED = "not passed by two reviewers", "changed since they were reviewed"
"""Why an item of a source is left out."""
NOT_KEPT = (CHANGED, NOT_PASSED)


def decision_file(folder: Path, ability: str) -> Path:
    """Where an ability's kept items are listed (`general` for a source that is not labelled)."""
    return folder / "kept" / f"{ability}.jsonl"  # in a folder of its own: `history` is an ability too


def decisions_of(items: Iterable[Item], found: Mapping[str, Outcome]) -> str:
    """The file of decisions on an ability's items: those that are kept, by id."""
    from growthpace.data.reviewed.decisions import KEPT
    from growthpace.data.reviewed.revision import content_of

    lines = []
    for item in sorted(items, key=lambda item: item.id):
        kept = found[item.id]
        if kept.state == KEPT:
            line = {"item_id": item.id, "source_content": content_of(item), "content": kept.content}
            texts = {"instruction": kept.revision.instruction, "answer": kept.revision.answer}
            lines.append(json.dumps(line | {k: v for k, v in texts.items() if v is not None}, ensure_ascii=False))
    return "".join(f"{line}\n" for line in lines)


def kept_items(
    items: Iterable[Item], folder: Path, ability: str, left_out: Counter[str] | None = None
) -> Iterator[Item]:
    """Those of an ability's items that were kept, in their revised form, under the same ids and in the same order.

    `left_out` counts the others by the reason. Raises `InputError` where there is no file of decisions, and for a line
    of it that does not give the text that was passed.
    """
    from growthpace.data.reviewed.revision import Revision, content_of, revised

    path = decision_file(folder, ability)
    if not path.is_file():
        raise InputError(f"{path}: no such file (growthpace review import writes it)")
    records = {r.field("item_id", str): r for r in read_records(path)} if path.stat().st_size else {}
    for item in items:
        record, reason = records.get(item.id), None
        if record is None:
            reason = NOT_PASSED
        elif record.field("source_content", str) != content_of(item):
            reason = CHANGED
        if reason:
            if left_out is not None:
                left_out[reason] += 1
            continue
        texts = (record.field(key, str, required=False) for key in ("instruction", "answer"))
        found = revised(item, Revision(*texts))
        if content_of(found) != record.field("content", str):
            raise record.wrong("not the text that was passed (growthpace review report writes this file anew)")
        yield found
