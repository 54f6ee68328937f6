"""Trying out programs that a model wrote, in bubblewrap, so that they can neither do harm nor fake a pass.

Two sandboxes run side by side. One runs the program (`inside/program.py`); the other runs the tests
(`inside/trial.py`), which call the program through two pipes and compare what comes back as plain data. The program's
process never holds a test, an expected value or the verdict, so that leaving early, patching Python or objects that
equal everything gain nothing: only right results pass.

Each sandbox has namespaces of its own for users, processes, network, IPC and host name, no capabilities, a read-only
file system of nothing but Python and the system's libraries, a small private /tmp, an empty environment, a filter of
system calls (`system_calls`) and the limits of `Limits`. docs/scorers.md says what is guarded and what is not.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from growthpace.errors import InputError
from growthpace.evaluation.system_calls import system_call_filter

INSIDE = Path(__file__).parent / "inside"
LONGEST_VERDICT = 64 << 10
"""Bytes."""
_LIBRARIES = ("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")
_PYTHON = ("-s", "-S", "-P", "-B")  # no site packages, no folder of the script's on the path, no bytecode written


@dataclass(frozen=True)
class Limits:
    """What each of the two sandboxes may use."""

    cpu_seconds: int = 15
    """Processor time. It decides, so that a busy machine does not change a grade."""
    wall_seconds: float = 90.0
    """Time until both are ended, for programs that sleep."""
    memory_bytes: int = 512 << 20
    """Address space of the one process that it has."""
    file_bytes: int = 8 << 20
    """Of one file."""
    disk_bytes: int = 32 << 20
    """Of all files: the size of the private /tmp."""
    open_files: int = 32


@dataclass(frozen=True)
class Outcome:
    """How a trial ended."""

    passed: bool
    """Whether the tests ran to their end."""
    reason: str
    """`passed`, or what went wrong, in one line."""
    chosen: int
    """Which of the programs was run."""


def try_out(programs: Sequence[str], beginning: str, tests: str, limits: Limits | None = None) -> Outcome:
    """Runs the first of the programs that is Python, and the tests against it.

    programs: readings of one answer, in order of preference. beginning: what the item gives of the program, '' for
    nothing; its imports and helpers belong to the tests, its last function is the model's. tests: Python that raises,
    exits or does not end unless all is well.

    Raises `InputError` where there is no bubblewrap or it does not work here.
    """
    find_bubblewrap()
    check_works()
    return _try_out(programs, beginning, tests, limits or Limits())


def find_bubblewrap() -> str:
    """Path of bubblewrap's program; `InputError` saying what to do where there is none."""
    found = shutil.which("bwrap")
    if found is None:
        raise InputError(
            "code items need bubblewrap, and there is no program bwrap on the PATH: install the package bubblewrap or "
            "ask your administrator; grading runs nothing unguarded"
        )
    return found


@cache
def check_works() -> None:
    """Raises `InputError` with what bubblewrap says where it cannot make a sandbox. Looks once for each process."""
    outcome = _try_out(["def one():\n    return 1"], "", "assert one() == 1", Limits())
    if not outcome.passed:
        raise InputError(f"code items need a sandbox, but a program that is right failed in it: {outcome.reason}")


def sandboxed(script: str, arguments: Sequence[str], filter_descriptor: int, limits: Limits) -> list[str]:
    """The command that runs a script of `INSIDE` in a sandbox; the filter of system calls is read from a descriptor."""
    python = Path(os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable))
    needed = [os.path.realpath(sys.base_prefix), *_LIBRARIES, str(python.parent.parent / "lib"), str(python)]
    # As process 1, so that there is no other: bubblewrap's own has no filter and no limits, and could be written into.
    command = [
        find_bubblewrap(), "--as-pid-1", "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session",
        "--cap-drop", "ALL", "--uid", "65534", "--gid", "65534", "--hostname", "sandbox",
        "--seccomp", str(filter_descriptor),
    ]  # fmt: skip
    # First, since Python may lie below one of them. No /proc: Python does without, and much has got out through it.
    command += ["--dev", "/dev", "--size", str(limits.disk_bytes), "--tmpfs", "/tmp"]
    shown: list[str] = []
    for path in needed:
        if any(path == other or path.startswith(other + "/") for other in shown):
            continue
        shown.append(path)
        if os.path.islink(path):
            command += ["--symlink", os.readlink(path), path]
        else:
            command += ["--ro-bind-try", path, path]
    # The root and /dev are file systems in memory that could be filled.
    command += ["--ro-bind", str(INSIDE), "/inside", "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp"]
    return [*command, str(python), *_PYTHON, f"/inside/{script}", *arguments]


def _try_out(programs: Sequence[str], beginning: str, tests: str, limits: Limits) -> Outcome:
    task = {"programs": list(programs), "beginning": beginning, "tests": tests, "limits": asdict(limits)}
    # What a program finds in its environment: no keys, and a fixed seed for the order of sets.
    environment = {
        "PATH": "/usr/bin", "HOME": "/tmp", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0",
        "LD_LIBRARY_PATH": f"{os.path.realpath(sys.base_prefix)}/lib",
    }  # fmt: skip
    with ExitStack() as stack:

        def file_with(content: bytes):
            file = stack.enter_context(tempfile.TemporaryFile())
            file.write(content)
            file.seek(0)
            return file

        said = stack.enter_context(tempfile.TemporaryFile())
        filters = [file_with(system_call_filter()), file_with(system_call_filter())]
        asked, asking = os.pipe()
        answered, answering = os.pipe()
        common = {"env": environment, "stderr": said, "cwd": "/"}
        try:
            trial = subprocess.Popen(
                sandboxed("trial.py", [str(answered), str(asking)], filters[0].fileno(), limits),
                stdin=file_with(json.dumps(task).encode()), stdout=subprocess.PIPE,
                pass_fds=(answered, asking, filters[0].fileno()), **common,
            )  # fmt: skip
            stack.callback(_end, trial)
            program = subprocess.Popen(
                sandboxed("program.py", [], filters[1].fileno(), limits),
                stdin=asked, stdout=answering, pass_fds=(filters[1].fileno(),), **common,
            )  # fmt: skip
            stack.callback(_end, program)
        finally:
            for descriptor in (asked, asking, answered, answering):
                os.close(descriptor)
        started, verdict, late = _verdict(trial.stdout, time.monotonic() + limits.wall_seconds)
        if verdict is not None and started:
            return Outcome(verdict["passed"], verdict["reason"], verdict["chosen"])
        if late:
            return Outcome(False, f"not done after {limits.wall_seconds:g} s", 0)
        _end(trial)
        if started:  # killed by the kernel
            return Outcome(False, "the tests used up their processor time or memory", 0)
        _end(program)
        said.seek(0)
        raise InputError(_does_not_start(said.read(4000).decode(errors="replace")))


def _verdict(stream, deadline: float) -> tuple[bool, dict | None, bool]:
    """(whether the trial started, its verdict, whether it came too late)."""
    content = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while content.count(b"\n") < 2 and len(content) < LONGEST_VERDICT:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                return content.startswith(b"started\n"), None, True
            part = os.read(stream.fileno(), 1 << 16)
            if not part:
                break
            content += part
    lines = content.decode().splitlines()
    started = lines[:1] == ["started"]
    return started, json.loads(lines[1]) if started and len(lines) > 1 else None, False


def _end(process: subprocess.Popen) -> None:
    """Ends a sandbox with all that runs in it: `--die-with-parent` takes the first process of its namespace along."""
    process.kill()
    process.wait()
    if process.stdout:
        process.stdout.close()


def _does_not_start(said: str) -> str:
    message = "code items need a sandbox, and bubblewrap could not make one here"
    said = " ".join(line for line in said.splitlines() if line.strip())
    if "namespace" in said or "Operation not permitted" in said or "Permission denied" in said:
        message += (
            " (user namespaces are forbidden on this machine: grade on another node, or ask your administrator to "
            "allow them: user.max_user_namespaces, kernel.unprivileged_userns_clone, an AppArmor profile for bwrap)"
        )
    elif "nknown option" in said:
        message += " (it is too old: version 0.8 or newer is needed)"
    return f"{message}; grading runs nothing unguarded. It said: {said or 'nothing'}"
