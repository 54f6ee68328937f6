"""The learning rate in closed form."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growthpace.training.schedule import learning_rate_at


def test_a_schedule_by_hand():
    rates = [learning_rate_at(step, 7, 8e-5, 2e-5, 2) for step in range(7)]
    assert rates == pytest.approx([8e-5 / 3, 16e-5 / 3, 8e-5, 6.5e-5, 5e-5, 3.5e-5, 2e-5])


@given(st.integers(1, 200), st.integers(0, 250), st.floats(1e-8, 1), st.floats(0, 1))
def test_the_floor_is_reached_at_the_last_step(steps, warmup_steps, peak, share):
    floor = peak * share
    rates = [learning_rate_at(step, steps, peak, floor, warmup_steps) for step in range(steps)]
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
    assert learning_rate_at(9, 10, 1e-3, 0.0, 0) == 0.0
    assert learning_rate_at(0, 1, 1e-3, 0.0, 0) == 1e-3, "a single step learns at the peak"
