"""What was kept and dropped, in words and as a page."""

from __future__ import annotations

from typing import Any


def spoken(summary: dict[str, Any]) -> list[str]:
    """A line for each ability."""
    return [_line(row) for row in summary["abilities"]]


def _line(row: dict[str, Any]) -> str:
    reasons = [f"{count:,} {reason}" for reason, count in row["dropped"].items()]
    line = f"{row['ability']}: {row['kept']:,} kept of {row['instructions']:,} instructions"
    line += f"; dropped: {', '.join(reasons)}" if reasons else ""
    empty = [f"{count:,} {reason}" for reason, count in row["requests_without_instructions"].items()]
    return line + (f"; of {row['requests']:,} requests without instructions: {', '.join(empty)}" if empty else "")


def readable(summary: dict[str, Any]) -> str:
    """The summary as Markdown."""
    settings, rows = summary["settings"], summary["abilities"]
    reasons = list(dict.fromkeys(reason for row in rows for reason in row["dropped"]))
    empty = list(dict.fromkeys(reason for row in rows for reason in row["requests_without_instructions"]))
    head = ["ability", "items", "instructions", *reasons, "requests", *(f"requests: {reason}" for reason in empty)]
    lines = [
        f"# What {settings['teacher_model']} wrote for the source {summary['source']} of {summary['study']}",
        "",
        "Instructions were asked for until there were enough items. What was dropped is counted once, by the first "
        "filter that found it. docs/synthesise.md says what each filter does.",
        "",
        "| " + " | ".join(head) + " |",
        "|---|" + "---:|" * (len(head) - 1),
    ]
    for row in rows:
        counts = [row["kept"], row["instructions"], *(row["dropped"].get(reason, 0) for reason in reasons)]
        counts += [row["requests"], *(row["requests_without_instructions"].get(reason, 0) for reason in empty)]
        lines.append("| " + " | ".join([row["ability"], *(f"{count:,}" for count in counts)]) + " |")
    return "\n".join(lines) + "\n"
