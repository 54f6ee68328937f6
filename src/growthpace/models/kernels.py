"""Which of torch's attention kernels are used on a GPU."""

from __future__ import annotations

import torch


def steady_kernels() -> None:
    """Leaves cuDNN's attention out of torch's choice, for this process.

    It makes a plan for every new shape, and here nearly every shape is new: items of all lengths, caches that grow by a
    token. torch's own kernels (flash, memory-efficient) need none.
    """
    torch.backends.cuda.enable_cudnn_sdp(False)
