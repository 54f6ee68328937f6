"""Why SLURM lets a job wait, in plain words. The names are those of squeue's manual page."""

from __future__ import annotations

REASONS = {
    "None": "SLURM has not looked at it yet",
    "Resources": "it is next; what it asks for is not free yet",
    "Priority": "other jobs come first",
    "Dependency": "it waits for another job",
    "BeginTime": "SLURM holds it for a short time, as after a requeue",
    "JobHeldUser": "held; `scontrol release` lets it go",
    "JobHeldAdmin": "held by an administrator",
    "Licenses": "a licence is not free",
    "Reservation": "its reservation has not begun",
    "ReqNodeNotAvail": "nodes that it needs are down, drained or reserved, perhaps for maintenance",
    "PartitionDown": "its partition is down",
    "PartitionInactive": "its partition takes no jobs to run",
    "PartitionTimeLimit": "it asks for more time than its partition gives: check max_hours in the site's file",
    "PartitionNodeLimit": "it asks for more nodes than its partition gives: check max_nodes in the site's file",
    "PartitionConfig": "its partition does not give what it asks for: check the site's file",
    "AccountNotAllowed": "its account may not use this partition: check account in the site's file",
    "QOSNotAllowed": "its QOS may not be used here: check qos in the site's file",
    "InvalidAccount": "SLURM does not know its account: check account in the site's file",
    "InvalidQOS": "SLURM does not know its QOS: check qos in the site's file",
    "BadConstraints": "no node can ever give what it asks for: check the site's file",
    "Cleaning": "its last attempt is being cleaned up",
    "Prolog": "the node is being prepared",
    "JobLaunchFailure": "it could not be started, perhaps a broken node",
    "NonZeroExitCode": "its last attempt ended with an error",
    "NodeDown": "a node that it needs is down",
    "FrontEndDown": "no front end of the cluster can start it",
    "SystemFailure": "something of SLURM or the network failed",
    "launch failed requeued held": "it could not be started and is held; `scontrol release` lets it go",
    "job requeued in held state": "it was requeued and is held; `scontrol release` lets it go",
}

_LIMITED = {
    "GRES": "GPUs",
    "Wall": "time",
    "Minutes": "minutes",
    "Cpu": "CPUs",
    "CPU": "CPUs",
    "Mem": "memory",
    "Node": "nodes",
    "Submit": "queued jobs",
    "Jobs": "jobs",
    "Billing": "billed use",
    "Usage": "use of the cluster",
}
_WHOSE = {
    "QOS": "the QOS",
    "AssocGrp": "your account's group",
    "Assoc": "your account",
    "MaxNode": "the partition",
}


def in_words(reason: str) -> str:
    """A reason in a few words; SLURM's own name of one that is not known here."""
    name = reason.split(",")[0].strip("() ")  # ReqNodeNotAvail, UnavailableNodes:n1
    if name in REASONS:
        return REASONS[name]
    whose = next((words for key, words in _WHOSE.items() if name.startswith(key)), None)
    if whose is None:
        return name
    what = next((words for key, words in _LIMITED.items() if key in name), "use")
    if "PerJob" in name:
        return f"it asks for more {what} than {whose} allows one job"
    return f"{whose} limits the {what}{' of one user' if 'PerUser' in name else ''}; it starts when others end"
