"""What can be known to be wrong with a study before any job: its data as far as they are here.

`growthpace check CONFIG` reads every local file and generated world of the study once. What must be fetched from the
hub is left to the jobs that fetch it, which make the same checks. A passed check is remembered under the study's
settings and its files' sizes and times, so that planning again costs nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from growthpace.data.datasets import counts
from growthpace.data.items import Item
from growthpace.data.pools import local_inputs, pool_items, suite_items
from growthpace.data.reviewed import NOT_KEPT
from growthpace.errors import InputError
from growthpace.files import fingerprint, read_json, write_json
from growthpace.grid import Grid
from growthpace.paths import Paths
from growthpace.study import GENERAL, BenchmarkItems, Files, HubDatasetItems, PublicItems, Study, SyntheticItems
from growthpace.synthesis.settings import share, written_sources
from growthpace.versions import VERSIONS


def check_study(study: Study, paths: Paths | None = None) -> dict[str, Any]:
    """Reads the study's local data and returns {"items": {"sources.x/ability": n, ...}, "unchecked": [...],
    "reviewed": {"sources.x/ability": what a review left out, in words, ...},
    "asking": {"suites.x" or "sources.x": what its judge or teacher costs at most (`endpoint.foreseen`), ...}}.

    `paths`: where to remember a passed check (nowhere when None). Raises `InputError` with every fault found, one a
    line: a missing or broken file, duplicate ids, a volume above a pool, an ability without items.
    """
    files = local_inputs(study)
    for name, model in study.models.items():
        if model.initialise is not None and model.initialise.corpus != "microworld":
            files[f"models.{name}.initialise.corpus"] = model.initialise.corpus
    gone = {folder: f"{key}: {folder}: no such folder" for key, folder in _folders(study) if not folder.is_dir()}
    missing = [
        f"{key}: {path}: no such file{' (growthpace review import writes it)' if key.endswith('.reviewed') else ''}"
        for key, found in files.items()
        for path in found
        if not path.is_file() and not any(folder in path.parents for folder in gone)  # said once, of the folder
    ]
    missing += gone.values()
    missing += _tested_by_benchmarks(study)
    if missing:
        raise InputError("\n".join(missing))
    stamps = [[str(p), p.stat().st_size, p.stat().st_mtime_ns] for found in files.values() for p in found]
    wanted = fingerprint([study.model_dump(mode="json"), stamps, VERSIONS])
    memory = paths.root / "data" / "checked.json" if paths else None
    if memory and memory.exists() and (known := read_json(memory))["fingerprint"] == wanted:
        return known["result"]
    result = _read_everything(study)
    if memory:
        write_json(memory, {"fingerprint": wanted, "result": result})
    return result


def _folders(study: Study) -> Iterator[tuple[str, Path]]:
    """Local folders that the study names, by key."""
    for name, model in study.models.items():
        if model.folder is not None:
            yield f"models.{name}.folder", model.folder
    for kind, sections in (("sources", study.sources), ("suites", study.suites)):
        for name, section in sections.items():
            if isinstance(section.items, HubDatasetItems) and section.items.folder is not None:
                yield f"{kind}.{name}.items.name", section.items.folder
            if isinstance(section.items, BenchmarkItems) and section.items.folder is not None:
                yield f"{kind}.{name}.items.folder", section.items.folder
            if isinstance(section.items, PublicItems):
                for ability in section.items.sets:
                    for given in section.items.of(ability):
                        if given.folder is not None:
                            yield f"{kind}.{name}.items.sets.{ability}.folder", given.folder


def _tested_by_benchmarks(study: Study) -> Iterator[str]:
    """Faults of benchmarks whose test items a source trains on."""
    from growthpace.data.benchmarks import parts
    from growthpace.data.importers.public import tested_by

    for source, settings in study.sources.items():
        trained = tested_by(settings.items) if isinstance(settings.items, PublicItems) else ()
        for name, taken in trained:
            for suite, asked in study.suites.items():
                if not isinstance(asked.items, BenchmarkItems) or asked.items.name != name:
                    continue
                both = {part for _, part in parts(asked.items, asked.measured(study.abilities))} & set(taken)
                if both:
                    yield (
                        f"suites.{suite}.items.subjects: {', '.join(sorted(both))} of {name} are trained on by "
                        f"sources.{source} (allowed: other subjects)"
                    )


def _corpus_fault(path: Path) -> str | None:
    """What is wrong with a text file of documents, one a line."""
    documents = False
    with open(path, "rb") as handle:
        for number, raw in enumerate(handle, start=1):
            try:
                documents = bool(raw.decode("utf-8").strip()) or documents
            except UnicodeDecodeError as error:
                return f"{path}:{number}: not UTF-8 at byte {error.start + 1} of the line"
    return None if documents else f"{path}: empty, it holds no documents"


def _read_everything(study: Study) -> dict[str, Any]:
    grid, faults = Grid(study), []
    sizes: dict[str, int] = {}
    asking: dict[str, Any] = {}
    reviewed: dict[str, str] = {}
    read_pools: dict[str, list[Item]] = {}
    unchecked = []
    seeding = {study.sources[source].items.seeds for source in written_sources(study)}

    def read(reader, default):
        try:
            return reader()
        except InputError as error:
            faults.append(str(error))
            return default

    for name, model in study.models.items():
        if model.initialise is not None and model.initialise.corpus != "microworld":
            found = map(_corpus_fault, model.initialise.corpus)
            faults += [f"models.{name}.initialise.corpus: {fault}" for fault in found if fault]
    for source, settings in study.sources.items():
        if isinstance(settings.items, SyntheticItems):  # not written yet, or not again
            sizes |= {f"sources.{source}/{ability}": share(grid, source) for ability in grid.pools(source)}
            continue
        if _remote(settings.items):
            unchecked.append(f"sources.{source}")
            continue
        for ability in grid.pools(source):
            left_out: Counter[str] = Counter()
            kept = read_pools.setdefault(f"{source}/{ability}", []) if source in seeding else None
            items = pool_items(study, source, ability, left_out)
            found = read(lambda items=items, kept=kept: _counted(items, kept), 0)
            sizes[f"sources.{source}/{ability}"] = found
            if settings.reviewed and found:
                reasons = {reason: left_out[reason] for reason in NOT_KEPT if left_out[reason]}
                why = "".join(f", {number:,} {reason}" for reason, number in reasons.items())
                reviewed[f"sources.{source}/{ability}"] = f"of {found + sum(reasons.values()):,} offered{why}"
    if not faults:
        asking |= _teachers(study, read_pools)
    read_pools.clear()
    for suite, settings in study.suites.items():
        if _remote(settings.items):
            unchecked.append(f"suites.{suite}")
            continue
        items = read(lambda s=suite: suite_items(study, s), [])
        sizes |= {f"suites.{suite}/{a}": n for a, n in Counter(item.ability for item in items).items()}
        if study.judge and items and settings.judged:
            from growthpace.endpoint.foreseen import row_of
            from growthpace.judging.foresight import foreseen

            try:
                asking[f"suites.{suite}"] = row_of("judge", *foreseen(study, suite, items))
            except InputError as error:
                faults.append(f"suites.{suite}: {error}")
    if not faults:
        for dataset, found in grid.datasets.items():
            if any(f"sources.{source}" in unchecked for source in found.sources):
                continue
            try:
                counts(study, dataset, lambda source, ability: sizes[f"sources.{source}/{ability}"])
            except InputError as error:
                faults.append(str(error))
    if faults:
        raise InputError("\n".join(dict.fromkeys(faults)))
    return {"items": sizes, "unchecked": unchecked, "reviewed": reviewed, "asking": asking}


def _counted(items: Iterable[Item], kept: list[Item] | None) -> int:
    """How many there are; added to `kept`, where that is a list."""
    number = 0
    for item in items:
        number += 1
        if kept is not None:
            kept.append(item)
    return number


def _teachers(study: Study, pools: dict[str, list[Item]]) -> dict[str, Any]:
    """What each teacher costs whose seeds have been read, by source. pools: by `source/ability`."""
    found = {}
    for source in written_sources(study):
        from growthpace.endpoint.foreseen import row_of
        from growthpace.synthesis.foresight import foreseen

        seeds = study.sources[source].items.seeds
        own = {key.split("/", 1)[1]: items for key, items in pools.items() if key.split("/", 1)[0] == seeds}
        if own and not study.sources[source].labelled:
            own = {GENERAL: [item for items in own.values() for item in items]}
        if own:
            found[f"sources.{source}"] = row_of("teacher", *foreseen(study, source, own))
    return found


def _remote(items: Any) -> bool:
    """Whether items must be fetched before they can be looked at."""
    return isinstance(items, Files | HubDatasetItems | BenchmarkItems | PublicItems) and items.folder is None
