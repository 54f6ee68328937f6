"""The learning rate in closed form."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import tiny
from growthpace.study import load_study
from growthpace.training.schedule import learning_rate_at, linear


def test_a_schedule_by_hand():
    rates = [linear(step, 7, 8e-5, 2e-5, 2) for step in range(7)]
    assert rates == pytest.approx([8e-5 / 3, 16e-5 / 3, 8e-5, 6.5e-5, 5e-5, 3.5e-5, 2e-5])


@given(st.integers(1, 200), st.integers(0, 250), st.floats(1e-8, 1), st.floats(0, 1))
def test_the_floor_is_reached_at_the_last_step(steps, warmup_steps, peak, share):
    floor = peak * share
    rates = [linear(step, steps, peak, floor, warmup_steps) for step in range(steps)]
    assert all(0 < rate <= peak * (1 + 1e-12) for rate in rates if floor > 0)
    rising = rates[: warmup_steps + 1]
    assert rising == sorted(rising)
    falling = rates[warmup_steps:]
    assert all(later <= rate * (1 + 1e-12) for rate, later in pairwise(falling))
    if steps > warmup_steps + 1:
        assert rates[warmup_steps] == peak
        assert rates[-1] == floor
        assert all(rate >= floor * (1 - 1e-12) for rate in falling)


def test_without_floor_the_last_step_is_zero():
    assert linear(9, 10, 1e-3, 0.0, 0) == 0.0
    assert linear(0, 1, 1e-3, 0.0, 0) == 1e-3, "a single step learns at the peak"


@pytest.mark.parametrize("steps", [3, 4, 10, 157])
def test_the_released_code_learned_at_deepspeeds_rates(steps):
    """Against the scheduler that won there, of the DeepSpeed at hand: stepped after each step of the optimiser."""
    schedules = pytest.importorskip("deepspeed.runtime.lr_schedules")
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=1e-5)
    scheduler = schedules.WarmupDecayLR(optimizer, steps, warmup_max_lr=1e-5, warmup_num_steps=max(2, 0))
    rates = [1e-5]  # of DeepSpeed 0.9.5, where the first step had the optimiser's own rate
    for _ in range(steps - 1):
        scheduler.step()
        rates.append(optimizer.param_groups[0]["lr"])
    recipe = tiny.describe_study(Path("base"), PAPER).training
    assert [learning_rate_at(step, steps, recipe) for step in range(steps)] == pytest.approx(rates, rel=1e-12)
    assert rates[1] == 0
    assert rates[-1] == pytest.approx(1e-5 * 2 / (steps - 2) if steps > 3 else 1e-5)


PAPER = {
    "learning_rate": 1e-5,
    "learning_rate_floor": 1e-6,
    "warmup_steps": 0,
    "betas": (0.9, 0.95),
    "paper_compatible": True,
}


def test_the_papers_recipe_and_what_its_code_made_of_it(pytestconfig):
    """`config/doit.yaml` is what the text claims; `paper_compatible` what the code did."""
    claimed = load_study(pytestconfig.rootpath / "config/doit.yaml").training
    assert claimed.effective is claimed
    rates = [learning_rate_at(step, 2355, claimed) for step in range(2355)]  # curated-10000: 157 steps, 15 epochs
    assert (claimed.betas, claimed.weight_decay, claimed.epsilon) == ((0.9, 0.95), 0.1, 1e-8)
    assert (rates[0], rates[-1]) == pytest.approx((1e-5, 1e-6))
    assert np.allclose(np.diff(rates), -9e-6 / 2354)
    did = type(claimed).model_validate({**claimed.model_dump(), "paper_compatible": True}).effective
    rates = [learning_rate_at(step, 2355, did) for step in range(2355)]
    assert (did.betas, did.weight_decay, did.epochs, did.epochs_by_volume) == ((0.9, 0.999), 0.1, 15, {})
    assert (rates[:4], rates[-1]) == ([1e-5, 0, 1e-5, 1e-5], pytest.approx(1e-5 * 2 / 2353))


@pytest.mark.parametrize(("key", "value"), [("betas", (0.9, 0.99)), ("learning_rate_floor", 0.0), ("warmup_steps", 3)])
def test_paper_compatible_wants_the_papers_claims(key, value):
    with pytest.raises(ValidationError, match=f"paper_compatible: {key} .* would have no effect"):
        tiny.describe_study(Path("base"), {**PAPER, key: value})
