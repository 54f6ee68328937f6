"""Which of a study's sources a teacher writes, and what their items depend on. Light: a Snakefile asks it."""

from __future__ import annotations

from typing import Any

from growthpace.grid import Grid
from growthpace.study import Study, SyntheticItems
from growthpace.versions import VERSIONS


def written_sources(study: Study) -> list[str]:
    """Sources that a teacher writes."""
    return [name for name, source in study.sources.items() if isinstance(source.items, SyntheticItems)]


def share(grid: Grid, source: str) -> int:
    """Items that a teacher writes for each pool of its source."""
    return grid.study.sources[source].items.volume // len(grid.pools(source))


def synthesis_settings(grid: Grid, source: str) -> dict[str, Any]:
    """Flat settings that a teacher's items depend on, besides their seeds."""
    asked = {"key_variable", "prices", "limits", "concurrency", "timeout", "retries", "batch"}
    items = grid.study.sources[source].items
    flat = items.model_dump(exclude={"overdraw": True, "teacher": asked}, exclude_none=True)
    teacher = {f"teacher_{key}": value for key, value in flat.pop("teacher").items()}
    return {"code_version": VERSIONS["synthesise"], "pools": " ".join(grid.pools(source)), **flat, **teacher}
