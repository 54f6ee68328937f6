"""The contract of a job that may be stopped: one at a time, no stale state, a stop on request."""

import os
import signal
import subprocess
import sys

import pytest

from growthpace.interruptible import Busy, StateFolder

HOLD = """import sys
from pathlib import Path
from growthpace.interruptible import StateFolder
with StateFolder(Path(sys.argv[1]), "of this"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the state folder until its standard input closes."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path / "state"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_busy(tmp_path, holder):
    with (
        pytest.raises(Busy, match=rf"state is in use by another job \(process {holder.pid} on "),
        StateFolder(tmp_path / "state", "of this"),
    ):
        pytest.fail("two jobs hold one state")
    (tmp_path / "state" / "kept").touch()
    holder.communicate()
    with StateFolder(tmp_path / "state", "of this"):
        assert (tmp_path / "state" / "kept").exists()


def test_a_second_process_with_other_settings_touches_nothing(tmp_path, holder):
    (tmp_path / "state" / "kept").touch()
    with pytest.raises(Busy), StateFolder(tmp_path / "state", "of that"):
        pytest.fail("two jobs hold one state")
    assert (tmp_path / "state" / "kept").exists()


def test_a_killed_holder_keeps_no_lock(tmp_path, holder):
    (tmp_path / "state" / "progress").write_text("half")
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with StateFolder(tmp_path / "state", "of this"):
        assert (tmp_path / "state" / "progress").read_text() == "half"


def test_a_state_of_something_else_is_set_aside(tmp_path):
    folder = tmp_path / "deep" / "state"
    for number in (1, 2):
        with StateFolder(folder, f"of {number}"):
            (folder / "progress").write_text(str(number))
    stale = folder.with_name("state.stale")
    assert (stale / "progress").read_text() == "1"
    with StateFolder(folder, "of 3"):
        assert not (folder / "progress").exists()
    assert (stale / "progress").read_text() == "2"  # the older stale state is gone


def test_a_state_without_fingerprint_is_set_aside(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / "progress").write_text("whose?")
    with StateFolder(folder, "of this"):
        assert not (folder / "progress").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_requests_a_stop(tmp_path, number):
    before = signal.getsignal(number)
    with StateFolder(tmp_path / "state", "of this") as state:
        assert not state.stop_requested
        os.kill(os.getpid(), number)
        assert state.stop_requested
    assert signal.getsignal(number) == before


def test_the_lock_and_the_handlers_go_with_a_failure(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(RuntimeError), StateFolder(tmp_path / "state", "of this"):
        raise RuntimeError
    assert signal.getsignal(signal.SIGTERM) == before
    with StateFolder(tmp_path / "state", "of this"):
        pass


def test_a_failure_on_entry_gives_the_lock_back(tmp_path, monkeypatch):
    def full(*paths):
        raise OSError("disk full")

    (tmp_path / "state").mkdir()
    state = StateFolder(tmp_path / "state", "of this")
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full)
        with pytest.raises(OSError, match="disk full"):
            state.__enter__()
    with StateFolder(tmp_path / "state", "of this"):
        pass


def test_the_log_outlives_attempts(tmp_path):
    for line in ("first", "second"):
        with StateFolder(tmp_path / "state", "of this") as state:
            state.log(line)
    lines = (tmp_path / "state" / "log.txt").read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["first", "second"]
    assert lines[0].startswith("20")
