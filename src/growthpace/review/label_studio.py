"""Review tasks for Label Studio, and what it exports of them.

A task is `{"data": {...}}` (labelstud.io/guide/task_format). The labelling interface beside the tasks names their
fields; its controls are called as the columns of a table. Read are the exports JSON (annotations below each task) and
JSON-MIN (a flat object for each).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from growthpace.data.importers.records import Record, read_records
from growthpace.files import write_text
from growthpace.review.columns import FILLED, KEYS, Answered, Task, answered

INTERFACE = """<View>
  <Style>.htx-text, .lsf-richtext__line { white-space: pre-wrap; }</Style>
  <Header value="$heading"/>
  <Paragraphs name="conversation" value="$turns" layout="dialogue" nameKey="author" textKey="text"/>
  <Header value="Reference answer"/>
  <Text name="reference" value="$reference"/>
  <Header value="Candidates (the wrong ones are meant to be wrong)"/>
  <Text name="candidates" value="$candidates"/>
  <Text name="notes" value="$notes"/>
  <Header value="Verdict"/>
  <Choices name="verdict" toName="reference" choice="single-radio" required="true" showInline="true">
    <Choice value="pass"/>
    <Choice value="revise"/>
    <Choice value="reject"/>
  </Choices>
  <Header value="To revise, change the last user's turn or the reference answer here"/>
  <TextArea name="revised_instruction" toName="reference" value="$instruction" editable="true" maxSubmissions="1"
            rows="4"/>
  <TextArea name="revised_answer" toName="reference" value="$reference" editable="true" maxSubmissions="1" rows="4"/>
  <Header value="Comment"/>
  <TextArea name="comment" toName="reference" maxSubmissions="1" rows="2"/>
</View>
"""
"""The labelling interface (Settings, Labeling Interface, Code). Text that is left as it is counts as not revised."""


def task_of(task: Task) -> dict[str, Any]:
    """A task as Label Studio reads it."""
    data = task.keys | {
        "ability": task.item.ability,
        "heading": f"{task.item.ability}: item {task.item.id}",
        "turns": [{"author": message.role, "text": message.content} for message in task.item.messages[:-1]],
        "instruction": task.instruction,
        "reference": task.reference,
        "candidates": task.candidates or "none",
        "notes": task.notes or "no notes",
    }
    return {"data": data}


def write_tasks(path: Path, tasks: Iterable[Task]) -> None:
    """Writes tasks twice: as JSON lines to `path`, and as one JSON array beside it (`.json`), which every version of
    Label Studio imports, while JSON lines are known to newer ones alone."""
    lines = [json.dumps(task_of(task), ensure_ascii=False) for task in tasks]
    write_text(path, "".join(f"{line}\n" for line in lines))
    write_text(path.with_suffix(".json"), "[\n" + ",\n".join(lines) + "\n]\n")


def read_export(path: Path) -> list[Answered]:
    """The tasks of an export, in its order; those that were skipped or not submitted come without a verdict.

    Raises `InputError`, with the line, for what is no export of such tasks, and for a task that was annotated twice.
    """
    found = []
    for row, record in enumerate(read_records(path), start=1):
        if "data" in record.content:
            data = record.field("data", dict)
            values, date = _submitted(record)
        else:  # JSON-MIN
            data, values, date = record.content, _flat(record), str(record.content.get("updated_at") or "")
        for key in KEYS:
            record.typed(data.get(key), str, key)
        found.append(answered({key: data[key] for key in KEYS} | values, path, record.line, row, date))
    return found


def _submitted(record: Record) -> tuple[dict[str, str], str]:
    """What was filled in, and when."""
    given = record.field("annotations", list, required=False) or record.field("completions", list, required=False) or []
    given = [record.typed(annotation, dict, "annotations") for annotation in given]
    given = [annotation for annotation in given if not annotation.get("was_cancelled")]
    if len(given) > 1:
        raise record.wrong(
            f"{len(given)} annotations of one task (allowed: one; each reviewer needs a project with an own file)"
        )
    if not given:
        return {}, ""
    values = {}
    for result in record.typed(given[0].get("result"), list, "annotations.result"):
        name = record.typed(result, dict, "annotations.result").get("from_name")
        if name in FILLED:
            value = record.typed(result.get("value"), dict, f"{name}.value")
            values[name] = _joined(record, name, value.get("choices", value.get("text")))
    return values, str(given[0].get("updated_at") or given[0].get("created_at") or "")


def _flat(record: Record) -> dict[str, str]:
    values = {}
    for name in FILLED:
        value = record.content.get(name)
        if isinstance(value, dict):
            value = value.get("choices", value.get("text"))
        if value is not None:
            values[name] = _joined(record, name, value)
    return values


def _joined(record: Record, name: str, value: Any) -> str:
    """One text; Label Studio gives a list where a control allows several."""
    parts = value if isinstance(value, list) else [value]
    if name != "comment" and len(parts) > 1:
        raise record.wrong(f"{name}: {len(parts)} values (allowed: one)")
    return "\n".join(record.typed(part, str, name) for part in parts)
