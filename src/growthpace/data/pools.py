"""The data stage's files: pools, suites and datasets, each with what it was made from in its metadata."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from growthpace.data.datasets import counts, first_ids
from growthpace.data.importers import read_items_of, synthetic
from growthpace.data.items import (
    Item,
    check_unique,
    count_items,
    item_ids,
    items_with,
    unique,
    write_items,
)
from growthpace.data.policy import LeftOut, left_out_fingerprint
from growthpace.data.policy import left_out as left_out_of
from growthpace.data.reviewed import NOT_KEPT, decision_file, kept_items
from growthpace.errors import InputError
from growthpace.files import fingerprint, write_json
from growthpace.grid import Grid
from growthpace.paths import Paths
from growthpace.study import GENERAL, Study, SyntheticItems


def pool_items(
    study: Study, source: str, ability: str, left_out: Counter[str] | None = None, paths: Paths | None = None
) -> Iterator[Item]:
    """Items of a source's pool for an ability, checked, one by one: what it offers or, where the pool demands reviewed
    items, what was kept of it. `left_out` counts what was not, and what `offered_items` leaves out, by the reason;
    paths: as there."""
    left_out = Counter() if left_out is None else left_out
    offered, reviewed = offered_items(study, source, ability, left_out, paths), study.sources[source].reviewed
    if reviewed is None:
        yield from offered
        return
    number = 0
    for item in kept_items(offered, reviewed, ability, left_out):
        number += 1
        yield item
    if not number:
        why = ", ".join(f"{left_out[reason]:,} {reason}" for reason in NOT_KEPT if left_out[reason])
        raise InputError(
            f"sources.{source}.reviewed: no item of {ability!r} was kept ({why}); growthpace review report says what "
            "is left to do"
        )


def offered_items(
    study: Study, source: str, ability: str, left_out: Counter[str] | None = None, paths: Paths | None = None
) -> Iterator[Item]:
    """Items that a source offers for an ability (`general` for a source that is not labelled), checked, one by one.
    `left_out` counts the rows that a rule leaves out, by the reason; paths: where a teacher's items lie, of a source
    that one writes."""
    settings = study.sources[source]
    if isinstance(settings.items, SyntheticItems):
        path = (paths or Paths(study)).synthetic(source)
        if not path.exists():
            raise InputError(f"{path}: no such file; `growthpace synthesise CONFIG {source}` has its items written")
        yield from check_unique(synthetic.read(path, path.name, ability), f"sources.{source}, {ability}")
        return
    wanted = [ability] if settings.labelled else None

    def read(left_out: Counter[str] | None) -> Iterator[Item]:
        for item in read_items_of(settings.items, wanted, study.microworld, left_out=left_out):
            if item.ability in (ability, GENERAL):
                yield item

    number = 0
    for item in unique(read(left_out), f"sources.{source}, {ability}", lambda: read(None)):
        number += 1
        yield item
    if not number:
        raise InputError(f"sources.{source}: no items for the ability {ability!r}")


def suite_items(study: Study, suite: str, left_out: Counter[str] | None = None) -> list[Item]:
    """Items of a suite, checked: ids unique, every ability has some, every item can be scored. `left_out` counts the
    rows that a rule leaves out, by the reason."""
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
    """Writes a pool; returns its number of items. However large it is, a few megabytes of it are in memory. What a rule
    or a review left out is counted in its metadata."""
    metadata = _metadata(study, "pool", Grid(study).pool_settings(source))
    left_out = metadata["left_out"] = Counter()

    def items() -> Iterator[Item]:
        yield from pool_items(study, source, ability, left_out, paths)
        if not left_out:
            del metadata["left_out"]

    return write_items(paths.pool(source, ability), items(), metadata)


def make_suite(study: Study, suite: str, paths: Paths) -> int:
    """Writes a suite; returns its number of items. What a benchmark's rule left out is counted in its metadata."""
    left_out: Counter[str] = Counter()
    items = suite_items(study, suite, left_out)
    metadata = _metadata(study, "suite", Grid(study).suite_settings(suite))
    write_items(paths.suite(suite), items, metadata | ({"left_out": dict(left_out)} if left_out else {}))
    return len(items)


def pool_sizes(
    study: Study, sources: Iterable[str], paths: Paths, dropped: LeftOut | None = None
) -> dict[tuple[str, str], int]:
    """{(source, ability): items} of the pools of some sources, less what the audit's policy leaves out (`dropped`, read
    from the audit when None). `InputError` for a pool that was not made yet."""
    sources = list(sources)
    dropped = left_out_of(study, sources, paths) if dropped is None else dropped
    found = {}
    for source in sources:
        for ability in Grid(study).pools(source):
            path, gone = paths.pool(source, ability), dropped.get((source, ability), set())
            if not path.exists():
                raise InputError(f"{path}: no such file; `growthpace pool CONFIG {source} {ability}` makes it")
            found[source, ability] = sum(i not in gone for i in item_ids(path)) if gone else count_items(path)
    return found


def make_dataset(
    study: Study, dataset: str, seed: int, paths: Paths, advised: Mapping[tuple[str, str], int] | None = None
) -> dict[str, Any]:
    """Writes a dataset's items and its id manifest, and returns the manifest. `advised`: the numbers of a mix that the
    study's own curves make (`growthpace.advice`)."""
    grid = Grid(study)
    sources = grid.datasets[dataset].sources
    dropped = left_out_of(study, sources, paths)
    pools = {(s, a): paths.pool(s, a) for s in sources for a in grid.pools(s)}

    def kept(pool: tuple[str, str]) -> Iterator[str]:
        return (identifier for identifier in item_ids(pools[pool]) if identifier not in dropped.get(pool, ()))

    sizes = pool_sizes(study, sources, paths, dropped)
    gone = {pool: count_items(pools[pool]) - size for pool, size in sizes.items()}
    wanted = counts(study, dataset, lambda source, ability: sizes[source, ability], gone, advised)
    ids = [[*pool, first_ids(kept(pool), number, seed)] for pool, number in wanted.items()]
    # Only what is chosen is kept of a pool, which may be larger than the memory.
    items = [item for source, ability, members in ids for item in items_with(paths.pool(source, ability), members)]
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
        manifest["left_out"] = left_out_fingerprint(dropped)
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
        if source.reviewed:
            pools = study.abilities if source.labelled else [GENERAL]
            found[f"sources.{name}.reviewed"] = [decision_file(source.reviewed, ability) for ability in pools]
    for name, suite in study.suites.items():
        try:
            found[f"suites.{name}"] = local_files(suite.items, suite.measured(study.abilities))
        except InputError as error:  # a benchmark that its settings alone show to be wrong
            raise InputError(f"suites.{name}.items: {error}") from None
    return found
