"""A plan in words: the rows and lines that the terminal, Markdown and the page have in common."""

from __future__ import annotations

from typing import Any

from growthpace.plan.asking import asking_lines
from growthpace.plan.making import CELL_STATES
from growthpace.plan.reasons import MISSING

Content = dict[str, Any]


def stage_head(plan: Content) -> list[str]:
    """The head of the table by stage. Without a site nobody knows on what the work is done: then plain hours."""
    return ["stage", "model", *CELL_STATES, "GPU hours" if plan["site"] else "hours", "time"]


def hours(value: float | None) -> str:
    """Hours for people: minutes below one hour."""
    if value is None:
        return "unknown"
    if value >= 100:
        return f"{value:,.0f} h"
    return f"{value:.3g} h" if value >= 1 or value == 0 else f"{60 * value:.2g} min"


def basis(row: Content) -> str:
    """What the times of some jobs rest on."""
    found = row["basis"]
    if not found:
        return ""
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{number} {name}" for name, number in found.items())


def stage_rows(plan: Content) -> list[list[str]]:
    """The table by stage and model, without its head."""
    rows = []
    for row in plan["stages"]:
        counts = [row[state.replace(" ", "_")] for state in CELL_STATES]
        cost = hours(row["gpu_hours" if plan["site"] else "hours"]) if row["basis"] else ""
        rows.append([row["stage"], row["model"] or "", *(f"{n:,}" if n else "" for n in counts), cost, basis(row)])
    return rows


def grid_cells(plan: Content) -> tuple[list[str], dict[str, dict[str, list[Content]]]]:
    """Models, and {dataset: {model: the cells of its seeds}}."""
    models = list(dict.fromkeys(cell["model"] for cell in plan["cells"]))
    rows: dict[str, dict[str, list[Content]]] = {}
    for cell in plan["cells"]:
        rows.setdefault(cell["dataset"], {}).setdefault(cell["model"], []).append(cell)
    return models, rows


def cell_text(seeds: list[Content]) -> str:
    """Cells of all seeds of a model and a dataset in a few words: `1/2 done, 1 resumable at step 40 of 300`."""
    parts = []
    for state in CELL_STATES:
        cells = [cell for cell in seeds if cell["state"] == state]
        if not cells:
            continue
        at = f" at {cells[0]['progress']}" if state == "resumable" and len(cells) == 1 else ""
        whole = state == "done" or len(cells) == len(seeds)
        number = "" if len(seeds) == 1 else f"{len(cells)}/{len(seeds)} " if whole else f"{len(cells)} "
        parts.append(f"{number}{state}{at}")
    return ", ".join(parts)


def worst(seeds: list[Content]) -> str:
    """The state that a box of several seeds is coloured by."""
    order = ("blocked", "to run", "resumable", "running", "done")
    return min((cell["state"] for cell in seeds), key=order.index)


def reason_line(row: Content) -> str:
    """One cause with what follows from it."""
    stages = ", ".join(f"{stage} {number:,}" for stage, number in row["by_stage"].items())
    jobs = f"{_counted(row['jobs'], 'job')}: {stages}"
    if row["cause"] == MISSING:
        lead = f"{_counted(row['runs'], 'run')} without all results" if row["runs"] else "not made yet"
        return f"{lead} ({jobs})"
    lead = f"{_counted(row['runs'], 'run')} again" if row["runs"] else "again"
    return f"{lead}: {row['cause']} ({jobs})"


def blocked_lines(plan: Content) -> list[str]:
    """What has to be repaired before runs can go on, each with how many it holds up."""
    runs: dict[str, list[str]] = {}
    for cell in plan["cells"]:
        if cell["state"] == "blocked" and cell["fault"] not in plan["faults"]:
            runs.setdefault(cell["fault"], []).append(cell["run"])
    return [f"{_counted(len(r), 'run')}{f' ({r[0]})' if len(r) == 1 else ''}: {fault}" for fault, r in runs.items()]


def total_lines(plan: Content) -> list[str]:
    """What it comes to."""
    totals = plan["totals"]
    states = ", ".join(f"{number:,} {state}" for state, number in totals["cells"].items() if number)
    lines = [f"{_counted(sum(totals['cells'].values()), 'run')}: {states}" if states else "no runs"]
    if not totals["jobs"]:
        return [*lines, "Nothing to be done."]
    what = "GPU hours" if plan["site"] else "hours one after another"
    cost = hours(totals["gpu_hours" if plan["site"] else "hours"])
    lines.append(f"{_counted(totals['jobs'], 'job')} to do, {what}: {cost}" + _rests(totals))
    if totals["wall_hours_at_least"] is not None:
        at = ""
        if plan["site"]:
            at = f" with {_counted(totals['gpus'], 'GPU')}" + (" (--gpus says how many)" * totals["gpus_assumed"])
        lines.append(
            f"at least {hours(totals['wall_hours_at_least'])}{at}; the longest chain of jobs that wait for each other "
            f"takes {hours(totals['longest_chain_hours'])}"
        )
    disk = totals["peak_disk_gb"]
    lines.append("disk: " + ("unknown" if disk is None else f"at most {_gigabytes(disk)} at once"))
    lines += asking_lines(plan.get("asking", []))
    if plan["site"] is None:
        lines.append("no site file says what GPUs there are, so none are counted")
    return lines


def _gigabytes(value: float) -> str:
    return f"{value:,.0f} GB" if value >= 100 else f"{value:.2g} GB" if value >= 0.1 else f"{1000 * value:.2g} MB"


def _rests(totals: Content) -> str:
    found = totals["basis"]
    notes = [
        f"{_counted(found[name], 'job')} {what}"
        for name, what in (
            ("measured", "as measured"),
            ("bound", "by a bound"),
            ("unknown", "of unknown time, counted as nothing"),
        )
        if name in found
    ]
    return f" ({'; '.join(notes)})" if notes else ""


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")
