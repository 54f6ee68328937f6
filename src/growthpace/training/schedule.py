"""The learning rate at each step, in closed form."""

from __future__ import annotations


def learning_rate_at(step: int, steps: int, peak: float, floor: float, warmup_steps: int) -> float:
    """Learning rate of optimiser step `step` (0 to steps - 1).

    Linear from 0 (exclusive) to `peak` over `warmup_steps`, then linear from `peak` at the first step after warm-up
    to `floor` at the last step, so that the floor is really reached (the paper's claim; its released code went to 0).
    """
    if step < warmup_steps:
        return peak * (step + 1) / (warmup_steps + 1)
    remaining = steps - 1 - warmup_steps
    share = (step - warmup_steps) / remaining if remaining > 0 else 0.0
    return peak * (1 - share) + floor * share
