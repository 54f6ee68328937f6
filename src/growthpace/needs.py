"""What the workflow's jobs ask for: CPUs, memory, time, GPUs and nodes, from the cost model and the site's file.

Where the cost model knows nothing, what a job asks for is generous: a study's first run is measured, later plans know.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

from growthpace.cluster.site import load_site, site_path
from growthpace.grid import Grid, Run
from growthpace.paths import Paths
from growthpace.planning import Costs, Estimate
from growthpace.study import Study

UNKNOWN_MINUTES = {"train": 1440, "predict": 240, "base_model": 240}
"""Asked for where nothing is known of a job's time."""
UNKNOWN_MEMORY_MB = 8000
SAFETY = 1.5
"""Estimates of time are multiplied by this; what a job does not use costs nothing but a later start."""
START_MINUTES = 10
"""Added for starting up, loading weights and slow file systems."""


class Needs:
    """What each job of a study asks for; `kind` is train, predict or base_model, `wildcards` are Snakemake's."""

    def __init__(self, study: Study, paths: Paths, run: Callable[[Any], Run]):
        """run: the run that wildcards name."""
        self.study, self.paths, self.run = study, paths, run
        self.grid = Grid(study)

    @cached_property
    def costs(self) -> Costs:
        """The cost model on the site that the site's file describes, if there is one."""
        return Costs(self.study, self.paths, load_site() if site_path().exists() else None)

    def estimate(self, kind: str, wildcards) -> Estimate:
        """The cost model's answer for a job."""
        if kind == "train":
            return self.costs.training(self.run(wildcards))
        if kind == "predict":
            return self.costs.prediction(self.run(wildcards), wildcards.suite, wildcards.epoch)
        return self.costs.base_model(wildcards.model)

    def resources(self, kind: str) -> dict[str, Callable]:
        """Snakemake resources of a kind of job; memory and GPUs are a node's and the whole job's."""
        return {
            "mem_mb": lambda wildcards: self._memory_mb(kind, wildcards),
            "runtime": lambda wildcards: self._minutes(kind, wildcards),
            "gpus": lambda wildcards: self.estimate(kind, wildcards).gpus,
            "nodes": lambda wildcards: self.estimate(kind, wildcards).nodes,
        }

    def _memory_mb(self, kind: str, wildcards) -> int:
        memory = self.estimate(kind, wildcards).memory_gb
        return UNKNOWN_MEMORY_MB if memory is None else math.ceil(memory * 1000)

    def _minutes(self, kind: str, wildcards) -> int:
        estimate = self.estimate(kind, wildcards)
        if estimate.seconds is None:
            return UNKNOWN_MINUTES[kind]
        return math.ceil((estimate.seconds - estimate.seconds_done) * SAFETY / 60) + START_MINUTES

    def threads(self, kind: str, wildcards) -> int:
        """CPU threads of a job on one node: the study's for each of its processes there."""
        if kind != "train":
            return self.study.threads
        estimate, model = self.costs.training(self.run(wildcards)), self.study.models[wildcards.model]
        return self.study.threads * math.ceil(model.processes / estimate.nodes)

    def seconds(self, kind: str, wildcards) -> float | None:
        """Estimated work of a job; None where nothing is known."""
        return self.estimate(kind, wildcards).seconds

    def cell(self, kind: str, wildcards) -> str:
        """A job's name for people: `train 7b/curated-640/seed-42`."""
        if kind == "train":
            return f"train {self.run(wildcards)}"
        if kind == "predict":
            return f"predict {self.run(wildcards)} {wildcards.suite} {wildcards.epoch}"
        return " ".join([kind, *wildcards])

    def state_folder(self, kind: str, wildcards) -> str | None:
        """The state folder of a job that can be resumed."""
        if kind == "train":
            return str(self.paths.run(self.run(wildcards)) / "state")
        if kind == "predict":
            prediction = self.paths.prediction(self.run(wildcards), wildcards.suite, wildcards.epoch)
            return str(prediction.with_suffix(".state"))
        return None

    def memory_advice(self, kind: str, wildcards) -> str:
        """The setting to change where a job's memory runs out for good."""
        if kind == "train":
            training, model = self.study.training, wildcards.model
            ways = ["Lower training.microbatch_tokens"]
            if training.gradient_checkpointing is not True:  # `auto` is an estimate, which was wrong then
                ways.append("set training.gradient_checkpointing: true")
            if training.offload:
                ways.append("set training.offload: false, if it was the node's memory and not a GPU's")
            ways.append(f"raise models.{model}.processes with training.distribution: zero3")
            return ", ".join(ways[:-1]) + f", or {ways[-1]}"
        if kind == "predict":
            return f"Lower suites.{wildcards.suite}.max_new_tokens"
        return "Give the site's file a partition with more memory a node"
