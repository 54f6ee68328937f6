"""Jobs run in a fork of the warm process as they would run by themselves."""

import os
import signal
import subprocess
import sys
import time

import pytest

from growthpace.warm import SOCKET, WarmServer


@pytest.fixture(scope="module")
def warm():
    with WarmServer() as server:
        yield {**os.environ, **server.environment}


def growthpace(*arguments, environment=None, folder=None):
    command = [sys.executable, "-m", "growthpace", *map(str, arguments)]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=120)


def test_output_exit_code_folder_and_errors_are_those_of_a_job_by_itself(warm, tmp_path):
    for arguments in (("--help",), ("check", "absent.yaml"), ("no-such-verb",)):
        alone, helped = (
            growthpace(*arguments, folder=tmp_path),
            growthpace(*arguments, environment=warm, folder=tmp_path),
        )
        assert (helped.returncode, helped.stdout, helped.stderr) == (alone.returncode, alone.stdout, alone.stderr)
    assert helped.returncode == 2


def test_a_signal_reaches_the_job(warm, tmp_path):
    os.mkfifo(tmp_path / "study.yaml")  # reading it waits for ever
    job = subprocess.Popen([sys.executable, "-m", "growthpace", "check", str(tmp_path / "study.yaml")], env=warm)
    time.sleep(2)
    assert job.poll() is None
    job.send_signal(signal.SIGTERM)
    assert job.wait(10) == 128 + signal.SIGTERM


def test_without_a_server_a_job_starts_by_itself(tmp_path):
    gone = {**os.environ, SOCKET: str(tmp_path / "nothing")}
    done = growthpace("check", "absent.yaml", environment=gone, folder=tmp_path)
    assert (done.returncode, done.stderr) == (2, "growthpace: absent.yaml: no such file\n")


def test_signals_to_everybody_leave_the_server_alone_and_killing_it_is_no_defect_of_a_job(tmp_path):
    os.mkfifo(tmp_path / "study.yaml")
    with WarmServer(light=True) as server:
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):  # before it has imported anything, too
            os.kill(server.pid, number)
        environment = {**os.environ, **server.environment}
        command = [sys.executable, "-m", "growthpace", "check", str(tmp_path / "study.yaml")]
        job = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        time.sleep(4)
        assert job.poll() is None
        os.kill(server.pid, signal.SIGKILL)
        (tmp_path / "study.yaml").write_text("no: study")  # the job goes on to its end, which nobody can tell any more
        assert job.wait(10) == 128 + signal.SIGKILL
        assert "the warm server went away" in job.stderr.read()
        done = growthpace("check", "absent.yaml", environment=environment, folder=tmp_path)
        assert done.returncode == 2
