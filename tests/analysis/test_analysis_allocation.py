"""A budget divided by growth curves: exact on small grids, bounded by pools, honest about what it does not know."""

from itertools import product

import numpy as np
import pytest
from advice_truth import OWN, response, simulate
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import item_grades

from growthpace.analysis.allocation import ADVISED, REFUSED, allocate, divide, shrunk
from growthpace.analysis.curves import pace
from growthpace.analysis.matrix import blocks
from growthpace.analysis.responses import own_curve, scores
from growthpace.sharing import equal_shares


def logs(slopes, **more):
    """Responses that grow by `slopes` points per fourfold data."""
    return {f"a{n}": [response(f"a{n}", 0.3 + s / 100 * np.log(OWN) / np.log(4), **more)] for n, s in enumerate(slopes)}


def pools(responses, size=64):
    return {(own.source, a): size for a, every in responses.items() for own in every}


# --- the dynamic program ---------------------------------------------------------------------------------------------


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_the_division_is_the_best_of_all(data):
    abilities = data.draw(st.integers(2, 4))
    sizes = data.draw(st.lists(st.integers(0, 5), min_size=abilities, max_size=abilities))
    units = data.draw(st.integers(0, sum(sizes)))
    worth = st.floats(-5, 5)
    tables = [np.array([data.draw(st.lists(worth, min_size=n + 1, max_size=n + 1))]) for n in sizes]
    found = divide(tables, units)[0]
    assert found.sum() == units
    assert all(0 <= k <= n for k, n in zip(found, sizes, strict=True))

    def total(division):
        return sum(table[0, k] for table, k in zip(tables, division, strict=True))

    every = (division for division in product(*(range(n + 1) for n in sizes)) if sum(division) == units)
    assert total(found) == pytest.approx(max(map(total, every)), abs=1e-9)


def test_rows_are_divided_on_their_own():
    rising, flat = np.array([0.0, 1.0, 2.0]), np.zeros(3)
    tables = [np.stack([rising, flat]), np.stack([flat, rising])]
    assert divide(tables, 2).tolist() == [[2, 0], [0, 2]]


def test_more_units_than_there_is_room_for():
    with pytest.raises(ValueError, match="fewer units"):
        divide([np.zeros((1, 2)), np.zeros((1, 2))], 3)


@given(st.integers(0, 60), st.lists(st.integers(0, 12), min_size=1, max_size=6))
def test_equal_shares(total, limits):
    if sum(limits) < total:
        with pytest.raises(ValueError, match="fewer than"):
            equal_shares(total, limits)
        return
    found = equal_shares(total, limits)
    assert sum(found) == total
    assert all(own <= limit for own, limit in zip(found, limits, strict=True))
    open_ = [own for own, limit in zip(found, limits, strict=True) if own < limit]
    assert not open_ or max(found) - min(open_) <= 1


# --- curves -----------------------------------------------------------------------------------------------------------


def test_a_curve_is_its_form_between_its_points_and_beyond():
    steps = np.log(OWN) / np.log(4)
    straight = response("a", 0.3 + 0.06 * steps).curve
    at = np.array([1, 8, 64, 256])
    assert scores(straight, straight.scores[None], at)[0] == pytest.approx(
        0.3 + 0.06 * np.log(at) / np.log(4), abs=1e-9
    )
    flat = response("a", np.full(4, 0.4)).curve
    assert scores(flat, flat.scores[None], at)[0] == pytest.approx(np.full(4, 0.4), abs=1e-6)
    own = 4.0 ** np.arange(6)
    ended = response("a", 0.6 - 0.3 * own**-0.9, own=own).curve
    assert scores(ended, ended.scores[None], own * 2)[0] == pytest.approx(0.6 - 0.3 * (own * 2) ** -0.9, abs=0.01)


def test_scores_that_no_form_can_reach_are_a_constant_at_the_bound():
    """Draws may lie wholly outside [0, 1], where every form is passed over."""
    curve = response("a", 0.0).curve
    count = len(curve.volumes)
    outside = np.stack([np.full(count, -0.3), np.full(count, 1.4), np.full(count, 0.4)])
    found = scores(curve, outside, np.array(OWN, float))
    assert found[:2].tolist() == [[0.0] * len(OWN), [1.0] * len(OWN)]
    assert found[2] == pytest.approx(np.full(len(OWN), 0.4), abs=1e-6)


def test_noise_alone_is_shrunk_away_and_real_differences_stay():
    rng = np.random.default_rng(0)
    covariance = 0.02**2 * np.eye(4) + 0.03**2
    noise = rng.multivariate_normal(np.zeros(4), covariance, (10, 400)) + 0.4
    values, kept = shrunk(noise, covariance)
    assert kept.mean() < 0.15
    assert values.mean(axis=2) == pytest.approx(noise.mean(axis=2))  # levels stay
    slopes = np.linspace(0, 0.1, 10)[:, None, None] * np.arange(4)
    assert shrunk(noise + slopes, covariance)[1].min() > 0.6


def test_the_curve_of_a_study_is_the_mean_over_models_and_its_slope_the_pace():
    grades = item_grades(items=80, abilities={"biology": 6.0, "code": 7.0})
    block = next(own for own in blocks(grades) if own.ability == "biology")
    found, why = own_curve(block, "curated", 2)
    assert not why
    assert found.models == ("tiny", "small")
    assert found.curve.volumes.tolist() == [20, 80, 320, 1280]
    table = pace(grades, 0.95, 1.0)
    paces = table[(table["ability"] == "biology") & (table["source"] == "curated")]["pace"]
    weights = np.log(found.curve.volumes) - np.log(found.curve.volumes).mean()
    slope = 100 * np.log(4) * weights @ found.curve.scores / (weights @ weights)
    assert slope == pytest.approx(paces.mean())
    one, _ = own_curve(block, "curated", 2, ["small"])
    assert one.curve.scores != pytest.approx(found.curve.scores)


@pytest.mark.parametrize(
    ("made", "models", "why"),
    [
        ({"volumes": (40, 160)}, None, "2 volumes of 'curated' that all models have, a curve needs 3"),
        ({"missing": (("tiny", "curated-40", 0), ("tiny", "curated-40", 1)), "volumes": (40, 160, 640)}, None,
         "2 volumes of 'curated' that all models have"),
        ({"sources": ("synthetic",)}, None, "no runs of any model on the grid's 'curated' yet"),
        ({}, ["tiny", "huge"], "no runs of huge on the grid's 'curated' yet"),
    ],
)  # fmt: skip
def test_no_curve_says_why(made, models, why):
    block = next(iter(blocks(item_grades(items=20, abilities={"biology": 6.0, "code": 1.0}, **made))))
    found, reason = own_curve(block, "curated", 2, models)
    assert found is None
    assert why in reason


# --- the advice -------------------------------------------------------------------------------------------------------


def test_straight_lines_in_log_volume_are_divided_by_their_slopes():
    """sum_a b_a log n_a under sum_a n_a = N is largest at n_a = N b_a / sum b."""
    found = allocate(logs([1, 2, 3, 4], error=0.001), pools(logs([0] * 4)), 100, {}, 0.95)
    assert found.status == ADVISED
    assert [found.counts["curated", f"a{n}"] for n in range(4)] == pytest.approx([10, 20, 30, 40], abs=1)
    assert found.equal == {("curated", f"a{n}"): 25 for n in range(4)}
    true = sum(s * np.log(n / 25) / np.log(4) for s, n in zip([1, 2, 3, 4], found.counts.values(), strict=True)) / 4
    assert found.low <= true <= found.high
    assert found.gain == pytest.approx(true, abs=0.03)
    assert found.beyond == ()


@given(
    st.lists(st.floats(0, 8), min_size=2, max_size=4),
    st.lists(st.integers(4, 64), min_size=4, max_size=4),
    st.integers(8, 120),
)
@settings(max_examples=15, deadline=None)
def test_the_budget_is_used_up_and_pools_are_kept(slopes, sizes, budget):
    responses = logs(slopes)
    held = {("curated", a): size for a, size in zip(responses, sizes, strict=False)}
    if sum(held.values()) < budget:
        with pytest.raises(ValueError, match="the budget is"):
            allocate(responses, held, budget, {}, 0.95, draws=5)
        return
    found = allocate(responses, held, budget, {}, 0.95, draws=5)
    assert sum(found.counts.values()) == sum(found.equal.values()) == budget
    assert all(1 <= found.counts[pool] <= size for pool, size in held.items())
    assert found.status == ADVISED or found.counts == found.equal


@given(st.integers(0, 3), st.floats(1, 6))
@settings(max_examples=8, deadline=None)
def test_more_weight_is_never_fewer_items(heavier, weight):
    responses = logs([2, 3, 4, 6], error=0.001)
    before = allocate(responses, pools(responses), 80, {}, 0.95, draws=2)
    after = allocate(responses, pools(responses), 80, {f"a{heavier}": weight}, 0.95, draws=2)
    assert after.counts["curated", f"a{heavier}"] >= before.counts["curated", f"a{heavier}"]


def test_an_ability_without_weight_gets_the_least():
    found = allocate(logs([4, 4, 4, 4]), pools(logs([0] * 4)), 80, {"a1": 0.0}, 0.95)
    assert found.status == ADVISED
    assert found.counts["curated", "a1"] == 1


def test_the_better_source_is_taken():
    responses = logs([2, 6])
    steps = np.log(OWN) / np.log(4)
    for name, slope in (("a0", 0.06), ("a1", 0.01)):
        responses[name].append(response(name, 0.3 + slope * steps, source="other"))
    found = allocate(responses, pools(responses), 32, {}, 0.95)
    assert found.status == ADVISED
    assert set(found.counts) == {("other", "a0"), ("curated", "a1")}
    assert set(found.equal) == {("curated", "a0"), ("curated", "a1")}


def test_beyond_what_was_swept_is_said_and_one_fourfold_step_is_the_end():
    responses = logs([1, 1, 1, 9], error=0.001)
    found = allocate(responses, pools(responses, 10_000), 256, {}, 0.95)
    assert found.beyond == ("a3",)
    assert max(found.counts.values()) <= 4 * 64
    far = allocate(responses, pools(responses, 10_000), 2000, {}, 0.95)
    assert far.status == REFUSED
    assert "4 times the largest number of items" in far.reason


@pytest.mark.parametrize(
    ("responses", "budget", "reason"),
    [
        (logs([0, 0, 0, 0]), 80, "the data cannot tell a division that is better"),
        (logs([3, 3, 3, 3]), 80, "the data cannot tell a division that is better"),  # equal is best: no gain
        (logs([3]), 20, "there is one ability"),
        (logs([3, 4]), 1, "fewer than the smallest volume swept"),
        (logs([1, 9]), 128, "the data cannot tell"),  # all that the pools hold
    ],
)
def test_refused(responses, budget, reason):
    found = allocate(responses, pools(responses), budget, {}, 0.95, draws=100)
    assert found.status == REFUSED
    assert reason in found.reason
    assert found.counts == found.equal


def test_the_same_call_gives_the_same_numbers():
    one, two = (allocate(logs([1, 2, 3, 9]), pools(logs([0] * 4)), 100, {}, 0.95, draws=50) for _ in range(2))
    assert one == two


# --- known truth: benchmarks/advice_coverage.py has many more ---------------------------------------------------------


@pytest.mark.parametrize(("kind", "least"), [("straight", 8), ("ending", 0)])
def test_the_true_gain_of_advice_lies_in_its_interval(kind, least):
    found = [simulate(kind, 6, OWN, 0.006, number, draws=60) for number in range(16)]
    told = [(advice, gain) for advice, gain in found if advice.status == ADVISED]
    assert len(told) >= least
    assert sum(advice.low - 0.02 <= gain <= advice.high + 0.02 for advice, gain in told) >= len(told) - 1
    assert all(gain > 0 for _, gain in told)


def test_noise_is_hardly_ever_advised_on():
    found = [simulate("flat", 6, OWN, 0.03, number, draws=60)[0].status for number in range(16)]
    assert found.count(ADVISED) <= 1
