"""How many tokens a study's texts have, as far as its files tell: datasets to train on, suites to answer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from growthpace.files import read_json
from growthpace.grid import Grid
from growthpace.paths import Paths
from growthpace.planning.formulas import BYTES_PER_TOKEN, MARKERS
from growthpace.planning.measured import Trained, trained
from growthpace.study import Study


@dataclass(frozen=True)
class Tokens:
    """Tokens of one epoch of a dataset."""

    items: int
    total: float
    about: str
    """What the number rests on, for a sentence."""


@dataclass(frozen=True)
class Asked:
    """What a suite asks of a model."""

    items: int
    prompt_tokens: float
    """With the candidates to score."""
    generated: int
    """Items whose answer is generated."""


class Texts:
    """Token counts, each worked out once."""

    def __init__(self, study: Study, paths: Paths):
        self.study, self.paths, self.grid = study, paths, Grid(study)
        self.runs_of = cache(self._runs_of)
        self.dataset = cache(self._dataset)
        self.suite = cache(self._suite)
        self._pool = cache(self._pool_tokens)
        self._same = cache(lambda dataset: trained(paths, dataset=dataset))

    def _runs_of(self, model: str) -> list[Trained]:
        """Finished runs of a model."""
        return trained(self.paths, model)

    def _dataset(self, model: str, name: str) -> Tokens | None:
        """Tokens of a dataset as a model sees them; None where not even the number of items is known."""
        same = [run for run in self.runs_of(model) if run.dataset == name] or self._same(name)
        if same:
            return Tokens(same[0].items, same[0].tokens, "")
        counts = self._counts(name)
        items = self.grid.datasets[name].volume or (sum(counts.values()) if counts else None)
        if items is None:
            return None
        sources = self.grid.datasets[name].sources
        everything = self.runs_of(model) or [run for other in self.study.models for run in self.runs_of(other)]
        everything = [run for run in everything if run.dataset in self.grid.datasets]
        alike = [run for run in everything if self.grid.datasets[run.dataset].sources == sources]
        if not alike and counts and all(self._pool(*pool) for pool in counts):
            total = sum(number * self._pool(*pool)[1] for pool, number in counts.items())
            return Tokens(items, total, f"{BYTES_PER_TOKEN:g} bytes of text taken for a token")
        if found := alike or everything:
            each = sum(run.tokens for run in found) / sum(run.items for run in found) * self._longer(name, counts)
            return Tokens(items, items * each, f"{each:,.0f} tokens an item as in {found[0].dataset}")
        longest = self.study.training.max_length
        return Tokens(items, items * longest, f"at most {longest} tokens an item, training.max_length")

    def _longer(self, name: str, counts: dict[tuple[str, str], int] | None) -> float:
        """How many times as long an item of a part of transfer is as one of the full dataset, by the texts in their
        pools; 1 for other datasets, and where a pool is not there yet."""
        if name not in self.grid.parts or not counts:
            return 1.0
        full = self._counts(self.study.transfer.full)
        if not all(self._pool(*pool) for pool in full):
            return 1.0
        part, whole = (
            sum(number * self._pool(*pool)[1] for pool, number in taken.items()) / sum(taken.values())
            for taken in (counts, full)
        )
        return part / whole

    def _counts(self, name: str) -> dict[tuple[str, str], int] | None:
        """Items that a dataset takes from each pool; None while the sizes of its pools are not known."""
        from growthpace.data.datasets import counts

        pools = [
            (source, ability) for source in self.grid.datasets[name].sources for ability in self.grid.pools(source)
        ]
        sizes = {pool: self._size(*pool) for pool in pools}
        return None if None in sizes.values() else counts(self.study, name, lambda *pool: sizes[pool])

    def _size(self, source: str, ability: str) -> int | None:
        pool = self._pool(source, ability)
        return pool[0] if pool else self._checked.get(f"sources.{source}/{ability}")

    @cached_property
    def _checked(self) -> dict[str, int]:
        """Numbers of items that `growthpace check` found in pools and suites whose data is here."""
        path = self.paths.root / "data" / "checked.json"
        return read_json(path)["result"]["items"] if path.exists() else {}

    def _pool_tokens(self, source: str, ability: str) -> tuple[int, float] | None:
        """Number of a pool's items and their mean tokens, cut at max_length; None where there is no pool yet."""
        path = self.paths.pool(source, ability)
        if not path.exists():
            return None
        import numpy as np

        tokens = _tokens(_column(path, "messages"))
        return len(tokens), float(np.minimum(tokens, self.study.training.max_length).mean()) if len(tokens) else 0.0

    def _suite(self, name: str) -> Asked | None:
        """What a suite asks, from its file; None where there is none yet."""
        from growthpace.evaluation.scorers import SCORERS

        path = self.paths.suite(name)
        if not path.exists():
            return None
        scorers = _column(path, "scorer").to_pylist()
        tokens = _tokens(_column(path, "messages")).sum()
        tokens += sum(len(text.encode()) for row in _column(path, "candidates").to_pylist() for text in row) / (
            BYTES_PER_TOKEN
        )
        needs = [SCORERS[scorer].NEEDS for scorer in scorers if scorer in SCORERS]
        return Asked(len(scorers), float(tokens), needs.count("generation"))

    def suite_items(self, name: str) -> int | None:
        """Number of a suite's items; None while it is not known."""
        if asked := self.suite(name):
            return asked.items
        abilities = self.study.suites[name].measured(self.study.abilities)
        sizes = [self._checked.get(f"suites.{name}/{ability}") for ability in abilities]
        return None if None in sizes else sum(sizes)


def _column(path, name: str) -> Any:
    import pyarrow.parquet as pq

    return pq.read_table(path, columns=[name]).column(name).combine_chunks()


def _tokens(messages: Any) -> Any:
    """Tokens of each item of a column of messages, taken from the bytes of their texts: an array, shape (items,)."""
    import numpy as np
    import pyarrow.compute as pc

    texts = messages.flatten().field("content")
    each = pc.binary_length(texts).to_numpy(zero_copy_only=False) / BYTES_PER_TOKEN + MARKERS
    ends = np.cumsum(pc.list_value_length(messages).to_numpy(zero_copy_only=False))
    sums = np.concatenate([[0.0], np.cumsum(each)])
    return np.diff(sums[np.concatenate([[0], ends]).astype(int)])
