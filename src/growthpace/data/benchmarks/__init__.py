"""Public benchmarks in their publishers' own formats, one module each, named as the study names it.

`read_benchmark` is the one entry. docs/benchmarks.md says how to add one: a module here (see `base.Benchmark`) and its
name in `study/items.py`. Importing this package is light (no pyarrow): it happens when a Snakefile is parsed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import get_args

from growthpace.data.benchmarks.base import Benchmark, Shelf, with_shots
from growthpace.data.benchmarks.hub import HubShelf
from growthpace.data.items import Item, check_item
from growthpace.errors import InputError
from growthpace.study import Benchmark as Name
from growthpace.study import BenchmarkItems

BENCHMARKS: dict[str, Benchmark] = {name: import_module(f"{__name__}.{name}") for name in get_args(Name)}
"""Benchmarks by name."""


def read_benchmark(
    settings: BenchmarkItems, abilities: list[str], fetch: Callable[[str, str, str | None], Path],
    left_out: Counter[str] | None = None,
) -> Iterator[Item]:  # fmt: skip
    """The items of a benchmark, each checked and with its shots, ability by ability and subject by subject.

    abilities: those that the suite measures (`Suite.measured`). fetch(repository, file, revision): local path of a
    hub's file. left_out: counts, by subject and reason, rows that the benchmark's rule leaves out.

    Raises `InputError` for an unknown subject, more shots than the publisher offers, no place to read from, and with
    file and line for a row that is no item.
    """
    benchmark, wanted = BENCHMARKS[settings.name], parts(settings, abilities)
    shelf = _shelf(settings, fetch)
    for ability, subject in wanted:
        examples = _examples(benchmark, shelf, subject, settings.shots)
        for item in benchmark.items(shelf, subject):
            yield check_item(replace(with_shots(item, examples), ability=ability))
    if left_out is not None:
        left_out.update(shelf.left_out)


def _examples(benchmark: Benchmark, shelf: Shelf, subject: str, shots: int) -> list[Item]:
    """The first worked examples of a subject."""
    found = list(islice(benchmark.examples(shelf, subject), shots)) if shots else []
    if len(found) < shots and not getattr(benchmark, "FEWER", False):
        where = f"benchmark {benchmark.NAME}{f', {subject}' if subject else ''}"
        raise InputError(f"{where}: shots: {shots} (allowed: up to {len(found)}, there are no more worked examples)")
    return found


def benchmark_files(settings: BenchmarkItems, abilities: list[str]) -> list[Path]:
    """The local files that reading will open, whether or not they exist; none for the hub, all of a local copy of a
    hub's dataset. Raises `InputError` as `read_benchmark` does for what the settings alone show to be wrong."""
    wanted, benchmark = parts(settings, abilities), BENCHMARKS[settings.name]
    if settings.folder is None:
        return []
    if is_copy(settings):
        return sorted(p for p in settings.folder.rglob("*") if p.is_file() and not p.name.startswith("."))
    shelf = _shelf(settings, None)
    names = [name for _, subject in wanted for name in benchmark.files(shelf, subject, settings.shots > 0)]
    return [shelf.path(name) for name in dict.fromkeys(names)]


def parts(settings: BenchmarkItems, abilities: list[str]) -> list[tuple[str, str]]:
    """(ability, subject) pairs in reading order; the subject is '' for a benchmark without subjects."""
    benchmark = BENCHMARKS[settings.name]

    def wrong(what: str) -> InputError:
        return InputError(f"benchmark {settings.name}: {what}")

    usual = settings.folder is None and settings.hub is None and benchmark.HUB is not None
    if usual and settings.shots and not benchmark.HUB.examples:
        raise wrong(
            f"shots: {settings.shots} (allowed: 0, {benchmark.HUB.name} has no worked examples; or folder, with the "
            "publisher's files)"
        )
    if benchmark.SHOTS is not None and settings.shots > benchmark.SHOTS:
        offered = f"up to {benchmark.SHOTS}" if benchmark.SHOTS else "0, its publisher offers no worked examples"
        raise wrong(f"shots: {settings.shots} (allowed: {offered})")
    if settings.subjects is None:
        return [(abilities[0], subject) for subject in benchmark.SUBJECTS or ("",)]
    groups = getattr(benchmark, "GROUPS", {})
    named = settings.subjects if isinstance(settings.subjects, dict) else {abilities[0]: settings.subjects}
    found: dict[str, str] = {}
    for ability, names in named.items():
        for name in names:
            if name not in benchmark.SUBJECTS and name not in groups:
                allowed = ", ".join([*groups, *benchmark.SUBJECTS]) or "no such key, it has no subjects"
                raise wrong(f"subjects: unknown subject {name!r} (allowed: {allowed})")
            for subject in groups.get(name, (name,)):
                if subject in found:
                    raise wrong(f"subjects: {subject!r} is given twice, for {found[subject]} and for {ability}")
                found[subject] = ability
    return [(ability, subject) for subject, ability in found.items()]


def is_copy(settings: BenchmarkItems) -> bool:
    """Whether the folder holds what a dataset of the hub holds, in Parquet, and no file of the publisher's."""
    benchmark = BENCHMARKS[settings.name]
    if benchmark.HUB is None or settings.folder is None:
        return False
    shelf = Shelf(benchmark.ROOT, settings.folder, None, list)
    if any(shelf.path(name).is_file() for name in _all_files(benchmark, shelf)):
        return False
    return any(settings.folder.rglob("*.parquet"))


def _all_files(benchmark: Benchmark, shelf: Shelf) -> Iterator[str]:
    for subject in benchmark.SUBJECTS or ("",):
        yield from benchmark.files(shelf, subject, False)


def _shelf(settings: BenchmarkItems, fetch: Callable[[str, str, str | None], Path] | None) -> Shelf:
    benchmark = BENCHMARKS[settings.name]
    if is_copy(settings):
        return HubShelf(benchmark.NAME, benchmark.HUB, str(settings.folder), None)
    if settings.folder is not None:
        return Shelf(benchmark.ROOT, settings.folder, None, list)
    if settings.hub is None and benchmark.HUB is None:
        from growthpace.data.importers.releases import released

        return Shelf("", None, lambda name: released(benchmark.RELEASE, name), list)
    repository = settings.hub or benchmark.HUB.name

    @cache
    def listed() -> list[str]:
        from huggingface_hub import list_repo_files

        try:
            return list_repo_files(repository, repo_type="dataset", revision=settings.revision)
        except Exception as error:  # the hub raises its own errors, the cache's and the network's
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise InputError(f"{repository}: cannot list the repository's files: {reason}") from error

    files = Shelf(benchmark.ROOT, None, lambda name: fetch(repository, name, settings.revision), listed)
    if benchmark.HUB is None or (repository != benchmark.HUB.name and _holds_files(benchmark, files, listed)):
        return files
    return HubShelf(benchmark.NAME, benchmark.HUB, repository, settings.revision)


def _holds_files(benchmark: Benchmark, shelf: Shelf, listed: Callable[[], list[str]]) -> bool:
    """Whether a repository of the hub has some file of the publisher's. One that cannot be listed has none: what was
    fetched of a dataset before can be read without a network, and if not, reading it says why."""
    try:
        there = set(listed())
    except InputError:
        return False
    return any(place in there for name in _all_files(benchmark, shelf) for place in shelf.places(name))
