"""The contract of a job that may be stopped at any moment: state folder, lock, fingerprint, signals, exit codes.

A job keeps its progress in a state folder that Snakemake does not know as an output (it deletes outputs at the start
of every attempt), under these rules:

- One job at a time: an exclusive lock of the operating system, which a dead holder does not keep.
- A state belongs to what it was computed from: `fingerprint`. A state of anything else is set aside, not used.
- SIGTERM and SIGUSR1 ask the job to save and stop; it does so at its next safe point and exits with `STOPPED`.
- `log.txt` in the state folder outlives attempts (Snakemake deletes its own logs).

Exit codes: 0 done; 1 a defect (traceback); `BAD_INPUT` something that a user can put right; `STOPPED` saved, to be
resumed; `BUSY` another job holds the lock.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
from datetime import UTC, datetime
from pathlib import Path

BAD_INPUT = 2
STOPPED = 75
BUSY = 76


class Busy(RuntimeError):  # noqa: N818 (a state of affairs, no error)
    """Another live job holds the state folder."""


class Stopped(RuntimeError):  # noqa: N818
    """The job was asked to stop and has saved what it needs to go on."""


class StateFolder:
    """A job's state, held exclusively while used as a context manager.

    Raises `Busy` on entry if a live job holds it. On entry a state with another fingerprint is moved to
    `<folder>.stale`, replacing an older one there.
    """

    def __init__(self, folder: Path, fingerprint: str):
        self.folder, self.fingerprint = folder, fingerprint
        self.stop_requested = False

    def __enter__(self) -> StateFolder:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        # The lock lies beside the folder, so that setting a stale state aside does not move the lock.
        self._lock = open(self.folder.with_name(self.folder.name + ".lock"), "a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.seek(0)
            holder = self._lock.read().strip()
            self._lock.close()
            raise Busy(f"{self.folder} is in use by another job ({holder or 'unknown'}); wait for it") from None
        try:
            self._lock.truncate(0)
            self._lock.write(f"process {os.getpid()} on {os.uname().nodename}")
            self._lock.flush()
            self._open_state()
            self._handlers = {s: signal.signal(s, self._request_stop) for s in (signal.SIGTERM, signal.SIGUSR1)}
        except BaseException:
            self._lock.close()
            raise
        return self

    def _open_state(self) -> None:
        known = self.folder / "fingerprint"
        if self.folder.exists() and (not known.exists() or known.read_text() != self.fingerprint):
            stale = self.folder.with_name(self.folder.name + ".stale")
            shutil.rmtree(stale, ignore_errors=True)
            os.replace(self.folder, stale)
        if not self.folder.exists():
            self.folder.mkdir()
            known.write_text(self.fingerprint)

    def _request_stop(self, number, frame):
        self.stop_requested = True

    def __exit__(self, *exc):
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._lock.truncate(0)
        self._lock.close()

    def log(self, line: str) -> None:
        """Adds a dated line to the log that outlives attempts."""
        stamp = datetime.now(UTC).isoformat(timespec="seconds")
        with open(self.folder / "log.txt", "a", encoding="utf-8") as handle:
            handle.write(f"{stamp} {line}\n")
