"""Where a job goes: the first of the site's partitions that it fits in, and the options that sbatch gets for it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from growthpace.cluster.site import Partition, Site
from growthpace.errors import InputError


@dataclass(frozen=True)
class Need:
    """What a job asks for."""

    cpus: int
    """On each node."""
    memory_mb: int
    """On each node."""
    minutes: int
    gpus: int = 0
    """Over all nodes."""
    nodes: int = 1
    gpu_memory_gb: float | None = None
    """On each GPU, in 2^30 bytes as data sheets count; None where unknown."""
    flexible: bool = False
    """Whether it may get less time: it goes on in another job, or its time is not known."""


def place(need: Need, site: Site, what: str) -> tuple[Partition, Need]:
    """The partition for a job and what it asks for there; `InputError` naming `what` where none of them will do.

    A job without GPUs prefers partitions without them, in the site's order. A flexible job that no partition gives its
    whole time goes to the one that gives the most.
    """
    without = [partition for partition in site.partitions if not partition.gpus_per_node]
    with_gpus = [partition for partition in site.partitions if partition.gpus_per_node]
    refusals = [] if with_gpus or not need.gpus else ["none of them has GPUs"]
    shorter = []
    for partition in with_gpus if need.gpus else [*without, *with_gpus]:
        if refusal := _refusal(need, partition):
            refusals.append(refusal)
        elif need.minutes <= partition.max_hours * 60:
            return partition, need
        else:
            shorter.append(partition)
    if shorter:
        longest = max(shorter, key=lambda partition: partition.max_hours)
        return longest, replace(need, minutes=int(longest.max_hours * 60))
    raise InputError(f"{what} fits in none of the site's partitions: {'; '.join(refusals)}")


def most_memory_mb(need: Need, site: Site) -> int:
    """The most memory a node that a job could have on any partition that gives it the rest."""
    fitting = [p for p in site.partitions if _refusal(replace(need, memory_mb=0), p) is None]
    return int(max((partition.memory_gb_per_node for partition in fitting), default=0) * 1000)


def _refusal(need: Need, partition: Partition) -> str | None:
    per_node = math.ceil(need.gpus / need.nodes)
    asks = [
        (need.nodes, partition.max_nodes, "nodes"),
        (per_node, partition.gpus_per_node if need.gpus else per_node, "GPUs a node"),
        ((need.gpu_memory_gb or 0) if need.gpus else 0, partition.gpu_memory_gb or 0, "GB of memory a GPU"),
        (need.cpus, partition.cpus_per_node, "CPUs a node"),
        (need.memory_mb / 1000, partition.memory_gb_per_node, "GB of memory a node"),
        (0 if need.flexible else need.minutes / 60, partition.max_hours, "hours"),
    ]
    for wanted, offered, unit in asks:
        if wanted > offered:
            return f"{partition.name} gives {offered:g} {unit}, it needs {wanted:g}"
    return None


def sbatch_options(need: Need, partition: Partition, site: Site) -> list[str]:
    """sbatch's options for a job in a partition."""
    options = [f"--partition={partition.name}", f"--nodes={need.nodes}", f"--ntasks={need.nodes}"]
    options += ["--ntasks-per-node=1", f"--cpus-per-task={need.cpus}", f"--mem={need.memory_mb}M"]
    options += [f"--time={need.minutes}"]
    if need.gpus:
        options.append(f"--gres=gpu:{partition.gpu}:{math.ceil(need.gpus / need.nodes)}")
    if account := partition.account or site.account:
        options.append(f"--account={account}")
    if partition.qos:
        options.append(f"--qos={partition.qos}")
    return [*options, *site.sbatch]
