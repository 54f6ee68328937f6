"""The ranks of a training: processes that train one model together, each on its share of every step's rows.

Rank 0 leads. It alone writes what a run leaves and reads what only one may read; the others are told. With one process
nothing here does anything.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

from growthpace.errors import InputError
from growthpace.interruptible import DEFECT, STOP_SIGNALS, exit_code, listen

T = TypeVar("T")
RANK_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
LONGEST_WAIT = timedelta(hours=2)
"""Of a rank for the others, such as for rank 0 to write a large state; whoever started the ranks ends them sooner where
one is gone (see `launch`)."""


class Ranks:
    """This process among those that train a model; `rank` from 0, `world` in number."""

    def __init__(self, rank: int = 0, world: int = 1):
        self.rank, self.world = rank, world

    @classmethod
    def join(cls, model: str, processes: int, threads: int, deepspeed: bool = False) -> Ranks:
        """Joins the ranks that the environment names as torchrun does (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and
        MASTER_PORT); a process alone where the study wants one.

        threads: of the CPU; deepspeed: whether even one process needs the environment of a rank. Raises `InputError`
        where there are not as many ranks as `processes`, the study's, or more on this node than it has GPUs.
        """
        world = int(os.environ.get("WORLD_SIZE", 1))
        if world != processes:
            raise InputError(
                f"models.{model}.processes is {processes}, but WORLD_SIZE is {world}: start {processes} of them, or "
                "leave it to growthpace train, without WORLD_SIZE"
            )
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # accelerate would take all cores
        if world == 1:
            if not deepspeed:  # accelerate would make a group of one, whose sums have other last bits
                for name in RANK_VARIABLES:
                    os.environ.pop(name, None)
            return cls()
        listen()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)  # see `launch`
        backend = "gloo"
        if torch.cuda.is_available():
            here, gpus = int(os.environ["LOCAL_WORLD_SIZE"]), torch.cuda.device_count()
            if here > gpus:
                raise InputError(
                    f"models.{model}.processes is {processes}, {here} of them on this node, which shows "
                    f"{gpus} GPU{'' if gpus == 1 else 's'} (allowed: as many processes as GPUs, or fewer)"
                )
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
            backend = "cpu:gloo,cuda:nccl"
        if not dist.is_initialized():
            dist.init_process_group(backend, timeout=LONGEST_WAIT)
        return cls(dist.get_rank(), world)

    @property
    def leads(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def share(self, rows: Sequence[T]) -> list[T]:
        """This rank's part of a step's rows: row i goes to rank i mod world."""
        return list(rows[self.rank :: self.world])

    def first(self, work: Callable[[], T]) -> T:
        """What `work` returns on rank 0, on every rank, once rank 0 has done it.

        Where it fails, rank 0 raises what it raised and the others SystemExit with its exit code, in silence.
        """
        if self.world == 1:
            return work()
        found, failed = None, None
        if self.leads:
            try:
                found = work()
            except Exception as error:
                failed = error
        shared = [found, failed and exit_code(failed)]
        dist.broadcast_object_list(shared, src=0, device=torch.device("cpu"))
        if failed:
            raise failed
        if shared[1]:
            raise SystemExit(shared[1])
        return shared[0]

    def total(self, value: float) -> float:
        """Sum over the ranks."""
        return value if self.world == 1 else self._reduced([value], dist.ReduceOp.SUM)[0]

    def any(self, *flags: bool) -> list[bool]:
        """For each flag whether a rank has set it: a decision in common."""
        return list(flags) if self.world == 1 else [bool(flag) for flag in self._reduced(flags, dist.ReduceOp.MAX)]

    def _reduced(self, values: Sequence[float], operation) -> list[float]:
        tensor = torch.tensor(values, dtype=torch.float64)  # on the CPU: gloo's
        dist.all_reduce(tensor, operation)
        return tensor.tolist()

    def wait(self) -> None:
        """Until every rank is here."""
        self.any(False)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Within, a rank whose peers are gone ends with exit code 1 and is no defect of its own: only who left knows
        why. Other ranks than 0 leave it to that to say what all of them found."""
        try:
            yield
        except Exception as error:
            if self.world > 1 and _peers_are_gone(error):
                print(f"growthpace: rank {self.rank}: another rank has ended, so this one does too", file=sys.stderr)
                raise SystemExit(DEFECT) from error
            if not self.leads and exit_code(error) != DEFECT:
                raise SystemExit(exit_code(error)) from error
            raise


def _peers_are_gone(error: BaseException) -> bool:
    gloo = isinstance(error, RuntimeError) and "gloo" in str(error)
    return gloo or isinstance(error, dist.DistError)
