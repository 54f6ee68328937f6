"""Fits against independent references: closed forms, scipy's curve_fit, and profiles computed point by point."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from known_curves import CHANCE, LAWS, SIZES, VOLUMES, arrays_to_curve, exact, score, simulated
from scipy.optimize import curve_fit, minimize
from scipy.special import stdtrit
from scipy.stats import f as f_law

from growthpace.analysis.fitting import FITTED, HOLDS, REFUSED, fit, inflation, with_scatter
from growthpace.analysis.forms import FORMS
from growthpace.analysis.observed import Curve
from growthpace.analysis.separable import Problem
from growthpace.analysis.uncertainty import Noise, make_sample

LEVEL = 0.95


def test_every_form_says_what_it_is():
    for name, form in FORMS.items():
        start, ceiling, shape = LAWS[name]
        assert form.name == name
        assert len(form.parameters) == (1 if form.start else 0) + 1 + len(form.shapes) == len(set(form.parameters))
        assert CHANCE <= start <= ceiling <= 1
        share = form.between(VOLUMES, SIZES[0], np.array([shape]), VOLUMES, SIZES)[0]
        assert ((share >= 0) & (share <= 1)).all()
        assert (np.diff(share) >= 0).all()
        if form.solve:
            again = form.solve(share[2:4], np.array([shape, shape]), VOLUMES)
            assert again == pytest.approx(VOLUMES[2:4])


@pytest.mark.parametrize("name", FORMS)
def test_a_law_without_noise_is_recovered(name):
    law = fit(exact(name), FORMS[name], LEVEL)
    assert law.status == FITTED
    start, ceiling, shape = LAWS[name]
    values = [*([start] if FORMS[name].start else []), ceiling, *shape]
    assert [own.value for own in law.parameters] == pytest.approx(values, rel=1e-3)
    assert law.chi2 == pytest.approx(0, abs=1e-3)
    for own, true in zip(law.parameters, values, strict=True):
        assert own.low <= true <= own.high
    found = law.at(VOLUMES[[2, 5]])
    assert [own.value for own in found] == pytest.approx(score(name, VOLUMES[[2, 5]], SIZES[0]), abs=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_linear_is_closed_form_generalised_least_squares(seed):
    curve = simulated("linear", seed, chance=0.0)[0]  # no bound is near
    law = fit(curve, FORMS["linear"], LEVEL)
    along = np.log(VOLUMES / VOLUMES[0]) / np.log(VOLUMES[-1] / VOLUMES[0])
    design = np.stack([1 - along, along], axis=1)
    inverse = np.linalg.inv(curve.covariance)
    covariance = np.linalg.inv(design.T @ inverse @ design)
    expected = covariance @ design.T @ inverse @ curve.scores
    assert [own.value for own in law.parameters] == pytest.approx(expected)
    # Its intervals too: a quadratic's profile is value +- t * error.
    half = stdtrit(curve.df, 0.975) * np.sqrt(inflation(curve, 6) * np.diag(covariance))
    assert [own.high - own.value for own in law.parameters] == pytest.approx(half, rel=0.01)
    slope = np.array([-1, 1]) * 100 * np.log(4) / np.log(VOLUMES[-1] / VOLUMES[0])
    pace = law.pace_at(640)
    assert pace.value == pytest.approx(slope @ expected)
    half = stdtrit(curve.df, 0.975) * np.sqrt(inflation(curve, 6) * slope @ covariance @ slope)
    assert pace.high - pace.value == pytest.approx(half, rel=0.01)
    left = curve.scores - design @ expected
    assert law.chi2 == pytest.approx(left @ inverse @ left)
    assert law.goodness == pytest.approx(f_law.sf(law.chi2 / 6 / inflation(curve, 6), 6, curve.df))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["power", "logistic"])
def test_a_fit_is_scipys_curve_fit(name, seed):
    curve = simulated(name, seed, items=1500)[0]

    def power(v, first, ceiling, exponent):
        return ceiling - (ceiling - first) * (v / 10) ** -exponent

    def logistic(v, ceiling, middle, steepness):
        return CHANCE + (ceiling - CHANCE) / (1 + np.exp(-steepness * (np.log(v) - middle)))

    of = {"power": (power, (0.3, 0.7, 0.5)), "logistic": (logistic, (0.7, 6.0, 1.0))}[name]
    found, covariance = curve_fit(*of[:1], VOLUMES, curve.scores, of[1], sigma=curve.covariance, absolute_sigma=True)
    law = fit(curve, FORMS[name], LEVEL)
    ours = [np.log(p.value) if p.name == "midpoint" else p.value for p in law.parameters]
    assert ours == pytest.approx(found, rel=2e-3)
    # With many items the profile is nearly a parabola: the ends are those of curve_fit's errors.
    half = stdtrit(curve.df, 0.975) * np.sqrt(np.diag(covariance) * inflation(curve, 5))
    assert (law.parameters[-1].high - law.parameters[-1].low) / 2 == pytest.approx(half[-1], rel=0.1)


@pytest.mark.parametrize("seed", range(3))
def test_intervals_end_where_the_profile_reaches_its_border(seed):
    curve = simulated("power", seed, items=150)[0]
    law = fit(curve, FORMS["power"], LEVEL)
    border = law.chi2 + stdtrit(curve.df, 0.975) ** 2 * inflation(curve, 5)
    inverse = np.linalg.inv(curve.covariance)

    def profile(exponent):
        def squares(ends):
            left = curve.scores - (ends[1] - (ends[1] - ends[0]) * (VOLUMES / 10) ** -exponent)
            return left @ inverse @ left

        bounds = [(CHANCE, 1), (CHANCE, 1)]
        return minimize(squares, law.best[0], bounds=bounds, method="L-BFGS-B", options={"ftol": 1e-14}).fun

    exponent = law.parameter("exponent")
    width = exponent.high - exponent.low
    for inside, outside in ((exponent.low, exponent.low - 0.05 * width), (exponent.high, exponent.high + 0.05 * width)):
        assert profile(outside) > border
        assert profile(inside + np.sign(exponent.value - inside) * 0.05 * width) < border
    # And no parameters within the border reach further than the curve's interval.
    largest = law.at([VOLUMES[-1]])[0]
    share = 1 - (VOLUMES[-1] / 10) ** -exponent.value
    within = (1 - share) * law.best[0, 0] + share * law.best[0, 1]
    assert largest.low < within < largest.high


def test_what_cannot_be_fitted_is_refused_with_a_reason():
    curve = exact("power", volumes=VOLUMES[:3])
    law = fit(curve, FORMS["power"], LEVEL)
    assert law.status == REFUSED
    assert "3 parameters and needs more points than that, there are 3" in law.reason
    assert law.parameters == ()
    assert np.isnan(law.chi2)
    assert "models of two sizes" in fit(exact("power"), FORMS["joint"], LEVEL).reason
    assert "in volume alone" in fit(exact("joint"), FORMS["power"], LEVEL).reason
    assert "41 would do" in fit(replace(exact("power"), item_df=30), FORMS["power"], LEVEL).reason
    lost = replace(exact("power"), items=np.full((8, 8), np.nan))
    assert "one cluster" in fit(lost, FORMS["power"], LEVEL).reason
    same = replace(exact("power"), volumes=np.full(8, 10.0))
    assert "two volumes" in fit(same, FORMS["power"], LEVEL).reason


def test_parameters_that_the_data_do_not_tell_are_said_to_be_so():
    flat = replace(exact("constant"), scores=np.full(8, 0.45))
    law = fit(flat, FORMS["power"], LEVEL)
    assert law.status == FITTED
    assert "below 0.02 or above 4" in law.parameter("exponent").unidentified
    far = fit(exact("linear"), FORMS["power"], LEVEL)  # a straight line has no ceiling to be seen
    assert not far.parameter("ceiling").identified
    assert "ceiling of 1" in far.parameter("ceiling").unidentified
    assert fit(exact("power"), FORMS["power"], LEVEL).parameter("ceiling").identified


def test_bounds_are_kept():
    low = replace(exact("constant"), scores=np.linspace(0.20, 0.24, 8))
    for name in ("constant", "linear", "power", "logistic", "rectified"):
        law = fit(low, FORMS[name], LEVEL)
        for own in law.at([10, 640, 163840]):
            assert CHANCE - 1e-9 <= own.low <= own.value <= own.high <= 1


def test_without_a_second_seed_the_scatter_tells_the_noise():
    curve, *_ = simulated("linear", 1, seeds=1, items=2000, shared=0.04)
    assert curve.noise.df == 0
    raised = with_scatter(curve, FORMS["linear"])
    assert raised.noise.df == 6
    assert Problem(raised, FORMS["linear"]).quick()[2] == pytest.approx(6, rel=0.1)
    law = fit(curve, FORMS["linear"], LEVEL)
    assert law.scatter
    assert np.isnan(law.goodness)
    level = law.at([640])[0]
    from_items = np.sqrt(curve.items.mean())
    assert level.high - level.low > 1.5 * 2 * 1.96 * from_items
    assert law.holds  # what seeds do is unknown, so that nothing speaks against it
    refuted = fit(replace(curve, noise=Noise(0.0, 0.0, 8)), FORMS["linear"], LEVEL)
    assert refuted.goodness < HOLDS
    assert not refuted.holds
    assert refuted.at([640])[0] == level  # seeds that are known to do nothing cannot explain it: the scatter again
    quiet = exact("linear", noise=Noise(float("nan"), float("nan"), 0))
    assert with_scatter(quiet, FORMS["linear"]) is quiet


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_the_order_of_items_and_points_changes_nothing(seed, random):
    curve, _, values, columns = simulated("power", seed, items=100)
    rows, order = list(range(100)), list(range(8))
    random.shuffle(rows)
    random.shuffle(order)
    sample = make_sample(np.zeros(100), np.full(100, "", dtype=object))
    moved = arrays_to_curve(sample, values[rows], [columns[place] for place in order], VOLUMES[order])
    for name in ("linear", "power"):
        one, other = fit(curve, FORMS[name], LEVEL), fit(moved, FORMS[name], LEVEL)
        assert other.chi2 == pytest.approx(one.chi2, rel=1e-3, abs=1e-6)
        there, here = other.at([640])[0], one.at([640])[0]
        assert [there.value, there.low, there.high] == pytest.approx([here.value, here.low, here.high], abs=2e-3)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["linear", "power", "logistic"]))
def test_more_of_the_same_items_narrow_an_interval(seed, name):
    few, _, values, columns = simulated(name, seed, items=60)
    sample = make_sample(np.zeros(240), np.full(240, "", dtype=object))
    many = arrays_to_curve(sample, np.tile(values, (4, 1)), columns, VOLUMES)
    wide, narrow = (fit(curve, FORMS[name], LEVEL).at([VOLUMES[-1]])[0] for curve in (few, many))
    assert narrow.high - narrow.low < wide.high - wide.low


@settings(max_examples=20, deadline=None)
@given(st.floats(0.0, 0.6), st.sampled_from(["linear", "power", "logistic", "rectified"]))
def test_scores_at_chance_have_pace_zero_within_its_interval(chance, name):
    scores = np.full(8, chance)
    items = 0.01**2 * np.eye(8) + 0.02**2
    noise = Noise(0.0, 0.0, 8)
    curve = Curve(VOLUMES, np.ones(8), scores, items, scores * (1 - scores), chance, 400, noise)
    pace = fit(curve, FORMS[name], LEVEL).pace_at(VOLUMES[-1])
    assert pace.low <= 0 <= pace.high or pace.low == pytest.approx(0, abs=1e-3)


def test_the_same_curve_gives_the_same_fit():
    curve = simulated("rectified", 5, items=100)[0]
    one, other = (fit(curve, FORMS["rectified"], LEVEL) for _ in range(2))
    assert one.parameters == other.parameters
    assert one.at([640]) == other.at([640])
