"""Whether the site's file says what the cluster itself says: accounts, partitions, QOS, preemption."""

from __future__ import annotations

import getpass
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from growthpace.cluster import slurm
from growthpace.cluster.placement import Need, sbatch_options
from growthpace.cluster.site import Partition, Site

SHORT_GRACE = 120
"""Seconds from SLURM's warning to the end of a preempted job below which a large model may not be saved."""


@dataclass(frozen=True)
class Check:
    """One line of the examination."""

    level: Literal["ok", "warning", "fault"]
    what: str
    """What was looked at."""
    found: str
    advice: str = ""
    """What to do about it; empty where it is fine."""


def check_partitions(site: Site, settings: dict[str, str], accounting: bool) -> Iterator[Check]:
    """Checks of the account and of every partition of the site's file against the cluster."""
    found, described = slurm.partitions(), partition_settings()
    if found is None or described is None:
        yield Check("fault", "partitions", "sinfo does not answer", "try again later")
        return
    enforced = "associations" in settings.get("AccountingStorageEnforce", "")
    yield from _accounts(site, accounting, enforced)
    for partition in site.partitions:
        what = f"partition {partition.name}"
        if partition.name not in found:
            yield Check("fault", what, f"the cluster has none of this name (it has: {', '.join(sorted(found))})",
                         "correct partitions in the site's file")  # fmt: skip
            continue
        faults = list(partition_faults(partition, found[partition.name], described.get(partition.name, {})))
        if not faults:
            yield Check("ok", what, _in_words(partition))
        yield from (Check(level, what, text, "correct the site's file") for level, text in faults)
        yield from _preemption(what, described.get(partition.name, {}), settings)
        if partition.qos:
            yield from _qos(what, partition.qos, accounting)


def partition_faults(
    partition: Partition, facts: slurm.PartitionFacts, described: dict[str, str]
) -> Iterator[tuple[str, str]]:
    """What the site's file says too much of: (level, text)."""
    if not facts.up:
        yield "warning", "it is down now: jobs wait until it is up"
    if facts.max_minutes is not None and partition.max_hours * 60 > facts.max_minutes + 1e-6:
        yield "fault", f"max_hours is {partition.max_hours:g}, the cluster gives {facts.max_minutes / 60:g}"
    most = described.get("MaxNodes", "")
    nodes = min(facts.nodes, int(most)) if most.isdigit() else facts.nodes
    asks = [
        ("max_nodes", partition.max_nodes, nodes),
        ("cpus_per_node", partition.cpus_per_node, facts.cpus_per_node),
        ("memory_gb_per_node", partition.memory_gb_per_node, facts.memory_mb / 1000),
    ]
    for key, said, given in asks:
        tolerance = 1.05 if key == "memory_gb_per_node" else 1  # GB and GiB are mixed up easily
        if said > given * tolerance:
            yield "fault", f"{key} is {said:g}, the cluster gives {given:g}"
    if partition.gpus_per_node:
        given = facts.gpus.get(partition.gpu, facts.gpus.get("", 0))
        types = ", ".join(f"{kind or 'without a type'}: {number}" for kind, number in facts.gpus.items()) or "none"
        if not given:
            yield "fault", f"gpu is {partition.gpu}, but its nodes have {types} (sinfo -o '%P %G')"
        elif partition.gpus_per_node > given:
            yield "fault", f"gpus_per_node is {partition.gpus_per_node}, but its nodes have {types}"


def _in_words(partition: Partition) -> str:
    gpus = f"{partition.gpus_per_node} x {partition.gpu} a node, " if partition.gpus_per_node else "no GPUs, "
    nodes = f"up to {partition.max_nodes} node{'s' * (partition.max_nodes != 1)} a job"
    return f"{gpus}{nodes}, {partition.max_hours:g} h: as the cluster says"


def _preemption(what: str, described: dict[str, str], settings: dict[str, str]) -> Iterator[Check]:
    mode, kind = described.get("PreemptMode", "OFF"), settings.get("PreemptType", "preempt/none")
    if mode == "OFF" or kind.endswith("none"):
        return
    grace = int(described.get("GraceTime", "0") or 0)
    wait = settings.get("KillWait", "").split()
    seconds = grace + (int(wait[0]) if wait and wait[0].isdigit() else 0)
    found = f"jobs may be preempted ({mode.lower()}), with {seconds} s to save (GraceTime {grace} s and KillWait)"
    if seconds >= SHORT_GRACE:
        yield Check("ok", what, found)
    else:
        advice = "a large model needs longer: keep training.save_minutes small, since what follows a save is lost"
        yield Check("warning", what, found, advice)


def _accounts(site: Site, accounting: bool, enforced: bool) -> Iterator[Check]:
    wanted = {account for partition in site.partitions if (account := partition.account or site.account)}
    if not accounting:
        if wanted:
            yield Check("ok", "account", f"{', '.join(sorted(wanted))}: cannot be checked without accounting")
        return
    answer = slurm.ask(["sacctmgr", "-nP", "show", "associations", f"user={getpass.getuser()}", "format=account"])
    known = sorted({line.strip() for line in (answer or "").splitlines() if line.strip()})
    told = ", ".join(known) or "none"
    if answer is None:
        yield Check("warning", "account", "sacctmgr does not say which accounts are yours")
        return
    for account in sorted(wanted - set(known)):
        level = "fault" if enforced else "warning"
        yield Check(
            level, "account", f"{account} is none of yours (you have: {told})", "correct account in the site's file"
        )
    if wanted & set(known):
        yield Check("ok", "account", ", ".join(sorted(wanted & set(known))))
    if not wanted and enforced and not known:
        yield Check("fault", "account", "you have none, and this cluster demands one", "ask its administrators")
    elif not wanted:
        yield Check("ok", "account", f"none given: SLURM takes your default (you have: {told})")


def _qos(what: str, qos: str, accounting: bool) -> Iterator[Check]:
    answer = slurm.ask(["sacctmgr", "-nP", "show", "qos", "format=name"]) if accounting else None
    known = {line.strip() for line in (answer or "").splitlines()}
    if answer is None:
        yield Check("ok", what, f"its QOS {qos} cannot be checked without accounting")
    elif qos not in known:
        names = ", ".join(sorted(known - {""}))
        yield Check(
            "fault", what, f"there is no QOS {qos} (the cluster has: {names})", "correct qos in the site's file"
        )
    else:
        yield Check("ok", what, f"its QOS {qos} exists")


def check_submission(site: Site) -> Iterator[Check]:
    """Asks sbatch, without submitting anything, whether each partition would take a small job."""
    for partition in site.partitions:
        gpus = min(1, partition.gpus_per_node)
        need = Need(cpus=1, memory_mb=min(1000, int(partition.memory_gb_per_node * 1000)), minutes=1, gpus=gpus)
        command = ["sbatch", "--test-only", *sbatch_options(need, partition, site)]
        done = subprocess.run(command, input="#!/bin/bash\ntrue\n", capture_output=True, text=True)
        what = f"partition {partition.name}"
        if done.returncode:
            said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            yield Check("fault", what, f"sbatch would not take a job: {said}", "correct the site's file")
        else:
            yield Check("ok", what, "sbatch would take a job")


def partition_settings() -> dict[str, dict[str, str]] | None:
    """What `scontrol show partition` says, by partition; None if the controller does not answer."""
    answer = slurm.ask(["scontrol", "--oneliner", "show", "partition"])
    if answer is None:
        return None
    found = {}
    for line in answer.splitlines():
        pairs = dict(pair.split("=", 1) for pair in line.split() if "=" in pair)
        if "PartitionName" in pairs:
            found[pairs["PartitionName"]] = pairs
    return found
