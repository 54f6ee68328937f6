"""Errors of scores without item grades, beside formulas done by hand and simulated truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, t

from growthpace.analysis.compare import compare
from growthpace.analysis.curves import pace, points, slope_weights
from growthpace.analysis.elsewhere.binomial import Counted, score_blocks
from growthpace.analysis.elsewhere.tables import NEEDED, of_scores
from growthpace.analysis.law_tables import laws
from growthpace.analysis.paired import cells_of
from growthpace.analysis.scores import OVERALL
from growthpace.analysis.uncertainty import Noise, Term, contrast, score_interval


def cells(scores: dict, items=200, chance=0.25, model="m") -> pd.DataFrame:
    """{(ability, dataset source, volume, seed): score} as `chosen.choose` gives a table."""
    rows = []
    for place, ((ability, source, volume, seed), score) in enumerate(scores.items()):
        kind = "untuned" if volume == 0 else "grid"
        rows.append({
            "model": model, "parameters": 10, "dataset": f"{source}-{volume}" if volume else "untuned", "kind": kind,
            "source": source, "volume": volume, "seed": seed, "epoch": 1, "suite": "test", "ability": ability,
            "score": score, "items": items[place] if isinstance(items, list) else items, "chance": chance,
        })  # fmt: skip
    return pd.DataFrame(rows)


def blocks(scores: dict, correlation="unknown", in_domain=("a",), **changes):
    return score_blocks(cells(scores, **changes), list(in_domain), correlation)


def test_a_point_has_wilsons_interval():
    (block,) = blocks({("a", "s", 10, 1): 0.3}, items=50, in_domain=())
    row = points([block], 0.95).iloc[0]
    z = norm.ppf(0.975)
    centre, half = (0.3 + z**2 / 100) / (1 + z**2 / 50), z / (1 + z**2 / 50) * np.sqrt(0.21 / 50 + z**2 / (4 * 50**2))
    assert (row["low"], row["high"]) == pytest.approx((centre - half, centre + half))
    assert row["standard_error"] == pytest.approx(np.sqrt(0.21 / 50))
    assert row["chance"] == 0.25
    assert np.isnan(row["seed_error"])
    assert row["seed_variance_df"] == 0


def test_a_difference_is_of_two_independent_samples():
    found = of_scores(
        blocks({("a", "s", 10, 1): 0.4, ("a", "u", 10, 1): 0.3}, items=[150, 250], in_domain=()), 0.9, 1.0, False
    )["comparisons"].iloc[0]
    error = 100 * np.sqrt(0.24 / 150 + 0.21 / 250)
    assert found["difference"] == pytest.approx(10)
    assert found["standard_error"] == pytest.approx(error)
    assert (found["low"], found["high"]) == pytest.approx((10 - norm.ppf(0.95) * error, 10 + norm.ppf(0.95) * error))
    assert found["minimum_detectable"] == pytest.approx((norm.ppf(0.95) + norm.ppf(0.8)) * error)
    assert found["items"] == 150
    assert found["uncertainty"] == ("items only, binomial, unpaired: same items not known to be shared; conservative")


def test_seeds_widen_a_difference_by_their_pooled_variance():
    scores = {("a", "s", 10, 1): 0.5, ("a", "s", 10, 2): 0.6, ("a", "u", 10, 1): 0.3, ("a", "u", 10, 2): 0.3}
    (block,) = blocks(scores, in_domain=())
    dispersion = 0.005 / (0.55 * 0.45 + 0.3 * 0.7)  # variances 0.005 and 0 over both cells
    assert block.noise.dispersion == pytest.approx(dispersion)
    assert block.noise.df == 2
    found = compare([block], 0.95).iloc[0]
    items = 0.55 * 0.45 / 200 + 0.3 * 0.7 / 200  # two seeds answer the same items: no fewer errors
    seeds = dispersion * (0.55 * 0.45 + 0.3 * 0.7) / 2
    df = (items + seeds) ** 2 / (seeds**2 / 2)
    assert found["standard_error"] == pytest.approx(100 * np.sqrt(items + seeds))
    assert found["df"] == pytest.approx(df)
    half = t.ppf(0.975, df) * 100 * np.sqrt(items + seeds)
    assert found["high"] - found["difference"] == pytest.approx(half)


def test_pace_is_the_slope_with_the_errors_of_independent_scores():
    scores = {("a", "s", volume, 1): score for volume, score in ((10, 0.3), (40, 0.35), (160, 0.5), (640, 0.5))}
    (block,) = blocks(scores, in_domain=())
    row = pace([block], 0.95, 2.0).iloc[0]
    weights, levels = slope_weights([10, 40, 160, 640]), np.array(list(scores.values()))
    assert row["pace"] == pytest.approx(100 * np.polyfit(np.arange(4), levels, 1)[0])
    assert row["standard_error"] == pytest.approx(100 * np.sqrt((weights**2 * levels * (1 - levels) / 200).sum()))
    assert row["gain_over_chance"] == pytest.approx(25)
    assert row["gain_over_chance_error"] == pytest.approx(100 * np.sqrt(0.25 / 200))
    assert np.isnan(row["gain_over_untuned"])


def test_overall_is_the_mean_of_abilities_with_different_items():
    scores = {("a", "s", 10, 1): 0.4, ("b", "s", 10, 1): 0.2, ("c", "s", 10, 1): 0.9}
    found = points(blocks(scores, in_domain=("a", "b"), items=[100, 300, 50]), 0.95).set_index("ability")
    assert list(found.index) == ["a", "b", "c", OVERALL]
    assert found.at[OVERALL, "score"] == pytest.approx(0.3)
    assert found.at[OVERALL, "standard_error"] == pytest.approx(np.sqrt((0.24 / 100 + 0.16 / 300) / 4))
    assert not found.at["c", "in_domain"]


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_a_score_at_the_end_is_not_known_exactly(score):
    (block,) = blocks({("a", "s", 10, 1): score, ("a", "u", 10, 1): score}, items=46, in_domain=())
    found = of_scores([block], 0.95, 1.0, False)["comparisons"].iloc[0]
    assert found["standard_error"] == pytest.approx(100 * np.sqrt(2 * 0.04 * 0.96 / 50))
    assert "items by a floor" in found["uncertainty"]


scores_of = st.lists(st.floats(0.05, 0.95), min_size=3, max_size=6)


@settings(max_examples=15, deadline=None)
@given(scores_of, st.floats(0, 1), st.data())
def test_unknown_is_the_worst_of_all_correlations(levels, correlation, data):
    scores = {("a", "s", 4**place, 1): score for place, score in enumerate(levels, start=1)}
    (unknown,), (known,) = blocks(scores, in_domain=()), blocks(scores, correlation, in_domain=())
    coefficients = data.draw(st.lists(st.floats(-1, 1), min_size=len(levels), max_size=len(levels)))
    terms = [Term(c, np.array([k])) for k, c in enumerate(coefficients)]
    worst = contrast(unknown.sample, unknown.values, terms, unknown.noise)
    other = contrast(known.sample, known.values, terms, known.noise)
    assert worst.value == other.value
    assert worst.standard_error >= other.standard_error - 1e-12
    direction = np.array(coefficients)
    above, own = unknown.curve("s", ["m"]).covariance, known.curve("s", ["m"]).covariance
    assert direction @ above @ direction >= direction @ own @ direction - 1e-12
    assert other.standard_error**2 == pytest.approx(direction @ own @ direction, abs=1e-12)


@settings(max_examples=15, deadline=None)
@given(st.floats(0.05, 0.95), st.floats(0.05, 0.95), st.integers(20, 5000))
def test_the_needed_correlation_is_where_a_difference_begins_to_stand(one, other, items):
    scores = {("a", "s", 10, 1): one, ("a", "u", 10, 1): other}
    found = of_scores(blocks(scores, items=items, in_domain=()), 0.95, 1.0, False)["comparisons"].iloc[0]
    needed = found[NEEDED]
    assert (needed == 0) == found["stands"]
    for correlation in (0.0, 0.3, 0.8, 0.99):
        own = blocks(scores, correlation, items=items, in_domain=())
        stands = compare(own, 0.95).iloc[0]["stands"]
        if np.isnan(needed) or abs(correlation - needed) > 1e-6:
            assert stands == (not np.isnan(needed) and correlation >= needed)


@settings(max_examples=15, deadline=None)
@given(scores_of, st.integers(20, 400), st.integers(1, 400))
def test_more_items_narrow_every_interval(levels, items, more):
    scores = {("a", "s", 4**place, 1): score for place, score in enumerate(levels, start=1)}
    few, many = (of_scores(blocks(scores, items=n), 0.95, 1.0, True) for n in (items, items + more))
    for name in ("points", "pace", "comparisons"):
        widths = [table[name]["high"] - table[name]["low"] for table in (few, many)]
        assert (widths[1] < widths[0]).all()


@settings(max_examples=15, deadline=None)
@given(scores_of)
def test_names_of_abilities_change_nothing_else(levels):
    def made(one, other):
        scores = {}
        for place, score in enumerate(levels, start=1):
            scores |= {(one, "s", 4**place, 1): score, (other, "s", 4**place, 1): 1 - score}
        found = of_scores(blocks(scores, in_domain=(one, other)), 0.95, 1.0, True)
        return {name: table.drop(columns="ability") for name, table in found.items()}

    first, second = made("a", "b"), made("y", "x")
    for name, table in first.items():
        pd.testing.assert_frame_equal(table, second[name])


def test_size_gains_take_the_worst_of_all_correlations():
    """Two models at two volumes: as if each model's runs were one answer sheet, and the models' apart."""
    scores = {("a", "s", volume, 1): score for volume, score in ((10, 0.3), (40, 0.4))}
    table = pd.concat([cells(scores), cells({key: score + 0.2 for key, score in scores.items()}, model="large")])
    table["parameters"] = [10, 10, 40, 40]
    own = score_blocks(table, [], "unknown")
    found = of_scores(own, 0.95, 1.0, False)["sizes"]
    over_all = found[found["volume"].isna()].iloc[0]
    deviations = np.sqrt(np.array([[0.3 * 0.7, 0.4 * 0.6], [0.5 * 0.5, 0.6 * 0.4]]) / 200)
    assert over_all["size_gain"] == pytest.approx(10)  # 20 points over two doublings
    assert over_all["standard_error"] == pytest.approx(50 * np.sqrt((deviations.mean(axis=1) ** 2).sum()))
    assert over_all["items"] == 200


@pytest.mark.parametrize("seeds", [(1,), (1, 2, 3)])
def test_many_differences_at_once_are_the_contrasts(seeds):
    rng = np.random.default_rng(8)
    keys = [("a", source, volume, seed) for source in "st" for volume in (10, 40, 160) for seed in seeds]
    (block,) = blocks({key: rng.uniform(0.1, 0.9) for key in keys}, in_domain=())
    columns = [block.columns(dataset=f"{source}-{volume}") for source in "st" for volume in (10, 40, 160)]
    coefficients = rng.normal(size=(5, 2, 6))
    coefficients -= coefficients.mean(axis=-1, keepdims=True)
    found = cells_of(block, columns).differences(coefficients)
    for place in np.ndindex(5, 2):
        terms = [Term(c, own) for c, own in zip(coefficients[place], columns, strict=True)]
        one = contrast(block.sample, block.values, terms, block.noise)
        assert found.value[place] == pytest.approx(one.value)
        assert found.error[place] == pytest.approx(one.standard_error)
        assert found.df[place] == pytest.approx(one.df)


def shared_items(rng, levels, items):
    """0/1 grades [runs, items] of runs that answer the same items, some hard and some easy for all."""
    hardness = rng.normal(size=items)
    return (norm.ppf(levels)[:, None] * np.sqrt(2) + hardness + rng.normal(size=(len(levels), items))) > 0


def test_intervals_cover_where_items_are_shared():
    """Differences and paces at least as often as they say, points about as often."""
    rng = np.random.default_rng(11)
    levels, times, hits = np.array([0.3, 0.36, 0.42, 0.48]), 400, np.zeros(3)
    slope = [Term(w, np.array([k])) for k, w in enumerate(slope_weights([4, 16, 64, 256]))]
    difference = [Term(1.0, np.array([3])), Term(-1.0, np.array([0]))]
    for _ in range(times):
        found = shared_items(rng, levels, 120).mean(axis=1)
        sample, known = Counted.of(np.full((1, 4), 120), "unknown"), Noise(np.nan, np.nan, 0)
        for place, (terms, truth) in enumerate(((slope, 0.06), (difference, 0.18))):
            low, high = contrast(sample, found[None], terms, known).interval(0.95)
            hits[place] += low <= truth <= high
        dot = contrast(sample, found[None], [Term(1.0, np.array([0]))], known)
        low, high = score_interval(dot.value, dot.standard_error, dot.df, 120, 0.95)
        hits[2] += low <= 0.3 <= high
    assert (hits[:2] / times > 0.95).all()
    assert 0.92 <= hits[2] / times <= 0.98


def test_laws_are_fitted_to_scores():
    """A straight line, many items: the form, its pace and no ceiling are found; two volumes are refused."""
    rng = np.random.default_rng(2)
    line = {
        ("a", "s", 10 * 4**k, seed): rng.binomial(20_000, 0.3 + 0.05 * k) / 20_000 for k in range(6) for seed in (1, 2)
    }
    found, courses = laws(blocks(line, items=20_000, in_domain=()), 0.95)
    law = found.iloc[0]
    assert (law["form"], law["growth"], law["status"]) == ("linear", "growing", "fitted")
    assert law["slope_at_largest_low"] < 5 < law["slope_at_largest_high"]
    assert law["held_out_held"]
    assert len(courses) == 40
    few = {key: score for key, score in line.items() if key[2] <= 40}
    found, courses = laws(blocks(few, in_domain=()), 0.95)
    assert found.iloc[0]["status"] == "refused"
    assert courses.empty
