"""A plan in the terminal, in at most 100 columns; plain text where the output is no terminal."""

from __future__ import annotations

import io

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from growthpace.plan import view

WIDTH = 100
MOST_REASONS = 12
COLOURS = {"done": "green", "running": "cyan", "resumable": "blue", "to run": "yellow", "blocked": "red"}


def shown(plan: view.Content, terminal: bool) -> str:
    """The plan as text, with colours and lines where `terminal`."""
    console = Console(file=io.StringIO(), width=WIDTH, force_terminal=terminal, highlight=False, emoji=False)
    frame = box.SIMPLE_HEAD if terminal else None
    for fault in plan["faults"]:
        console.print(Text(f"blocked: {fault}", style="bold red"))
    stages = Table(box=frame, title="Jobs by stage", title_justify="left", padding=(0, 1))
    for name in view.stage_head(plan):
        number = name in view.CELL_STATES or name.endswith("hours")
        stages.add_column(name, justify="right" if number else "left", style=COLOURS.get(name))
    for row in view.stage_rows(plan):
        stages.add_row(*map(Text, row))
    models, rows = view.grid_cells(plan)
    grid = Table(box=frame, title="Runs by dataset and model", title_justify="left", padding=(0, 1))
    for name in ("dataset", *models):
        grid.add_column(name, overflow="fold")
    for dataset, cells in rows.items():
        boxes = [Text(view.cell_text(s), COLOURS[view.worst(s)]) if (s := cells.get(m)) else Text("") for m in models]
        grid.add_row(Text(dataset), *boxes)
    console.print(stages)
    console.print()
    console.print(grid)
    if blocked := view.blocked_lines(plan):
        console.print(Text("\nBlocked", style="bold red"))
        for line in blocked[:MOST_REASONS]:
            console.print(Text(f"- {line}"))
        if len(blocked) > MOST_REASONS:
            console.print(Text(f"- and {len(blocked) - MOST_REASONS} more"))
    if plan["reasons"]:
        console.print(Text("\nWhy", style="bold"))
        for row in plan["reasons"][:MOST_REASONS]:
            console.print(Text(f"- {view.reason_line(row)}"))
        if len(plan["reasons"]) > MOST_REASONS:
            console.print(Text(f"- and {len(plan['reasons']) - MOST_REASONS} more causes"))
    console.print()
    for line in view.total_lines(plan):
        console.print(Text(line))
    lines = console.file.getvalue().splitlines()
    return "\n".join(line.rstrip() for line in lines)
