"""Importers: the items of public formats, one file per format.

`read_items_of` is the one entry. To add a format: a file with `read(path, name, ability, labelled)`, a line in
`FILE_IMPORTERS`, and its settings in `study/items.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from growthpace.data.importers import alpaca, chat, doit, hub_dataset
from growthpace.data.importers import microworld as generated
from growthpace.data.importers.records import identified
from growthpace.data.items import Item, check_item
from growthpace.errors import InputError
from growthpace.study import (
    GENERAL,
    BenchmarkItems,
    Files,
    HubDatasetItems,
    Items,
    Microworld,
    MicroworldItems,
    PublicItems,
    Source,
)

FILE_IMPORTERS = {"doit": doit.read, "alpaca": alpaca.read, "chat": chat.read}
"""Formats of files: importer name in the study to its reader."""


def read_items_of(
    items_settings: Items,
    abilities: list[str] | None,
    microworld: Microworld | None = None,
    local: Callable[[str], Path] | None = None,
    left_out: Counter[str] | None = None,
) -> Iterator[Item]:
    """The items that a source or a suite names, each checked, ability by ability and in file order.

    `abilities`: those wanted, all or some of the study's; None for a source that is not labelled, whose items get the
    ability `GENERAL`. `microworld`: the study's, for items of the microworld. `local`: gives the local path
    of a file by its name in the study, instead of its folder or the hub. Ids are the publisher's where there are any,
    else made of the content; that they are unique is for the caller to check (`items.check_unique`). `left_out` counts
    the rows that a rule of a benchmark or a public set leaves out, by the reason.

    Raises `InputError`, with file and line, for anything that cannot be read or is no item.
    """
    if isinstance(items_settings, MicroworldItems):
        yield from map(check_item, generated.read(items_settings, abilities, microworld))
    elif isinstance(items_settings, BenchmarkItems):
        from growthpace.data.benchmarks import read_benchmark  # its modules read with this package's records

        yield from read_benchmark(items_settings, abilities, downloaded, left_out)
    elif isinstance(items_settings, PublicItems):
        from growthpace.data.importers.public import read_public

        yield from read_public(items_settings, abilities, downloaded, left_out)
    elif isinstance(items_settings, HubDatasetItems):
        yield from map(check_item, identified(hub_dataset.read(items_settings, abilities)))
    else:
        yield from identified(_from_files(items_settings, abilities, local))


def local_files(items_settings: Items, abilities: list[str] | None) -> list[Path]:
    """The local files that reading will open, whether or not they exist; none for the hub and the microworld."""
    if isinstance(items_settings, BenchmarkItems):
        from growthpace.data.benchmarks import benchmark_files

        return benchmark_files(items_settings, abilities)
    if isinstance(items_settings, PublicItems):
        from growthpace.data.importers.public import public_files

        return public_files(items_settings, abilities)
    if isinstance(items_settings, Files):
        if items_settings.folder is None:
            return []
        return [items_settings.folder / name for _, name in _named_files(items_settings, abilities)]
    if isinstance(items_settings, HubDatasetItems) and Path(items_settings.name).is_dir():
        folder = Path(items_settings.name)
        return sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))
    return []


def source_files(source: Source, ability: str) -> list[Path]:
    """The local files that a source's pool of an ability is made from: its items' and, where the pool demands reviewed
    items, the reviewers' decisions."""
    from growthpace.data.reviewed import decision_file  # reads with this package's records

    decisions = [decision_file(source.reviewed, ability)] if source.reviewed else []
    return [*local_files(source.items, [ability] if source.labelled else None), *decisions]


def _named_files(settings: Files, abilities: list[str] | None) -> Iterator[tuple[str, str]]:
    """(ability, file name as the study gives it) pairs, in reading order."""
    if abilities is None:
        if isinstance(settings.files, dict):
            raise InputError("files: a source that is not labelled by ability has one path, not one per ability")
        yield GENERAL, settings.files
        return
    for ability in abilities:
        if isinstance(settings.files, str):
            yield ability, settings.files.replace("{ability}", ability)
            continue
        if ability not in settings.files:
            raise InputError(f"files: no file for the ability {ability!r}")
        names = settings.files[ability]
        for name in [names] if isinstance(names, str) else names:
            yield ability, name


def _from_files(settings: Files, abilities: list[str] | None, local: Callable[[str], Path] | None) -> Iterator[Item]:
    read = FILE_IMPORTERS[settings.importer]
    for ability, name in _named_files(settings, abilities):
        if local is not None:
            path = local(name)
        elif settings.folder is not None:
            path = settings.folder / name
        else:
            path = downloaded(settings.hub, name, settings.revision)
        for item in read(path, name, ability, labelled=abilities is not None):
            try:
                check_item(item)
            except InputError:  # said again with the file as it was opened, which the user can find
                check_item(replace(item, origin=f"{path}:{item.origin.rpartition(':')[2]}"))
            yield item


def downloaded(repository: str, name: str, revision: str | None) -> Path:
    """A file of a dataset repository, from the hub or its cache."""
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(repository, name, repo_type="dataset", revision=revision))
    except Exception as error:  # the hub raises its own errors, the cache's and the network's
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        at = f" at {revision}" if revision else ""
        raise InputError(
            f"{repository}{at}: cannot get the file {name!r} from the hub: {reason} "
            "(without a network, download the repository elsewhere and give its folder with `folder:`)"
        ) from error
