"""What faults did to a study: what followed each of them, and whether anything is not as it should be."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any, NamedTuple

from submitted import Attempt, Submitted, attempts, lines

from growthpace.interruptible import BUSY


class Hit(NamedTuple):
    """A job that a fault met, and what it was at."""

    cell: str
    state: str | None
    """The state folder, where it had begun to work."""
    moment: str
    start: tuple[str, int]
    """SLURM's id of the job, and how often that had been requeued before."""


HARMLESS = frozenset({"head killed", "slurmctld restarted", "slurmdbd stopped"})
"""Faults that end no job by themselves."""


@dataclass
class Fault:
    """One fault, what it hit, and (see `followed`) what came of it."""

    kind: str
    hit: str
    time: float
    cells: list[Hit]
    """Everything that ran where it hit."""
    reactions: list[str] = field(default_factory=list)
    again: int = 0
    """Steps and answers computed again."""
    seconds: list[float] = field(default_factory=list)
    """Until each interrupted cell ran again."""
    same: bool = False
    """Whether all that it hit came out as without it."""


# --- whether all is well ----------------------------------------------------------------------------------------------


def faults_of_results(project: Submitted, expected: dict[str, str]) -> list[str]:
    """What is not as in an undisturbed run, and what was done twice or by two at a time; best: nothing."""
    found, wrong = project.hashes(), []
    if missing := sorted(expected.keys() - found.keys()):
        wrong.append(f"missing: {', '.join(missing)}")
    if other := sorted(path for path, digest in found.items() if expected.get(path) != digest):
        wrong.append(f"other content than undisturbed: {', '.join(other)}")
    for state, own in attempts(project.events()).items():
        name = state.removeprefix(f"{project.results}/")
        for before, after in pairwise(own):
            if after.first < before.last:
                wrong.append(f"{name}: {before} and {after} worked at the same time")
    for log in sorted(project.results.glob("*/**/log.txt")):
        name = str(log.parent.relative_to(project.results))
        workers = re.findall(r"^\S+ (\[\S+\]) ", log.read_text(encoding="utf-8"), flags=re.MULTILINE)
        changes = Counter(worker for worker, _ in groupby(workers))
        wrong += [
            f"{name}: {worker} worked there, then another, then it again" for worker in changes if changes[worker] > 1
        ]
        said = Counter(re.findall(r"epoch \d+ written|\bdone$", log.read_text(encoding="utf-8"), flags=re.MULTILINE))
        wrong += [f"{name}: {number} times {what!r}" for what, number in said.items() if number > 1]
    wrong += [f"left behind: {path}" for path in project.results.glob("*/**/failed.json")]
    return wrong


# --- what followed a fault --------------------------------------------------------------------------------------------


def followed(fault: Fault, all_faults: list[Fault], project: Submitted, expected: dict[str, str]) -> None:
    """Fills in what came of a fault.

    The end of an attempt is put down to the last fault that hit its job before and can end one.
    """
    own, starts, ledger, hashes = (
        attempts(project.events()),
        starts_by_cell(project),
        project.ledger(),
        project.hashes(),
    )
    for cell, state, _, current in fault.cells:
        others = [
            f for f in all_faults for hit in f.cells if (hit.cell, hit.start) == (cell, current) and f is not fault
        ]
        strikes = [f.time for f in others if f.kind not in HARMLESS]
        next_fault = min((moment for moment in strikes if moment > fault.time), default=float("inf"))
        attempt = _at(own.get(state or "", []), fault.time)
        later = (s for s in starts[cell] if s["time"] > fault.time and (s["slurm"], s["restart"]) != current)
        start = next(later, None)
        if attempt and (any(line.endswith("done") for line in attempt.said) or next_fault <= attempt.last):
            second = start and start["exit"] == BUSY and start["time"] < attempt.last
            fault.reactions.append("went on; a second start of it was turned away" if second else "went on")
        elif start is None or (fault.kind in HARMLESS and any(moment < start["time"] for moment in strikes)):
            fault.reactions.append("went on")
        elif start["time"] > next_fault:
            fault.reactions.append("hit again before it ran again")
        else:
            fault.reactions.append(_reaction(cell, fault.time, start, ledger))
            fault.seconds.append(start["time"] - fault.time)
            after = next((a for a in own.get(state or "", []) if attempt and a.first > attempt.first), None)
            if after and after.start is not None and attempt.reached is not None:
                fault.again += max(0, attempt.reached - after.start)
    names = [re.sub(r"^(train|predict|base_model) ", "", hit.cell).split()[0] for hit in fault.cells]
    concerned = [path for path in expected if any(f"/{name}/" in f"/{path}" for name in names)]
    fault.same = all(hashes.get(path) == expected[path] for path in concerned)


def starts_by_cell(project: Submitted) -> dict[str, list[dict[str, Any]]]:
    """Starts of each cell on the first node of its job, in order of time; `exit` is how each ended, if it told."""
    found = defaultdict(list)
    for path in (project.results / "slurm" / "ends").glob("*.0.jsonl"):
        if ticket := project.ticket(path.name.split(".")[0]):
            for line in lines(path):
                own = found[ticket["members"][line["member"]]["cell"]]
                if line["event"] == "start":
                    own.append({**line, "exit": None})
                elif own:
                    own[-1]["exit"] = line["exit"]
    return defaultdict(list, {cell: sorted(own, key=lambda line: line["time"]) for cell, own in found.items()})


def _at(own: list[Attempt], moment: float) -> Attempt | None:
    return next((attempt for attempt in reversed(own) if attempt.first <= moment), None)


def _reaction(cell: str, moment: float, start: dict[str, Any], ledger: list[dict[str, Any]]) -> str:
    if start["restart"]:
        return "requeued by SLURM"
    own = [line for line in ledger if moment < line["time"] <= start["time"]]
    ended = next((line for line in own if line["event"] == "ended" and line["cell"] == cell), None)
    if ended is None:
        return "submitted again by the next head"
    return f"{ended['cause']}: {'stopped, then resumed' if ended['message'] else 'submitted again'}"


# --- the table --------------------------------------------------------------------------------------------------------


def table(outcome, seed: int) -> str:
    """The faults in Markdown, one a line, then totals by kind."""
    out = [
        "# Faults, and what became of each",
        "",
        f"Written by `make test-faults` (seed {seed}): {len(outcome.faults)} faults in {outcome.seconds / 60:.1f} "
        f"minutes on a study of {outcome.cells} trainings and predictions, on a SLURM cluster of four nodes on one "
        "machine. "
        f"{outcome.heads} head processes one after the other. Every step was slowed down, so that faults hit in the "
        "middle; a requeued job waits 11 s in SLURM here, about two minutes elsewhere.",
        "",
        f"{_share(outcome)}; a state was saved every three seconds. A job was given one minute: {outcome.budget} times "
        "one stopped by itself, in time, and its work went on in another.",
        "",
        "Asserted for the sweep as a whole: exit code 0 in the end; all weights, predictions and scores equal those of "
        "an undisturbed run, bit for bit; nothing finished was computed again; never two processes on one state "
        "folder. " + (f"**Not so:** {'; '.join(outcome.wrong)}" if outcome.wrong else "All of it holds."),
        "",
        "| # | fault | hit | at | what followed | steps again | seconds until it ran again | result |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for number, fault in enumerate(outcome.faults, start=1):
        at = "; ".join(f"{hit.cell}, {hit.moment}" for hit in fault.cells)
        reactions = "; ".join(f"{n} x {text}" if n > 1 else text for text, n in Counter(fault.reactions).items())
        seconds = ", ".join(f"{s:.0f}" for s in fault.seconds) or "-"
        verdict = "same" if fault.same else "OTHER"
        out.append(
            f"| {number} | {fault.kind} | {fault.hit} | {at} | {reactions} | {fault.again} | {seconds} | {verdict} |"
        )
    out += ["", "| fault | number | cells hit | interrupted | steps again | median seconds until it ran again |"]
    out += ["|---|---|---|---|---|---|"]
    by_kind = defaultdict(list)
    for fault in outcome.faults:
        by_kind[fault.kind].append(fault)
    for kind, own in sorted(by_kind.items()):
        seconds = sorted(s for fault in own for s in fault.seconds)
        median = f"{seconds[len(seconds) // 2]:.0f}" if seconds else "-"
        hit, again = sum(len(fault.cells) for fault in own), sum(fault.again for fault in own)
        out.append(f"| {kind} | {len(own)} | {hit} | {len(seconds)} | {again} | {median} |")
    return "\n".join([*out, ""])


def _share(outcome) -> str:
    extra = outcome.steps - outcome.needed
    share = extra / outcome.needed if outcome.needed else 0
    return f"Training took {outcome.needed} steps and {extra} more that were done again ({share:.1%})".replace(
        "%", " %"
    )
