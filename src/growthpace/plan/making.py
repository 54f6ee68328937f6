"""The plan itself: planned jobs, their causes and their costs, as JSON-able content (docs/plan.md has the schema)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from growthpace import optional
from growthpace.cluster.site import load_site, site_path
from growthpace.errors import InputError
from growthpace.grid import SELECTED, Run
from growthpace.plan.asking import asking
from growthpace.plan.dry_run import STAGES, Job, planned_jobs
from growthpace.plan.progress import Progress, States
from growthpace.plan.reasons import Reasons
from growthpace.planning import Costs, Estimate
from growthpace.study import UNTUNED
from growthpace.wiring import Plan as Wiring

SCHEMA = 1
"""Version of the JSON: raised when a field changes its meaning or goes, not when one is added."""
CELL_STATES = ("done", "running", "resumable", "to run", "blocked")
BLOCKED_BEFORE = "waits for what is blocked"


class Planned:
    """What a study would do next. `live`: {run: anything} of runs that have a job on the cluster now."""

    def __init__(self, config: Path, live: Mapping[str, Any] | None = None, costs: Any = None):
        self.config, self.live = config, live or {}
        self.wiring = Wiring(config)
        self.study, self.grid, self.paths = self.wiring.study, self.wiring.grid, self.wiring.paths
        forced = self._forced()
        self.jobs = planned_jobs(config, forced)
        self.reasons = Reasons(self.study, self.jobs, forced)
        self.site = load_site() if site_path().exists() else None
        self.costs = costs or Costs(self.study, self.paths, self.site)
        self.states = States(self.grid, self.paths)
        self.checked: dict[str, Any] = {"asking": {}}
        self.faults = self._faults()
        self.runs = {str(run): run for run in self.wiring.runs.values()}

    def _forced(self) -> dict[str, str]:
        """{output: why} of what a start of the study would remove or move aside first, so that it is made again."""
        forced = {}
        for move in self.wiring.unchosen():
            # Answers of the chosen epoch that were set aside come back, and only have to be graded.
            back = move.kept.exists()
            again = self.paths.grades(move.run, move.suite, SELECTED) if back else move.answers
            forced[str(again)] = "another epoch of the run is chosen now"
        for lost in self.wiring.lost.values():
            forced[str(lost.marker)] = "weights that a missing prediction needs are gone"
        return forced

    def _faults(self) -> list[str]:
        """What would stop the study before its first job."""
        from growthpace.checks import check_study  # imports pyarrow: not beside Snakemake's dry run

        try:
            self.checked = check_study(self.study, self.paths)
        except InputError as error:
            return str(error).splitlines()
        return []

    # --- jobs ---

    @cached_property
    def numbers_of(self) -> dict[str, list[int]]:
        """Numbers of the planned jobs of each run, in the order of stages."""
        order = list(STAGES)
        found: dict[str, list[int]] = {}
        for number, job in enumerate(self.jobs):
            if job.run is not None:
                found.setdefault(job.run, []).append(number)
        for numbers in found.values():
            numbers.sort(key=lambda number: (order.index(self.jobs[number].stage), self.jobs[number].outputs))
        return found

    @cached_property
    def estimates(self) -> dict[int, Estimate]:
        """What planned jobs cost, of those that cost anything to speak of: base models, training, predictions."""
        return {number: found for number, job in enumerate(self.jobs) if (found := self._estimate(job)) is not None}

    def _estimate(self, job: Job) -> Estimate | None:
        if job.rule == "base_model":
            return self.costs.base_model(job.model)
        if job.rule == "train":
            return self.costs.training(self.runs[job.run])
        if job.rule == "predict":
            return self.costs.prediction(self.runs[job.run], *self._evaluation(job))
        return None

    @staticmethod
    def _evaluation(job: Job) -> tuple[str, int | str]:
        epoch = job.wildcards["epoch"]
        return job.wildcards["suite"], int(epoch) if epoch.isdecimal() else epoch

    @cached_property
    def failures(self) -> dict[int, str]:
        """Why planned jobs cannot run by themselves: {number of the job: what has to be repaired}."""
        found: dict[int, str] = {}
        too_large = {model: self.costs.fault(model) for model in self.study.models}
        for number, job in enumerate(self.jobs):
            fault = self.faults[0] if self.faults else None
            if fault is None and job.rule in ("train", "predict"):
                run = self.runs[job.run]
                fault = too_large[run.model] or (
                    self.states.training_failure(run)
                    if job.rule == "train"
                    else self.states.prediction_failure(run, *self._evaluation(job))
                )
            if fault is not None:
                found[number] = fault
        return found

    @cached_property
    def progress(self) -> dict[int, Progress]:
        """How far stopped jobs have come, of those that would go on from there."""
        found: dict[int, Progress | None] = {}
        for number, job in enumerate(self.jobs):
            if job.rule == "train" and self._inputs_made_by(job) <= {"spec_run"}:  # the state knows its settings
                found[number] = self.states.training(self.runs[job.run])
            elif job.rule == "predict" and not self._inputs_made_by(job):
                found[number] = self.states.prediction(self.runs[job.run], *self._evaluation(job))
        return {number: progress for number, progress in found.items() if progress is not None}

    def _inputs_made_by(self, job: Job) -> set[str]:
        """Rules of the planned jobs that make a job's inputs."""
        made_by = self.reasons.made_by
        return {self.jobs[made_by[file]].rule for file in job.inputs if file in made_by}

    @cached_property
    def job_states(self) -> list[str]:
        """State of each planned job: running, resumable, to run or blocked."""
        blocked: dict[int, bool] = {}

        def is_blocked(number: int) -> bool:  # as deep as there are rules in a row
            if number not in blocked:
                before = (self.reasons.made_by.get(file) for file in self.jobs[number].inputs)
                blocked[number] = number in self.failures or any(is_blocked(n) for n in before if n is not None)
            return blocked[number]

        trained_now = {run for run, numbers in self.numbers_of.items() if self._plans(numbers, "train")}
        found = []
        for number, job in enumerate(self.jobs):
            at_work = job.run in self.live and job.rule == ("train" if job.run in trained_now else "predict")
            state = "running" if at_work else "blocked" if is_blocked(number) else "to run"
            found.append("resumable" if state == "to run" and number in self.progress else state)
        return found

    def _plans(self, numbers: list[int], rule: str) -> bool:
        return any(self.jobs[number].rule == rule for number in numbers)

    def left(self, number: int) -> float | None:
        """Seconds that a job has still to do; 0 for one that costs nothing to speak of, None where unknown."""
        found = self.estimates.get(number)
        if found is None:
            return 0.0
        return None if found.seconds is None else max(0.0, found.seconds - found.seconds_done)

    def cost(self, numbers: list[int]) -> dict[str, Any]:
        """GPU hours, and hours of jobs one after another, of those whose time is known (None: of none; without a site
        nothing is known of GPUs), and what they rest on."""
        found = [(self.estimates[n], self.left(n)) for n in numbers if n in self.estimates]
        basis = Counter(estimate.basis for estimate, _ in found)
        times = [(estimate.gpus, seconds) for estimate, seconds in found if seconds is not None]
        known = bool(times) or not found
        on_gpus = any(estimate.gpus for estimate, _ in found)
        gpus_known = self.site is not None and (not on_gpus or any(gpus for gpus, _ in times))
        return {
            "gpu_hours": _rounded(sum(gpus * seconds for gpus, seconds in times) / 3600) if gpus_known else None,
            "hours": _rounded(sum(seconds for _, seconds in times) / 3600) if known else None,
            "basis": {name: basis[name] for name in ("measured", "bound", "unknown") if basis[name]},
        }

    # --- the tables ---

    def cell(self, run: Run) -> dict[str, Any]:
        """One run: its state, and what it lacks."""
        name = str(run)
        numbers = self.numbers_of.get(name, [])
        dataset = self.grid.dataset_of(run)
        states = {self.job_states[number] for number in numbers}
        progress = [self.progress[n] for n in numbers if self.job_states[n] == "resumable"]
        if not numbers:
            state = "done"
        elif name in self.live:
            state = "running"
        else:
            state = next(state for state in ("blocked", "resumable", "to run") if state in states)
        step = next((p for p in progress if p.unit == "step"), None)
        missing = sum(self.jobs[number].rule == "grade" for number in numbers)
        evaluations = len(self.grid.evaluations(run))
        failed = [self.failures[number] for number in numbers if number in self.failures]
        return {
            "run": name,
            "model": run.model,
            "dataset": run.dataset,
            "source": dataset.source,
            "kind": dataset.kind,
            "volume": dataset.volume,
            "seed": run.seed,
            "state": state,
            "trained": run.dataset == UNTUNED or not self._plans(numbers, "train"),
            "step": step.done if step else None,
            "steps": step.of if step else None,
            "progress": str(progress[0]) if progress else None,
            "evaluations": evaluations,
            "evaluated": evaluations - missing,
            "jobs": len(numbers),
            **self.cost(numbers),
            "reasons": sorted(frozenset().union(*map(self.reasons.causes, numbers))),
            "fault": (failed[0] if failed else BLOCKED_BEFORE) if state == "blocked" else None,
        }

    def stages(self) -> list[dict[str, Any]]:
        """Jobs by stage and model; model None for jobs of the whole study."""
        found: dict[tuple[str, str | None], list[int]] = {key: [] for key in self._expected}
        for number, job in enumerate(self.jobs):
            found.setdefault((job.stage, job.model), []).append(number)
        rows = []
        for (stage, model), numbers in found.items():
            states = Counter(self.job_states[number] for number in numbers)
            rows.append(
                {
                    "stage": stage,
                    "model": model,
                    "done": self._expected[stage, model] - len(numbers),
                    **{state.replace(" ", "_"): states[state] for state in CELL_STATES[1:]},
                    "jobs": len(numbers),
                    **self.cost(numbers),
                }
            )
        models: list[str | None] = [None, *self.study.models]
        return sorted(rows, key=lambda row: (list(STAGES).index(row["stage"]), models.index(row["model"])))

    @cached_property
    def _expected(self) -> Counter[tuple[str, str | None]]:
        """Number of all jobs of the study, done or not, by stage and model."""
        runs = list(self.wiring.runs.values())
        datasets = {(run.dataset, run.seed) for run in self.grid.runs}
        pools, suites = len(self.wiring.pools()) + len(self.wiring.written_sources), len(self.study.suites)
        found = Counter({("data", None): pools + suites + len(datasets) + 1})  # and the audit
        for model in dict.fromkeys(run.model for run in runs):
            found["base models", model] = 2 if model in self.wiring.hub_models() else 1
        for run in self.grid.runs:
            found["training", run.model] += len(STAGES["training"])
            found["grading", run.model] += 1  # the choice of an epoch
        found["prediction", None], found["grading", None] = suites, 1  # their specs
        for run in runs:
            evaluations = len(self.grid.evaluations(run))
            found["prediction", run.model] += evaluations
            found["grading", run.model] += evaluations
            if judged := sum(suite in self.study.judged for suite, _ in self.grid.evaluations(run)):
                found["judging", run.model] += judged
        if self.study.judge:
            found["judging", None] = 2  # the spec and the report
        advised, always = len(self.grid.advised), len(STAGES["analysis"]) - 4
        asked = (self.study.transfer is not None) + bool(optional.described_datasets(self.study))
        found["analysis", None] = always + asked + (advised + 1 if advised else 0)
        found["report", None] = len(self.wiring.figures()) + 1
        return found

    def causes(self) -> list[dict[str, Any]]:
        """Planned jobs by cause, the most first."""
        found: dict[str, list[Job]] = {}
        for number, job in enumerate(self.jobs):
            for cause in self.reasons.causes(number):
                found.setdefault(cause, []).append(job)
        rows = [
            {
                "cause": cause,
                "runs": len({job.run for job in jobs if job.run is not None}),
                "jobs": len(jobs),
                "by_stage": {s: n for s in STAGES if (n := sum(job.stage == s for job in jobs))},
            }
            for cause, jobs in found.items()
        ]
        return sorted(rows, key=lambda row: (-row["jobs"], row["cause"]))

    def longest_chain(self) -> float:
        """Seconds of the longest chain of planned jobs that wait for each other; unknown times count as nothing."""
        ends: dict[int, float] = {}

        def end(number: int) -> float:  # as deep as there are rules in a row
            if number not in ends:
                before = {self.reasons.made_by.get(file) for file in self.jobs[number].inputs} - {None}
                ends[number] = max(map(end, before), default=0.0) + (self.left(number) or 0.0)
            return ends[number]

        return max(map(end, range(len(self.jobs))), default=0.0)

    def content(self, gpus: int | None) -> dict[str, Any]:
        """The whole plan. gpus: how many work at once for the wall time; 1 when None."""
        numbers, cells = list(range(len(self.jobs))), [self.cell(run) for run in self.wiring.runs.values()]
        cost, chain, at_once = self.cost(numbers), self.longest_chain() / 3600, gpus or 1
        known = cost["hours"] is not None
        disk = self.costs.peak_disk_gb()
        counts = Counter(cell["state"] for cell in cells)
        return {
            "version": SCHEMA,
            "study": self.study.study,
            "config": str(self.config),
            "site": str(site_path()) if self.site else None,
            "totals": {
                "cells": {state: counts[state] for state in CELL_STATES},
                "jobs": len(self.jobs),
                **cost,
                "gpus": at_once,
                "gpus_assumed": gpus is None,
                "longest_chain_hours": _rounded(chain) if known else None,
                "wall_hours_at_least": _rounded(max((cost["gpu_hours"] or 0) / at_once, chain)) if known else None,
                "peak_disk_gb": None if disk is None else _rounded(disk),
            },
            "asking": asking(self),
            "faults": self.faults,
            "stages": self.stages(),
            "cells": cells,
            "reasons": self.causes(),
        }


def _rounded(value: float) -> float:
    """Four significant digits: more would pretend to know."""
    return float(f"{value:.4g}")
