"""Points, paces, comparisons and advice on whole made-up studies."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import ABILITIES, grades_of, item_grades
from scipy.stats import t as t_law

from growthpace.analysis.advise import _signed, advise
from growthpace.analysis.compare import compare
from growthpace.analysis.curves import CLAIMS, CLASSES, pace, points, slope_terms
from growthpace.analysis.matrix import blocks
from growthpace.analysis.scores import OVERALL, write_frame
from growthpace.analysis.uncertainty import contrast, holm, make_sample, quantile, seed_noise
from growthpace.errors import InputError


@pytest.fixture(scope="module")
def grades():
    return item_grades(
        missing=(("small", "curated-640", 1), ("tiny", "synthetic-160", 0), ("tiny", "synthetic-160", 1))
    )


@pytest.fixture(scope="module")
def curves(grades):
    return pace(grades, 0.95, 1.0)


def test_points_are_means_over_seeds_and_say_how_many(grades):
    found = points(grades, 0.95)
    by_hand = grades.groupby(["model", "dataset", "ability"])["grade"].mean()
    for row in found[found["ability"] != OVERALL].itertuples():
        assert row.score == pytest.approx(by_hand[row.model, row.dataset, row.ability])
        assert 0 <= row.low <= row.score <= row.high <= 1
    seeds = found.set_index(["model", "dataset", "ability"])["seeds"]
    assert seeds["small", "curated-640", "math"] == 1
    assert seeds["small", "curated-160", "math"] == 2
    assert ("tiny", "synthetic-160", "math") not in seeds.index  # missing, not invented
    own = found[(found["model"] == "tiny") & (found["dataset"] == "curated-40")].set_index("ability")
    assert own.loc[OVERALL, "score"] == pytest.approx(own.loc[list(ABILITIES), "score"].mean())


def test_a_pace_is_the_slope_through_the_points(grades, curves):
    dots = points(grades, 0.95)
    for row in curves.itertuples():
        own = dots[(dots["ability"] == row.ability) & (dots["model"] == row.model) & (dots["source"] == row.source)]
        slope = np.polyfit(np.log(own["volume"].to_numpy(float)) / np.log(4), 100 * own["score"], 1)[0]
        assert row.pace == pytest.approx(slope)
        assert row.volumes == len(own)
        assert row.low < row.equivalence_low < row.pace < row.equivalence_high < row.high
    assert set(curves["class"]) <= set(CLASSES)
    assert (curves["uncertainty"] == "items and seeds").all()


def test_uncorrected_classes_follow_the_intervals(curves):
    for row in curves.itertuples():
        flat = row.p_saturating <= 0.05
        if row.equivalence_low >= -1 and row.equivalence_high <= 1:
            assert row.class_uncorrected == "resistant"
        elif row.low > 0:
            assert row.class_uncorrected == ("saturating" if flat else "responsive")
        else:
            assert row.class_uncorrected == ("declining" if row.high < 0 else "undecided")


def test_known_classes_are_found():
    strong = pace(item_grades(items=400, abilities={"up": 7.0, "down": -7.0, "flat": 0.0}), 0.95, 4.0)
    kinds = strong[(strong["source"] == "curated")].groupby("ability")["class"].unique()
    assert [list(kinds[name]) for name in ("up", "down", "flat")] == [["responsive"], ["declining"], ["resistant"]]


def test_p_values_are_those_of_t_tests(curves):
    for row in curves.itertuples():
        t = t_law(row.df, row.pace, row.standard_error)
        assert row.p_growth == pytest.approx(2 * t.cdf(min(0, 2 * row.pace)), abs=1e-9)
        assert row.p_resistant == pytest.approx(max(t.cdf(-1), t.sf(1)), abs=1e-9)
        found = quantile(0.975, row.df) + quantile(0.8, row.df)
        assert row.minimum_detectable == pytest.approx(found * row.standard_error)
        assert row.p_saturating >= row.p_growth


def test_claims_are_corrected_over_the_abilities_of_a_model_and_source(curves):
    """Holm is the closed test of Bonferroni's: the largest |S| min p over all sets S of abilities that hold the one."""
    for _, own in curves.groupby(["model", "source"]):
        for claim in CLAIMS:
            raw = own.set_index("ability")[claim]
            corrected = own.set_index("ability")[f"{claim}_corrected"]
            assert corrected[OVERALL] == raw[OVERALL]
            others = raw.drop(OVERALL)
            for ability in others.index:
                sets = (some for size in range(1, 5) for some in combinations(others.index, size) if ability in some)
                expected = max(min(1.0, len(some) * others[list(some)].min()) for some in sets)
                assert corrected[ability] == pytest.approx(expected)
    order = curves["class"].map({"undecided": 0}).fillna(1)
    assert (order <= curves["class_uncorrected"].map({"undecided": 0}).fillna(1)).all()  # never more told than before


def test_growth_that_has_ended_is_saturating():
    grades = item_grades(items=900, models=(("tiny", 1),), sources=("curated",), seeds=(0, 1, 2), untuned=False,
                         abilities={"ended": 0.0, "goes_on": 0.0})  # fmt: skip
    levels = {"ended": (0.3, 0.6, 0.8, 0.8), "goes_on": (0.3, 0.45, 0.6, 0.75)}
    rng = np.random.default_rng(1)
    level = [levels[row.ability][(40, 160, 640, 2560).index(row.volume)] for row in grades.itertuples()]
    order = grades["item_id"].str[-4:].astype(int) / 900
    grades["grade"] = (order + 0.02 * rng.normal(size=len(grades)) < level).astype(float)
    found = pace(grades, 0.95, 3.0).set_index("ability")
    assert found.loc[["ended", "goes_on"], "class"].tolist() == ["saturating", "responsive"]
    assert found.loc["ended", "last_step"] == pytest.approx(0, abs=1.5)
    last = grades[(grades["ability"] == "goes_on")].groupby("volume")["grade"].mean()
    assert found.loc["goes_on", "last_step"] == pytest.approx(100 * (last[2560] - last[640]))
    entry = {own["ability"]: own["advice"] for own in advise(grades, "curated", "test", 0.95, 3.0)["abilities"]}
    assert entry == {"ended": "enough", "goes_on": "collect"}


def test_none_of_ten_flat_abilities_is_said_to_move_in_19_of_20_studies():
    rng = np.random.default_rng(0)
    sample = make_sample(np.zeros(40), np.full(40, "", dtype=object))
    volumes = {volume: np.array([2 * place, 2 * place + 1]) for place, volume in enumerate((40, 160, 640, 2560))}
    wrong, alone = [], []
    for _ in range(80):
        p_values = []
        for _ in range(10):
            difficulty = rng.normal(size=40)
            values = np.stack([grades_of(rng, 0.4, difficulty) for _ in range(8)], axis=1)
            noise = seed_noise(sample, values, list(volumes.values()))
            p_values.append(contrast(sample, values, slope_terms(volumes), noise).differs())
        alone.append(np.mean(np.array(p_values) <= 0.05))
        wrong.append((holm(np.array(p_values)) <= 0.05).any())
    assert np.mean(alone) <= 0.07  # 5 %, known to +-1.5 %
    assert np.mean(wrong) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 80)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([(0,), (0, 1)]))
def test_more_items_narrow_the_interval_of_a_pace(seed, seeds):
    """The same answers from four times as many items. With few seeds what narrows is the items' part alone: the spread
    of seeds, which single items hid, comes to light, and two seeds tell it on few degrees of freedom."""
    few = item_grades(seed, {"a": 3.0}, models=(("m", 1),), sources=("curated",), untuned=False, items=30, seeds=seeds)
    more = [few.assign(item_id=few["item_id"] + f"-{copy}") for copy in range(4)]
    narrow = pace(pd.concat(more, ignore_index=True), 0.95, 1.0).iloc[0]
    wide = pace(few, 0.95, 1.0).iloc[0]
    assert narrow["pace"] == pytest.approx(wide["pace"])
    assert narrow["item_error"] < wide["item_error"]
    if len(seeds) == 1:
        assert narrow["high"] - narrow["low"] < wide["high"] - wide["low"]
        assert narrow["minimum_detectable"] < wide["minimum_detectable"]


def test_gains_over_untuned_and_over_chance(grades, curves):
    row = curves[(curves["ability"] == "code") & (curves["model"] == "small") & (curves["source"] == "curated")].iloc[0]
    own = grades[(grades["ability"] == "code") & (grades["model"] == "small")]
    last = own[own["dataset"] == "curated-2560"].groupby("item_id")["grade"].mean()
    difference = last - own[own["dataset"] == "untuned"].set_index("item_id")["grade"]
    assert row["gain_over_untuned"] == pytest.approx(100 * difference.mean())
    assert row["gain_over_untuned_error"] >= 100 * difference.std() / np.sqrt(len(difference)) * 0.999
    assert row["gain_over_chance"] == pytest.approx(100 * (last.mean() - 0.25))
    without = pace(grades[grades["kind"] != "untuned"], 0.95, 1.0)
    assert without["gain_over_untuned"].isna().all()
    assert without["pace"].to_numpy() == pytest.approx(curves["pace"].to_numpy())


def test_two_volumes_are_refused():
    found = pace(item_grades(volumes=(40, 160)), 0.95, 1.0)
    assert set(found["status"]) == {"too few volumes"}
    assert found[["pace", "standard_error", "low", "high"]].isna().all(axis=None)
    assert set(found["class"]) == {"undecided"}
    advice = advise(item_grades(volumes=(40, 160)), "curated", "test", 0.95, 1.0)
    assert advice["status"] == "refused"
    assert "3 volumes" in advice["reason"]


def test_one_seed_says_items_only():
    found = pace(item_grades(seeds=(0,)), 0.95, 1.0)
    assert set(found["uncertainty"]) == {"items only"}
    assert found["seed_error"].isna().all()
    assert (found["standard_error"] == found["item_error"]).all()


def test_tables_are_byte_identical(tmp_path, grades):
    shuffled = grades.sample(frac=1, random_state=0).sort_index()
    for name, table in (("one", grades), ("two", shuffled)):
        write_frame(tmp_path / f"{name}-points", points(table, 0.95), {})
        write_frame(tmp_path / f"{name}-pace", pace(table, 0.95, 1.0), {})
        write_frame(tmp_path / f"{name}-compare", compare(table, 0.95), {})
    for kind in ("points", "pace", "compare"):
        assert (tmp_path / f"one-{kind}").read_bytes() == (tmp_path / f"two-{kind}").read_bytes()


@settings(max_examples=5, deadline=None)
@given(st.permutations(list(ABILITIES)), st.integers(0, 1000))
def test_relabelling_abilities_changes_nothing_else(names, seed):
    grades = item_grades(seed=seed, models=(("tiny", 1),), items=15, sources=("curated",))
    renamed = grades.assign(ability=grades["ability"].map(dict(zip(ABILITIES, names, strict=True))))
    one, other = pace(grades, 0.95, 1.0), pace(renamed, 0.95, 1.0)
    pd.testing.assert_frame_equal(one.drop(columns="ability"), other.drop(columns="ability"))


def test_scores_at_chance_have_a_pace_of_zero_within_their_interval():
    rng = np.random.default_rng(11)
    grades = item_grades(abilities=dict.fromkeys("abcdefghijklmnopqrst", 0.0), models=(("tiny", 1),), untuned=False)
    found = pace(grades.assign(grade=(rng.random(len(grades)) < 0.25).astype(float)), 0.95, 1.0)
    assert np.mean((found["low"] <= 0) & (found["high"] >= 0)) >= 0.9


def test_runs_that_answered_other_items_are_refused(grades):
    with pytest.raises(InputError, match="answered other items"):
        list(blocks(grades.drop(index=grades.index[grades["dataset"] == "curated-160"][:1])))
    twice = pd.concat([grades, grades[grades["dataset"] == "curated-160"].assign(epoch=9)])
    with pytest.raises(InputError, match="more than one chosen epoch"):
        list(blocks(twice))
    with pytest.raises(InputError, match="runs disagree about item"):
        list(blocks(grades.assign(chance=grades["chance"] + 0.1 * (grades["dataset"] == "curated-160"))))


def test_an_ability_that_a_run_lacks_leaves_that_run_out_of_overall(grades):
    lacks = (grades["ability"] == "math") & (grades["model"] == "tiny") & (grades["dataset"] == "curated-40")
    found = points(grades[~lacks], 0.95)
    own = found[(found["model"] == "tiny") & (found["dataset"] == "curated-40")]
    assert set(own["ability"]) == set(ABILITIES) - {"math"}


def test_comparisons_are_paired_differences(grades):
    found = compare(grades, 0.95)
    assert len(found) == 5 * (4 + 3)  # tiny lacks synthetic-160; four abilities and overall
    one_seed = item_grades(seeds=(0,))
    row = compare(one_seed, 0.95).query("ability == 'code' and model == 'tiny' and volume == 640").iloc[0]
    own = one_seed[(one_seed["ability"] == "code") & (one_seed["model"] == "tiny")].set_index(["dataset", "item_id"])
    paired = own.loc["curated-640", "grade"] - own.loc["synthetic-640", "grade"]
    error = 100 * paired.std() / np.sqrt(len(paired))
    assert row["difference"] == pytest.approx(100 * paired.mean())
    assert row["standard_error"] == pytest.approx(error)
    assert row["minimum_detectable"] == pytest.approx((quantile(0.975, 59) + quantile(0.8, 59)) * error)
    assert (found["stands"] == ((found["low"] > 0) | (found["high"] < 0))).all()


def test_mixes_are_compared_at_their_volume_alone():
    found = compare(item_grades(mixes={"reconstruct": 2561, "maximum": 4000}), 0.95)
    mixes = found[found["kind"] == "mix"]
    assert set(zip(mixes["first"], mixes["second"], strict=True)) == {
        ("reconstruct", "curated-2560"), ("reconstruct", "synthetic-2560"),
    }  # fmt: skip
    assert compare(item_grades(sources=("curated",)), 0.95).empty


def test_advice_says_what_it_can_and_no_more():
    grades = item_grades(items=300, abilities={"up": 8.0, "flat": 0.0}, seeds=(0, 1, 2))
    advice = advise(grades, "curated", "test", 0.95, 3.0)
    told = {entry["ability"]: entry["advice"] for entry in advice["abilities"]}
    assert told == {"up": "collect", "flat": "enough"}
    assert advice["status"] == "advised"
    assert yaml.safe_load(yaml.safe_dump(advice)) == advice
    noisy = advise(item_grades(items=12, abilities={"a": 1.0, "b": 1.0}), "curated", "test", 0.95, 0.5)
    assert noisy["status"] == "refused"
    assert {entry["advice"] for entry in noisy["abilities"]} == {"cannot tell"}
    with pytest.raises(InputError, match="no chosen run"):
        advise(grades, "curated", "other", 0.95, 1.0)


def test_a_curve_that_is_flat_at_its_end_needs_no_more():
    """Steep, then saturated: the straight line still rises, but the last step does not."""
    grades = item_grades(items=600, abilities={"a": 0.0}, models=(("tiny", 1),), sources=("curated",), seeds=(0, 1, 2))
    rng = np.random.default_rng(0)
    level = grades["volume"].map({0: 0.2, 40: 0.3, 160: 0.6, 640: 0.85, 2560: 0.85})
    order = grades["item_id"].str[-4:].astype(int) / 600
    advice = advise(grades.assign(grade=(order + 0.02 * rng.normal(size=len(grades)) < level).astype(float)),
                    "curated", "test", 0.95, 3.0)  # fmt: skip
    assert advice["abilities"][0]["class"] == "responsive"
    assert advice["abilities"][0]["advice"] == "enough"


def test_equal_answers_are_not_proof_of_equality():
    grades = item_grades(items=21, abilities={"a": 0.0}, models=(("tiny", 1),))
    order = grades["item_id"].str[-4:].astype(int)
    alike = grades.assign(grade=(order < 9).astype(float))
    error = 100 * np.sqrt(2) / 23  # Bonett and Price with no discordant item
    for row in compare(alike, 0.95).query("ability == 'a'").itertuples():
        assert (row.difference, row.stands) == (0, False)
        assert row.standard_error == pytest.approx(error)
        assert row.high == pytest.approx(quantile(0.975, 20) * error)
        assert row.minimum_detectable == pytest.approx((quantile(0.975, 20) + quantile(0.8, 20)) * error)
        assert row.uncertainty == "items and seeds, items by a floor"
    for row in pace(alike, 0.95, 1.0).itertuples():
        assert row.low < -1 < 1 < row.high
        assert row.gain_over_untuned_low < 0 < row.gain_over_untuned_high
        assert row.uncertainty == "items and seeds, items by a floor"
    assert set(pace(alike, 0.95, 1.0)["class"]) == {"undecided"}
    assert not compare(grades, 0.95)["uncertainty"].str.contains("floor").any()
    level = points(alike.assign(grade=0.5), 0.95).query("ability == 'a'").iloc[0]
    assert level["standard_error"] == pytest.approx(np.sqrt(0.25 / 21))
    # One item right in one of two seeds says about as much as none right: neither far less nor far more.
    once = alike.assign(grade=((order == 0) & (alike["seed"] == 0)).astype(float))
    none, one = (
        points(table, 0.95).query("ability == 'a' and seeds == 2")["high"].max()
        for table in (alike.assign(grade=0.0), once)
    )
    assert none < one < 1.5 * none


def test_an_ability_at_chance_is_never_enough():
    grades = item_grades(items=400, abilities={"a": 0.0}, models=(("tiny", 1),), seeds=(0, 1, 2))
    entry = advise(grades, "curated", "test", 0.95, 4.0)["abilities"][0]
    assert entry["advice"] == "enough"
    entry = advise(grades.assign(chance=0.3), "curated", "test", 0.95, 4.0)["abilities"][0]
    assert entry["class"] == "resistant"
    assert entry["advice"] == "cannot tell"
    assert "not above chance yet" in entry["reason"]


def test_advice_writes_no_signed_zero():
    assert [_signed(value) for value in (2.34, -0.44, 0.01, -0.01)] == ["+2.3", "-0.4", "0.0", "0.0"]
