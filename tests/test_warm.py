"""Jobs run in a fork of the warm process as they would run by themselves."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from growthpace.warm import SOCKET, UNNEEDED, WarmServer


@pytest.fixture(scope="module")
def warm():
    with WarmServer() as server:
        yield {**os.environ, **server.environment}


def growthpace(*arguments, environment=None, folder=None):
    command = [sys.executable, "-m", "growthpace", *map(str, arguments)]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=300)


@contextlib.contextmanager
def being_read(path, job):
    """From the time that the job has opened the file, which is a pipe and holds nothing yet, for reading: its other
    end."""
    if not path.exists():
        os.mkfifo(path)
    while True:
        assert job.poll() is None
        try:
            end = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            break
        except OSError as error:
            if error.errno != errno.ENXIO:  # that is, nobody reads yet
                raise
            time.sleep(0.01)
    with open(end, "w") as writing:
        yield writing


def test_output_exit_code_folder_and_errors_are_those_of_a_job_by_itself(warm, tmp_path):
    for arguments in (("--help",), ("check", "absent.yaml"), ("no-such-verb",)):
        alone, helped = (
            growthpace(*arguments, folder=tmp_path),
            growthpace(*arguments, environment=warm, folder=tmp_path),
        )
        assert (helped.returncode, helped.stdout, helped.stderr) == (alone.returncode, alone.stdout, alone.stderr)
    assert helped.returncode == 2


def test_a_signal_reaches_the_job(warm, tmp_path):
    job = subprocess.Popen([sys.executable, "-m", "growthpace", "check", str(tmp_path / "study.yaml")], env=warm)
    with being_read(tmp_path / "study.yaml", job):
        job.send_signal(signal.SIGTERM)
        assert job.wait(60) == 128 + signal.SIGTERM


def test_without_a_server_a_job_starts_by_itself(tmp_path):
    gone = {**os.environ, SOCKET: str(tmp_path / "nothing")}
    done = growthpace("check", "absent.yaml", environment=gone, folder=tmp_path)
    assert (done.returncode, done.stderr) == (2, "growthpace: absent.yaml: no such file\n")


def test_signals_to_everybody_leave_the_server_alone_and_killing_it_is_no_defect_of_a_job(tmp_path):
    with WarmServer(light=True) as server:
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):  # before it has imported anything, too
            os.kill(server.pid, number)
        environment = {**os.environ, **server.environment}
        command = [sys.executable, "-m", "growthpace", "check", str(tmp_path / "study.yaml")]
        job = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        with being_read(tmp_path / "study.yaml", job) as study:
            os.kill(server.pid, signal.SIGKILL)
            study.write("no: study")
            study.close()  # the job goes on to its end, which nobody can tell any more
            assert job.wait(60) == 128 + signal.SIGKILL
        assert "the warm server went away" in job.stderr.read()
        done = growthpace("check", "absent.yaml", environment=environment, folder=tmp_path)
        assert done.returncode == 2


def test_a_server_that_is_still_at_its_imports_keeps_nobody_waiting():
    with WarmServer() as server:
        pass
    assert server._process.returncode == -UNNEEDED
