"""What is wrong between a source that a teacher writes and the rest of its study (see `faults`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from growthpace.study import Source, Study


def synthetic_faults(study: Study, name: str, source: Source) -> Iterator[str]:
    """Faults of a source whose items are synthetic, one line each."""
    key, items, abilities = f"sources.{name}", source.items, study.abilities
    others = [other for other, settings in study.sources.items() if settings.items.importer != "synthetic"]
    seeds = study.sources.get(items.seeds)
    if items.seeds not in others:
        what = "is written by a teacher too" if seeds else "is no source of this study"
        yield f"{key}.items.seeds: {items.seeds!r} {what} (allowed: {', '.join(others) or 'none, add one'})"
    elif source.labelled and not seeds.labelled:
        yield (
            f"{key}.items.seeds: {items.seeds!r} is not labelled by ability, so nobody knows which ability its items "
            "are seeds of (allowed: a labelled source, or labelled: false here too)"
        )
    if source.labelled and items.volume % len(abilities):
        yield (
            f"{key}.items.volume: {items.volume} cannot be shared equally by {len(abilities)} abilities "
            f"(allowed: multiples of {len(abilities)})"
        )
    for volume in source.volumes:
        if volume > items.volume:
            yield f"{key}.volumes: {volume} is more than items.volume (allowed: up to {items.volume})"
    for mix_name, mix in study.mixes.items():
        if (number := mix.add.get(name, 0)) > items.volume:
            yield (
                f"mixes.{mix_name}.add.{name}: {number} is more than sources.{name}.items.volume "
                f"(allowed: up to {items.volume})"
            )
    if items.examples > items.seed_items:
        yield f"{key}.items.examples: {items.examples} is more than seed_items (allowed: up to {items.seed_items})"
    for lists in ("topics", "styles"):
        found = getattr(items, lists)
        if not isinstance(found, dict):
            continue
        if not source.labelled:
            yield f"{key}.items.{lists}: the source is not labelled by ability (allowed: one list)"
            continue
        for ability in found:
            if ability not in abilities:
                yield f"{key}.items.{lists}: {ability!r} is no ability of this study (allowed: {', '.join(abilities)})"
