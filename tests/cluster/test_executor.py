"""The glue to Snakemake: the job script."""

import shlex
from types import SimpleNamespace

from growthpace.cluster.ledger import SlurmFolder, Ticket
from growthpace.cluster.placement import Need
from snakemake_executor_plugin_growthpace import Executor


def test_jobs_are_offline_and_run_the_frozen_source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    executor = Executor.__new__(Executor)  # without a workflow
    site = SimpleNamespace(setup=["module load cuda"])
    executor.sweep = SimpleNamespace(site=site, folder=SlurmFolder(tmp_path / "results of mine"))
    executor.code = tmp_path / "code"
    script = executor._script(Ticket([], Need(4, 100, 10, nodes=2), "main", 5)).splitlines()
    assert script[:2] == ["#!/bin/bash", "module load cuda"]
    exported = dict(
        word.split("=", 1) for line in script if line.startswith("export") for word in shlex.split(line)[1:]
    )
    assert {exported[name] for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")} == {"1"}
    assert exported["PYTHONPATH"] == str(executor.code)
    step = shlex.split(script[-1])
    assert step[:5] == ["srun", "--kill-on-bad-exit=1", "--nodes=2", "--ntasks=2", "--ntasks-per-node=1"]
    assert step[-1].startswith(str(tmp_path / "results of mine" / "slurm" / "tickets"))
