"""The status of a study as text for a terminal, 100 columns wide at most."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

WIDTH = 100
FAILURES = 5
"""Shown unless all are asked for."""
ROWS = 40
"""Datasets in the grid at most before those that are wholly done, or wholly to do, are only counted."""
RUNNING = 30
"""Running jobs shown at most."""
COLOURS = {"done": "green", "running": "cyan", "failed": "red", "resumable": "yellow", "trained": "yellow"}


def console() -> Console:
    """Where text goes: at most 100 columns wide, without colours where standard output is no terminal."""
    screen = Console(highlight=False, soft_wrap=False)
    return Console(highlight=False, width=min(WIDTH, screen.width) if sys.stdout.isatty() else WIDTH)


def shown(found: dict[str, Any], all_failures: bool = False) -> RenderableType:
    """The object of `status.gather` for people."""
    parts: list[RenderableType] = [_first_line(found), "", _grid(found), *_notes(found), ""]
    parts += [*_head(found), *_jobs(found), *_working(found)]
    parts += [*_cancelled(found), *_failures(found, None if all_failures else FAILURES), *_hours(found)]
    return Group(*parts)


def _first_line(found: dict[str, Any]) -> Text:
    runs, rows = len(found["runs"]), found["runs"]
    line = Text.assemble((found["study"], "bold"), f": {_counted(runs, 'run')}: ")
    told = [(f"{number:,} {state}", COLOURS.get(state, "")) for state, number in found["counts"].items() if number]
    for k, part in enumerate(told):
        line.append(", " if k else "").append(*part)
    predicted, needed = (sum(row[key] for row in rows) for key in ("predictions", "predictions_needed"))
    return line.append(f"; {predicted:,} of {needed:,} predictions")


# --- the grid ---


def _grid(found: dict[str, Any]) -> RenderableType:
    by_cell: dict[str, dict[str, list]] = defaultdict(lambda: defaultdict(list))
    for row in found["runs"]:
        by_cell[row["dataset"]][row["model"]].append(row)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=False)
    table.add_column("dataset", overflow="fold")
    for model in found["models"]:
        table.add_column(model, overflow="fold")
    at_work = {cell.split()[1]: job["progress"] for job in found["jobs"] if (cell := job["cell"])}
    at_work |= {job["cell"].split()[1]: job["progress"] for job in found["working"]}
    folded: Counter = Counter()
    for dataset, models in by_cell.items():
        states = {row["state"] for rows in models.values() for row in rows}
        if len(by_cell) > ROWS and len(states) == 1 and states <= {"done", "to do", "pending"}:
            folded[states.pop()] += 1
            continue
        table.add_row(dataset, *(_cell(models.get(model, []), at_work) for model in found["models"]))
    lines: list[RenderableType] = [table] if table.row_count else []
    if folded:
        more = "more " if table.row_count else ""
        told = ", ".join(f"{_counted(number, more + 'dataset')} {state}" for state, number in folded.items())
        lines.append(Text(f"{told} (with every model and seed)"))
    return Group(*lines)


def _cell(rows: Sequence[dict[str, Any]], at_work: dict[str, Any]) -> Text:
    """The seeds of a dataset and a model: `2 done, step 120 of 600`."""
    parts: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (_told(row, at_work.get(row["run"])), COLOURS.get(row["state"], "dim" if row["state"] == "to do" else ""))
        parts[key] = parts.get(key, 0) + 1
    text = Text()
    for k, ((told, colour), number) in enumerate(parts.items()):
        text.append(", " if k else "").append(told if len(rows) == 1 else f"{number} {told}", colour)
    return text


def _told(row: dict[str, Any], progress: dict[str, Any] | None) -> str:
    answered = f"{row['predictions']} of {row['predictions_needed']} answered"
    if row["state"] == "running":
        if progress and "step" in progress:
            return f"at step {progress['step']} of {progress['of']}"
        return answered if row["trained"] else "running"
    if row["state"] == "resumable":
        return f"resumable at step {row['step']}" + (f" of {row['of']}" if row["of"] else "")
    if row["state"] == "trained" or (row["state"] == "to do" and row["predictions"]):
        return answered
    return row["state"]


def _notes(found: dict[str, Any]) -> list[RenderableType]:
    others = sum(row["other_settings"] for row in found["runs"])
    if not others:
        return []
    return [Text(
        f"{_counted(others, 'run')} trained with other settings, data or base model than now: to be trained again "
        f"(`growthpace plan {found['config']}` says why)", "yellow",
    )]  # fmt: skip


# --- who is at work ---


def _head(found: dict[str, Any]) -> list[RenderableType]:
    head = found["head"]
    if head is None:
        return []
    if head["alive"]:
        return [Text(f"Head process: {head['who']}, since {_when(head['since'])}")]
    unfinished = any(row["state"] != "done" for row in found["runs"])
    if not unfinished and not found["jobs"]:
        return []
    goes_on = "jobs go on, but nothing new is submitted" if found["jobs"] else "nothing is submitted"
    return [Text(f"No head process: {goes_on}; `growthpace resume {found['config']}` starts one", "yellow")]


def _jobs(found: dict[str, Any]) -> list[RenderableType]:
    if found["slurm"] == "does not answer":
        return [Text("SLURM does not answer (squeue): what is running and waiting is not known now", "red")]
    if found["slurm"] == "not on this machine":
        return [Text("No SLURM commands here: what is running and waiting is told on the login node", "yellow")]
    running = [job for job in found["jobs"] if job["state"] != "PENDING"]
    pending = [job for job in found["jobs"] if job["state"] == "PENDING"]
    if found["slurm"] == "answers" and not found["jobs"]:
        return [Text("SLURM jobs: none")]
    parts: list[RenderableType] = []
    if running:
        parts += [Text(f"{_counted(len(running), 'SLURM job')} running"), _running(running)]
    if pending:
        parts += [Text(f"{_counted(len(pending), 'SLURM job')} pending"), _pending(pending)]
    return parts


def _running(jobs: list[dict[str, Any]]) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, justify in (("job", "right"), ("where", "left"), ("time of limit", "right")):
        table.add_column(name, justify=justify, no_wrap=name == "time of limit")
    table.add_column("at work on", overflow="fold", ratio=1)
    for job in jobs[:RUNNING]:
        limit = "no limit" if job["limit_minutes"] is None else duration(60 * job["limit_minutes"])
        elapsed = duration(60 * (job["elapsed_minutes"] or 0))
        state = "" if job["state"] == "RUNNING" else f"{job['state'].lower()} "
        place = f"{job['partition']} {job['nodes'] or ''}".strip()
        table.add_row(job["id"], place, f"{elapsed} of {limit}", Text(state + _at_work(job)))
    more = [Text(f"and {len(jobs) - RUNNING} more (--json has them all)")] if len(jobs) > RUNNING else []
    return Group(table, *more)


def _at_work(job: dict[str, Any]) -> str:
    if not job["left"]:
        return "ending"
    cells, cell = len(job["cells"]), job["cell"] or job["left"][0]
    place = f" ({cells - len(job['left'])} of the job's {cells} done)" if cells > 1 else ""
    return f"{cell}{place}\n{told(job['progress']) or 'starting'}"


def told(progress: dict[str, Any] | None) -> str:
    """How far work is: `step 120 of 600, loss 1.234, 3,210 tokens/s, 2 h 10 min left`."""
    if progress is None:
        return ""
    if "step" in progress:
        parts = [f"step {progress['step']:,} of {progress['of']:,}"]
        if progress["loss"] is not None:
            parts.append(f"loss {progress['loss']:.3f}")
        if progress["tokens_per_second"]:
            parts.append(f"{progress['tokens_per_second']:,.0f} tokens/s")
    else:
        parts = [f"{progress['items']:,} of {progress['of']:,} items"]
        if progress["items_per_second"]:
            parts.append(f"{progress['items_per_second']:,.1f} items/s")
    if progress["seconds_left"] is not None:
        parts.append(f"about {duration(progress['seconds_left'])} left")
    return ", ".join(parts)


def _pending(jobs: list[dict[str, Any]]) -> RenderableType:
    groups: dict[tuple, list] = defaultdict(list)
    for job in jobs:
        groups[job["partition"], job["reason"], job["reason_in_words"]].append(job)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("jobs", justify="right")
    table.add_column("partition")
    table.add_column("why", overflow="fold", ratio=1)
    table.add_column("such as", overflow="fold", ratio=1)
    for (partition, reason, words), members in sorted(groups.items(), key=lambda group: -len(group[1])):
        starts = sorted(job["start"] for job in members if job["start"])
        why = words or "just submitted"
        if reason and not why.startswith(reason):
            why = f"{reason}: {why}"
        if starts:
            why += f"; SLURM expects the first to start {starts[0].replace('T', ' ')}"
        cells = members[0]["cells"]
        such = f"{cells[0]}" + (f" +{len(cells) - 1}" if len(cells) > 1 else "") if cells else ""
        table.add_row(str(len(members)), partition, why, f"{such} ({members[0]['id']})")
    return table


def _working(found: dict[str, Any]) -> list[RenderableType]:
    if not found["working"]:
        return []
    lines: list[RenderableType] = [Text("At work" if not found["jobs"] else "At work outside SLURM")]
    for one in found["working"]:
        lines.append(Padding(Text(f"{one['cell']} ({one['who']})"), (0, 0, 0, 2)))
        lines.append(Padding(Text(told(one["progress"]) or "starting"), (0, 0, 0, 4)))
    return [*lines, ""]


# --- what went wrong, what it cost ---


def _cancelled(found: dict[str, Any]) -> list[RenderableType]:
    cells = found["cancelled"]
    if not cells:
        return []
    names = ", ".join(cells[:3]) + (", ..." if len(cells) > 3 else "")
    goes_on = f"`growthpace resume {found['config']}` goes on with {'it' if len(cells) == 1 else 'them'}"
    return [Text(f"{_counted(len(cells), 'job')} cancelled in SLURM ({names}); {goes_on}", "yellow")]


def _failures(found: dict[str, Any], at_most: int | None) -> list[RenderableType]:
    failed = found["failures"]
    if not failed:
        return []
    kept = failed[:at_most]
    which = f"the last {len(kept)} (--all shows all)" if len(kept) < len(failed) else "newest first"
    parts: list[RenderableType] = [Text(f"{_counted(len(failed), 'failure')}, {which}", "red")]
    for one in kept:
        head = f"{one['cell']}: {one['cause']}, {_when(one['time'])}"
        parts += [Padding(Text(head, "bold"), (1, 0, 0, 2)), Padding(Text(one["message"]), (0, 0, 0, 2))]
        if one["lines"]:
            parts.append(Padding(Text(f"{one['log']} ends:", "dim"), (0, 0, 0, 2)))
            parts += [Padding(Text(line, "dim"), (0, 0, 0, 4)) for line in one["lines"]]
    return [*parts, ""]


def _hours(found: dict[str, Any]) -> list[RenderableType]:
    hours = found["hours"]
    if hours is None or not hours["job_hours"] + hours["unknown_ends"]:
        return []
    gpus = hours["gpu_hours"] > 0
    unit = "GPU hours" if gpus else "Hours of jobs (none had a GPU)"
    used = hours["gpu_hours" if gpus else "job_hours"]
    lost = hours["lost_gpu_hours" if gpus else "lost_job_hours"]
    line = f"{unit}: {_number(used)} used"
    if hours["interrupted"]:
        line += f", {_number(lost)} of them lost to {_counted(hours['interrupted'], 'interruption')}"
    if hours["undecided_gpu_hours"]:
        line += f"; of {_number(hours['undecided_gpu_hours'])} it is not known how much was kept"
    if number := hours["unknown_ends"]:
        line += f"; not counted: {_counted(number, 'attempt')} that left no time of the end"
    return [Text(line)]


def duration(seconds: float) -> str:
    """A time in its two largest units: `2 d 3 h`, `1 h 5 min`, `42 s`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = whole // 60
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d" + (f" {hours} h" if hours else "")
    return f"{hours} h" + (f" {minutes} min" if minutes else "") if hours else f"{minutes} min"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}" if value < 10 else f"{value:.1f}"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _when(time: str) -> str:
    """A time of the status, here: `2026-11-23 18:40`, with how long ago that is."""
    moment = datetime.fromisoformat(time)
    ago = (datetime.now(UTC) - moment).total_seconds()
    return f"{moment.astimezone():%Y-%m-%d %H:%M} ({duration(max(0, ago))} ago)"


# --- doctor ---


def checks_shown(checks: Sequence[Any], faults: int, warnings: int) -> RenderableType:
    """The checks of `growthpace doctor` for people, with what to do below each that is not fine."""
    colours = {"ok": "green", "warning": "yellow", "fault": "red"}
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", ratio=1)
    for check in checks:
        found = Text(check.found)
        if check.advice:
            found.append(f"\n-> {check.advice}", "bold")
        table.add_row(Text(check.level, colours[check.level]), check.what, found)
    verdict = f"{_counted(faults, 'fault')}, {_counted(warnings, 'warning')}"
    return Group(table, "", Text(verdict if faults + warnings else "all is well", "red" if faults else ""))
