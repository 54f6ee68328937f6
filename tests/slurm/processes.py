"""Linux's processes, as /proc shows them."""

import os
from pathlib import Path


def environments() -> dict[int, dict[str, str]]:
    """Pid to the environment that it was started with, of every process but this one. Empty where it may not be
    read: another user's process, or one that has ended and not been waited for."""
    found = {}
    for pid in _pids():
        pairs = (pair.partition("=") for pair in _read(pid, "environ").split("\0"))
        found[pid] = {key: value for key, _, value in pairs if key}
    found.pop(os.getpid(), None)
    return found


def command_line(pid: int) -> list[str]:
    """The words that it was started with, or nothing where it has ended."""
    return _read(pid, "cmdline").split("\0")[:-1]


def with_children(pids) -> set[int]:
    """These processes and all that they have started, and those, and so on."""
    parents = {}
    for pid in _pids():
        # The name of the program, in brackets, may hold blanks and brackets.
        if words := _read(pid, "stat").rpartition(")")[2].split():
            parents[pid] = int(words[1])
    found, size = set(pids), -1
    while size != len(found):
        size = len(found)
        found |= {pid for pid, parent in parents.items() if parent in found}
    return found


def send(pids, number):
    """Send a signal to those of these processes that still are."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue  # it ended meanwhile


def _pids():
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*")]


def _read(pid, file):
    try:
        return Path(f"/proc/{pid}/{file}").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""
