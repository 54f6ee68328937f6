"""Uncertainty against independent references: hand formulas in loops, bootstraps, and simulated coverage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import grades_of
from scipy.stats import binomtest
from scipy.stats import t as student

from growthpace.analysis.curves import RESPONSIVE, classify, slope_terms, slope_weights
from growthpace.analysis.uncertainty import (
    Noise,
    Term,
    cluster_variance,
    contrast,
    make_sample,
    quantile,
    satterthwaite,
    score_interval,
    seed_noise,
    wilson,
)

SILENT = Noise(float("nan"), float("nan"), 0)
VOLUMES = (40, 160, 640, 2560)


def sample_of(items, groups=None):
    return make_sample(np.zeros(items), np.array([""] * items if groups is None else groups, dtype=object))


@pytest.mark.parametrize(("hits", "trials"), [(0, 10), (3, 10), (10, 10), (71, 100)])
def test_wilson_is_scipys(hits, trials):
    expected = binomtest(hits, trials).proportion_ci(0.95, "wilson")
    assert wilson(hits / trials, trials, quantile(0.975, float("inf"))) == pytest.approx((expected.low, expected.high))


def test_quantiles_are_scipys():
    assert quantile(0.975, 7.5) == pytest.approx(student.ppf(0.975, 7.5))
    assert np.isnan(quantile(0.975, float("nan")))


def test_clustered_variance_against_a_loop_and_a_bootstrap():
    rng = np.random.default_rng(1)
    groups = np.array([f"g{i % 30}" if i < 90 else "" for i in range(120)], dtype=object)
    values = rng.normal(size=30)[np.arange(120) % 30] + rng.normal(size=120)
    clusters = [np.flatnonzero(groups == g) for g in sorted(set(groups)) if g] + [[i] for i in range(90, 120)]
    sums = np.array([(values[list(rows)] - values.mean()).sum() for rows in clusters])
    by_hand = len(clusters) / (len(clusters) - 1) * (sums**2).sum() / 120**2
    found = cluster_variance(sample_of(120, groups), values[:, None])[0, 0]
    assert found == pytest.approx(by_hand)
    # A bootstrap of whole clusters knows nothing of the formula.
    totals, sizes = np.array([[values[list(r)].sum(), len(r)] for r in clusters]).T
    draws = rng.integers(0, len(clusters), (20_000, len(clusters)))
    bootstrapped = (totals[draws].sum(1) / sizes[draws].sum(1)).std()
    assert np.sqrt(found) == pytest.approx(bootstrapped, rel=0.05)


def test_a_pace_is_the_least_squares_slope_and_its_item_error_that_of_per_item_slopes():
    rng = np.random.default_rng(2)
    values = (rng.random((80, 4)) < rng.random((80, 1))).astype(float)
    columns = {volume: np.array([place]) for place, volume in enumerate(VOLUMES)}
    found = contrast(sample_of(80), values, slope_terms(columns), SILENT)
    design = np.column_stack([np.ones(4), np.log(VOLUMES) / np.log(4)])
    slopes = np.array([np.linalg.lstsq(design, 100 * item, rcond=None)[0][1] for item in values])
    assert found.value == pytest.approx(np.linalg.lstsq(design, 100 * values.mean(axis=0), rcond=None)[0][1])
    assert found.standard_error == pytest.approx(slopes.std(ddof=1) / np.sqrt(80))
    assert found.df == pytest.approx(79)
    # The same from the full covariance of the four scores.
    weights = 100 * slope_weights(list(VOLUMES))
    assert found.standard_error**2 == pytest.approx(weights @ np.cov(values.T) @ weights / 80)


def test_items_shared_by_volumes_cancel():
    rng = np.random.default_rng(3)
    easy = (rng.random(200) < 0.5).astype(float)
    values = np.column_stack([easy] * 3 + [np.where(rng.random(200) < 0.1, 1 - easy, easy)])
    columns = {volume: np.array([place]) for place, volume in enumerate(VOLUMES)}
    found = contrast(sample_of(200), values, slope_terms(columns), SILENT)
    unpaired = np.sqrt((slope_weights(list(VOLUMES)) ** 2 * values.var(axis=0, ddof=1) / 200).sum()) * 100
    assert found.standard_error < 0.5 * unpaired


def test_seed_noise_and_the_seed_part_by_hand():
    rng = np.random.default_rng(4)
    values = (rng.random((50, 8)) < 0.4).astype(float)
    cells = [np.array([0, 1, 2]), np.array([3, 4]), np.array([5]), np.array([6, 7])]
    between = scale = flicker = 0.0
    for cell in cells:
        block, seeds = values[:, cell], len(cell)
        if seeds > 1:
            scores = block.mean(axis=0)
            between += (seeds - 1) * scores.var(ddof=1)
            scale += (seeds - 1) * scores.mean() * (1 - scores.mean())
            for s in range(seeds):
                residual = block[:, s] - block.mean(axis=1) - scores[s] + block.mean()
                flicker += 50 / 49 * (residual**2).sum() / 50**2
    noise = seed_noise(sample_of(50), values, cells)
    assert noise.df == 4
    assert noise.dispersion == pytest.approx(between / scale)
    assert noise.flicker == pytest.approx(flicker / scale)

    loud = Noise(0.05, 0.01, 4)
    found = contrast(sample_of(50), values, [Term(2.0, cells[0]), Term(-1.0, cells[1])], loud)
    levels = [values[:, cell].mean() for cell in cells[:2]]
    parts = [c**2 * p * (1 - p) / n for c, p, n in zip((2, -1), levels, (3, 2), strict=True)]
    assert found.seed_error**2 == pytest.approx(0.05 * sum(parts))
    assert found.standard_error**2 == pytest.approx(found.item_error**2 + 0.04 * sum(parts))
    variances = np.array([found.item_error**2, found.seed_error**2])
    assert found.df == pytest.approx(found.standard_error**4 / (variances**2 / [49, 4]).sum())


def test_one_seed_everywhere_leaves_seeds_unknown():
    values = np.eye(6)
    assert seed_noise(sample_of(6), values, [np.array([0]), np.array([1])]).df == 0
    found = contrast(sample_of(6), values, [Term(1.0, np.array([0]))], SILENT)
    assert np.isnan(found.seed_error)
    assert found.standard_error == found.item_error


def test_a_floor_is_not_perfect_knowledge():
    columns = {volume: np.array([place]) for place, volume in enumerate(VOLUMES)}
    for level in (0.0, 1.0):
        found = contrast(sample_of(40), np.full((40, 4), level), slope_terms(columns), SILENT)
        assert found.value == pytest.approx(0)
        assert 0.5 < found.standard_error < 3
    assert score_interval(0.0, 0.0, 39, 40, 0.95) == pytest.approx(wilson(0.0, 40, 1.959964), abs=1e-6)


def test_one_cluster_is_unknown():
    found = contrast(sample_of(5, ["p"] * 5), np.eye(5), [Term(1.0, np.array([0]))], SILENT)
    assert np.isnan(found.standard_error)
    assert classify(found, 0.95, 1.0) == "undecided"


def test_satterthwaite():
    assert satterthwaite([1.0, 1.0], [5, 5]) == pytest.approx(10)  # the case of two equal samples
    assert satterthwaite([1.0, 0.0], [7, 5]) == pytest.approx(7)
    assert satterthwaite([0.0], [3]) == float("inf")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 5))
def test_more_of_the_same_items_narrows(seed, times):
    rng = np.random.default_rng(seed)
    values = (rng.random((20, 4)) < 0.5).astype(float)
    columns = {volume: np.array([place]) for place, volume in enumerate(VOLUMES)}
    few = contrast(sample_of(20), values, slope_terms(columns), SILENT)
    many = contrast(sample_of(20 * times), np.tile(values, (times, 1)), slope_terms(columns), SILENT)
    assert many.value == pytest.approx(few.value)
    assert many.standard_error < few.standard_error or few.standard_error == 0


def simulate(replicates, items=100, groups=0, seeds=2, shared=0.015, slope=0.04, base=0.35, models=2, seed=0):
    """For each replicate, estimates of a pace and of the first point, each with its true value."""
    rng = np.random.default_rng(seed)
    labels = np.array([f"g{i % groups}" if groups else "" for i in range(items)], dtype=object)
    sample = sample_of(items, labels)
    truth = base + slope * (np.arange(4) - 1.5)
    for _ in range(replicates):
        common = rng.normal(size=groups)[np.arange(items) % groups] if groups else rng.normal(size=items)
        difficulty = 0.8 * common + 0.6 * rng.normal(size=items)
        runs = [grades_of(rng, p, difficulty, shared) for _ in range(models) for p in truth for _ in range(seeds)]
        cells = [np.arange(place, place + seeds) for place in range(0, len(runs), seeds)]
        values = np.stack(runs, axis=1)
        noise = seed_noise(sample, values, cells)
        yield (
            contrast(sample, values, slope_terms(dict(zip(VOLUMES, cells[:4], strict=True))), noise),
            contrast(sample, values, [Term(1.0, cells[0])], noise),
            sample,
            truth,
        )


@pytest.mark.parametrize(
    "world",
    [
        {},
        {"items": 40},
        {"groups": 25},
        {"seeds": 3, "shared": 0.04},
        {"seeds": 1, "shared": 0.0},
        {"base": 0.12, "slope": 0.02},
    ],
)
def test_intervals_at_95_percent_cover_the_truth(world):
    paces, levels = [], []
    for pace, point, sample, truth in simulate(1000, **world):
        low, high = pace.interval(0.95)
        paces.append(low <= 100 * (truth[1] - truth[0]) <= high)
        low, high = score_interval(point.value, point.standard_error, point.df, sample.clusters, 0.95)
        levels.append(low <= truth[0] <= high)
    assert 0.92 <= np.mean(paces) <= 0.98
    assert 0.92 <= np.mean(levels) <= 0.98


def test_a_flat_ability_is_seldom_called_responsive():
    found = list(simulate(400, slope=0.0, seed=5))
    assert np.mean([classify(pace, 0.95, 1.0) == RESPONSIVE for pace, *_ in found]) <= 0.05
    covered = [low <= 0 <= high for low, high in (pace.interval(0.95) for pace, *_ in found)]
    assert np.mean(covered) >= 0.92


def test_items_that_hardly_differ_have_a_floor():
    """Nothing discordant, or one item, leaves Bonett and Price's variance; two leave their own."""
    for clusters, groups in ((30, None), (10, [f"p{i // 3}" for i in range(30)])):
        for discordant in range(3):
            values = np.zeros((30, 2))
            values[:15] = 1.0
            values[: 3 * discordant : 3, 1] = 0.0
            found = contrast(
                sample_of(30, groups), values, [Term(1.0, np.array([0])), Term(-1.0, np.array([1]))], SILENT
            )
            floor = 2 / (clusters + 2) ** 2
            by_hand = cluster_variance(sample_of(30, groups), values[:, :1] - values[:, 1:])[0, 0]
            expected = max(by_hand, floor) if discordant < 2 else by_hand
            assert found.standard_error**2 == pytest.approx(expected)
            assert found.floored == (discordant == 0 or (discordant == 1 and floor > 2 * by_hand))
            assert found.df == pytest.approx(clusters - 1)
