import subprocess

import pytest

from growthpace.cluster import slurm


@pytest.fixture
def answers(monkeypatch):
    """What commands print, by the command's name; a number is a failure with that exit code."""
    found: dict[str, str | int] = {}

    def run(command, **more):
        answer = found.get(command[0], 1)
        code, text = (answer, "") if isinstance(answer, int) else (0, answer)
        return subprocess.CompletedProcess(command, code, text, "slurm_load_jobs error: Unable to contact controller")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}" if name in found else None)
    return found


def test_the_queue_as_squeue_prints_it(answers):
    answers["squeue"] = (
        "12|RUNNING|None|n1|1:02|1:00:00|main|2026-11-23T18:41:16|growthpace train s/a-4/seed-1 0123456789ab\n"
        "13|PENDING|Priority||0:00|1:00:00|main|N/A|growthpace predict s/a-4/seed-1 valid 1 +3 ba9876543210\n"
        "11|PREEMPTED|None|n2|0:40|1:00:00|main|2026-11-23T18:40:00|growthpace train a|b 00\n"
    )
    running, pending, ended = slurm.queue("demo")
    assert (running.id, running.live, running.nodes) == ("12", True, "n1")
    assert (pending.live, pending.reason) == (True, "Priority")
    assert (ended.live, ended.comment) == (False, "growthpace train a|b 00")


def test_no_answer_is_not_an_empty_answer(answers):
    answers["squeue"] = 1
    assert slurm.queue("demo") is None
    answers["squeue"] = ""
    assert slurm.queue("demo") == []


def test_accounting_tells_how_a_job_ended_if_it_can(answers):
    assert slurm.ended_state("12") is None  # no sacct here
    answers["sacct"] = 1
    assert slurm.ended_state("12") is None
    answers["sacct"] = "CANCELLED by 1000\n"
    assert slurm.ended_state("12") == "CANCELLED"


def test_submission(answers):
    answers["sbatch"] = "123;cluster\n"
    assert slurm.submit([], "#!/bin/bash") == ("123", "")
    answers["sbatch"] = 1
    job, refusal = slurm.submit([], "#!/bin/bash")
    assert job is None
    assert "Unable to contact" in refusal


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("30:00", 30), ("1:00:00", 60), ("2-12:30:00", 3630), ("1-00", 1440), ("infinite", None), ("0:30", 0.5)],
)
def test_times(text, minutes):
    assert slurm.minutes(text) == minutes


def test_partitions_of_unequal_nodes(answers):
    answers["sinfo"] = (
        "gpu|up|1-00:00:00|2|64|512000|gpu:a100:4(S:0-1)\n"
        "gpu|up|1-00:00:00|1|128|1024000|gpu:a100:8,gpu:t4:2\n"
        "cpu|down|infinite|4|16+|64000+|(null)\n"
    )
    found = slurm.partitions()
    assert found["gpu"] == slurm.PartitionFacts("gpu", True, 1440, 3, 128, 1024000, {"a100": 8, "t4": 2})
    assert (found["cpu"].up, found["cpu"].max_minutes, found["cpu"].gpus) == (False, None, {})
