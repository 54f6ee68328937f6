"""The cluster that the other tests rely on does what a real one does: faults included."""

import pytest
from processes import command_line
from slurm_files import NODES

from cluster import Cluster, running_folders

pytestmark = pytest.mark.slurm

# Says when it starts, and which signals reach it; it ends by being killed.
STUBBORN = """
srun sh -c 'for s in TERM USR1; do trap "echo step $s >> {log}" $s; done
echo start $SLURM_RESTART_COUNT >> {log}
while :; do sleep 0.2; done'
"""


@pytest.fixture
def stubborn(cluster, tmp_path):
    """A running job and the file of its words."""
    log = tmp_path / "log"
    job = cluster.submit(STUBBORN.format(log=log), "--mem=100")
    cluster.wait_for("its start", log.exists, 30)
    yield job, log
    cluster.cancel(job)
    cluster.wait_for("its end", lambda: not cluster.pids(job), 30)


def ended(cluster, job):
    """The row of an ended job. sacct learns of it a little later than squeue."""

    def row():
        return next((row for row in cluster.accounting_rows() if row.id == job), None)

    cluster.wait_for("the end in accounting", lambda: row() and row().end != "Unknown", 60)
    return row()


def test_every_node_runs_a_job(cluster):
    said = cluster.command("srun", "-N4", "--mem=10", "sh", "-c", "echo $SLURMD_NODENAME")
    assert sorted(said.split()) == list(NODES)


def test_gpus_are_given_by_number(cluster):
    words = ("sh", "-c", "echo $SLURMD_NODENAME=$CUDA_VISIBLE_DEVICES")
    said = cluster.command("srun", "-N2", "--mem=10", "--gres=gpu:h200:2", *words)
    assert sorted(said.split()) == ["n1=0,1", "n2=0,1"]


def test_preemption_signals_and_requeues(cluster, stubborn):
    job, log = stubborn
    urgent = cluster.preempt(job, seconds=1)
    # The job is held until its credentials have expired, and then starts by itself.
    cluster.wait_for("the queue", lambda: cluster.job(job)[1:3] == ("PENDING", "BeginTime"), 60)
    cluster.wait_for("the second start", lambda: "start 1" in log.read_text(), 60)
    assert "step TERM" in log.read_text()
    assert ended(cluster, urgent).state == "COMPLETED"
    assert "PREEMPTED" in [row.state for row in cluster.accounting_rows(every_attempt=True) if row.id == job]


def test_cancel_reaches_all_processes(cluster, stubborn):
    job, log = stubborn
    # Both srun processes, the batch shell, and the step.
    assert len(cluster.pids(job)) >= 4
    cluster.cancel(job, "--signal=USR1")
    cluster.wait_for("the signal", lambda: "step USR1" in log.read_text(), 10)
    cluster.cancel(job)
    cluster.wait_for("its end", lambda: not cluster.pids(job), 30)
    assert ended(cluster, job).state == "CANCELLED by 0"


def test_too_much_memory_kills(cluster, tmp_path):
    greedy = "python3 -c 'import time; kept = bytearray(600_000_000); time.sleep(60)'"
    output = tmp_path / "output"
    job = cluster.submit(greedy, "--mem=200", f"--output={output}")
    row = ended(cluster, job)
    assert (row.state, row.exit_code) == ("FAILED", "0:9")
    assert cluster.job(job).reason == "JobLaunchFailure"
    assert "exceeded memory limit" in output.read_text()


def test_jobs_leave_a_node_that_goes_down(cluster, stubborn):
    job, log = stubborn
    node = cluster.job(job).node
    cluster.node_down(node)
    cluster.wait_for("the second start", lambda: "start 1" in log.read_text(), 60)
    assert cluster.job(job).node != node
    assert cluster.node_states()[node] == "down"
    cluster.node_up(node)
    cluster.wait_for("the node", lambda: cluster.node_states()[node] == "idle", 30)


def test_a_silent_node_is_given_up_and_comes_back(cluster, stubborn):
    job, log = stubborn
    node, first = cluster.job(job).node, cluster.pids(job)
    cluster.kill_slurmd(node)
    cluster.wait_for("the second start", lambda: "start 1" in log.read_text(), 90)
    assert cluster.job(job).node != node
    assert cluster.node_states()[node] == "down*"
    # A step of the first attempt still runs beside the second: only the node's daemon could have stopped it.
    assert first & cluster.pids(job)
    cluster.start_slurmd(node)
    cluster.wait_for("the end of the first attempt", lambda: not first & cluster.pids(job), 30)
    cluster.wait_for("the node", lambda: cluster.node_states()[node] == "idle", 30)


def test_the_controller_forgets_nothing(cluster, stubborn):
    job, log = stubborn
    cluster.stop_slurmctld()
    assert cluster.pids(job)
    cluster.start_slurmctld()
    assert cluster.job(job).state == "RUNNING"
    assert log.read_text().split("\n")[1:] == [""]
    cluster.wait_for("the nodes", lambda: set(cluster.node_states().values()) == {"idle", "mixed"}, 60)


def test_accounting_catches_up(cluster):
    cluster.stop_slurmdbd()
    with pytest.raises(RuntimeError, match="Connection refused"):
        cluster.accounting_rows()
    job = cluster.submit("exit 3")
    cluster.wait_for("its end", lambda: cluster.job(job).state == "FAILED", 30)
    cluster.start_slurmdbd()
    row = ended(cluster, job)
    assert (row.state, row.exit_code) == ("FAILED", "3:0")


def test_a_second_cluster_is_apart_and_leaves_nothing(cluster):
    with Cluster(accounting=False) as second:
        job = second.submit("sleep 1000 & trap '' TERM; while :; do sleep 0.2; done")
        second.wait_for("its start", lambda: second.pids(job), 30)
        mine = second.pids(job)
        assert not mine & cluster.pids(job)
        assert second.folder in running_folders()
        second.kill_slurmd("n1")
    assert second.folder not in running_folders()
    assert not second.folder.exists()
    assert not any(command_line(pid) for pid in mine)
    assert set(cluster.node_states().values()) == {"idle"}
