"""A warm start for many small jobs on one machine: torch is imported once, each job is a fork of that process.

Importing torch and transformers takes seconds of processor time, which for the small jobs of a laptop study is most of
their time. `WarmServer` is a process that has imported them and computed nothing; `call` hands it a command line, with
the caller's folder, environment and standard streams, and it runs the same `main` in a fork. What a job computes
is the same in both ways: nothing but the imports is shared. Without a server jobs simply start by themselves.

The server lives as long as the process that started it (it reads end of file from a pipe when that dies).
"""

from __future__ import annotations

import array
import contextlib
import gc
import importlib.util
import json
import os
import select
import signal
import socket
import sys
from pathlib import Path

from growthpace.interruptible import prepare, run_and_exit, stop_signal

SOCKET = "GROWTHPACE_WARM"
"""Environment variable with the path of the server's socket."""
UNNEEDED = signal.SIGUSR2
"""Ends a server that is still at its imports, when it cannot look whether its pipe has ended."""


class WarmServer:
    """Context manager: a warm process for the jobs started within; `environment` is what tells them of it."""

    def __init__(self, light: bool = False, figures: bool = True):
        """light: without torch, for a login node, where only light stages run; figures: with what draws them, of which
        there are none inside an allocation."""
        self.light, self.figures = light, figures

    def __enter__(self) -> WarmServer:
        import subprocess  # not at the top: jobs import this module and should start at once
        import tempfile

        self._folder = tempfile.TemporaryDirectory(prefix="growthpace-")  # private to this user (mode 0700)
        path = Path(self._folder.name) / "socket"
        self.environment = {SOCKET: str(path)}
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            # Jobs queue here until the imports are done.
            listener.bind(str(path))
            listener.listen(64)
            command = [sys.executable, "-m", "growthpace.warm", str(listener.fileno())]
            command += ["light"] * self.light + ["figures"] * self.figures
            # Asking CUDA itself whether there is a GPU would keep forks from using it.
            environment = {**os.environ, "PYTORCH_NVML_BASED_CUDA_CHECK": "1"}
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, pass_fds=[listener.fileno()], env=environment, preexec_fn=_ignore
            )
        return self

    @property
    def pid(self) -> int:
        """Process that the jobs are forks of."""
        return self._process.pid

    def __exit__(self, *exc):
        import subprocess

        self._process.stdin.close()
        self._process.send_signal(UNNEEDED)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()


def call(arguments: list[str]) -> int | None:
    """Lets the server run `growthpace ARGUMENTS`; returns the exit code, or None where there is no server.

    SIGTERM, SIGINT and SIGUSR1 to this process reach the job.
    """
    path = os.environ.get(SOCKET)
    if not path:
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        try:
            link.connect(path)
        except OSError:  # gone: start by ourselves
            return None
        job = json.dumps({"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}).encode()
        streams = array.array("i", [0, 1, 2])
        header = len(job).to_bytes(8, "big")
        link.sendmsg([header], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
        link.sendall(job)
        try:
            pid = int.from_bytes(_receive(link, 8), "big")
        except ConnectionError:  # it died before it had begun with this job
            return None
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            signal.signal(number, lambda n, frame: _pass_on(n, pid))
        if asked := stop_signal():  # before there was anybody to tell
            _pass_on(asked, pid)
        try:
            return int.from_bytes(_receive(link, 8), "big")
        except ConnectionError as error:  # somebody killed it; that says nothing about the job
            print(f"growthpace: {error}", file=sys.stderr)
            return 128 + signal.SIGKILL


def _pass_on(number: int, pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has just ended
        os.kill(pid, number)


def _receive(link: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = link.recv(size - len(data))
        if not piece:
            raise ConnectionError("the warm server went away in the middle of a job")
        data += piece
    return data


def serve(listener: socket.socket, light: bool, figures: bool) -> None:
    """Imports what jobs need, then runs each request in a fork until standard input ends."""
    gc.disable()
    import growthpace.analysis.stage
    import growthpace.cli
    import growthpace.evaluation.grading

    if figures:
        import growthpace.figures.panels
    if not light:
        import torch

        import growthpace.evaluation.predict
        import growthpace.training.run  # noqa: F401

        # What a first model costs every job: its architecture (the demo's), and 900 regular expressions of names.
        importlib.import_module("transformers.models.llama.modeling_llama")
        importlib.import_module("transformers.conversion_mapping").get_checkpoint_conversion_mapping("llama")
        # Where it is installed, accelerate imports it for every training. It asks CUDA at once where there is a GPU,
        # and forks could not use that; where there is none, it would say so.
        if importlib.util.find_spec("deepspeed") and not torch.cuda.is_available():
            os.environ.setdefault("DS_ACCELERATOR", "cpu")  # here alone: each job has its caller's environment
            importlib.import_module("deepspeed")

    # No fork looks through all that was imported whenever it collects garbage (0.4 s each time), nor copies its pages.
    gc.freeze()
    gc.enable()
    signal.signal(UNNEEDED, signal.SIG_IGN)  # from here on the pipe tells, and running jobs are ended properly
    running: dict[int, socket.socket] = {}
    wake, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    while True:
        ready, _, _ = select.select([listener, 0, wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
        while running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            link = running.pop(pid)
            code = os.waitstatus_to_exitcode(status)
            with contextlib.suppress(OSError):  # the caller was killed; there is nobody to tell
                link.sendall((code if code >= 0 else 128 - code).to_bytes(8, "big"))
            link.close()
        if 0 in ready and not os.read(0, 1):
            for pid in running:
                os.kill(pid, signal.SIGTERM)
            return
        if listener in ready:
            link, _ = listener.accept()
            pid = os.fork()
            if pid == 0:
                listener.close()
                run_and_exit(lambda link=link: _run(link))
            running[pid] = link


def _ignore() -> None:
    """What comes to all processes of a terminal or of a SLURM job is for the jobs; the pipe ends the server."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(UNNEEDED, signal.SIG_DFL)


def _run(link: socket.socket) -> None:
    """One job, in the fork."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGINT, UNNEEDED):
        signal.signal(number, signal.SIG_DFL)
    header, ancillary, _, _ = link.recvmsg(8, socket.CMSG_SPACE(3 * 4))
    streams = array.array("i", ancillary[0][2])
    job = json.loads(_receive(link, int.from_bytes(header, "big")))
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    prepare(job["arguments"])  # the caller passes on signals as soon as it knows this process
    link.sendall(os.getpid().to_bytes(8, "big"))
    os.chdir(job["folder"])
    os.environ.clear()
    os.environ.update(job["environment"])
    os.environ.pop(SOCKET)
    sys.argv = ["growthpace", *job["arguments"]]
    from growthpace.cli import main

    main()


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), light="light" in sys.argv[2:], figures="figures" in sys.argv[2:])
