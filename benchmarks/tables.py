"""What the tables of several benchmarks have in common."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

NO_GPU = "No GPU was at hand when this was written: these cells are empty, and nothing in them was estimated."


def processor(threads: int) -> str:
    """The processor's name and how many threads were used."""
    names = re.findall(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    return f"{names[0] if names else platform.machine()}, {threads} threads"


def installed(libraries: Iterable[str]) -> dict[str, str]:
    """The versions of those libraries that are there: a GPU's table needs none of the other sides'."""
    found = {}
    for name in libraries:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def replace_section(path: Path, head: str, sections: dict[str, str], title: str, body: str) -> None:
    """Writes a table's file with one section new, the others as they are there, else as `sections` has them."""
    sections = dict(sections)
    if path.exists():
        parts = re.split(r"^(## .+)$", path.read_text(), flags=re.MULTILINE)
        sections |= {name: text.strip() + "\n" for name, text in zip(parts[1::2], parts[2::2], strict=True)}
    sections[title] = body
    path.write_text("\n".join([head, *(f"{name}\n\n{text}" for name, text in sections.items() if text)]))
