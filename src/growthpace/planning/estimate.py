"""What one job asks for and how long it takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """What one job needs. A GB is 1e9 bytes, but for GPU memory."""

    gpus: int
    """GPUs that the job asks for over all nodes; 0 where the site has none, and without a site."""
    nodes: int
    seconds: float | None
    """Wall time of the job; None where it cannot be known."""
    basis: str
    """`measured`: from the throughput of finished jobs of this model. `bound`: from arithmetic and a data sheet.
    `unknown`: nothing to go on."""
    why: str
    """What the time rests on, in one plain sentence."""
    memory_gb: float | None
    """Host memory of all processes of one node."""
    gpu_memory_gb: float | None
    """Needed on each GPU, in what GPU makers call GB (2^30 bytes); None where unknown or where no GPU is used."""
    disk_gb: float | None
    """Most that lies on disk while the job runs."""
    seconds_done: float = 0.0
    """Share of `seconds` that a resumable state has already done."""
