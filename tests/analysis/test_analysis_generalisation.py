"""Out of domain beside in domain: rank agreement, replicates, ratios of paces."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import item_grades
from scipy.stats import kendalltau

from growthpace.analysis.bootstrap import item_replicates, kendall, real_share
from growthpace.analysis.curves import pace
from growthpace.analysis.generalisation import CARRIED, OUTSIDE, PACE_RANKS, RANKS, SCORES, fieller, generalisation
from growthpace.analysis.matrix import blocks
from growthpace.analysis.scores import read_frame, write_frame
from growthpace.analysis.uncertainty import Estimate, cluster_variance, make_sample, quantile, weighted_mean


@pytest.fixture(scope="module")
def grades():
    return item_grades(outside=("physician", "teacher"), mixes={"reconstruct": 2561}, seeds=(0, 1, 2))


@pytest.fixture(scope="module")
def table(grades):
    return generalisation(blocks(grades), "test", 0.95, 300)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 12), st.integers(0, 10_000))
def test_rank_agreement_is_scipys(number, seed):
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 6, size=(2, 5, number)).astype(float)
    expected = [kendalltau(*pair).statistic for pair in zip(first, second, strict=True)]
    assert kendall(first, second) == pytest.approx(np.array(expected), nan_ok=True)


def test_replicates_have_the_clustered_variance():
    rng = np.random.default_rng(0)
    strata = np.repeat(["a", "b"], [24, 60])
    groups = np.array([f"g{i // 4}" for i in range(84)], dtype=object)
    sample = make_sample(strata, groups)
    assert sample.clusters_by_stratum.tolist() == [6, 15]
    means = rng.random((84, 3)) + np.repeat(rng.normal(size=21), 4)[:, None]
    found = item_replicates(sample, means, 20_000, np.random.default_rng(1))
    assert found.mean(axis=0) == pytest.approx(weighted_mean(sample, means), abs=0.01)
    expected = cluster_variance(sample, means).sum(axis=0)
    assert found.var(axis=0) == pytest.approx(expected, rel=0.05)
    assert np.isnan(item_replicates(make_sample(np.zeros(3), np.full(3, "g")), means[:3], 2, rng)).all()


def test_the_share_that_is_no_noise():
    rng = np.random.default_rng(0)
    true, noise = rng.normal(size=400), rng.normal(size=400)
    draws = true + noise + rng.normal(size=(200, 400))
    assert real_share(true + noise, draws, 0.95) == pytest.approx(0.5, abs=0.1)
    refused = 0
    for _ in range(200):
        values = rng.normal(size=10)
        refused += np.isnan(real_share(values, values + rng.normal(size=(50, 10)), 0.95))
    assert 178 <= refused <= 199


def test_scores_stand_side_by_side(grades, table):
    own = table[table["statistic"] == SCORES]
    assert set(own["ability"]) == {"physician", "teacher", OUTSIDE}
    assert len(own) == 3 * 2 * (1 + 4 + 4 + 1)
    by_hand = grades.groupby(["model", "dataset", "ability"])["grade"].mean()
    row = own[(own["ability"] == OUTSIDE) & (own["model"] == "small") & (own["dataset"] == "reconstruct")].iloc[0]
    means = by_hand["small", "reconstruct"]
    assert row["out_of_domain_score"] == pytest.approx(means[["physician", "teacher"]].mean())
    assert row["in_domain_score"] == pytest.approx(means.drop(["physician", "teacher"]).mean())
    assert (row["kind"], row["volume"], row["seeds"]) == ("mix", 2561, 3)


def test_agreements_are_about_the_scores_and_paces_shown(grades, table):
    for ability in ("physician", OUTSIDE):
        rows = table[table["ability"] == ability]
        scores = rows[rows["statistic"] == SCORES]
        row = rows[rows["statistic"] == RANKS].iloc[0]
        expected = kendalltau(scores["in_domain_score"].round(9), scores["out_of_domain_score"].round(9)).statistic
        assert row["value"] == pytest.approx(expected)
        assert (row["number"], row["replicates"], row["status"]) == (20, 300, "given")
        assert -1 <= row["low"] < row["value"] < row["high"] <= 1
        assert 0 < row["attainable"] <= 1
    assert len(table[table["statistic"] == PACE_RANKS]) == 3
    paces = pace(grades, 0.95, 1.0).set_index(["ability", "model", "source"])["pace"]
    for row in table[(table["statistic"] == CARRIED) & (table["ability"] == "teacher")].itertuples():
        assert row.out_of_domain_pace == pytest.approx(paces["teacher", row.model, row.source])
        assert row.in_domain_pace == pytest.approx(paces["overall", row.model, row.source])
        if row.status == "given":
            assert row.value == pytest.approx(row.out_of_domain_pace / row.in_domain_pace)
            assert row.low < row.value < row.high
        else:
            assert "not shown to be above 0" in row.reason
            assert np.isnan(row.value)


@settings(max_examples=40, deadline=None)
@given(st.floats(-5, 5), st.floats(4, 9), st.floats(0.2, 1.5), st.floats(0.2, 1.5), st.floats(-0.9, 0.9))
def test_fiellers_interval_is_what_the_test_does_not_reject(over, under, over_error, under_error, correlation):
    one, other = (Estimate(v, e, 40.0, e, 0.0) for v, e in ((over, over_error), (under, under_error)))
    covariance = correlation * over_error * under_error
    low, high = fieller(one, other, covariance, 0.95)
    t = quantile(0.975, 40.0)
    for end in (low, high):
        error = np.sqrt(over_error**2 - 2 * end * covariance + end**2 * under_error**2)
        assert abs(over - end * under) == pytest.approx(t * error, rel=1e-6, abs=1e-9)
    assert low < over / under < high
    with pytest.raises(ValueError, match="cannot be told from 0"):
        fieller(one, Estimate(0.1, 1.0, 40.0, 1.0, 0.0), 0.0, 0.95)


def test_what_cannot_be_told_is_refused():
    few = item_grades(outside=("physician",), models=(("tiny", 1),), sources=("curated",), volumes=(40, 160), items=20)
    found = generalisation(blocks(few), "test", 0.95, 50)
    refused = found[found["statistic"].isin([RANKS, PACE_RANKS])].set_index("statistic")
    assert refused.loc[RANKS, "reason"] == "3 checkpoints; a rank agreement needs 4"
    assert refused.loc[PACE_RANKS, "reason"] == "0 growth curves with a pace; a rank agreement needs 4"
    assert refused["value"].isna().all()
    flat = item_grades(outside=("physician",), abilities={"a": 0.0}, models=(("tiny", 1),), untuned=False)
    noise = generalisation(blocks(flat), "test", 0.95, 50)
    row = noise[noise["statistic"] == RANKS].iloc[0]
    assert (row["status"], row["reason"]) == (
        "refused",
        "the checkpoints do not differ beyond noise in and out of domain",
    )
    lacking = few[(few["ability"] == "physician") | (few["ability"] == "math")]
    row = generalisation(blocks(lacking), "test", 0.95, 50).iloc[0]
    assert (row["status"], row["reason"]) == (
        "refused", "no run answered it and all of the study's abilities in suite test",
    )  # fmt: skip
    assert generalisation(blocks(few[few["in_domain"]]), "test", 0.95, 50).empty


def test_other_suites_and_the_same_bytes(tmp_path, grades, table):
    away = grades[~grades["in_domain"]].assign(suite="benchmark")
    both = generalisation(blocks(pd.concat([grades[grades["in_domain"]], away])), "test", 0.95, 300)
    assert set(both["suite"]) == {"benchmark"}
    numbers = ["in_domain_score", "out_of_domain_score", "value", "low", "high", "attainable"]
    pd.testing.assert_frame_equal(both[numbers], table[numbers])
    for name in ("one", "two"):
        write_frame(tmp_path / name, generalisation(blocks(grades), "test", 0.95, 300), {})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    pd.testing.assert_frame_equal(read_frame(tmp_path / "one"), table, check_dtype=False)
