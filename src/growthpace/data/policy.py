"""What the audit's policy (the study's section `audit`) leaves out of pools before datasets are drawn from them.

`data/audit_items.json` lists the training items that leak, or may, and those that repeat another, whatever the policy
is. It depends on all pools and suites but on no seed, volume or model, so that what is left of a pool is the same for
all datasets and these stay nested (docs/audit.md). Light: the workflow is loaded with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from growthpace.errors import InputError
from growthpace.files import fingerprint, read_json
from growthpace.grid import Grid
from growthpace.paths import Paths
from growthpace.study import Study

LISTS = ("leaked", "possible", "duplicates")
"""What the list of items is made of; the study's section `audit` says which of them are left out."""

LeftOut = dict[tuple[str, str], set[str]]
"""{(source, ability): ids}."""


def left_out(study: Study, sources: Iterable[str], paths: Paths) -> LeftOut:
    """What the study's policy leaves out of the pools of some sources; empty where it keeps all.

    Raises `InputError` where the audit that it needs was not made.
    """
    dropped = study.audit.dropped if study.audit else {}
    if not dropped:
        return {}
    if not paths.audit_items.exists():
        told = next(iter(dropped.values()))
        raise InputError(f"audit.{told}, but {paths.audit_items} is not there; make it with `growthpace audit CONFIG`")
    listed, found = read_json(paths.audit_items), {}
    for name in dropped:
        for source in sources:
            for ability, ids in listed[name].get(source, {}).items():
                found.setdefault((source, ability), set()).update(ids)
    return found


def left_out_fingerprint(left: LeftOut) -> str:
    """Fingerprint of what is left out."""
    return fingerprint([[source, ability, sorted(ids)] for (source, ability), ids in sorted(left.items())])


class AuditInputs:
    """What the audit's list means to the workflow.

    A new list plans a dataset only if other items are left out of it now. Else a suite that is added, which makes the
    list anew, would train every run again. So the list is `ancient` to a dataset but where it says something new; what
    an audit in the same start finds is planned by the next one, and the audit says so.
    """

    def __init__(self, study: Study, paths: Paths):
        self.study, self.paths, self.grid = study, paths, Grid(study)
        self._wanted: dict[str, str] = {}

    def needed(self) -> list[str]:
        """The list, where the policy leaves anything out: a dataset waits for it."""
        return [str(self.paths.audit_items)] if self.study.audit and self.study.audit.dropped else []

    def changed(self, dataset: str, seed: int | str) -> list[str]:
        """The list, where it is there and a dataset that is there was drawn with another."""
        manifest = self.paths.manifest(dataset, seed)
        if not self.needed() or not self.paths.audit_items.exists() or not manifest.exists():
            return []
        if dataset not in self._wanted:
            sources = self.grid.datasets[dataset].sources
            self._wanted[dataset] = left_out_fingerprint(left_out(self.study, sources, self.paths))
        return self.needed() if read_json(manifest).get("left_out") != self._wanted[dataset] else []

    def stale(self) -> Iterator[tuple[str, int]]:
        """Datasets that there are, with their seeds, of which other items are left out now."""
        for dataset in self.grid.datasets:
            yield from ((dataset, seed) for seed in self.study.seeds if self.changed(dataset, seed))
