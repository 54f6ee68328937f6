"""The choice of a form, the held-out check and the volume that reaches a share of the ceiling."""

import math
from dataclasses import replace

import numpy as np
import pytest
from known_curves import CHANCE, VOLUMES, exact, score, simulated

from growthpace.analysis.fitting import FITTED, HOLDS, REFUSED, fit
from growthpace.analysis.forms import FORMS
from growthpace.analysis.laws import (
    BEYOND,
    IN_RANGE,
    OPEN,
    UNKNOWN,
    choose,
    choose_all,
    held_out,
    leave_one_out,
    reaching,
)
from growthpace.analysis.separable import Problem
from growthpace.analysis.uncertainty import Noise

LEVEL = 0.95
ALONE = [name for name, form in FORMS.items() if not form.joint]


@pytest.mark.parametrize("name", ALONE)
def test_an_exact_law_is_chosen(name):
    chosen = choose(exact(name)).form
    assert chosen.name == name


def test_a_joint_law_is_the_only_one_for_several_sizes():
    choice = choose(exact("joint"))
    assert choice.form.name == "joint"
    assert all(own.reason for own in choice.candidates if own.form.name != "joint")


def test_leaving_out_is_fitting_to_the_rest_by_hand():
    curve = simulated("linear", 2)[0]
    found = leave_one_out([curve], FORMS["linear"])[0]
    for out in range(8):
        kept = np.arange(8) != out
        inverse = np.linalg.inv(curve.covariance[np.ix_(kept, kept)])
        design = np.stack([np.ones(8), np.log(VOLUMES)], axis=1)
        inner = design[kept].T @ inverse
        line = np.linalg.solve(inner @ design[kept], inner @ curve.scores[kept])
        assert found.errors[out] == pytest.approx(100 * (design[out] @ line - curve.scores[out]), abs=1e-6)
    assert found.rms == pytest.approx(math.sqrt((found.errors**2).mean()))


def test_curves_that_are_fitted_together_are_fitted_as_if_alone():
    curves = [simulated(name, seed, items=100)[0] for name in ALONE for seed in range(2)]
    curves += [simulated("power", 3, items=100, volumes=VOLUMES[:6], chance=0.0)[0], exact("joint")]
    together = choose_all(curves)
    for curve, found in zip(curves, together, strict=True):
        alone = choose(curve)
        assert found.form is alone.form
        for one, other in zip(found.candidates, alone.candidates, strict=True):
            assert one.reason == other.reason
            assert one.errors == pytest.approx(other.errors, abs=1e-9)


def test_a_quick_fit_is_near_scipys_best():
    """Every form on every law: the grid with its zoom is within 0.02 of the least sum of squares."""
    for law in ALONE:
        curve = simulated(law, 4, items=100, seeds=2)[0]
        for name in ALONE:
            problem = Problem(curve, FORMS[name])
            inverse = np.linalg.inv(curve.covariance)
            ends, logs, chi2 = problem.quick()
            share = problem.between(logs[None])[0]
            left = curve.scores - ends[0] * (1 - share) - ends[1] * share
            assert chi2 == pytest.approx(left @ inverse @ left, rel=1e-6)
            assert problem.polished()[2] == pytest.approx(chi2, abs=0.02)


def test_the_simpler_form_wins_a_tie():
    flat = replace(exact("constant"), scores=np.full(8, 0.45))
    choice = choose(flat)
    assert choice.form.name == "constant"
    assert max(own.rms for own in choice.candidates if not own.reason) < 0.1  # all of them predict it


def test_a_form_with_too_many_parameters_is_not_tried():
    choice = choose(exact("linear", volumes=VOLUMES[:4]))
    reasons = {own.form.name: own.reason for own in choice.candidates}
    assert reasons["constant"] == reasons["linear"] == ""
    assert "without one volume: power has 3 parameters" in reasons["power"]
    assert choice.form.name == "linear"
    assert choose(exact("linear").only(np.arange(8) < 1)).form is None


def points(*scores: float):
    """A curve of fourfold volumes through `scores`, each with an error of 2 points of its own."""
    curve = exact("linear", error=0.02, volumes=VOLUMES[: len(scores)])
    return replace(curve, scores=np.array(scores), chance=0.2)


def test_a_curve_that_rises_at_its_end_alone_is_not_called_flat():
    """Four points let a constant and a line be left one out: both are refuted, so that fits decide."""
    curve = points(0.27, 0.28, 0.38, 0.60)
    choice = choose(curve)
    by_name = {own.form.name: own for own in choice.candidates}
    assert max(by_name["constant"].goodness, by_name["linear"].goodness) < HOLDS
    assert (choice.form.name, choice.by_prediction) == ("logistic", False)
    assert "without one volume" in by_name["logistic"].reason
    law = fit(curve, choice.form, LEVEL)
    assert law.goodness == pytest.approx(by_name["logistic"].goodness, abs=0.02)
    assert law.holds
    assert not law.scatter


def test_points_that_nothing_goes_through_are_fitted_as_wide_as_they_scatter():
    curve = points(0.30, 0.60, 0.30, 0.60)
    choice = choose(curve)
    assert not choice.by_prediction
    fitted = [own for own in choice.candidates if not math.isnan(own.excess)]
    assert {own.form.name for own in fitted} == {"constant", "linear", "power", "logistic"}
    assert max(own.goodness for own in fitted) < HOLDS
    assert choice.form is min(fitted, key=lambda own: own.excess).form
    law = fit(curve, choice.form, LEVEL)
    assert not law.holds
    assert law.scatter
    ends = law.at(curve.volumes)
    assert all(own.low < seen < own.high for own, seen in zip(ends, curve.scores, strict=True))


def test_three_volumes_leave_a_choice_only_where_noise_can_refute_the_constant():
    rising, flat = points(0.30, 0.45, 0.60), points(0.45, 0.46, 0.44)
    assert (choose(rising).form.name, choose(rising).by_prediction) == ("linear", False)
    assert (choose(flat).form.name, choose(flat).by_prediction) == ("constant", True)
    unknown = Noise(float("nan"), float("nan"), 0)
    assert choose(replace(rising, noise=unknown)).form is None
    assert choose(replace(points(0.30, 0.45, 0.60, 0.75), noise=unknown)).form.name == "linear"


def test_a_form_that_holds_is_preferred_to_a_simpler_one_that_does_not():
    """By squared errors alone `constant` would stay: one volume decides them, so that they differ by chance."""
    curve = points(0.35, 0.37, 0.40, 0.41, 0.42, 0.43, 0.46, 0.47)
    choice = choose(curve)
    by_name = {own.form.name: own for own in choice.candidates}
    assert by_name["constant"].goodness < HOLDS < by_name[choice.form.name].goodness
    assert fit(curve, choice.form, LEVEL).holds


@pytest.mark.parametrize("name", ALONE)
def test_the_largest_volume_of_an_exact_law_is_foretold(name):
    found = held_out(exact(name), LEVEL, FORMS[name])
    assert found.status == FITTED
    assert found.error == pytest.approx(0, abs=0.2)
    assert found.held
    assert found.predicted.low < found.predicted.value < found.predicted.high


def test_a_wrong_form_does_not_foretell():
    """A line that the smaller volumes do not refute misses; one that they do refute claims little."""
    found = held_out(exact("power", error=0.03, volumes=VOLUMES[:5]), LEVEL, FORMS["linear"])
    assert found.error > 10
    assert found.held is False
    refuted = held_out(exact("power", error=0.005), LEVEL, FORMS["linear"])
    assert refuted.error > 10
    assert refuted.predicted.high - refuted.predicted.low > 0.2


def test_shared_items_narrow_a_prediction():
    alone = held_out(exact("linear", error=0.02, shared=0.0), LEVEL, FORMS["linear"])
    together = held_out(exact("linear", error=0.005, shared=math.sqrt(0.02**2 - 0.005**2)), LEVEL, FORMS["linear"])
    width = [found.predicted.high - found.predicted.low for found in (alone, together)]
    assert width[1] < 0.5 * width[0]


def test_a_linear_prediction_interval_is_that_of_textbooks():
    curve = exact("linear", error=0.01, shared=0.0)
    found = held_out(curve, LEVEL, FORMS["linear"])
    x = np.log(VOLUMES) / np.log(4)
    rest = x[:-1] - x[:-1].mean()
    factor = 1 + 1 / 7 + (x[-1] - x[:-1].mean()) ** 2 / (rest @ rest)
    assert found.predicted.high - found.predicted.value == pytest.approx(1.96 * 0.01 * math.sqrt(factor), rel=0.02)


def test_the_check_is_refused_with_a_reason():
    found = held_out(exact("power", volumes=VOLUMES[:4]), LEVEL, FORMS["power"])
    assert found.status == REFUSED
    assert "without the largest volume: power has 3 parameters" in found.reason
    assert found.held is None
    assert math.isnan(found.predicted.value)
    assert held_out(exact("joint"), LEVEL).status == REFUSED
    assert "too few to choose" in held_out(exact("linear", volumes=VOLUMES[:2]), LEVEL).reason


def test_the_volume_at_nine_tenths_of_the_ceiling():
    found = reaching(fit(exact("power"), FORMS["power"], LEVEL))
    by_hand = 10 * ((0.75 - 0.30) / (0.1 * 0.75)) ** (1 / 0.4)
    assert found.status == IN_RANGE
    assert found.volume.value == pytest.approx(by_hand, rel=0.01)
    assert found.volume.low < by_hand < found.volume.high
    assert score("power", np.array([by_hand]), 1e9)[0] == pytest.approx(0.9 * 0.75)
    for name in ("logistic", "rectified"):
        law = fit(exact(name), FORMS[name], LEVEL)
        volume = reaching(law).volume.value
        ceiling = law.parameter("ceiling").value
        assert law.at([volume])[0].value == pytest.approx(0.9 * ceiling, rel=1e-3)


def test_what_is_not_reached_or_not_known_is_said():
    short = exact("logistic", volumes=VOLUMES[:5], error=0.0002, shared=0.0)
    assert reaching(fit(short, FORMS["logistic"], LEVEL)).status == BEYOND
    loose = exact("logistic", volumes=VOLUMES[:6], error=0.01)
    assert reaching(fit(loose, FORMS["logistic"], LEVEL)).status in (OPEN, UNKNOWN)
    endless = reaching(fit(exact("linear"), FORMS["power"], LEVEL))
    assert endless.status == UNKNOWN
    assert "nothing excludes" in endless.reason
    assert reaching(fit(exact("linear"), FORMS["linear"], LEVEL)).reason == "linear has no ceiling"
    assert "size" in reaching(fit(exact("joint"), FORMS["joint"], LEVEL)).reason
    refused = fit(exact("power", volumes=VOLUMES[:3]), FORMS["power"], LEVEL)
    assert reaching(refused).reason == refused.reason


def test_a_start_above_the_share_counts_as_reached_at_the_smallest_volume():
    high = replace(exact("power", error=0.0005), scores=0.7 + 0.02 * (1 - (VOLUMES / 10) ** -0.4))
    found = reaching(fit(high, FORMS["power"], LEVEL))
    assert found.status == IN_RANGE
    assert found.volume.value == VOLUMES[0]
    assert CHANCE < 0.7
