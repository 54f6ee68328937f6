"""The covariance of a curve's points against the contrasts that everything else is judged by."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from known_curves import VOLUMES, simulated
from made_up import item_grades

from growthpace.analysis.matrix import blocks
from growthpace.analysis.observed import curve_from_arrays, curve_of, item_covariance
from growthpace.analysis.uncertainty import Noise, Term, contrast, make_sample


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_any_contrast_has_the_variance_that_the_contrast_machinery_gives(seed):
    rng = np.random.default_rng(seed)
    items = 120
    values = (rng.random((items, 12)) < rng.random((items, 1))).astype(float)
    groups = np.array([f"g{i // 3}" if i < 60 else "" for i in range(items)], dtype=object)
    sample = make_sample(np.arange(items) % 2, groups)
    columns = list(np.arange(12).reshape(4, 3))
    noise = Noise(0.05, 0.01, 8)
    curve = curve_from_arrays(sample, values, columns, VOLUMES[:4], np.ones(4), np.full(items, 0.25), noise)
    weights = rng.normal(size=4)
    found = contrast(sample, values, [Term(w, own) for w, own in zip(weights, columns, strict=True)], noise)
    assert weights @ curve.scores == pytest.approx(found.value)
    assert weights @ curve.covariance @ weights == pytest.approx(found.standard_error**2)


def test_the_covariance_is_numpys_without_groups():
    curve, _, values, columns = simulated("power", 3)
    means = np.stack([values[:, own].mean(axis=1) for own in columns], axis=1)
    assert curve.items == pytest.approx(np.cov(means.T) / len(values))


def test_runs_that_answer_alike_and_floors_leave_a_covariance_that_can_be_inverted():
    sample = make_sample(np.zeros(30), np.full(30, "", dtype=object))
    easy = (np.arange(30) < 12).astype(float)
    found = item_covariance(sample, np.stack([easy, easy, np.zeros(30)], axis=1))
    difference = np.array([1.0, -1.0, 0.0])
    assert difference @ found @ difference == pytest.approx(2 / 32**2)  # as `contrast` has it
    share = 2 / 34
    assert found[2, 2] == pytest.approx(share * (1 - share) / 34)
    assert np.linalg.eigvalsh(found).min() >= 1 / 32**2 * (1 - 1e-9)


def test_one_cluster_leaves_the_error_unknown():
    sample = make_sample(np.zeros(3), np.array(["p"] * 3, dtype=object))
    assert np.isnan(item_covariance(sample, np.eye(3))).all()


def test_a_curve_of_one_model_and_of_all_from_a_study():
    block = next(block for block in blocks(item_grades()) if block.ability == "biology")
    one = curve_of(block, "curated", ["tiny"])
    assert one.volumes.tolist() == [40, 160, 640, 2560]
    assert set(one.sizes) == {200_000}
    assert one.chance == pytest.approx(0.25)
    both = curve_of(block, "curated", ["tiny", "small"])
    assert both.volumes.tolist() == [40, 160, 640, 2560] * 2
    assert both.scores[:4] == pytest.approx(one.scores)
    assert both.items[:4, :4] == pytest.approx(one.items)
    assert curve_of(block, "nowhere", ["tiny"]) is None


def test_volume_zero_has_no_place():
    sample = make_sample(np.zeros(2), np.full(2, "", dtype=object))
    with pytest.raises(ValueError, match="volume 0"):
        curve_from_arrays(sample, np.eye(2), [np.array([0])], [0], [1], np.zeros(2), Noise(0.0, 0.0, 1))
