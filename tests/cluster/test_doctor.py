"""The examination of machine, site and study, against make-believe answers of SLURM's commands."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from growthpace.cluster import doctor, slurm
from growthpace.cluster.doctor import examine, show
from growthpace.cluster.site import SITE, load_site
from growthpace.errors import InputError
from growthpace.evaluation import sandbox
from small_study import CONTENT, changed, write_study

EXAMPLES = sorted((Path(__file__).parents[2] / "profiles" / "slurm" / "examples").glob("*.yaml"))
GPU = {"name": "gpu", "gpu": "a100", "gpu_memory_gb": 80, "gpu_tflops": 312, "gpus_per_node": 4, "cpus_per_node": 64,
       "memory_gb_per_node": 500, "max_hours": 24, "max_nodes": 2}  # fmt: skip
ANSWERS = {
    "scontrol show config": "SLURM_VERSION = 23.11.4\nAccountingStorageType = accounting_storage/slurmdbd\n"
    "AccountingStorageEnforce = associations,limits\nPreemptType = preempt/qos\nKillWait = 30 sec\n",
    "scontrol --oneliner show partition": "PartitionName=gpu GraceTime=300 MaxNodes=UNLIMITED PreemptMode=REQUEUE\n",
    "sinfo": "gpu|up|1-00:00:00|8|64|515000|gpu:a100:4\n",
    "sacctmgr -nP show cluster": "c1|\n",
    "sacctmgr -nP show associations": "lab\n",
    "sacctmgr -nP show qos": "normal\nlong\n",
    "sbatch": "",
}


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """What SLURM's commands say, to be changed; None where one fails."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(SITE, raising=False)
    found: dict[str, str | None] = dict(ANSWERS)
    real = subprocess.run

    def run(command, **more):
        text = " ".join(command)
        for start, answer in found.items():
            if text.startswith(start):
                return subprocess.CompletedProcess(command, int(answer is None), answer or "", "sbatch: error: no")
        return real(command, **more)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(slurm, "available", lambda: True)
    monkeypatch.setattr(doctor, "_network", lambda: iter(()))
    monkeypatch.setattr(doctor, "_graphics", lambda: iter(()))
    return found


def site(account="lab", **changes) -> None:
    path = Path("profiles/slurm/site.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"account": account, "partitions": [{**GPU, **changes}]}))


def faults(config=None, level="fault") -> list[str]:
    return [f"{check.what}: {check.found}" for check in examine(config) if check.level == level]


def test_a_site_that_is_as_it_says(cluster):
    site(qos="normal")
    assert faults() == []
    assert not [text for text in faults(level="warning") if "partition" in text or "account" in text]


def test_it_tells_whether_programs_can_be_graded_here(cluster, monkeypatch):
    site()
    monkeypatch.setattr(sandbox, "find_bubblewrap", lambda: "bwrap")
    monkeypatch.setattr(sandbox, "check_works", lambda: None)
    assert "sandbox: bubblewrap works here; where grading runs, it must as well" in faults(level="ok")
    monkeypatch.undo()
    monkeypatch.setenv("PATH", "/nowhere")
    (found,) = (check for check in doctor._sandbox())
    assert found.level == "warning"
    assert "no program bwrap on the PATH" in found.found


@pytest.mark.parametrize(("changes", "message"), [
    ({"name": "gpus"}, "partition gpus: the cluster has none of this name (it has: gpu)"),
    ({"max_hours": 48}, "partition gpu: max_hours is 48, the cluster gives 24"),
    ({"max_nodes": 9}, "partition gpu: max_nodes is 9, the cluster gives 8"),
    ({"cpus_per_node": 65}, "partition gpu: cpus_per_node is 65, the cluster gives 64"),
    ({"memory_gb_per_node": 1000}, "partition gpu: memory_gb_per_node is 1000, the cluster gives 515"),
    ({"gpu": "h100"}, "partition gpu: gpu is h100, but its nodes have a100: 4 (sinfo -o '%P %G')"),
    ({"gpus_per_node": 8}, "partition gpu: gpus_per_node is 8, but its nodes have a100: 4"),
    ({"qos": "fast"}, "partition gpu: there is no QOS fast (the cluster has: long, normal)"),
    ({"account": "other"}, "account: other is none of yours (you have: lab)"),
])  # fmt: skip
def test_a_site_that_says_too_much(cluster, changes, message):
    site(**changes)
    assert message in faults()


def test_what_preemption_leaves_for_saving(cluster):
    site()
    cluster["scontrol --oneliner show partition"] = "PartitionName=gpu GraceTime=0 PreemptMode=REQUEUE\n"
    (warning,) = [text for text in faults(level="warning") if "preempted" in text]
    assert "with 30 s to save" in warning


def test_without_accounting(cluster):
    site(qos="normal")
    cluster["scontrol show config"] = "SLURM_VERSION = 23.11.4\nAccountingStorageType = accounting_storage/none\n"
    cluster["sacctmgr"] = None
    assert faults() == []
    assert any("works without it" in check.found for check in examine(None))


def test_a_cluster_that_does_not_answer(cluster):
    site()
    cluster["scontrol show config"] = None
    assert faults() == ["SLURM: its controller does not answer"]


def test_a_job_that_sbatch_would_refuse(cluster):
    site()
    cluster["sbatch"] = None
    assert faults() == ["partition gpu: sbatch would not take a job: sbatch: error: no"]


def test_a_missing_and_a_bad_site_file(cluster):
    assert any("no such file; copy an example" in text for text in faults())
    site(gpu_memory_gb=None)
    assert any("gpu_memory_gb" in text for text in faults())


def test_exit_code_and_json(cluster, capsys, monkeypatch):
    site(max_hours=48)
    assert show(None, as_json=True) == 1
    found = json.loads(capsys.readouterr().out)
    assert (set(found), found["faults"]) == ({"faults", "warnings", "checks"}, 1)
    assert {"level", "what", "found", "advice"} == set(found["checks"][0])
    site()
    assert show(None) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 100
    monkeypatch.setattr(slurm, "available", lambda: False)
    assert show(None) == 0
    assert "`growthpace run` runs a study here" in " ".join(capsys.readouterr().out.split())


def test_a_model_that_fits_nowhere(cluster, tmp_path):
    site()
    config = write_study(tmp_path, changed("models.s", {"hub": "someone/s", "parameters": 7e10}, CONTENT))
    assert any(text.startswith("model s: models.s: ") for text in faults(config))
    assert any(text.startswith("model m: its size is not known") for text in faults(config, "warning"))
    assert faults(Path("nothing.yaml")) == ["study: nothing.yaml: no such file"]


def test_a_file_system_without_locks(cluster, monkeypatch):
    def refuse(folder):
        raise InputError("its file system has no locks")

    site()
    monkeypatch.setattr(doctor, "locked", refuse)
    assert faults() == ["locks: its file system has no locks"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_are_sound(example):
    assert load_site(example).account == "my-project"


def test_there_are_two_examples():
    assert [path.stem for path in EXAMPLES] == ["a100-time-partitions", "h100-qos"]
