"""What a training's device can do: its stated peak, and its memory."""

from __future__ import annotations

import resource
from typing import NamedTuple

import psutil
import torch


class Peak(NamedTuple):
    """A device's stated peak of dense half-precision matrix arithmetic with fp32 sums."""

    tflops: float
    source: str


_HOPPER = "NVIDIA H100 and H200 data sheets: 1,979 with sparsity, half of it dense (the SXM form)"
PEAKS = {
    # part of torch's name of the device, the longer first: its peak
    "H100 PCIe": Peak(756, "NVIDIA H100 data sheet, PCIe form: 1,513 with sparsity"),
    "H100 NVL": Peak(835, "NVIDIA H100 NVL data sheet: 1,671 with sparsity"),
    "GH200": Peak(989, _HOPPER),
    "H200": Peak(989, _HOPPER),
    "H100": Peak(989, _HOPPER),
    "A100": Peak(312, "NVIDIA A100 data sheet"),
    "A800": Peak(312, "NVIDIA A800 data sheet"),
    "A40": Peak(149.7, "NVIDIA A40 data sheet"),
    "A10G": Peak(70, "AWS, EC2 G5: A10G"),
    "A10": Peak(125, "NVIDIA A10 data sheet"),
    "A6000": Peak(154.8, "NVIDIA RTX A6000 data sheet: 309.7 with sparsity"),
    "L40S": Peak(362, "NVIDIA L40S data sheet: 733 with sparsity"),
    "L4": Peak(121, "NVIDIA L4 data sheet: 242 with sparsity"),
    "V100": Peak(125, "NVIDIA V100 data sheet (fp16)"),
    "T4": Peak(65, "NVIDIA T4 data sheet (fp16)"),
    "RTX 4090": Peak(165.2, "NVIDIA Ada architecture white paper, appendix A: fp16 with fp32 sums"),
    "RTX 3090": Peak(71, "NVIDIA GA102 architecture white paper: fp16 with fp32 sums"),
}


def peak_of(device: str, precision: str) -> Peak | None:
    """The stated peak of a device that torch calls so; None in fp32, for a CPU and for a device that is not listed."""
    if precision == "fp32":
        return None
    return next((peak for name, peak in PEAKS.items() if name in device), None)


def device_name(threads: int) -> str:
    """The GPU's name, or that this is a CPU, with the number of threads."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {threads} threads"


def device_memory(processes_here: int) -> int:
    """Bytes that one process may use: of its GPU what is free, without one its share of the free host memory."""
    if torch.cuda.is_available():
        return torch.cuda.mem_get_info()[0]
    return psutil.virtual_memory().available // processes_here


def peak_memory() -> int:
    """Most bytes that this process has used so far, of its GPU or, without one, of the host's memory."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_reserved()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB
