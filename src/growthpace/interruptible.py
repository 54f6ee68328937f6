"""The contract of a job that may be stopped at any moment: state folder, lock, fingerprint, signals, exit codes.

A job keeps its progress in a state folder that Snakemake does not know as an output (it deletes outputs at the start
of every attempt), under these rules:

- One job at a time: an exclusive lock of the operating system, which a dead holder does not keep.
- A state belongs to what it was computed from: `fingerprint`. A state of anything else is set aside, not used.
- SIGTERM, SIGUSR1 and the end of its time (`GROWTHPACE_STOP_AT`, seconds since 1970) ask the job to save and stop. It
  does so at its next safe point. What is asked before the state is open counts too, since `prepare` listens from the
  start of the process.
- `log.txt` in the state folder outlives attempts (Snakemake deletes its own logs); `progress.json` says how far the
  job is; `failed.json` says why the last attempt failed, so that a defect is not tried again and again (`failure`).

Exit codes:

    0   done
    1   a defect, with its traceback
    2   BAD_INPUT: something that a user can put right
    75  STOPPED: saved, to be resumed
    76  BUSY: another job holds the lock
    77  OUT_OF_MEMORY: of the GPU or the machine; the message names the settings to change
    78  NO_SPACE: the disk is full, or a quota is used up

Nothing heavy is imported here: a process listens for signals before it imports what it needs.
"""

from __future__ import annotations

import errno
import fcntl
import math
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from growthpace import __version__
from growthpace.errors import InputError

DEFECT = 1
BAD_INPUT = 2
STOPPED = 75
BUSY = 76
OUT_OF_MEMORY = 77
NO_SPACE = 78

VERBS = ("train", "predict")
"""Verbs of the command line that keep this contract."""
STOP_AT = "GROWTHPACE_STOP_AT"
"""Environment variable: the time, in seconds since 1970, from which a job is to save and stop. Whoever starts the job
sets it to the end of its allocation, less what saving takes."""
STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
PROGRESS_SECONDS = 5


class Busy(RuntimeError):  # noqa: N818 (a state of affairs, no error)
    """Another live job holds the state folder."""


class Stopped(RuntimeError):  # noqa: N818
    """The job was asked to stop and has saved what it needs to go on."""


# --- requests to stop -------------------------------------------------------------------------------------------------

_signalled: signal.Signals | None = None


def _remember(number, frame):
    global _signalled
    _signalled = signal.Signals(number)


def prepare(arguments: list[str]) -> None:
    """Sets what signals do from the start of a process that runs the command line's `arguments`.

    A job's shell ignores the signals, which its children inherit. A verb that keeps the contract remembers them; every
    other dies of SIGTERM as usual, and takes no notice of SIGUSR1, which only announces the end.
    """
    if arguments and arguments[0] in VERBS:
        listen()
    else:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def listen() -> dict[int, Any]:
    """From now on the signals ask this process to stop instead of ending it; returns the handlers before."""
    return {number: signal.signal(number, _remember) for number in STOP_SIGNALS}


def stop_signal() -> signal.Signals | None:
    """The last signal that asked this process to stop."""
    return _signalled


def stop_reason() -> str:
    """Why this process is to save and stop; empty if it is not. `InputError` for a bad `GROWTHPACE_STOP_AT`."""
    if _signalled:
        return _signalled.name
    if not (text := os.environ.get(STOP_AT)):
        return ""
    try:
        at = float(text)
    except ValueError:
        at = math.nan
    if not math.isfinite(at):
        raise InputError(f"{STOP_AT}: {text!r} is no time (allowed: seconds since 1970, such as {time.time():.0f})")
    return "its time is over" if time.time() >= at else ""


def listen_no_more(handlers: dict[int, Any]) -> None:
    """Puts back the handlers that `listen` returned."""
    global _signalled
    for number, handler in handlers.items():
        signal.signal(number, handler)
    if _remember not in handlers.values():  # the request was to the job that ends here, not to the whole process
        _signalled = None


# --- the state --------------------------------------------------------------------------------------------------------

_held: set[Path] = set()


def remove_partial(folder: Path) -> None:
    """Removes files that a killed process was writing aside (`files.written_aside`). Only for a folder to which nobody
    else writes."""
    for path in folder.glob(".*.partial"):
        if path.is_file():
            path.unlink()


class StateFolder:
    """A job's state, held exclusively while used as a context manager.

    On entry raises `Busy` if a live job holds it, `Stopped` if this process has already been asked to stop, and
    `InputError` where the file system has no locks; a state with another fingerprint is moved to `<folder>.stale`,
    replacing an older one there. On exit with a defect or bad input `failed.json` is left, until the next entry.
    """

    def __init__(self, folder: Path, fingerprint: str):
        self.folder, self.fingerprint = folder, fingerprint
        self._shown = time.monotonic()

    def __enter__(self) -> StateFolder:
        with ExitStack() as undo:
            undo.callback(listen_no_more, listen())
            if self.stop_requested:
                raise Stopped(f"{self.folder}: asked to stop ({self.stop_reason}) before it began, run it again")
            undo.enter_context(locked(self.folder))
            self._open()
            (self.folder / "failed.json").unlink(missing_ok=True)
            self._undo = undo.pop_all()
        return self

    def _open(self) -> None:
        from growthpace.files import write_text  # imports pyarrow, see above

        known = self.folder / "fingerprint"
        if self.folder.exists() and (not known.exists() or known.read_text() != self.fingerprint):
            stale = self.folder.with_name(self.folder.name + ".stale")
            shutil.rmtree(stale, ignore_errors=True)
            os.replace(self.folder, stale)
        if not self.folder.exists():
            self.folder.mkdir()
            write_text(known, self.fingerprint)
        remove_partial(self.folder)

    def __exit__(self, kind, error, trace) -> None:
        with self._undo:
            if isinstance(error, Exception):
                self._mark(error)

    def _mark(self, error: Exception) -> None:
        from growthpace.files import write_json

        code = exit_code(error)
        if code == NO_SPACE and getattr(error, "filename", None) is None:
            error.filename = str(self.folder)  # a failed write does not say where
        if code not in (DEFECT, BAD_INPUT):
            return
        described = {
            "when": _now(),
            "kind": "input" if code == BAD_INPUT else "defect",
            "error": f"{type(error).__name__}: {error}",
            "where": _where(error),
            "job": this_job(),
            "code": code_version(),
        }
        write_json(self.folder / "failed.json", described)
        self.log(f"failed: {described['error']} ({described['where']})")

    @property
    def stop_reason(self) -> str:
        """See `stop_reason`."""
        return stop_reason()

    @property
    def stop_requested(self) -> bool:
        """Whether the job is to save and stop."""
        return bool(stop_reason())

    def log(self, line: str) -> None:
        """Adds a line with its time and process to the log that outlives attempts."""
        host, job = os.environ.get("SLURMD_NODENAME", os.uname().nodename), os.environ.get("SLURM_JOB_ID", "-")
        with open(self.folder / "log.txt", "a", encoding="utf-8") as handle:
            handle.write(f"{_now()} [{os.getpid()}@{host}/{job}] {line}\n")

    def show(self, progress: dict[str, Any], at_once: bool = False) -> bool:
        """Replaces `progress.json`, at most every five seconds unless `at_once`; says whether it did."""
        if not at_once and time.monotonic() - self._shown < PROGRESS_SECONDS:
            return False
        from growthpace.files import write_json

        write_json(self.folder / "progress.json", progress)
        self._shown = time.monotonic()
        return True


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds `<folder>.lock`; it lies beside the folder, so that setting a stale state aside does not move the lock."""
    path = folder.with_name(folder.name + ".lock").absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    # A POSIX record lock (lockf) holds between the nodes of a cluster on NFS, GPFS and Lustre, where flock may be each
    # node's own, and a child that outlives a killed job does not inherit it. It belongs to the process and is lost when
    # any handle of the file closes, so this process must not open the file twice: `_held`. Not both kinds: NFS turns
    # flock into a record lock of another owner, and a process would shut itself out.
    if path in _held:
        raise Busy(f"{folder} is in use by another job (this process); wait for it")
    with open(path, "a+", encoding="utf-8") as handle:
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise InputError(
                    f"{path}: its file system has no locks ({error.strerror}); put the results on another one, or ask "
                    "for it to be mounted with locks"
                ) from None
            handle.seek(0)
            holder = handle.read().strip() or "unknown"
            raise Busy(f"{folder} is in use by another job ({holder}); wait for it") from None
        _held.add(path)
        try:
            handle.truncate(0)
            handle.write(this_job())
            handle.flush()
            yield
            handle.truncate(0)
        finally:
            _held.remove(path)


def failure(folder: Path) -> dict[str, Any] | None:
    """Why the last attempt in a state folder failed; None where it did not, or where another has started since.

    when (ISO 8601, UTC), kind (`defect`, or `input` for what a user can put right), error, where (the last line of
    growthpace it passed, `file:line`), job, code (`code_version` of the attempt).
    """
    from growthpace.files import read_json

    path = folder / "failed.json"
    return read_json(path) if path.exists() else None


def this_job() -> str:
    """This process, its host and its SLURM job, for people to find it."""
    job = os.environ.get("SLURM_JOB_ID")
    return f"process {os.getpid()} on {os.uname().nodename}" + (f", SLURM job {job}" if job else "")


def code_version() -> str:
    """growthpace's version and a hash of its source: a failure of the same code would come again."""
    from growthpace.files import fingerprint, sha256

    package = Path(__file__).parent
    source = [[str(path.relative_to(package)), sha256(path)] for path in sorted(package.rglob("*.py"))]
    return f"{__version__}+{fingerprint(source)}"


def _where(error: Exception) -> str | None:
    package, found, trace = Path(__file__).parent, None, error.__traceback__
    while trace:
        path = Path(trace.tb_frame.f_code.co_filename)
        if path.is_relative_to(package):
            found = f"{path.relative_to(package.parent)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


# --- exit codes -------------------------------------------------------------------------------------------------------

MEMORY_WORDS = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
SPACE_WORDS = ("No space left on device", "Disk quota exceeded", "inline_container.cc")
"""What libraries say in exceptions of their own kind: safetensors quotes the system, torch names its zip writer."""
REMEDIES = {
    "train": "lower training.microbatch_tokens or set training.gradient_checkpointing: true, or use more memory",
    "predict": "lower max_new_tokens of the suite, or use more memory",
}


def exit_code(error: BaseException) -> int:
    """The exit code of a job that ends with this exception."""
    for code, kind in ((BAD_INPUT, InputError), (STOPPED, Stopped), (BUSY, Busy), (OUT_OF_MEMORY, MemoryError)):
        if isinstance(error, kind):
            return code
    text, number, torch = str(error), getattr(error, "errno", None), sys.modules.get("torch")
    if number in (errno.ENOSPC, errno.EDQUOT):
        return NO_SPACE
    if number == errno.ENOMEM or (torch and isinstance(error, torch.OutOfMemoryError)):
        return OUT_OF_MEMORY
    if isinstance(error, RuntimeError) and any(words in text for words in MEMORY_WORDS):
        return OUT_OF_MEMORY
    if any(words in text for words in SPACE_WORDS) and "PytorchStreamReader" not in text:  # that is a damaged file
        return NO_SPACE
    return DEFECT


def run_and_exit(work: Callable[[], None]) -> NoReturn:
    """Runs `work` and ends this process with its exit code at once, without the interpreter's own clearing up.

    For forks, whose clearing up is their parent's, and for ranks: threads of a process group that outlive it abort
    the interpreter (measured with DeepSpeed on gloo: exit code 134 after all was done).
    """
    code = DEFECT
    try:
        work()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def message(error: BaseException, arguments: list[str]) -> str:
    """What the user is told of an exception whose exit code is not `DEFECT`; `arguments` of the command line."""
    code = exit_code(error)
    said = (str(error) or type(error).__name__).splitlines()[0]
    if code == OUT_OF_MEMORY:
        remedy = REMEDIES.get(arguments[0] if arguments else "", "use more memory")
        return f"out of memory ({said}); {remedy}"
    if code == NO_SPACE:
        place = Path(getattr(error, "filename", None) or "results").absolute()
        while not place.exists():
            place = place.parent
        usage = shutil.disk_usage(place)
        while not os.path.ismount(place):
            place = place.parent
        free = f"{usage.free / 1e9:.2f} of {usage.total / 1e9:.2f} GB are free"
        return f"no space to write on the file system {place} ({free}; a quota may allow less): {said}"
    return str(error)
