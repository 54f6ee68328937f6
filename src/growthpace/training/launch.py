"""Starts the ranks of a training on this node, and ends them together.

    python -m growthpace.training.launch --processes 4 -- train CONFIG RUN
    srun --nodes 2 --ntasks-per-node 1 --kill-on-bad-exit \\
        python -m growthpace.training.launch --processes 8 --nodes 2 -- train CONFIG RUN

`growthpace train` does this by itself where it is not yet one of several ranks. On several nodes SLURM starts it once
on each and ends all of them where one fails. Unlike torchrun this returns what the ranks returned.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, NoReturn

import typer

from growthpace.errors import InputError
from growthpace.interruptible import BAD_INPUT, STOP_SIGNALS
from growthpace.warm import SOCKET

GRACE_SECONDS = 10
"""Left to the ranks to end by themselves once one has returned an error; none where one was killed."""
OTHER_NODES_SECONDS = 3
"""The first node reports an error that all ranks agree on this much later, since SLURM then kills the other nodes."""
PASSED_ON = (*STOP_SIGNALS, signal.SIGINT)


@dataclass(frozen=True)
class Place:
    """Which of the nodes this is (from 0), and where rank 0 waits for the others."""

    node: int
    nodes: int
    address: str
    port: int


def find_place(
    environment: Mapping[str, str], nodes: int, ask: Callable[..., str], resolves: Callable[[str], bool]
) -> Place:
    """This node's place in the SLURM job that the environment describes; on one node needs no SLURM.

    ask: runs a command and returns what it prints; resolves: whether a host name has an address.
    """
    if nodes == 1:
        return Place(0, 1, "127.0.0.1", _free_port())

    def variable(*names: str) -> str:
        for name in names:
            if environment.get(name):
                return environment[name]
        raise InputError(f"{names[-1]} is not set: on {nodes} nodes this is started by srun, once on each of them")

    found = int(variable("SLURM_STEP_NUM_NODES", "SLURM_NNODES"))
    if found != nodes:
        raise InputError(f"asked for {nodes} nodes, but SLURM_NNODES is {found}")
    hosts = ask("scontrol", "show", "hostnames", variable("SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST")).split()
    # Below the ports that systems hand out by themselves; another step of the job has another.
    port = 10000 + (int(variable("SLURM_JOB_ID")) * 31 + int(environment.get("SLURM_STEP_ID", 0))) % 20000
    return Place(int(variable("SLURM_NODEID")), nodes, _address(hosts[0], ask, resolves), port)


def _address(host: str, ask: Callable[..., str], resolves: Callable[[str], bool]) -> str:
    if resolves(host):
        return host
    words = (word.partition("=") for word in ask("scontrol", "show", "node", host).split())
    described = {key: value for key, _, value in words}
    names = [described[key] for key in ("NodeHostName", "NodeAddr") if described.get(key)]
    for name in names:
        if resolves(name):
            return name
    raise InputError(f"the node {host} has no address (nor has {', '.join(names) or 'what SLURM calls it'})")


def ranks_of(place: Place, processes: int) -> list[dict[str, str]]:
    """Environment variables of this node's ranks, of `processes` on all nodes: as even as can be, the first nodes take
    one more. `InputError` where a node would have none."""
    if processes < place.nodes:
        raise InputError(f"{processes} processes cannot be shared by {place.nodes} nodes (allowed: one each, or more)")
    share, more = divmod(processes, place.nodes)
    here, before = share + (place.node < more), place.node * share + min(place.node, more)
    common = {
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(here),
        "MASTER_ADDR": place.address,
        "MASTER_PORT": str(place.port),
    }
    return [{**common, "RANK": str(before + local), "LOCAL_RANK": str(local)} for local in range(here)]


def launch(arguments: list[str], processes: int, nodes: int) -> int:
    """Runs `growthpace ARGUMENTS` in this node's ranks and returns the highest exit code (128 + number for a signal),
    as srun does.

    A rank that fails ends the others. On other nodes than the first an error that all ranks returned is reported as 0:
    the first node reports it for all of them.
    """
    place = find_place(os.environ, nodes, _ask, _resolves)
    command = [sys.executable, "-m", "growthpace", *arguments]
    environment = {key: value for key, value in os.environ.items() if key != SOCKET}
    ranks: list[subprocess.Popen] = []
    asked: list[int] = []

    def pass_on(number, frame):
        asked.append(number)
        for rank in ranks:
            rank.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in PASSED_ON}
    try:
        for variables in ranks_of(place, processes):
            silent = None if variables["RANK"] == "0" else subprocess.DEVNULL  # rank 0 speaks for all
            known = len(asked)
            ranks.append(subprocess.Popen(command, env=environment | variables, stdout=silent, preexec_fn=_begin_rank))
            for number in asked[known:]:  # came while it was being started
                ranks[-1].send_signal(number)
        codes = _until_ended(ranks)
    finally:
        for rank in ranks:
            rank.kill()
        for number, handler in before.items():
            signal.signal(number, handler)
    agreed = len(codes) == len(ranks) and len(set(codes)) == 1 and 0 < codes[0] < 128
    if agreed and place.nodes > 1:
        if place.node > 0:
            return 0
        time.sleep(OTHER_NODES_SECONDS)
    return max(codes)


def _until_ended(ranks: list[subprocess.Popen]) -> list[int]:
    """Exit codes of the ranks once they have ended; those that had to be ended have none."""
    deadline = None
    while any(rank.poll() is None for rank in ranks):
        failed = [rank.returncode for rank in ranks if rank.returncode]
        if failed and deadline is None:
            deadline = time.monotonic() + (0 if min(failed) < 0 else GRACE_SECONDS)
        if deadline is not None and time.monotonic() >= deadline:
            break
        time.sleep(0.05)
    codes = [rank.returncode for rank in ranks if rank.returncode is not None]
    for rank in ranks:
        rank.kill()
        rank.wait()
    return [code if code >= 0 else 128 - code for code in codes]


def launch_instead(processes: int) -> NoReturn:
    """Runs the command line of this process, `growthpace train ...`, in several ranks, and exits with their code."""
    if sys.argv[1:2] != ["train"]:
        raise InputError(f"{processes} processes train this model, WORLD_SIZE is not set (allowed: growthpace train)")
    sys.exit(launch(sys.argv[1:], processes, int(os.environ.get("SLURM_STEP_NUM_NODES", 1))))


def _begin_rank() -> None:
    """In a new rank: signals wait until it listens (`Ranks.join`), and SIGKILL follows where its launcher is killed, so
    that none is left behind (Linux, prctl(2))."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _ask(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _resolves(host: str) -> bool:
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main(
    arguments: Annotated[list[str], typer.Argument(help="of growthpace: train CONFIG RUN")],
    processes: Annotated[int, typer.Option(min=1, help="ranks on all nodes together")],
    nodes: Annotated[int, typer.Option(min=1, help="nodes; more than one are started by srun")] = 1,
) -> None:
    """Starts the ranks of a training on this node, and ends them together."""
    try:
        code = launch(arguments, processes, nodes)
    except InputError as error:
        print(f"growthpace: {error}", file=sys.stderr)
        code = BAD_INPUT
    sys.exit(code)


if __name__ == "__main__":
    typer.run(main)
