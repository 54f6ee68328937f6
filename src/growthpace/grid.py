"""What a study consists of: its datasets and runs, and what each stage's result depends on.

Everything here is derived from the study alone, without looking at data or weights, so that a plan can be made on a
machine that has neither. The Snakefile wires these; where their files lie, `growthpace.paths` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from growthpace.errors import InputError
from growthpace.files import fingerprint
from growthpace.params import flattened
from growthpace.study import (
    GENERAL,
    UNTUNED,
    BenchmarkItems,
    Items,
    MicroworldItems,
    Mix,
    PublicItems,
    Study,
    SyntheticItems,
)
from growthpace.study.transfer import Part
from growthpace.versions import VERSIONS

SELECTED = "selected"
"""Stands for an epoch's number in paths of suites that are evaluated at the chosen epoch only."""


@dataclass(frozen=True)
class Dataset:
    """What one run trains on."""

    name: str
    """`{source}-{volume}`, the name of a mix, or `untuned`."""
    kind: str
    """grid, mix, transfer or untuned."""
    source: str
    """The source of a dataset of the grid or of transfer; for a mix or `untuned`, its own name."""
    volume: int | None
    """Number of items; None for a mix that takes all a pool holds, so that only its manifest knows."""
    sources: tuple[str, ...]
    """Every source it draws from."""


@dataclass(frozen=True, order=True)
class Run:
    """One training: model x dataset x seed."""

    model: str
    dataset: str
    seed: int

    def __str__(self) -> str:
        return f"{self.model}/{self.dataset}/seed-{self.seed}"


class Grid:
    """Datasets, runs and evaluations of a study, in the study's order, each once."""

    def __init__(self, study: Study):
        self.study = study

    @cached_property
    def datasets(self) -> dict[str, Dataset]:
        """Every dataset by name; a mix that is `same_as` another is not among them (see `aliases`)."""
        found = {}
        for name, source in self.study.sources.items():
            for volume in source.volumes:
                dataset = Dataset(f"{name}-{volume}", "grid", name, volume, (name,))
                found[dataset.name] = dataset
        for name, mix in self.study.mixes.items():
            if mix.same_as is None:
                advised = (mix.advice.sources or []) if mix.advice else []
                found[name] = Dataset(name, "mix", name, mix.volume, (mix.source, *mix.add, *mix.also, *advised))
        for name, part in self.parts.items():
            source = self.study.transfer.source
            found[name] = Dataset(name, "transfer", source, part.volume, (source,))
        return found

    @cached_property
    def parts(self) -> dict[str, Part]:
        """The datasets of transfer by name: parts of one dataset of the grid."""
        transfer = self.study.transfer
        return {part.name: part for part in transfer.parts(self.study.abilities)} if transfer else {}

    @cached_property
    def aliases(self) -> dict[str, str]:
        """Other names of datasets: {name of a mix: the dataset it is the same as}."""
        return {name: mix.same_as for name, mix in self.study.mixes.items() if mix.same_as is not None}

    @property
    def advised(self) -> list[str]:
        """Mixes whose numbers the study's own curves say."""
        return [name for name, mix in self.study.mixes.items() if mix.advice is not None]

    def swept(self, mix: Mix) -> list[Run]:
        """Runs of the grid that say what an advised mix is made of: those of its models on its sources."""
        sources, models = {mix.source, *(mix.advice.sources or [])}, mix.models or list(self.study.models)
        named = {name for name, own in self.datasets.items() if own.kind == "grid" and own.source in sources}
        return [run for run in self.runs if run.model in models and run.dataset in named]

    def advice_suite(self, mix: Mix) -> str:
        """The suite whose curves say it."""
        return mix.advice.suite or self.study.selection.suite

    @cached_property
    def runs(self) -> list[Run]:
        """Every training of the study; a dataset with two names is trained once."""
        cells: dict[tuple[str, str], None] = {}
        for name, source in self.study.sources.items():
            for model in source.models or self.study.models:
                for volume in source.volumes:
                    cells[model, f"{name}-{volume}"] = None
        for name, mix in self.study.mixes.items():
            for model in mix.models or self.study.models:
                cells[model, mix.same_as or name] = None
        for name in self.parts:
            transfer = self.study.transfer
            for model in transfer.models or self.study.sources[transfer.source].models or self.study.models:
                cells[model, name] = None
        return [Run(model, dataset, seed) for model, dataset in cells for seed in self.study.seeds]

    @cached_property
    def untuned_runs(self) -> list[Run]:
        """The base models as runs without training, where the study wants them evaluated."""
        return [Run(model, UNTUNED, 0) for model in self.study.models] if self.study.untuned else []

    def run(self, text: str) -> Run:
        """The run written as `model/dataset/seed-N`; `InputError` with what there is if it is none of the study."""
        for run in [*self.runs, *self.untuned_runs]:
            if text == str(run):
                return run
        some = ", ".join(map(str, self.runs[:3]))
        raise InputError(f"{text!r} is no run of the study {self.study.study} (runs are such as {some})")

    def require(
        self,
        *,
        model: str | None = None,
        source: str | None = None,
        ability: str | None = None,
        suite: str | None = None,
        dataset: str | None = None,
    ) -> None:
        """Raises `InputError` for a name that the study does not have; `ability`: one that `source` has a pool of."""
        known = (
            ("model", model, self.study.models),
            ("source", source, self.study.sources),
            ("suite", suite, self.study.suites),
            ("dataset", dataset, self.datasets),
        )
        for what, name, names in known:
            if name is not None and name not in names:
                raise InputError(f"{name!r} is no {what} of the study {self.study.study} (allowed: {', '.join(names)})")
        if ability is not None and ability not in self.pools(source):
            raise InputError(f"source {source!r} has no pool {ability!r} (allowed: {', '.join(self.pools(source))})")

    def dataset_of(self, run: Run) -> Dataset:
        """The run's dataset."""
        if run.dataset == UNTUNED:
            return Dataset(UNTUNED, UNTUNED, UNTUNED, 0, ())
        return self.datasets[run.dataset]

    def epochs(self, run: Run) -> int:
        """Number of epochs a run is trained for."""
        if run.dataset == UNTUNED:
            return 0
        training = self.study.training.effective
        part = run.dataset in self.parts  # trained as long as the dataset that it is a part of
        volume = self.study.transfer.volume if part else self.datasets[run.dataset].volume
        return training.epochs_by_volume.get(volume, training.epochs)

    def candidates(self, run: Run) -> list[int]:
        """Epochs that selection may choose from."""
        last = self.epochs(run)
        first = self.study.selection.first_epoch  # None where the rule is `last`
        return list(range(last if first is None else first, last + 1))

    def evaluations(self, run: Run) -> list[tuple[str, int | str]]:
        """What a run is evaluated on: (suite, epoch), where epoch is a number or `selected`."""
        if run.dataset == UNTUNED:
            return [(suite, 0) for suite in self.study.suites]
        found = []
        for name, suite in self.study.suites.items():
            if suite.epochs == SELECTED:
                epochs = [SELECTED]
            elif suite.epochs == "all":
                epochs = list(range(1, self.epochs(run) + 1))
            elif suite.epochs == "selectable":
                epochs = self.candidates(run)
            else:
                epochs = sorted(suite.epochs)
            found += [(name, epoch) for epoch in epochs]
        return found

    def evaluated_epochs(self, run: Run) -> list[int]:
        """Epochs whose weights are needed until all is evaluated; all of them where the study keeps all."""
        if self.study.keep_checkpoints == "all":
            return list(range(1, self.epochs(run) + 1))
        found: set[int] = set()
        for _, epoch in self.evaluations(run):
            found.update(self.candidates(run) if epoch == SELECTED else [epoch])
        return sorted(found)

    def pools(self, source: str) -> list[str]:
        """Abilities that a source has pools for."""
        return list(self.study.abilities) if self.study.sources[source].labelled else [GENERAL]

    # --- what each stage's result depends on, as flat settings: {setting: value} ---

    def pool_settings(self, source: str) -> dict[str, Any]:
        """Settings that a source's pools depend on, besides the files they are read from."""
        source_settings = self.study.sources[source]
        items = source_settings.items
        own = {"items_importer": "synthetic"} if isinstance(items, SyntheticItems) else self._items(items)
        reviewed = {"reviewed": True} if source_settings.reviewed else {}  # where the decisions lie does not matter
        return {"code_version": VERSIONS["pool"], **own, **reviewed}

    def suite_settings(self, suite: str) -> dict[str, Any]:
        """Settings that a suite's items depend on."""
        settings = self.study.suites[suite]
        abilities = " ".join(settings.measured(self.study.abilities))
        return {
            "code_version": VERSIONS["suite"],
            "abilities": abilities,
            **self._items(settings.items),
        }

    def audit_settings(self) -> dict[str, Any]:
        """Settings that the audit depends on, besides pools and suites."""
        stated = {f"licence_{name}": s.licence for name, s in self.study.sources.items() if s.licence is not None}
        settings = {"code_version": VERSIONS["audit"], **stated}
        if any(model.folder is not None for model in self.study.models.values()):  # whose tokens are counted
            settings |= {"max_length": self.study.training.max_length, "format": self.study.format}
        return settings

    def dataset_settings(self, dataset: str, seed: int) -> dict[str, Any]:
        """Settings that a dataset depends on, besides its pools."""
        found = self.datasets[dataset]
        settings = {"code_version": VERSIONS["dataset"], "seed": seed}
        policies = self.study.audit.model_dump() if self.study.audit else {}
        settings |= {f"audit_{name}": policy for name, policy in policies.items() if policy != "keep"}
        if any(self.study.sources[source].labelled for source in found.sources):  # a general pool has no abilities
            settings["abilities"] = " ".join(self.study.abilities)
        if found.kind == "mix":
            return settings | flattened("mix", self.study.mixes[dataset].model_copy(update={"models": None}))
        if part := self.parts.get(dataset):
            # Not a setting of its own: Snakemake would take the lack of one for a change of all other datasets.
            return settings | {"source": found.source, "volume": f"{self.study.transfer.volume}, {part}"}
        return settings | {"source": found.source, "volume": found.volume}

    def allocation_settings(self, name: str) -> dict[str, Any]:
        """Settings that an advised mix's numbers depend on, besides grades and pools."""
        mix = self.study.mixes[name]
        return {
            "code_version": VERSIONS["allocate"],
            "abilities": " ".join(self.study.abilities),
            "confidence": self.study.analysis.confidence,
            "cells": fingerprint([str(run) for run in self.swept(mix)]),
            **flattened("mix", mix),
            "mix_advice_suite": self.advice_suite(mix),
        }

    def model_settings(self, model: str) -> dict[str, Any]:
        """Settings that a base model, made ready for the study's format, depends on."""
        elsewhere = {"parameters", "processes", "prediction_gpus", "method", "lora", "trust_remote_code"}
        settings = self.study.models[model].model_copy(update=dict.fromkeys(elsewhere))
        flat = {"code_version": VERSIONS["base_model"], "format": self.study.format, **flattened("", settings)}
        if settings.initialise:
            flat["threads"] = self.study.threads
            if settings.initialise.corpus == "microworld":
                flat |= self._world("corpus")
        return flat

    def run_settings(self, run: Run) -> dict[str, Any]:
        """Settings that a run's weights depend on, besides its base model and dataset."""
        training, model = self.study.training.effective, self.study.models[run.model]
        elsewhere = {"save_minutes", "tracking", "epochs", "epochs_by_volume", "distribution", "offload"}
        recipe = training.model_dump(mode="json", exclude=elsewhere)
        recipe["method"] = model.method
        if model.lora:
            recipe |= flattened("lora", model.lora.model_copy(update={"merged": None}))
        if model.processes > 1:
            recipe |= {"processes": model.processes, "distribution": training.distribution}
        if training.offload:
            recipe |= {"offload": True, "distribution": training.distribution}
        return {
            "training_version": VERSIONS["training"],
            "encoding_version": VERSIONS["encoding"],
            "seed": run.seed,
            "format": self.study.format,
            "threads": self.study.threads,
            "epochs": self.epochs(run),
            **recipe,
        }

    def training_identity(self, run: Run, weights_sha256: str, items_sha256: str) -> dict[str, Any]:
        """All that a run's weights depend on; the fingerprint of its state. The hashes are those of its base model's
        `base.json` and of its dataset's manifest."""
        return {**self.run_settings(run), "base_weights": weights_sha256, "dataset": items_sha256}

    def prediction_settings(self, suite: str) -> dict[str, Any]:
        """Settings that predictions on a suite depend on, besides weights and items."""
        return {
            "prediction_version": VERSIONS["prediction"],
            "encoding_version": VERSIONS["encoding"],
            "format": self.study.format,
            "threads": self.study.threads,
            "max_new_tokens": self.study.suites[suite].max_new_tokens,
            "answers": self.study.suites[suite].answers,
            "generation": self.study.suites[suite].generation,
            **({"last_step": True} if self.study.suites[suite].paper_compatible else {}),
        }

    def grading_settings(self) -> dict[str, Any]:
        """Settings that grades depend on: every scorer's version (the judge's where the study has one), and the suites
        graded as the paper's code did."""
        from growthpace.evaluation.paper_rules import VERSION as PAPER_RULES
        from growthpace.evaluation.scorers import VERSIONS as SCORER_VERSIONS

        used = {name: version for name, version in SCORER_VERSIONS.items() if name != "judge" or self.study.judge}
        settings = {f"scorer_{name}": version for name, version in used.items()}
        suites = [name for name, suite in self.study.suites.items() if suite.paper_compatible]
        if suites:
            settings |= {"paper_compatible": " ".join(suites), "paper_rules_version": PAPER_RULES}
        return {"grading_version": VERSIONS["grading"], **settings}

    def judging_settings(self) -> dict[str, Any]:
        """Settings that verdicts depend on, besides items and answers; `InputError` without a judge."""
        judge = self.study.judge
        if judge is None:
            raise InputError(f"the study {self.study.study} has no judge")
        kept = {"model", "base_url", "mode", "scale", "max_tokens", "answer_format", "second_pass"}
        return {
            "judging_version": VERSIONS["judging"],
            "rubric": judge.rubric_text,
            **judge.model_dump(include=kept, exclude_none=True),
        }

    def _items(self, items: Items) -> dict[str, Any]:
        """Settings that items depend on, besides the files they are read from."""
        flat = flattened("items", items)
        if isinstance(items, MicroworldItems):
            flat |= self._world(items.kind)
        if isinstance(items, BenchmarkItems):
            from growthpace.data.benchmarks import BENCHMARKS

            flat["benchmark_version"] = BENCHMARKS[items.name].VERSION
        if isinstance(items, PublicItems):
            from growthpace.data.importers.public import versions

            flat |= versions(items)
        return flat

    def _world(self, use: str) -> dict[str, Any]:
        """The microworld's settings that one use of it depends on."""
        kept = {"seed", "entities", *WORLD_USES[use]}
        return flattened("microworld", self.study.microworld, kept)


WORLD_USES = {
    "corpus": ("documents_per_entity",),
    "curated": ("train_items",),
    "synthetic": ("synthetic_items", "synthetic_error_rate"),
    "valid": ("valid_items",),
    "test": ("test_items",),
    "out_of_domain": ("test_items",),
}
"""What each use of the microworld depends on, besides who lives in it: more test items plan no training."""
