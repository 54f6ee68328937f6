"""The configuration files of a cluster on one machine (see `cluster`)."""

import os
import random
import socket
import subprocess
from pathlib import Path

NODES = ("n1", "n2", "n3", "n4")
GPUS = ("/dev/full", "/dev/null", "/dev/random", "/dev/zero")  # SLURM only asks whether they are devices, and counts


def write(folder: Path, name, *, cpus, memory, grace, requeue_wait, min_job_age, accounting, settings):
    """Write all files into `folder`; what the values mean stands at `Cluster`. `name` may hold a-z, 0-9 and _."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for part in ("state", "spool"):
        (folder / part).mkdir()
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    host, munge = socket.gethostname(), folder / "munge.sock"
    controller_port, database_port, *node_ports = _free_ports(2 + len(NODES))

    slurm = {
        "ClusterName": name,
        "SlurmctldHost": f"{host}(127.0.0.1)",
        "SlurmctldPort": controller_port,
        "SlurmUser": "root",
        # A training on several nodes meets at a port that follows from its job's id: on one machine two clusters must
        # not give the same ids at the same time.
        "FirstJobId": random.SystemRandom().randrange(1000, 30_000, 100),
        "AuthType": "auth/munge",
        # A requeued job waits until its old credentials have expired.
        "AuthInfo": f"socket={munge},cred_expire={requeue_wait}",
        "StateSaveLocation": folder / "state",
        "SlurmdSpoolDir": folder / "spool/%n",
        "SlurmctldPidFile": folder / "slurmctld.pid",
        "SlurmdPidFile": folder / "slurmd-%n.pid",
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_CPU_Memory",
        "DefMemPerCPU": memory // cpus,
        "GresTypes": "gpu",
        "SlurmdParameters": "config_overrides",
        "SchedulerParameters": "bf_interval=2",
        "PreemptType": "preempt/partition_prio",
        "PreemptMode": "REQUEUE",
        "JobRequeue": 1,
        "MinJobAge": min_job_age,
        "KillWait": 5,
        "SlurmdTimeout": 10,
        "SlurmctldTimeout": 10,
        "ReturnToService": 1,  # a silent node comes back by itself, one taken down by hand does not
        "MailProg": "/bin/true",
        # Measured with 22.05: a step above its memory is killed within a second or two. sacct calls the step
        # "CANCELLED by 0" with 0:9, and its job FAILED with 0:9 (reason JobLaunchFailure) if the step was the batch
        # script, else what the script makes of srun's 137. OUT_OF_MEMORY comes from cgroups only.
        "JobAcctGatherType": "jobacct_gather/linux",
        "JobAcctGatherFrequency": "task=1",
        "JobAcctGatherParams": "OverMemoryKill",
    }
    if accounting:
        slurm |= {
            "AccountingStorageType": "accounting_storage/slurmdbd",
            "AccountingStorageHost": "127.0.0.1",
            "AccountingStoragePort": database_port,
            "AccountingStoragePass": munge,
            "AccountingStoreFlags": "job_comment",
            "AccountingStorageTRES": "gres/gpu",
        }
    size = f"CPUs={cpus} RealMemory={memory} Gres=gpu:h200:{len(GPUS)}"
    nodes = [
        f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} {size}"
        for node, port in zip(NODES, node_ports, strict=True)
    ]
    partitions = [
        f"PartitionName=main Nodes=ALL Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime={grace}",
        "PartitionName=short Nodes=ALL PriorityTier=1 PreemptMode=REQUEUE MaxTime=3",
        "PartitionName=urgent Nodes=ALL PriorityTier=10 PreemptMode=OFF",
    ]
    _write_lines(folder / "slurm.conf", [*_pairs(slurm | settings), *nodes, *partitions])
    gpus = f"NodeName={','.join(NODES)} Name=gpu Type=h200 File={','.join(GPUS)} Flags=nvidia_gpu_env"
    _write_lines(folder / "gres.conf", [gpus])
    # Every slurmd loads a plugin for cgroups, used or not, and that of version 2 wants systemd; 23.02 can do without.
    cgroups = "disabled" if _version() >= (23, 2) else "cgroup/v1"
    _write_lines(folder / "cgroup.conf", [f"CgroupPlugin={cgroups}"])

    slurmdbd = {
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={munge}",
        "DbdHost": "localhost",
        "DbdPort": database_port,
        "SlurmUser": "root",
        "PidFile": folder / "slurmdbd.pid",
        "StorageType": "accounting_storage/mysql",
        "StorageHost": "localhost",
        "StorageUser": "root",
        "StorageLoc": "slurm",
    }
    _write_lines(folder / "slurmdbd.conf", _pairs(slurmdbd))
    (folder / "slurmdbd.conf").chmod(0o600)  # or slurmdbd refuses it


def _version():
    """SLURM's version, such as (22, 5): `slurmd -V` says "slurm-wlm 22.05.8"."""
    said = subprocess.run(["slurmd", "-V"], check=True, capture_output=True, text=True).stdout
    return tuple(int(part) for part in said.split()[1].split(".")[:2])


def _pairs(settings):
    return [f"{key}={value}" for key, value in settings.items()]


def _write_lines(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines))


def _free_ports(count):
    """Ports that nobody listens on, below those that Linux gives to outgoing connections."""
    ports = []
    while len(ports) < count:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with socket.socket() as probe:
            if port not in ports and probe.connect_ex(("127.0.0.1", port)) != 0:
                ports.append(port)
    return ports
