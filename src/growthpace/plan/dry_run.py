"""The jobs that Snakemake would run now, from its own dry run: nothing here decides what is up to date.

The dry run changes nothing: `GROWTHPACE_PLAN` tells the workflow to leave markers and answers as they are (see
`growthpace.wiring.open_plan`) and names the file that `snakemake_logger_plugin_growthpace` writes the jobs to.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from growthpace.errors import InputError
from growthpace.grid import Run

PLAN = "GROWTHPACE_PLAN"

STAGES = {
    "data": ("synthesise", "pool", "suite", "audit", "dataset"),
    "base models": ("fetch_model", "base_model"),
    "training": ("spec_run", "train"),
    "prediction": ("spec_predict", "predict"),
    "judging": ("spec_judge", "judge", "judge_report"),
    "grading": ("spec_grade", "grade", "select"),
    "analysis": ("allocate", "collect", "fit", "compare", "advise", "check_advice", "transfer", "features"),
    "report": ("figure", "report"),
}
"""Stages in their order, and their rules; `train` stands for the rules `train_{n}_epochs`."""
_STAGE_OF = {rule: stage for stage, rules in STAGES.items() for rule in rules}


@dataclass(frozen=True, slots=True)
class Job:
    """One planned job."""

    rule: str
    """Name of the rule, `train` for `train_{n}_epochs`."""
    wildcards: dict[str, str]
    inputs: list[str]
    outputs: list[str]
    reason: str
    """Why, in Snakemake's words."""
    resources: dict[str, Any]
    threads: int

    @property
    def stage(self) -> str:
        return _STAGE_OF[self.rule]

    @property
    def model(self) -> str | None:
        return self.wildcards.get("model")

    @property
    def run(self) -> str | None:
        """Name of the run that it belongs to, `model/dataset/seed-N`; None for a job of the whole study."""
        found = self.wildcards
        if not {"model", "dataset", "seed"} <= found.keys():
            return None
        return str(Run(found["model"], found["dataset"], int(found["seed"])))

    def __str__(self) -> str:
        return " ".join([self.rule, *self.wildcards.values()])


def planned_jobs(config: Path, forced: Iterable[str] = ()) -> list[Job]:
    """What `snakemake -n` would run in this folder, without the target rule `all`, in no particular order.

    forced: outputs to plan even though they are there. Raises `InputError` with Snakemake's message where it stops.
    """
    if not Path("Snakefile").exists():
        raise InputError("no Snakefile here; run this in the folder that growthpace was cloned into")
    command = [sys.executable, "-m", "snakemake", "-n", "--logger", "growthpace", "--configfile", str(config)]
    # A sweep that runs now holds the lock, and its unfinished outputs count as incomplete.
    command += ["--nolock", "--ignore-incomplete", "--cores", "1000", "--quiet", "rules", "progress", "reason", "host"]
    forced = list(forced)
    command += ["--forcerun", *forced] if forced else []
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "jobs.jsonl"
        done = subprocess.run(command, env={**os.environ, PLAN: str(lines)}, capture_output=True, text=True)
        if done.returncode:
            raise InputError(f"snakemake -n stopped: {_message(done.stdout) or done.stderr.strip()}")
        with open(lines, encoding="utf-8") as handle:
            return [job for job in map(_job, handle) if job.rule != "all"]


def _message(output: str) -> str:
    """What a dry run says when it stops, without how it started."""
    return output.rpartition("Building DAG of jobs...")[2].strip()


def _job(line: str) -> Job:
    content = json.loads(line)
    rule = content["rule"]
    return Job(
        rule="train" if rule.startswith("train_") else rule,
        wildcards=content["wildcards"],
        inputs=content["inputs"],
        outputs=content["outputs"],
        reason=content["reason"],
        resources=content["resources"],
        threads=content["threads"],
    )
