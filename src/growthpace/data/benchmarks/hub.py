"""Benchmarks by the name of a dataset on the hub, whose rows stand in for the publisher's files.

A benchmark's `HUB` says which dataset is usual and how its rows become what the publisher's files hold. `HubShelf` then
serves these files, so that one reader makes the same items of either. No network is used before a file is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from growthpace.data.benchmarks.base import Shelf
from growthpace.data.importers.hub_dataset import loaded_split
from growthpace.data.importers.records import Record
from growthpace.errors import InputError

CONVERTED = "refs/convert/parquet"
"""Branch in which the hub itself keeps a Parquet copy of a dataset, also of one that consists of a script."""


@dataclass(frozen=True)
class Hub:
    """How the rows of a dataset on the hub stand in for a benchmark's files."""

    name: str
    """The usual dataset, read where a study names none."""
    file: str
    """The publisher's file names from ROOT on, with `{config}` and `{split}` where these differ between files."""
    columns: tuple[str, ...]
    """Columns that are read."""
    splits: Mapping[str, str]
    """The dataset's splits by what `{split}` stands for, '' where file names have none. `a+b` is both, in order."""
    configs: Mapping[str, str] | None = None
    """Its configurations by what `{config}` stands for, '' where file names have none. None: they are called alike, or
    there is just one."""
    record: Callable[[Record], Any] = field(default=lambda row: row.content)
    """What the publisher's file holds for a row."""
    together: str | None = None
    """Rows that follow each other and are equal in this column are one: a list of values in every column."""
    examples: bool = True
    """Whether the dataset has worked examples."""

    def place(self, file: str) -> tuple[str | None, str] | None:
        """(configuration, split) that stand in for a file; None where the dataset has nothing of the kind."""
        pattern = re.escape(self.file)
        for name, known in (("config", self.configs), ("split", self.splits)):
            allowed = r"\w+" if known is None else "|".join(map(re.escape, known))
            pattern = pattern.replace(rf"\{{{name}\}}", f"(?P<{name}>{allowed})", 1)
            pattern = pattern.replace(rf"\{{{name}\}}", f"(?P={name})")
        match = re.fullmatch(pattern, file)
        if match is None:
            return None
        found = match.groupdict(default="")
        config, split = found.get("config", ""), found.get("split", "")
        return (config if self.configs is None else self.configs[config]) or None, self.splits[split]


class HubShelf(Shelf):
    """The publisher's files of a benchmark, made of the rows of a dataset on the hub (or of a local copy of it)."""

    def __init__(self, benchmark: str, hub: Hub, dataset: str, revision: str | None):
        """dataset: its name on the hub, or the path of a local folder with what the hub holds."""
        super().__init__("", None, None, list)
        self._benchmark, self._hub, self._dataset, self._revision = benchmark, hub, dataset, revision
        self._known: dict[str, list[Record]] = {}

    def names(self, folder: str, suffix: str) -> list[str]:
        """One for each row: rows do not say which file of a folder they were."""
        return [f"{folder}/row-{number}{suffix}" for number in range(len(self._rows(folder)))]

    def lines(self, name: str) -> Iterator[Record]:
        yield from self._rows(name)

    def arrays(self, name: str) -> Iterator[Record]:
        for row in self._rows(name):
            yield replace(row, content={"entry": row.content})

    def table(self, name: str, columns, header: bool = True, more=()) -> list[Record]:
        found = []
        for row in self._rows(name):
            # What looks like a number may have become one, but is a text in a csv file.
            texts = {column: str(row.field(column, (str, int))) for column in columns if column in row.content}
            found.append(replace(row, content=texts))
        return found

    def whole(self, name: str) -> Record:
        """A row, of a file that `names` gave; else all rows as the list `examples`."""
        folder, _, number = name.rpartition("/row-")
        if folder:
            return self._rows(folder)[int(number.partition(".")[0])]
        rows = self._rows(name)
        return replace(rows[0], content={"examples": [row.content for row in rows]})

    def text(self, name: str) -> str:
        raise self._without(name)

    def path(self, name: str) -> Path:
        raise self._without(name)

    def _without(self, name: str) -> InputError:
        return InputError(
            f"benchmark {self._benchmark}: the dataset {self._dataset} has nothing like the publisher's file {name!r} "
            "(allowed: folder, with the publisher's files)"
        )

    def _rows(self, name: str) -> list[Record]:
        """The records of a file, each with the number of the row that it began as."""
        if name not in self._known:
            place = self._hub.place(name)
            if place is None:
                raise self._without(name)
            self._known[name] = [replace(row, content=self._hub.record(row)) for row in self._read(*place)]
        return self._known[name]

    def _read(self, config: str | None, split: str) -> Iterator[Record]:
        rows, said = self._loaded(config, split), "/".join(filter(None, [config, split]))
        for column in self._hub.columns:
            if column not in rows.column_names:
                raise InputError(
                    f"dataset {self._dataset}{f', configuration {config}' if config else ''}, split {split}: no column "
                    f"{column!r} (it has: {', '.join(rows.column_names)}); the benchmark {self._benchmark} reads "
                    f"{', '.join(self._hub.columns)}"
                )
        if not len(rows):
            raise InputError(f"dataset {self._dataset}, split {split}: empty, it holds no rows")
        # A local folder is named by its last part only: no path of this machine enters a suite.
        local = Path(self._dataset).is_dir()
        path, label = Path(f"{self._dataset}[{said}]"), Path(self._dataset).name if local else self._dataset
        own = ({column: row[column] for column in self._hub.columns} for row in rows)
        numbered = enumerate(own, start=1)
        if self._hub.together is None:
            for number, content in numbered:
                yield Record(content, path, f"{label}[{said}]", number)
            return
        for _, group in groupby(numbered, key=lambda row: row[1][self._hub.together]):
            members = list(group)
            content = {column: [row[column] for _, row in members] for column in self._hub.columns}
            yield Record(content, path, f"{label}[{said}]", members[0][0])

    def _loaded(self, config: str | None, split: str):
        """The rows. A dataset that is a script is never run: the hub's own Parquet copy is read instead."""
        revision = self._revision
        if revision != CONVERTED:
            try:
                return loaded_split(self._dataset, config, split, revision, "`folder`")
            except InputError as error:
                if revision is not None or "scripts are no longer supported" not in str(error):
                    raise
        # There a configuration is a folder.
        return loaded_split(self._dataset, None, split, CONVERTED, "`folder`", data_dir=config)
