"""Settings of a study as Snakemake's params.

Snakemake compares a job's params as a set of values without their names (measured: layers going from 2 to 4 in a rule
that has another 4 plans nothing), so every value carries its name. It then prints the one that changed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from growthpace.study import HubDatasetItems


def flattened(prefix: str, settings: Any, kept: set[str] | None = None) -> dict[str, Any]:
    """A section's keys (those `kept`; all when None) as {dotted_key: value}, leaving out keys that are not set, so
    that Snakemake names the one setting that changed.

    Of local folders nothing is kept and of local files their names: where they lie does not matter, what they hold
    does.
    """
    found: dict[str, Any] = {}

    def add(name: str, value: Any) -> None:
        if isinstance(value, Path):  # the folder of a public set
            return
        if isinstance(value, list) and value and isinstance(value[0], dict):
            value = {str(number): inner for number, inner in enumerate(value, start=1)}
        if isinstance(value, dict):
            for key, inner in value.items():
                add(f"{name}_{key}" if name else key, inner)
        elif isinstance(value, list) and value and isinstance(value[0], Path):
            found[name] = [path.name for path in value]
        else:
            found[name] = value

    content = settings.model_dump(exclude_none=True, include=kept)
    if isinstance(settings, HubDatasetItems) and settings.folder is not None:
        del content["name"]
    content.pop("folder", None)
    add(prefix, content)
    return found


def named(settings: dict[str, Any]) -> dict[str, str]:
    """Each setting as a text that carries its name."""
    return {key: f"{key}={value}" for key, value in settings.items()}


def columns(by_name: dict[Any, dict[str, Any]], name: Callable) -> dict[str, Callable]:
    """One function of the wildcards for each setting that any name has.

    For a name without the setting it gives that name's first one again: Snakemake keeps one of equal values, so that
    this adds nothing. None would be a value, and the first name with a setting of its own a change of all others.
    """
    texts = {key: named(settings) for key, settings in by_name.items()}

    def column(key: str) -> Callable:
        def value(wildcards) -> str:
            own = texts[name(wildcards)]
            return own[key] if key in own else next(iter(own.values()))

        return value

    return {key: column(key) for key in dict.fromkeys(k for settings in texts.values() for k in settings)}
