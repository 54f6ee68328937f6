"""The site: what a SLURM cluster is like, in one short file that its users fill in (`profiles/slurm/site.yaml`).

It says how jobs run, never what they compute. `GROWTHPACE_SITE` names another file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, model_validator

from growthpace.config_file import described, read_yaml
from growthpace.errors import InputError
from growthpace.study.basics import Count, Positive, Strict

SITE = "GROWTHPACE_SITE"
"""Environment variable with the path of the site's file."""
DEFAULT = Path("profiles/slurm/site.yaml")


class Partition(Strict):
    """One partition of the cluster and the most that one job gets there."""

    name: str
    gpu: str | None = None
    """Type of its GPUs as `sinfo -o %G` names it (`gpu:a100:4` is a100); absent for a partition without GPUs."""
    gpu_memory_gb: Positive | None = None
    gpu_tflops: Positive | None = None
    """Dense bf16 peak of one GPU in TFLOP/s from its data sheet, for estimates of time."""
    gpus_per_node: Annotated[int, Field(ge=0)] = 0
    cpus_per_node: Count
    memory_gb_per_node: Positive
    max_hours: Positive
    """Longest time limit of a job. A training that needs longer is resumed in a new job."""
    max_nodes: Count = 1
    qos: str | None = None
    account: str | None = None
    """Where it differs from the site's."""

    @model_validator(mode="after")
    def _gpus(self):
        given = [key for key in ("gpu", "gpu_memory_gb", "gpu_tflops") if getattr(self, key) is not None]
        if self.gpus_per_node and len(given) < 3:
            lacking = sorted({"gpu", "gpu_memory_gb", "gpu_tflops"} - set(given))
            raise ValueError(f"{', '.join(lacking)} missing: a partition with GPUs says what they are")
        if given and not self.gpus_per_node:
            raise ValueError(f"{', '.join(given)} would have no effect without gpus_per_node")
        return self


class Site(Strict):
    """How jobs run on a cluster."""

    account: str | None = None
    """SLURM account (`sacctmgr show associations user=$USER format=account`); absent where the cluster has none."""
    partitions: Annotated[list[Partition], Field(min_length=1)]
    """In the order of preference: a job goes to the first one that it fits in."""
    jobs_at_once: Count = 200
    """SLURM jobs of a study that are queued or running at any time."""
    submissions_per_minute: Count = 60
    batch_minutes: Positive = 15
    """Small predictions are put together into jobs of about this much estimated work."""
    margin_minutes: Positive = 5
    """A job saves and stops this long before its time limit (at most a tenth of the limit)."""
    setup: list[str] = Field(default_factory=list)
    """Shell lines at the start of every job, such as `module load cuda`."""
    sbatch: list[str] = Field(default_factory=list)
    """More options for sbatch, such as `--constraint=ib`."""


def site_path() -> Path:
    """Where the site's file is expected."""
    return Path(os.environ.get(SITE) or DEFAULT)


def load_site(path: Path | None = None) -> Site:
    """The site's file; `InputError` with one line per fault, or where there is none."""
    path = path or site_path()
    if not path.exists():
        raise InputError(
            f"{path}: no such file; copy an example from profiles/slurm/examples/ there and fill in your cluster's "
            "account and partitions (docs/cluster.md), or name another file with --site"
        )
    content = read_yaml(path)
    try:
        return Site.model_validate(content)
    except ValidationError as error:
        raise InputError("\n".join(f"{path}: {line}" for line in described(error, Site, content))) from None
