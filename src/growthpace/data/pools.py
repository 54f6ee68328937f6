"""The data stage's files: pools, suites and datasets, each with what it was made from in its metadata."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from growthpace.data.datasets import counts, select
from growthpace.data.importers import read_items_of
from growthpace.data.items import Item, check_unique, read_items, write_items
from growthpace.data.policy import left_out, left_out_fingerprint
from growthpace.errors import InputError
from growthpace.files import fingerprint, write_json
from growthpace.grid import Grid, Paths
from growthpace.study import GENERAL, Study


def pool_items(study: Study, source: str, ability: str) -> list[Item]:
    """Items that a source offers for an ability (`general` for a source that is not labelled), checked."""
    settings = study.sources[source]
    wanted = [ability] if settings.labelled else None
    items = [
        item for item in read_items_of(settings.items, wanted, study.microworld) if item.ability in (ability, GENERAL)
    ]
    if not items:
        raise InputError(f"sources.{source}: no items for the ability {ability!r}")
    return check_unique(items, f"sources.{source}, {ability}")


def suite_items(study: Study, suite: str, left_out: Counter[str] | None = None) -> list[Item]:
    """Items of a suite, checked: ids unique, every ability has some, every item can be scored. `left_out` counts the
    rows that a benchmark's rule leaves out, by the reason."""
    settings = study.suites[suite]
    abilities = settings.measured(study.abilities)
    read = read_items_of(settings.items, abilities, study.microworld, left_out=left_out)
    items = check_unique(read, f"suites.{suite}")
    found = Counter(item.ability for item in items)
    for ability in abilities:
        if not found[ability]:
            raise InputError(f"suites.{suite}: the ability {ability!r} has no items, so it could not be measured")
    judged = sum(item.scorer == "judge" for item in items)
    if judged and not settings.judged:
        raise InputError(
            f"suites.{suite}.judged: false, but {judged} of its items need a judge, such as {_first_judged(items)} "
            "(allowed: true, with a section judge)"
        )
    if settings.judged and not judged:
        raise InputError(f"suites.{suite}.judged: would have no effect, none of its items has the scorer judge")
    for item in items:
        if item.scorer == "none":
            raise InputError(
                f"{item.origin or item.id}: suites.{suite}: this item has no reference that a scorer can use"
            )
    return items


def _first_judged(items: list[Item]) -> str:
    item = next(item for item in items if item.scorer == "judge")
    return item.origin or item.id


def make_pool(study: Study, source: str, ability: str, paths: Paths) -> int:
    """Writes a pool; returns its number of items."""
    items = pool_items(study, source, ability)
    write_items(paths.pool(source, ability), items, _metadata(study, "pool", Grid(study).pool_settings(source)))
    return len(items)


def make_suite(study: Study, suite: str, paths: Paths) -> int:
    """Writes a suite; returns its number of items. What a benchmark's rule left out is counted in its metadata."""
    left_out: Counter[str] = Counter()
    items = suite_items(study, suite, left_out)
    metadata = _metadata(study, "suite", Grid(study).suite_settings(suite))
    write_items(paths.suite(suite), items, metadata | ({"left_out": dict(left_out)} if left_out else {}))
    return len(items)


def make_dataset(study: Study, dataset: str, seed: int, paths: Paths) -> dict[str, Any]:
    """Writes a dataset's items and its id manifest, and returns the manifest."""
    grid = Grid(study)
    sources = grid.datasets[dataset].sources
    left = left_out(study, sources, paths)
    pools, dropped = {}, Counter()
    for pool in ((s, a) for s in sources for a in grid.pools(s)):
        items = read_items(paths.pool(*pool))
        pools[pool] = [item for item in items if item.id not in left.get(pool, ())]
        dropped[pool] = len(items) - len(pools[pool])
    wanted = counts(study, dataset, lambda source, ability: len(pools[source, ability]), dropped)
    items = select(pools, wanted, seed)
    ids = [[source, ability, [i.id for i in select(pools, {(source, ability): n}, seed)]]
           for (source, ability), n in wanted.items()]  # fmt: skip
    manifest = {
        "study": study.study,
        "dataset": dataset,
        "seed": seed,
        "items": len(items),
        "items_sha256": fingerprint([[i.id, [[m.role, m.content] for m in i.messages]] for i in items]),
        "counts": {f"{source}/{ability}": number for (source, ability), number in wanted.items()},
        "ids": [{"source": s, "ability": a, "ids": members} for s, a, members in ids],
    }
    if study.audit and study.audit.dropped:
        manifest["left_out"] = left_out_fingerprint(left)
    metadata = _metadata(study, "dataset", grid.dataset_settings(dataset, seed))
    write_items(paths.dataset(dataset, seed), items, {**metadata, "items_sha256": manifest["items_sha256"]})
    write_json(paths.manifest(dataset, seed), manifest)
    return manifest


def _metadata(study: Study, stage: str, settings: dict[str, Any]) -> dict[str, Any]:
    return {"study": study.study, "stage": stage, "settings": settings}


def local_inputs(study: Study) -> dict[str, list[Path]]:
    """Local files that sources and suites read, by their key in the study."""
    from growthpace.data.importers import local_files

    found = {}
    for name, source in study.sources.items():
        found[f"sources.{name}"] = local_files(source.items, list(study.abilities) if source.labelled else None)
    for name, suite in study.suites.items():
        try:
            found[f"suites.{name}"] = local_files(suite.items, suite.measured(study.abilities))
        except InputError as error:  # a benchmark that its settings alone show to be wrong
            raise InputError(f"suites.{name}.items: {error}") from None
    return found
