"""The learning rate at each step, in closed form."""

from __future__ import annotations

from growthpace.study import Training


def learning_rate_at(step: int, steps: int, recipe: Training) -> float:
    """Learning rate of optimiser step `step` (0 to steps - 1) of a run with so many steps."""
    if recipe.paper_compatible:
        return recipe.learning_rate * _released_code(step, steps)
    return linear(step, steps, recipe.learning_rate, recipe.learning_rate_floor, recipe.warmup_steps)


def linear(step: int, steps: int, peak: float, floor: float, warmup_steps: int) -> float:
    """From 0 (exclusive) to `peak` over `warmup_steps`, then from `peak` at the first step after warm-up to `floor` at
    the last step, so that the floor is really reached (the paper's claim)."""
    if step < warmup_steps:
        return peak * (step + 1) / (warmup_steps + 1)
    remaining = steps - 1 - warmup_steps
    share = (step - warmup_steps) / remaining if remaining > 0 else 0.0
    return peak * (1 - share) + floor * share


def _released_code(step: int, steps: int) -> float:
    """Share of the peak that the paper's released code trained at: WarmupDecayLR of DeepSpeed 0.9.5, which its
    requirements name, with the warm-up of two steps that this class takes where none is asked for.

    DeepSpeed moves its schedule after each step, so step k has the rate of iteration k - 1: log(k) / log(2) below the
    warm-up's end, then falling to 0 at iteration `steps`. The first step, before any iteration, had the optimiser's
    own rate, the peak (repaired in 2024, DeepSpeed's pull request 6597).
    """
    if step == 0:
        return 1.0
    if step == 1:
        return 0.0  # log(1)
    if step == 2:
        return 1.0  # log(2) / log(2)
    return max(0.0, (steps - (step - 1)) / max(1, steps - 2))
