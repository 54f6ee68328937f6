"""What a larger model gains, against numpy by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import item_grades

from growthpace.analysis.sizes import COLUMNS, size_gains

MODELS = (("tiny", 100), ("small", 200), ("large", 1600))
LOGS = np.log2([100, 200, 1600])


@pytest.fixture(scope="module")
def grades():
    return item_grades(1, {"a": 3.0, "b": 0.0}, models=MODELS, items=80, seeds=(0,), untuned=False)


def test_a_gain_is_the_slope_over_the_logarithm_of_the_size(grades):
    found = size_gains(grades, 0.95)
    assert list(found) == COLUMNS
    assert len(found) == 3 * 2 * (4 + 1)
    own = grades[(grades["ability"] == "a") & (grades["dataset"] == "curated-640")]
    by_item = own.pivot(index="item_id", columns="parameters", values="grade").to_numpy()
    slopes = 100 * np.polyfit(LOGS, by_item.T, 1)[0]
    row = found[(found["ability"] == "a") & (found["source"] == "curated") & (found["volume"] == 640)].iloc[0]
    assert row["size_gain"] == pytest.approx(slopes.mean())
    assert row["standard_error"] == pytest.approx(slopes.std(ddof=1) / np.sqrt(80))
    bends = 100 * np.polyfit(LOGS, by_item.T, 2)[0]
    assert row["bend"] == pytest.approx(bends.mean())
    half = (row["bend_high"] - row["bend_low"]) / 2
    assert half == pytest.approx(1.9905 * bends.std(ddof=1) / np.sqrt(80), rel=1e-3)  # t of 79 degrees of freedom
    assert (row["models"], row["sizes"], row["volumes"], row["status"]) == (3, 3, 1, "fitted")


def test_the_row_over_all_volumes_is_their_mean_as_one_contrast(grades):
    found = size_gains(grades, 0.95)
    for (ability, source), own in found.groupby(["ability", "source"]):
        mean = own[own["volume"].isna()].iloc[0]
        assert mean["size_gain"] == pytest.approx(own.loc[own["volume"].notna(), "size_gain"].mean())
        assert mean["volumes"] == 4
        if ability == "overall":
            continue
        part = grades[(grades["ability"] == ability) & (grades["source"] == source)]
        by_item = part.groupby(["item_id", "parameters"])["grade"].mean().unstack().to_numpy()
        slopes = 100 * np.polyfit(LOGS, by_item.T, 1)[0]
        assert mean["standard_error"] == pytest.approx(slopes.std(ddof=1) / np.sqrt(80))


def test_what_one_or_two_sizes_can_say(grades):
    two = size_gains(grades[grades["model"] != "large"], 0.95)
    assert set(two["status"]) == {"difference of two sizes"}
    assert two["bend"].isna().all()
    assert two["size_gain"].notna().all()
    one = size_gains(grades[grades["model"] == "tiny"], 0.95)
    assert set(one["status"]) == {"one size"}
    assert one[["size_gain", "low", "high"]].isna().all(axis=None)
    twins = size_gains(grades.assign(parameters=100), 0.95)  # three models of one size
    assert set(twins["status"]) == {"one size"}
    some = grades[(grades["model"] != "large") | (grades["volume"] == 640)]
    some = some[(some["model"] == "tiny") | (some["volume"] >= 640)]
    found = size_gains(some, 0.95)
    own = found[(found["ability"] == "a") & (found["source"] == "curated")]
    told = ["one size", "one size", "fitted", "difference of two sizes"]
    assert own["status"].tolist() == [*told, "difference of two sizes"]
    assert own["volumes"].iloc[-1] == 2
    assert own["size_gain"].iloc[-1] == pytest.approx(own["size_gain"].iloc[2:4].mean())


@settings(max_examples=5, deadline=None)
@given(st.permutations(["a", "b"]), st.integers(0, 100))
def test_names_change_nothing_and_more_items_narrow(names, seed):
    grades = item_grades(seed, {"a": 3.0, "b": 0.0}, models=MODELS, items=20, seeds=(0,), untuned=False)
    found = size_gains(grades, 0.95)
    renamed = size_gains(grades.assign(ability=grades["ability"].map(dict(zip("ab", names, strict=True)))), 0.95)
    assert found.drop(columns="ability").equals(renamed.drop(columns="ability"))
    many = size_gains(
        grades.loc[grades.index.repeat(4)].assign(
            item_id=lambda own: own["item_id"] + own.groupby(level=0).cumcount().astype(str)
        ),
        0.95,
    )
    assert many["size_gain"].to_numpy() == pytest.approx(found["size_gain"].to_numpy())
    assert (many["high"] - many["low"] < found["high"] - found["low"]).all()
