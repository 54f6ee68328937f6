"""Cancelling: the head process first, then every job, with a yes, and never anything where SLURM does not answer."""

import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
from study_files import HOLD, Files, held, queued

from growthpace.cluster import cancel as module
from growthpace.cluster.cancel import cancel
from growthpace.errors import InputError


class Cluster:
    """SLURM whose jobs end `slow` looks after they were cancelled."""

    def __init__(self, *jobs, slow: int = 1):
        self.jobs, self.slow, self.cancelled, self.looks = list(jobs), slow, [], 0

    def require(self):
        pass

    def queue(self, study):
        self.looks += bool(self.cancelled)
        return [job for job in self.jobs if not (job.id in self.cancelled and self.looks >= self.slow)]

    def cancel(self, jobs):
        self.cancelled += jobs


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Files()


def end(files, cluster, yes=True) -> tuple[int, str]:
    said: list[str] = []
    code = cancel(files.config, yes, said.append, slurm=cluster, sleep=lambda seconds: None)
    return code, "\n".join(said)


def test_all_live_jobs_end_and_nothing_else(files):
    live = [queued("1", "RUNNING", "aa", "train s/curated-4/seed-1"), queued("2", "PENDING", "bb", "predict x +3")]
    cluster = Cluster(*live, queued("3", "COMPLETED", "cc"), slow=3)
    code, said = end(files, cluster)
    assert (code, cluster.cancelled) == (0, ["1", "2"])
    assert "running     train s/curated-4/seed-1" in said
    assert "waiting for 2 jobs" in said
    assert said.endswith("What was saved stays; `growthpace resume study.yaml` goes on from there")


def test_nothing_to_cancel(files):
    cluster = Cluster(queued("3", "COMPLETED", "cc"))
    assert end(files, cluster) == (
        0, "no job of small is queued or running in SLURM, and no head process is alive")  # fmt: skip
    assert cluster.cancelled == []


def test_jobs_that_do_not_end(files):
    code, said = end(files, Cluster(queued("1", "RUNNING", "aa"), slow=10**6))
    assert code == 1
    assert "still there: 1" in said


def test_what_another_head_submits_meanwhile_ends_too(files):
    cluster = Cluster(queued("1", "RUNNING", "aa"), slow=2)
    first = cluster.cancel
    cluster.cancel = lambda jobs: (first(jobs), "2" in jobs or cluster.jobs.append(queued("2", "PENDING", "bb")))
    code, _ = end(files, cluster)
    assert (code, set(cluster.cancelled)) == (0, {"1", "2"})


def test_without_a_terminal_it_wants_a_yes(files):
    cluster = Cluster(queued("1", "RUNNING", "aa"))
    with pytest.raises(InputError, match="--yes"):
        end(files, cluster, yes=False)
    assert cluster.cancelled == []


def test_a_no_ends_nothing(files, monkeypatch):
    monkeypatch.setattr(module, "agreed", lambda *asked: False)
    cluster = Cluster(queued("1", "RUNNING", "aa"))
    assert end(files, cluster, yes=False)[0] == 0
    assert cluster.cancelled == []


def test_slurm_that_does_not_answer(files):
    with pytest.raises(InputError, match="SLURM does not answer"):
        end(files, SimpleNamespace(require=lambda: None, queue=lambda study: None))


def test_without_slurm(files, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(InputError, match="log in to the cluster's login node"):
        cancel(files.config, True, print)


@pytest.mark.parametrize("ignored", [False, True])
def test_the_head_process_ends_first(files, ignored, monkeypatch):
    """Ctrl-C's signal, and SIGTERM where that is ignored, as a script's shell has its background jobs do."""
    monkeypatch.setattr(module, "HEAD_SECONDS", 20)
    handler = "SIG_IGN" if ignored else "default_int_handler"  # whatever it is for these tests
    set_handler = f"import signal; signal.signal(signal.SIGINT, signal.{handler})\n"
    command = [sys.executable, "-c", set_handler + HOLD, str(files.folder.root / "head")]
    slept = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as head:

        def sleep(seconds):
            slept.append(seconds)
            if not ignored or len(slept) > module.HEAD_SECONDS // 4:  # no machine is too busy for it
                head.wait(60)

        assert head.stdout.readline() == b"held\n"
        said: list[str] = []
        assert cancel(files.config, True, said.append, Cluster(queued("1", "RUNNING", "aa")), sleep) == 0
        assert head.wait(5) == (-signal.SIGTERM if ignored else -signal.SIGINT)
    assert said[2].startswith("ending the head process")


def test_a_head_process_elsewhere_is_left_to_the_user(files):
    with held(files.folder.root / "head") as process:
        (files.folder.root / "head.lock").write_text("process 1 on another-host")
        code, said = end(files, Cluster(queued("1", "RUNNING", "aa")))
        assert process.poll() is None
    assert code == 0
    assert "press Ctrl-C in the head process too (process 1 on another-host)" in said
