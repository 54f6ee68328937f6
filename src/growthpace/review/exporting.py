"""`growthpace review export`: what each reviewer still has to judge, as files for a spreadsheet or Label Studio."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from growthpace.data.datasets import ranked
from growthpace.data.items import Item
from growthpace.data.reviewed.decisions import CONFLICT, UNDECIDED, Outcome
from growthpace.data.reviewed.history import Entry
from growthpace.data.reviewed.revision import revised
from growthpace.errors import InputError
from growthpace.files import write_text
from growthpace.review.columns import Task
from growthpace.review.label_studio import INTERFACE, write_tasks
from growthpace.review.sheets import LONGEST_CELL, write_sheet
from growthpace.review.source import Source

FORMATS = {"csv": ("csv",), "jsonl": ("jsonl",), "both": ("csv", "jsonl")}


def sampled(items: list[Item], number: int | None, seed: int) -> list[Item]:
    """The first `number` items in the order in which datasets of this seed take them; all when None.

    So a larger sample holds the smaller one, and a review of n items of each ability is one of all that a volume of
    n times the number of abilities would take.
    """
    return ranked(items, seed)[:number]


def shuffled(tasks: list[Task], seed: int) -> list[Task]:
    """The tasks in an order of their own for each reviewer: by SHA-256 of seed, reviewer and item id."""

    def key(task: Task) -> tuple[bytes, str]:
        return hashlib.sha256(f"{seed}:{task.reviewer}:{task.item.id}".encode()).digest(), task.item.id

    return sorted(tasks, key=key)


def tasks_of(source: Source, reviewers: tuple[str, ...], sample: int | None, seed: int) -> dict[str, list[Task]]:
    """What each of the two reviewers has to judge: the items of the sample, in the version that waits for a verdict,
    that this reviewer has not spoken on. Items that somebody else reviews are left out."""
    found, tasks = source.outcomes(), {reviewer: [] for reviewer in reviewers}
    for items in source.items.values():
        for item in sampled(items, sample, seed):
            outcome = found[item.id]
            if outcome.state != UNDECIDED or set(outcome.reviewers) - set(reviewers):
                continue
            for reviewer in reviewers:
                if reviewer not in outcome.spoken:
                    tasks[reviewer].append(Task(revised(item, outcome.revision), reviewer, "reviewer"))
    return {reviewer: shuffled(own, seed) for reviewer, own in tasks.items()}


def conflicts_of(source: Source, adjudicator: str, seed: int) -> dict[str, list[Task]]:
    """What an adjudicator has to decide: every item in conflict, with what its reviewers said."""
    found, given, standing = [], {}, source.outcomes()
    for entry in source.history:
        given.setdefault(entry.item_id, []).append(entry)
    for item in source.by_id.values():
        outcome = standing[item.id]
        if outcome.state == CONFLICT:
            notes = _notes(outcome, given[item.id])
            found.append(Task(revised(item, outcome.revision), adjudicator, "adjudicator", notes))
    return {adjudicator: shuffled(found, seed)}


def _notes(outcome: Outcome, entries: list[Entry]) -> str:
    """What was said of an item, a verdict a paragraph."""
    said = []
    for entry in entries:
        if entry.content in outcome.versions and entry.role == "reviewer":
            parts = [f"{entry.reviewer}: {entry.verdict}"]
            parts += [f"instruction: {entry.revised_instruction}"] if entry.revised_instruction else []
            parts += [f"answer: {entry.revised_answer}"] if entry.revised_answer else []
            parts += [f"comment: {entry.comment}"] if entry.comment else []
            said.append("\n".join(parts))
    return "\n\n".join(said)


@dataclass(frozen=True)
class Request:
    """What is to be exported."""

    to: Path
    reviewers: tuple[str, ...] = ()
    adjudicator: str = ""
    """One of the two is given."""
    sample: int | None = None
    formats: tuple[str, ...] = FORMATS["both"]
    seed: int = 0


def export(source: Source, request: Request, config: Path, report: Callable[[str], None]) -> dict[str, list[Path]]:
    """Writes each reviewer's files and says what to do with them: {reviewer: files}, without who has nothing to do.

    Raises `InputError` for a file that is there already: a reviewer may have written into it.
    """
    if request.adjudicator:
        tasks = conflicts_of(source, request.adjudicator, request.seed)
    else:
        tasks = tasks_of(source, request.reviewers, request.sample, request.seed)
    wanted = {
        name: [request.to / f"{source.name}-{name}.{ending}" for ending in request.formats]
        for name, own in tasks.items()
        if own
    }
    _refuse_existing(source, [path for paths in wanted.values() for path in paths], config)
    for name, paths in wanted.items():
        for path in paths:
            if path.suffix == ".csv":
                longest = write_sheet(path, tasks[name])
                if longest > LONGEST_CELL:
                    report(
                        f"{path}: its longest cell has {longest:,} characters, but Excel cuts off after "
                        f"{LONGEST_CELL:,}: use LibreOffice or Label Studio"
                    )
            else:
                write_tasks(path, tasks[name])
    if wanted and "jsonl" in request.formats:
        write_text(request.to / "label-studio.xml", INTERFACE)
    for line in _told(source, request, tasks, wanted, config):
        report(line)
    return wanted


def _refuse_existing(source: Source, paths: list[Path], config: Path) -> None:
    there = [str(path) for path in paths if path.exists()]
    if there:
        raise InputError(
            f"{', '.join(there)}: exists already, and verdicts may stand in it; import it first (growthpace review "
            f"import {config} {source.name} {there[0]}), then remove it or name another folder with --to"
        )


def _told(source: Source, request: Request, tasks, wanted, config: Path) -> Iterator[str]:
    for name, own in tasks.items():
        if name not in wanted:
            yield f"review {source.name}, {name}: nothing left to judge, no file written"
            continue
        counted = Counter(task.item.ability for task in own)
        each = ", ".join(f"{ability} {counted[ability]:,}" for ability in source.items if counted[ability])
        yield f"review {source.name}, {name}: {len(own):,} items ({each}) in {', '.join(map(str, wanted[name]))}"
    if not wanted:
        yield f"next: growthpace review report {config} {source.name}"
        return
    if "csv" in request.formats:
        yield "in a spreadsheet: fill the column verdict (pass, revise or reject); with revise also the revised text"
    if "jsonl" in request.formats:
        yield (
            f"in Label Studio: a project for each reviewer, its labeling interface {request.to / 'label-studio.xml'}, "
            "its data the .jsonl or the .json (the same tasks; older versions know .json only); export as JSON"
        )
    first = " ".join(str(paths[0]) for paths in wanted.values())
    yield f"next: growthpace review import {config} {source.name} {first}"
    yield "a file may be half done: import it now and again later"
