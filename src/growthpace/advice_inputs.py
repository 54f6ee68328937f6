"""What mixes with `advice` mean to the workflow. Light: the workflow is loaded with it.

The numbers of such a mix come from the grid's own grades, so that there is no circle: grades of the grid, allocation,
dataset, training, its grades, check. New grades divide the budget anew, but plan a dataset only if they divide it
otherwise: else a changed scorer would train the mix again. So the allocation is `ancient` to its dataset but where it
says something new; what an allocation in the same start finds is planned by the next one, and the job says so.
"""

from __future__ import annotations

from typing import Any

import yaml

from growthpace.files import read_json
from growthpace.grid import Grid
from growthpace.paths import Paths
from growthpace.study import Study


class AdviceInputs:
    """Files that rules need where a study trains its own advice; none where it does not."""

    def __init__(self, study: Study, paths: Paths):
        self.study, self.paths, self.grid = study, paths, Grid(study)

    def dataset(self, dataset: str) -> list[str]:
        """How an advised mix's budget is divided; nothing for other datasets."""
        return [str(self.paths.allocation(dataset))] if dataset in self.grid.advised else []

    def changed(self, dataset: str, seed: int | str) -> list[str]:
        """The division, where a dataset that is there was drawn by another, or by one that another mix was asked for
        (it is made anew in this start)."""
        paths, manifest = self.dataset(dataset), self.paths.manifest(dataset, seed)
        if not paths or not manifest.exists() or not self.paths.allocation(dataset).exists():
            return []
        found = yaml.safe_load(self.paths.allocation(dataset).read_text(encoding="utf-8"))
        return paths if read_json(manifest)["counts"] != flat(found["counts"]) or self._asked_anew(found) else []

    def unchanged(self, dataset: str, seed: int | str) -> list[str]:
        """The division where it is not `changed`: what Snakemake sees as `ancient` once is so wherever it stands."""
        return [] if self.changed(dataset, seed) else self.dataset(dataset)

    def _asked_anew(self, found: dict[str, Any]) -> bool:
        """Whether a division is of other settings than its mix has now."""
        mix = self.study.mixes[found["mix"]]
        weights = {ability: float(mix.advice.weights.get(ability, 1)) for ability in self.study.abilities}
        now = (mix.advice.budget, mix.source, self.grid.advice_suite(mix), weights)
        return now != tuple(found[key] for key in ("budget", "source", "suite", "weights"))

    def stale(self, mix: str) -> list[int]:
        """Seeds of which a dataset is there that was drawn by another division."""
        return [seed for seed in self.study.seeds if self.changed(mix, seed)]

    def grades(self, mix: str) -> list[str]:
        """Grades that say how a mix's budget is divided, and which of them count: those of the grid alone."""
        settings = self.study.mixes[mix]
        suite, runs = self.grid.advice_suite(settings), self.grid.swept(settings)
        grades = [self.paths.grades(run, *at) for run in runs for at in self.grid.evaluations(run) if at[0] == suite]
        return [str(path) for path in (*grades, *map(self.paths.selected, runs))]

    def allocations(self) -> list[str]:
        """How the budgets of all advised mixes are divided."""
        return [str(self.paths.allocation(name)) for name in self.grid.advised]

    def check(self) -> list[str]:
        """Whether the advice held."""
        return [str(self.paths.advice_check)] if self.grid.advised else []


def flat(counts: dict[str, dict[str, int]]) -> dict[str, int]:
    """{`source/ability`: items} of a division, as a dataset's manifest has them: without those that get none."""
    return {f"{source}/{ability}": n for source, own in counts.items() for ability, n in own.items() if n}
