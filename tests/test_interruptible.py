"""The contract of a job that may be stopped: one at a time, no stale state, a stop on request, a mark of a failure."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from growthpace.errors import InputError
from growthpace.files import read_json
from growthpace.interruptible import (
    STOP_AT,
    Busy,
    StateFolder,
    Stopped,
    code_version,
    failure,
    listen,
    listen_no_more,
    stop_reason,
    this_job,
)

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
    job = f"[{os.getpid()}@{os.uname().nodename}/-]"
    assert [line.split(" ", 1)[1] for line in lines] == [f"{job} first", f"{job} second"]
    assert lines[0].startswith("20")


# --- the lock ---


def test_a_child_that_outlives_a_killed_holder_keeps_no_lock(tmp_path):
    """Such as a process that loads data."""
    code = HOLD.replace("    print(", "    import os, time\n    if not os.fork(): time.sleep(60)\n    print(")
    command = [sys.executable, "-c", code, tmp_path / "state"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0) as process:
        try:
            assert process.stdout.readline() == b"held\n"
            process.kill()
            process.wait()
            with StateFolder(tmp_path / "state", "of this"):
                pass
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_one_process_holds_a_state_once(tmp_path):
    """And its second attempt does not give the first one's lock away to others."""
    with StateFolder(tmp_path / "state", "of this"):
        with pytest.raises(Busy, match="this process"), StateFolder(tmp_path / "state", "of this"):
            pytest.fail("one state is held twice")
        other = subprocess.run([sys.executable, "-c", HOLD, tmp_path / "state"], capture_output=True, text=True)
        assert f"process {os.getpid()} on " in other.stderr
    with StateFolder(tmp_path / "state", "of this"):
        pass


def test_a_holder_says_its_slurm_job(monkeypatch):
    assert "SLURM" not in this_job()
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    assert this_job() == f"process {os.getpid()} on {os.uname().nodename}, SLURM job 4711"


def test_a_file_system_without_locks_is_no_live_job(tmp_path, monkeypatch):
    def unsupported(*arguments):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "lockf", unsupported)
    with (
        pytest.raises(InputError, match=r"has no locks \(Function not implemented\)"),
        StateFolder(tmp_path / "s", "x"),
    ):
        pytest.fail("two jobs may hold it")


# --- requests to stop ---


def test_the_end_of_its_time_requests_a_stop(tmp_path, monkeypatch):
    with StateFolder(tmp_path / "state", "of this") as state:
        assert not state.stop_requested
        monkeypatch.setenv(STOP_AT, str(time.time() + 60))
        assert not state.stop_requested
        monkeypatch.setenv(STOP_AT, str(time.time() - 1))
        assert state.stop_requested
        assert state.stop_reason == "its time is over"


@pytest.mark.parametrize("value", ["soon", "nan", "inf", "12:30"])
def test_a_time_that_is_none(tmp_path, monkeypatch, value):
    monkeypatch.setenv(STOP_AT, value)
    with (
        pytest.raises(InputError, match=rf"{STOP_AT}: '{value}' is no time \(allowed: seconds since 1970"),
        StateFolder(tmp_path / "state", "of this"),
    ):
        pytest.fail("it never stops")


def test_asked_to_stop_before_it_began(tmp_path):
    """A signal that came while the process was still importing: nothing is begun, nothing is touched."""
    before = listen()
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Stopped, match=r"asked to stop \(SIGTERM\)"), StateFolder(tmp_path / "state", "of this"):
            pytest.fail("the request is lost")
        assert stop_reason() == "SIGTERM", "it is to the process, whatever states it opens"
        assert list(tmp_path.iterdir()) == []
    finally:
        listen_no_more(before)
    with StateFolder(tmp_path / "state", "of this") as state:
        os.kill(os.getpid(), signal.SIGTERM)
        assert state.stop_requested
    assert stop_reason() == "", "it was to the job of this state alone"


def waiting(folder: Path, verb: str, *arguments: str) -> subprocess.Popen:
    """A verb that waits for ever for its study, started by a shell that takes no notice of signals."""
    os.mkfifo(folder / "study.yaml")
    command = f"trap '' TERM USR1; exec {sys.executable} -m growthpace {verb} study.yaml {' '.join(arguments)}"
    return subprocess.Popen(["bash", "-c", command], cwd=folder)


def signals(process: subprocess.Popen, kind: str) -> set[int]:
    """Signals that a process catches (`SigCgt`) or ignores (`SigIgn`)."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    mask = int(next(line.split()[1] for line in lines if line.startswith(kind)), 16)
    return {number for number in range(1, 32) if mask >> (number - 1) & 1}


def until(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_other_verbs_die_of_sigterm_and_not_of_sigusr1(tmp_path):
    process = waiting(tmp_path, "check")
    until(lambda: signal.SIGTERM not in signals(process, "SigIgn") and signal.SIGUSR1 in signals(process, "SigIgn"))
    process.send_signal(signal.SIGUSR1)
    time.sleep(0.2)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == -signal.SIGTERM


def test_training_listens_from_the_start(tmp_path):
    process = waiting(tmp_path, "train", "small/curated-18/seed-1")
    until(lambda: {signal.SIGTERM, signal.SIGUSR1} <= signals(process, "SigCgt"))
    process.send_signal(signal.SIGUSR1)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    assert process.poll() is None
    process.kill()
    process.wait()


def test_listening_imports_nothing_heavy():
    code = "import sys, growthpace.interruptible; print({'torch', 'pyarrow', 'numpy', 'pydantic'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"


# --- what a failure leaves ---


def test_a_defect_leaves_a_mark_until_the_next_attempt(tmp_path):
    folder = tmp_path / "state"
    with pytest.raises(FileNotFoundError), StateFolder(folder, "of this"):
        read_json(tmp_path / "absent")
    found = failure(folder)
    assert found["kind"] == "defect"
    assert found["error"].startswith("FileNotFoundError: [Errno 2] No such file")
    assert found["where"].startswith("growthpace/files.py:")
    assert found["job"] == this_job()
    assert found["code"] == code_version()
    assert found["when"].startswith("20")
    assert "failed: FileNotFoundError" in (folder / "log.txt").read_text()
    with StateFolder(folder, "of this"):
        assert failure(folder) is None
    assert failure(folder) is None
    assert failure(tmp_path / "nowhere") is None


def test_bad_input_leaves_a_mark_of_its_kind(tmp_path):
    with pytest.raises(InputError), StateFolder(tmp_path / "state", "of this"):
        raise InputError("item 'x' is too long")
    found = failure(tmp_path / "state")
    assert (found["kind"], found["error"]) == ("input", "InputError: item 'x' is too long")
    assert found["where"] is None, "it did not come from growthpace"


@pytest.mark.parametrize(
    "error",
    [Stopped("s"), Busy("b"), MemoryError(), OSError(errno.ENOSPC, "full"), KeyboardInterrupt(), SystemExit(3)],
    ids=lambda error: type(error).__name__,
)
def test_what_is_no_failure_of_the_code_leaves_no_mark(tmp_path, error):
    with pytest.raises(type(error)), StateFolder(tmp_path / "state", "of this"):
        raise error
    assert failure(tmp_path / "state") is None


def test_progress_is_shown_now_and_then(tmp_path, monkeypatch):
    shown = tmp_path / "state" / "progress.json"
    with StateFolder(tmp_path / "state", "of this") as state:
        assert not state.show({"done": 1})
        assert not shown.exists()
        assert state.show({"done": 2}, at_once=True)
        assert not state.show({"done": 3})
        assert read_json(shown) == {"done": 2}
        monkeypatch.setattr("growthpace.interruptible.PROGRESS_SECONDS", 0)
        assert state.show({"done": 4})
        assert read_json(shown) == {"done": 4}
