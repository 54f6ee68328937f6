"""`growthpace review import`: verdicts from reviewers' files into the history, all of them or, with a fault, none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from growthpace.data.items import Item
from growthpace.data.reviewed.decisions import CONFLICT, KEPT, REJECTED, UNDECIDED, outcome
from growthpace.data.reviewed.history import ROLES, VERDICTS, Entry, alone, read_history
from growthpace.data.reviewed.revision import (
    Revision,
    answer_of,
    content_of,
    instruction_of,
    revised,
    revision_to,
    same_text,
)
from growthpace.errors import InputError
from growthpace.files import sha256
from growthpace.review.columns import Answered
from growthpace.review.label_studio import read_export
from growthpace.review.sheets import read_sheet
from growthpace.review.source import Source, numbers

READERS = {".csv": read_sheet, ".tsv": read_sheet, ".txt": read_sheet, ".json": read_export, ".jsonl": read_export}
FAULTS_TOLD = 20


@dataclass
class Imported:
    """What a file brought."""

    path: Path
    verdicts: Counter[str] = field(default_factory=Counter)
    undecided: int = 0
    new: list[Entry] = field(default_factory=list)


def import_files(
    source: Source, paths: Iterable[Path], config: Path, today: str, report: Callable[[str], None]
) -> list[Imported]:
    """Adds the verdicts in reviewers' files to the source's history, rewrites its decisions, and says what is next.

    today: ISO 8601, the date of verdicts whose file does not say when they were given. A verdict that says what its
    reviewer's last one on that version said is not added again, nor is any of a file that was imported before, byte
    for byte. Raises `InputError` with one line for each fault, naming file and line; then nothing is written.
    """
    with alone(source.folder):
        source.history = read_history(source.folder)
        found = read_files(source, [Path(path) for path in paths], today)
        source.add([entry for imported in found for entry in imported.new])
        changed = source.decide()
    for imported in found:
        given = ", ".join(f"{imported.verdicts[verdict]:,} {verdict}" for verdict in VERDICTS)
        report(f"{imported.path}: {given}, {imported.undecided:,} not judged yet; {len(imported.new):,} new verdicts")
    if changed:
        report(f"decisions written to {source.folder}: {', '.join(changed)}")
    for line in next_steps(source, config):
        report(line)
    return found


def read_files(source: Source, paths: list[Path], today: str) -> list[Imported]:
    """What the files bring to a source, checked against its items and its history; see `import_files`."""
    faults: list[str] = []
    history: dict[str, list[Entry]] = {}
    for entry in source.history:
        history.setdefault(entry.item_id, []).append(entry)
    known = {entry.file_sha256 for entry in source.history}
    seen: dict[tuple[str, ...], Answered] = {}
    found = []
    for path in paths:
        rows = _read(path)
        digest = sha256(path)
        imported = Imported(path)
        found.append(imported)
        for row in rows:
            try:
                item, current, base = _item(source, row, history)
                if row.undecided:
                    imported.undecided += 1
                    continue
                _once(row, seen)
                entry = _entry(row, item, current, base, today, digest)
                _allowed(row, entry, item, history.get(item.id, []))
            except InputError as error:
                faults.append(str(error))
                continue
            imported.verdicts[entry.verdict] += 1
            before = [
                e for e in history.get(item.id, [])
                if (e.content, e.reviewer, e.role) == (entry.content, entry.reviewer, entry.role)
            ]  # fmt: skip
            if digest not in known and not (before and before[-1].said == entry.said):
                imported.new.append(entry)
                history.setdefault(item.id, []).append(entry)
    if faults:
        more = [f"and {len(faults) - FAULTS_TOLD:,} more faults"] if len(faults) > FAULTS_TOLD else []
        raise InputError("\n".join([*faults[:FAULTS_TOLD], *more, "nothing was imported"]))
    return found


def _read(path: Path) -> list[Answered]:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.suffix.lower() not in READERS:
        hint = "; save the table as CSV UTF-8" if path.suffix.lower() in (".xlsx", ".xls", ".ods") else ""
        raise InputError(f"{path}: cannot read {path.suffix or 'a file without an ending'} (allowed: "
                         f"{', '.join(READERS)}{hint})")  # fmt: skip
    return READERS[path.suffix.lower()](path)


def _once(row: Answered, seen: dict[tuple[str, ...], Answered]) -> None:
    """Refuses a reviewer's second row on a version of an item."""
    other = seen.setdefault((row.item_id, row.content, row.reviewer), row)
    if other is not row:
        raise row.wrong(f"{row.reviewer} has judged this item already in {other.path}:{other.line} (row {other.row})")


def _item(source: Source, row: Answered, history: dict[str, list[Entry]]) -> tuple[Item, Item, Revision]:
    """The source's item of a row, the version that was judged, and how that differs from the source's."""
    for key, value in (("reviewer", row.reviewer), ("content", row.content)):
        if not value:
            raise row.wrong(f"{key}: empty (keep what growthpace review export wrote)")
    if row.role not in ROLES:
        raise row.wrong(f"role: {row.role!r} (allowed: {', '.join(ROLES)})")
    item = source.by_id.get(row.item_id)
    if item is None:
        raise row.wrong(f"sources.{source.name} has no such item (is this another source's file, or was it removed?)")
    versions = outcome(item, history.get(item.id, [])).versions
    if row.content not in versions:
        raise row.wrong("the item has changed since the export (export it again; this verdict was on another text)")
    return item, revised(item, versions[row.content]), versions[row.content]


def _entry(row: Answered, item: Item, current: Item, base: Revision, today: str, digest: str) -> Entry:
    texts = {"revised_instruction": row.revised_instruction, "revised_answer": row.revised_answer}
    same = {"revised_instruction": instruction_of(current), "revised_answer": answer_of(current)}
    texts = {key: text for key, text in texts.items() if text and not same_text(text, same[key])}
    allowed = ", ".join(VERDICTS)
    if not row.verdict:
        given = ", ".join([*texts, *(["comment"] if row.comment else [])])
        if not given:  # Label Studio submits the texts as they were
            raise row.wrong(f"verdict: empty (allowed: {allowed})")
        raise row.wrong(f"{given} without a verdict (allowed: {allowed})")
    if row.verdict not in VERDICTS:
        raise row.wrong(f"verdict: {row.verdict!r} (allowed: {allowed}, or empty for an item not judged yet)")
    if row.verdict == "revise" and not texts:
        raise row.wrong(
            "verdict: revise, but neither revised_instruction nor revised_answer says anything new "
            "(allowed: a changed text in one of them, or pass or reject)"
        )
    if row.verdict != "revise" and texts:
        raise row.wrong(f"verdict: {row.verdict}, but {' and '.join(texts)} is filled in (allowed: revise, or no text)")
    revision, after = None, None
    if texts:
        merged = revision_to(
            item,
            texts.get("revised_instruction", base.instruction),
            texts.get("revised_answer", base.answer),
        )
        try:
            after = content_of(revised(item, merged))
        except InputError as error:
            raise row.wrong(f"the revised text makes no item: {error}") from None
        revision = merged
    return Entry(
        item_id=item.id,
        ability=item.ability,
        content=row.content,
        reviewer=row.reviewer,
        role=row.role,
        verdict=row.verdict,
        revised_instruction=revision.instruction if revision else None,
        revised_answer=revision.answer if revision else None,
        revised_content=after,
        comment=row.comment,
        date=row.date or today,
        file=row.path.name,
        file_sha256=digest,
        before_instruction=instruction_of(current),
        before_answer=answer_of(current),
    )


def _allowed(row: Answered, entry: Entry, item: Item, before: list[Entry]) -> None:
    """Refuses a third reviewer, and an adjudicator who is one of the reviewers."""
    now = outcome(item, before)
    if entry.role == "adjudicator":
        if entry.reviewer in now.reviewers:
            raise row.wrong(f"{entry.reviewer} has reviewed this item and cannot adjudicate it (allowed: anybody else)")
    elif entry.reviewer not in now.reviewers and len(now.reviewers) > 1:
        raise row.wrong(
            f"{' and '.join(now.reviewers)} have reviewed this item, {entry.reviewer} is a third "
            "(allowed: two reviewers; a third decides conflicts: growthpace review export --adjudicator)"
        )
    elif entry.reviewer == now.adjudicator:
        raise row.wrong(f"{entry.reviewer} has adjudicated this item and cannot review it (allowed: anybody else)")


def next_steps(source: Source, config: Path) -> list[str]:
    """How many items stand where, and the commands that go on from there."""
    found = numbers(source.outcomes().values())
    lines = [
        f"review {source.name}: {found[KEPT]:,} kept, {found[REJECTED]:,} rejected, {found[CONFLICT]:,} in conflict, "
        f"{found[UNDECIDED]:,} undecided, {len(source.by_id) - found.total():,} not judged by anybody"
    ]
    waiting = [o for o in source.outcomes().values() if o.state == UNDECIDED and o.reviewers]
    pairs = Counter(o.reviewers for o in waiting)
    names = next((",".join(sorted(pair)) for pair, _ in pairs.most_common() if len(pair) == 2), "NAME,NAME")
    again = sum(not o.revision.empty for o in waiting)
    if again:
        lines.append(
            f"next: {_waiting(again, 'revision')} for the other reviewer: growthpace review export {config} "
            f"{source.name} --reviewers {names} --to FOLDER"
        )
    if found[CONFLICT]:
        lines.append(
            f"next: {_waiting(found[CONFLICT], 'conflict')} for a third person: growthpace review export {config} "
            f"{source.name} --adjudicator NAME --to FOLDER"
        )
    if not again and not found[CONFLICT] and found.total():
        lines.append(f"next: growthpace review report {config} {source.name}")
    if not source.demanded and found[KEPT]:
        lines.append(f"to train on kept items only: sources.{source.name}.reviewed: {shown(source.folder, config)}")
    return lines


def _waiting(number: int, what: str) -> str:
    return f"{number:,} {what}s wait" if number != 1 else f"1 {what} waits"


def shown(folder: Path, config: Path) -> str:
    """The folder as the study would name it."""
    base = config.resolve().parent
    return str(folder.relative_to(base)) if folder.is_relative_to(base) else str(folder)
