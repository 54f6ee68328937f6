"""What the Snakefile asks: file names, settings and what is missing, all derived from the study.

Imported by workflow/Snakefile only, under Snakemake. Everything here must stay light: it runs whenever a workflow is
loaded, for a dry run too.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from growthpace.cut_off import settle_cut_off_trainings
from growthpace.data.importers import local_files, source_files
from growthpace.errors import InputError
from growthpace.figures.registry import FIGURES, figures_of
from growthpace.files import fingerprint, read_json, read_metadata
from growthpace.gone import Lost, Move
from growthpace.grid import SELECTED, Grid, Run
from growthpace.models.base import fetched_path, made_from
from growthpace.needs import Needs
from growthpace.params import columns, named
from growthpace.paths import Paths
from growthpace.study import UNTUNED, Study, load_study
from growthpace.synthesis.settings import synthesis_settings, written_sources
from growthpace.versions import VERSIONS

PLAN = "GROWTHPACE_PLAN"
"""Environment variable that is set while `growthpace plan` asks Snakemake what it would do."""


def open_plan(workflow) -> Plan:
    """The plan of the study named by `--configfile`; bad input stops Snakemake with its message, before any job."""
    from snakemake.exceptions import WorkflowError

    try:
        plan = Plan(_config_path(workflow))
        # `growthpace plan` changes nothing, also beside a running sweep: it asks for the same things itself.
        if workflow.is_main_process and PLAN not in os.environ:
            from growthpace.checks import check_study  # imports pyarrow, which a plan of a big study has no room for

            check_study(plan.study, plan.paths)
            settle_cut_off_trainings(plan.grid, plan.paths)
            plan.set_aside_unchosen()
            plan.forget_lost_weights()
    except InputError as error:
        raise WorkflowError(str(error)) from None
    return plan


def _config_path(workflow) -> Path:
    paths = [Path(path) for path in workflow.configfiles]
    if len(paths) != 1:
        raise InputError("name one study: snakemake --configfile config/demo.yaml ...")
    path = paths[0]
    if workflow.is_main_process and workflow.config_settings.config:
        raise InputError(f"{path}: --config cannot change a study, since its jobs read the file; write another file")
    return path.relative_to(Path.cwd()) if path.is_absolute() and path.is_relative_to(Path.cwd()) else path


class Plan:
    """A study as its Snakefile sees it."""

    def __init__(self, config: Path):
        self.config = config
        self.study: Study = load_study(config)
        self.grid, self.paths = Grid(self.study), Paths(self.study)
        self.runs: dict[tuple[str, str, str], Run] = {
            (run.model, run.dataset, str(run.seed)): run for run in [*self.grid.runs, *self.grid.untuned_runs]
        }
        self.needs = Needs(self.study, self.paths, self.run)

    def run(self, wildcards) -> Run:
        """The run that a job's wildcards name."""
        key = (wildcards.model, wildcards.dataset, str(wildcards.seed))
        if key not in self.runs:
            raise InputError(f"{'/'.join(key)} is no run of the study {self.study.study}")
        return self.runs[key]

    @staticmethod
    def source_path() -> str:
        """What PYTHONPATH must be for a job to run this very source."""
        source = str(Path(__file__).resolve().parents[1])
        others = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part and part != source]
        return shlex.quote(os.pathsep.join([source, *others]))

    # --- names ---

    @staticmethod
    def names(names: Iterable[str]) -> str:
        """A wildcard constraint that allows these names alone (no name at all where there are none)."""
        return "|".join(re.escape(name) for name in names) or "(?!)"

    # --- settings as Snakemake params ---

    def params(self, wildcard: str, settings: Callable[[str], dict], names: Iterable[str]) -> dict[str, Callable]:
        """Params of a rule whose settings depend on one wildcard."""
        by_name = {name: settings(name) for name in names}
        return columns(by_name, lambda wc: getattr(wc, wildcard))

    def dataset_params(self) -> dict[str, Callable]:
        """Params of the dataset rule."""
        by_name = {(d, str(s)): self.grid.dataset_settings(d, s) for d in self.grid.datasets for s in self.study.seeds}
        return columns(by_name, lambda wc: (wc.dataset, wc.seed))

    def run_params(self) -> dict[str, Callable]:
        """Params of a run's spec."""
        by_name = {key: self.grid.run_settings(run) for key, run in self.runs.items() if run.dataset != UNTUNED}
        return columns(by_name, lambda wc: (wc.model, wc.dataset, wc.seed))

    def grading_params(self) -> dict[str, str]:
        """Params of the grades' spec."""
        return named(self.grid.grading_settings())

    def judging_params(self) -> dict[str, str]:
        """Params of the judge's spec."""
        return named(self.grid.judging_settings()) if self.study.judge else {}

    def stage_params(self, stage: str, *sections: str, **more: Any) -> dict[str, str]:
        """Params of a rule that is the same for all its jobs: its code version and sections of the study."""
        settings = {"code_version": VERSIONS[stage], **more}
        for section in sections:
            settings |= getattr(self.study, section).model_dump()
        return named(settings)

    def collected(self) -> dict[str, Any]:
        """What the table of scores depends on besides grades: which abilities count, and which cells there are."""
        cells = fingerprint([str(path) for path in self.grades()])
        return {"abilities": " ".join(self.study.abilities), "cells": cells}

    # --- files ---

    def source_files(self, source: str, ability: str) -> list[str]:
        """Local files that a pool is read from."""
        if source in self.written_sources:
            return _strings([self.paths.synthetic(source), *source_files(self.study.sources[source], ability)])
        return _there(source_files(self.study.sources[source], ability))

    @property
    def written_sources(self) -> list[str]:
        """Sources that a teacher writes."""
        return written_sources(self.study)

    def seed_pools(self, source: str) -> list[str]:
        """Pools that a teacher's examples come from."""
        seeds = self.study.sources[source].items.seeds
        return _strings(self.paths.pool(seeds, ability) for ability in self.grid.pools(seeds))

    def synthesis_settings(self, source: str) -> dict[str, Any]:
        """What a teacher's items depend on, besides their seeds."""
        return synthesis_settings(self.grid, source)

    def suite_files(self, suite: str) -> list[str]:
        """Local files that a suite is read from."""
        settings = self.study.suites[suite]
        return _there(local_files(settings.items, settings.measured(self.study.abilities)))

    def model_files(self, model: str) -> list[str]:
        """Local files that a base model is made from; of a hub model the record of what was fetched."""
        fetched = [fetched_path(self.paths.model(model))] if model in self.hub_models() else []
        return [*_strings(fetched), *_there(made_from(self.study.models[model]))]

    def fetch_settings(self, model: str) -> dict[str, Any]:
        """What is fetched of a hub model."""
        settings = self.study.models[model]
        return {"hub": settings.hub, "revision": settings.revision}

    def hub_models(self) -> list[str]:
        """Models that must be fetched."""
        return [name for name, model in self.study.models.items() if model.hub is not None]

    def dataset_pools(self, dataset: str) -> list[str]:
        """Pools that a dataset draws from."""
        sources = self.grid.datasets[dataset].sources
        return _strings(self.paths.pool(s, a) for s in sources for a in self.grid.pools(s))

    def pools(self) -> list[str]:
        """All pools."""
        return _strings(self.paths.pool(s, a) for s in self.study.sources for a in self.grid.pools(s))

    def suites(self) -> list[str]:
        """All suites."""
        return _strings(map(self.paths.suite, self.study.suites))

    def datasets_by_epochs(self) -> dict[int, list[str]]:
        """Datasets by the number of epochs they are trained for."""
        found: dict[int, list[str]] = {}
        for run in self.grid.runs:
            names = found.setdefault(self.grid.epochs(run), [])
            if run.dataset not in names:
                names.append(run.dataset)
        return found

    def markers(self, epochs: int) -> list[str]:
        """Patterns of the markers that training for so many epochs leaves: of epochs that anything evaluates."""
        wanted: set[int] = set()
        for run in self.grid.runs:
            if self.grid.epochs(run) == epochs:
                wanted.update(self.grid.evaluated_epochs(run))
        root = f"{self.paths.root}/runs/{{model}}/{{dataset}}/seed-{{seed}}"
        return [f"{root}/epoch-{epoch}.json" for epoch in sorted(wanted)]

    def determines_answers(self, wildcards) -> list[str]:
        """What a checkpoint's answers depend on, besides the suite: a change of any of it changes the weights."""
        run = self.run(wildcards)
        base = self.paths.model(run.model) / "base.json"
        if run.dataset == UNTUNED:
            return _strings([base])
        found = [self.paths.run(run) / "spec.json", base, self.paths.dataset(run.dataset, run.seed)]
        # A plan leaves the marker of lost weights where it is. Behind an `ancient` file that is there Snakemake would
        # overlook a missing prediction, so that it is told to wait for the training in another way.
        if PLAN in os.environ and self.paths.prediction(run, wildcards.suite, wildcards.epoch) in self.lost:
            found.append(self.paths.training(run))
        return _strings(found)

    def weights(self, wildcards) -> list[str]:
        """What must be there before a checkpoint can answer.

        A missing prediction needs its epoch's marker. One that is there needs it no more (its weights may be gone for
        good), but should it be made again, then after the training that is planned beside it.
        """
        run = self.run(wildcards)
        if run.dataset == UNTUNED:
            return []
        selected = [self.paths.selected(run)] if wildcards.epoch == SELECTED else []
        epoch = self._number(run, wildcards.epoch)
        if epoch is None:  # not chosen yet: what it is chosen from needs the training
            return _strings(selected)
        there = self.paths.prediction(run, wildcards.suite, wildcards.epoch).exists()
        return _strings([*selected, self.paths.training(run) if there else self.paths.marker(run, epoch)])

    def _number(self, run: Run, epoch: int | str) -> int | None:
        """An epoch's number; for `selected` the chosen one's, None while there is none."""
        if epoch != SELECTED:
            return int(epoch)
        selected = self.paths.selected(run)
        return read_json(selected)["epoch"] if selected.exists() else None

    def predictions(self) -> list[str]:
        """Every prediction that the study needs."""
        return _strings(self.paths.prediction(run, *evaluation) for run, evaluation in self._evaluations())

    def grades(self) -> list[str]:
        """The grades of all of them."""
        return _strings(self.paths.grades(run, *evaluation) for run, evaluation in self._evaluations())

    def judgements(self, wildcards) -> list[str]:
        """What a judge said of a checkpoint's answers; nothing for a suite that is not judged."""
        if wildcards.suite not in self.study.judged:
            return []
        return _strings([self.paths.judgements(self.run(wildcards), wildcards.suite, wildcards.epoch)])

    def all_judgements(self) -> list[str]:
        """All judgements of the study."""
        judged = self.study.judged
        return _strings(self.paths.judgements(r, *at) for r, at in self._evaluations() if at[0] in judged)

    def judge_report(self) -> list[str]:
        """The judge's report, where the study has a judge."""
        return [f"{self.paths.root}/analysis/judge.json"] if self.study.judge else []

    def selections(self) -> list[str]:
        """The chosen epoch of every run."""
        return _strings(map(self.paths.selected, self.grid.runs))

    def selection_grades(self, wildcards) -> list[str]:
        """Grades that a run's epoch is chosen by."""
        run, suite = self.run(wildcards), self.study.selection.suite
        return _strings(self.paths.grades(run, suite, epoch) for epoch in self.grid.candidates(run))

    def epoch_predictions(self, wildcards) -> list[str]:
        """Predictions of a run at numbered epochs: after them, weights that are not selected may go."""
        run = self.run(wildcards)
        return _strings(self.paths.prediction(run, s, e) for s, e in self.grid.evaluations(run) if e != SELECTED)

    def figures(self) -> list[str]:
        """The figures that the study has."""
        return [f"{self.paths.root}/figures/{figure.name}.svg" for figure in figures_of(self.study)]

    def figure_names(self) -> str:
        """A wildcard constraint that allows all figures there are."""
        return self.names(FIGURES)

    def figure_tables(self, wildcards) -> list[str]:
        """The tables that a figure is drawn from."""
        return [f"{self.paths.root}/analysis/{name}.parquet" for name in FIGURES[wildcards.figure].inputs()]

    @staticmethod
    def figure_category(wildcards) -> str:
        """Where Snakemake's report lists a figure."""
        return FIGURES[wildcards.figure].category

    @staticmethod
    def figure_labels(wildcards) -> dict[str, str]:
        """What Snakemake's report calls a figure."""
        return {"figure": FIGURES[wildcards.figure].title}

    @staticmethod
    def captions() -> dict[str, str]:
        """What each figure shows, for Snakemake's report."""
        return {name: figure.caption for name, figure in FIGURES.items()}

    # --- what is lost, and what to do when something failed ---

    @cached_property
    def lost(self) -> dict[Path, Lost]:
        """Epochs whose weights are gone, by the missing prediction that needs them. What would be set aside counts as
        missing."""
        gone = {move.answers for move in self.unchosen() if not move.kept.exists()}
        found = {}
        for run in self.grid.runs:
            for suite, epoch in self.grid.evaluations(run):
                answers = self.paths.prediction(run, suite, epoch)
                if answers.exists() and answers not in gone:
                    continue
                if (number := self._number(run, epoch)) is None:
                    continue
                marker = self.paths.marker(run, number)
                if marker.exists() and not any(self.paths.weights(run, number).glob("*.safetensors")):
                    found[answers] = Lost(run, suite, number, marker)
        return found

    def forget_lost_weights(self) -> None:
        """Removes the markers of epochs whose weights are gone while a missing prediction needs them.

        Snakemake then plans those runs, and only those. Says so on standard error.
        """
        for lost in self.lost.values():
            lost.marker.unlink(missing_ok=True)  # several suites may need the same epoch
            print(
                f"{lost.run}: the weights of epoch {lost.epoch} are gone and {lost.suite} needs them, "
                "so it will be trained again",
                file=sys.stderr,
            )

    def unchosen(self) -> Iterator[Move]:
        """Answers of a checkpoint that is no longer the chosen one."""
        for run in self.grid.runs:
            chosen = self.paths.selected(run)
            if not chosen.exists():
                continue
            for suite, epoch in self.grid.evaluations(run):
                answers = self.paths.prediction(run, suite, epoch)
                if epoch != SELECTED or not answers.exists():
                    continue
                if answers.stat().st_mtime_ns >= chosen.stat().st_mtime_ns:  # predicted after the choice
                    continue
                number, wanted = read_metadata(answers)["epoch"], read_json(chosen)["epoch"]
                if number != wanted:
                    aside, kept = (self.paths.prediction(run, suite, n) for n in (number, wanted))
                    yield Move(run, suite, number, wanted, answers, aside, kept)

    def set_aside_unchosen(self) -> None:
        """Moves answers of a checkpoint that is no longer the chosen one to the folder of their own epoch, and brings
        back those of the chosen one where they were set aside before.

        A changed scorer can change a selection; what is then missing is planned as anything else that is missing.
        """
        for move in self.unchosen():
            move.aside.parent.mkdir(parents=True, exist_ok=True)
            move.answers.replace(move.aside)
            if move.kept.exists():
                move.kept.replace(move.answers)
                move.answers.touch()  # newer than the grades there, which are of the other epoch
            print(
                f"{move.run}: epoch {move.chosen} is chosen now instead of {move.answered}, {move.suite} follows",
                file=sys.stderr,
            )

    def report_what_is_there(self) -> None:
        """After a failure: writes the report of what there is, with the missing cells shown as missing."""
        print("growthpace: something failed; the report shows which cells are missing", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "growthpace", "report", str(self.config), "--partial"], check=False)

    # --- helpers ---

    def _evaluations(self):
        for run in self.runs.values():
            for evaluation in self.grid.evaluations(run):
                yield run, evaluation


def _strings(paths: Iterable[Path]) -> list[str]:
    return [str(path) for path in paths]


def _there(paths: Iterable[Path]) -> list[str]:
    """Local files; for a plan those that are there, since it says itself which are not and goes on."""
    return [str(path) for path in paths if PLAN not in os.environ or path.exists()]
