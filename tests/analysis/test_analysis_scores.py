"""The tidy table: its numbers against hand formulas, its order, its bytes and what it refuses."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from made_up import item_grades, write_grades

from growthpace.analysis.scores import MACRO, OVERALL, collect, read_frame, write_frame
from growthpace.errors import InputError


@pytest.fixture(scope="module")
def small():
    return item_grades(models=(("tiny", 200_000),), volumes=(40, 160, 640), seeds=(0,), items=20, outside=("physics",))


def test_a_score_is_the_mean_grade_with_the_usual_error(tmp_path, small):
    scores, _ = collect(write_grades(tmp_path, small), 0.95)
    for row in scores[scores["ability"] != OVERALL].itertuples():
        chosen = (small["dataset"] == row.dataset) & (small["ability"] == row.ability)
        grades = small.loc[chosen, "grade"].to_numpy()
        assert row.score == pytest.approx(grades.mean())
        assert row.standard_error == pytest.approx(grades.std(ddof=1) / np.sqrt(len(grades)))
        assert 0 <= row.low <= row.score <= row.high <= 1
        assert row.items == row.clusters == len(grades)


def test_the_released_codes_average_stands_beside_overall_where_its_rules_graded(tmp_path, small):
    """Fault B4: the scores' sum over twice their number."""
    plain, _ = collect(write_grades(tmp_path / "plain", small), 0.95)
    assert plain["released_average"].isna().all()
    scores, items = collect(write_grades(tmp_path / "released", small, paper_rules=1), 0.95)
    assert "released_rules" not in items
    for _, own in scores.groupby("dataset"):
        inside = own[own["in_domain"] & (own["ability"] != OVERALL)]
        found = own["released_average"].dropna()
        assert len(found) == 1
        assert found.iloc[0] == pytest.approx(inside["score"].sum() / (2 * len(inside)))
    pd.testing.assert_frame_equal(scores.drop(columns="released_average"), plain.drop(columns="released_average"))


def test_groups_are_clusters(tmp_path):
    frame = item_grades(models=(("tiny", 1),), sources=(), items=24, group_size=4)
    scores, _ = collect(write_grades(tmp_path, frame), 0.95)
    row = scores[scores["ability"] == "biology"].iloc[0]
    own = frame[frame["ability"] == "biology"]
    total = 0.0
    for _, passage in own.groupby("group"):
        total += (passage["grade"] - own["grade"].mean()).sum() ** 2
    assert row["standard_error"] == pytest.approx(np.sqrt(6 / 5 * total) / 24)
    assert row["clusters"] == 6


def test_overall_is_the_mean_of_the_studys_abilities_and_never_of_chance(tmp_path, small):
    scores, _ = collect(write_grades(tmp_path, small), 0.95)
    assert set(scores["ability"]) == {"biology", "code", "math", "ethics", "physics", OVERALL}
    for _, own in scores.groupby("dataset"):
        inside = own[own["in_domain"] & (own["ability"] != OVERALL)]
        overall = own[own["ability"] == OVERALL].iloc[0]
        assert len(inside) == 4
        assert overall["score"] == pytest.approx(inside["score"].sum() / 4)
        assert overall["standard_error"] == pytest.approx(np.sqrt((inside["standard_error"] ** 2).sum()) / 4)
        assert overall["chance"] == pytest.approx(0.25)


def test_without_all_abilities_there_is_no_overall(tmp_path, small):
    abilities = ["biology", "code", "math", "ethics"]
    partial = small[small["ability"] != "math"]
    scores, _ = collect(write_grades(tmp_path, partial, abilities_in_domain=abilities), 0.95)
    assert OVERALL not in set(scores["ability"])


def test_any_order_of_files_gives_the_same_bytes(tmp_path, small):
    paths = write_grades(tmp_path, small)
    for name, given in (("one", paths), ("two", paths[::-1])):
        for table, frame in zip(("scores", "items"), collect(given, 0.95), strict=True):
            write_frame(tmp_path / name / table, frame, {"study": "made-up"})
    for table in ("scores", "items"):
        assert (tmp_path / "one" / table).read_bytes() == (tmp_path / "two" / table).read_bytes()
    pd.testing.assert_frame_equal(read_frame(tmp_path / "one" / "scores"), collect(paths, 0.95)[0])


def test_one_cluster_leaves_the_error_unknown_and_the_interval_wide(tmp_path):
    frame = item_grades(models=(("tiny", 1),), sources=(), items=12, group_size=12)
    row = collect(write_grades(tmp_path, frame), 0.95)[0].iloc[0]
    assert np.isnan(row["standard_error"])
    assert row["high"] - row["low"] > 0.6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.assign(grade=f["grade"].where(f.index != 3)), "grade is nan"),
        (lambda f: f.assign(grade=f["grade"] * 2), "grade is 2.0"),
        (lambda f: f.assign(chance=-0.1), "chance is -0.1"),
        (lambda f: pd.concat([f, f.iloc[:1]]), "is graded twice"),
        (lambda f: f.assign(kind="other"), "kind is 'other'"),
        (lambda f: f.assign(ability=OVERALL), "reserved"),
    ],
)
def test_bad_grades_are_refused(tmp_path, change, message):
    frame = item_grades(models=(("tiny", 1),), sources=(), items=5)
    frame.loc[0, "grade"] = 1.0
    with pytest.raises(InputError, match=message):
        collect(write_grades(tmp_path, change(frame)), 0.95)


def test_the_same_checkpoint_twice_and_two_studies_are_refused(tmp_path, small):
    first = write_grades(tmp_path / "a", small)
    with pytest.raises(InputError, match="the same run, epoch and suite"):
        collect(first + write_grades(tmp_path / "b", small), 0.95)
    with pytest.raises(InputError, match="study and abilities"):
        collect(first + write_grades(tmp_path / "c", small.assign(seed=7), study="other"), 0.95)
    with pytest.raises(InputError, match="no grade files"):
        collect([], 0.95)
    write_frame(tmp_path / "plain.parquet", small, {})
    with pytest.raises(InputError, match="metadata lacks study"):
        collect([tmp_path / "plain.parquet"], 0.95)


def test_analysis_is_light():
    modules = ["advise", "compare", "curves", "matrix", "scores", "selection", "uncertainty"]
    code = "import sys\n" + "".join(f"import growthpace.analysis.{m}\n" for m in modules)
    code += "print([m for m in ('torch', 'matplotlib', 'seaborn', 'transformers') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_macro_score_weighs_subjects_equally_with_their_variances(tmp_path, small):
    plain = collect(write_grades(tmp_path / "plain", small), 0.95)[0]
    for micro, macro in zip(["score", "standard_error", "low", "high"], MACRO, strict=True):
        pd.testing.assert_series_equal(plain[micro], plain[macro], check_names=False)  # no subjects: bit for bit

    place = small.groupby(["dataset", "ability"]).cumcount()
    biology = small["ability"] == "biology"
    frame = small.assign(subject=np.where(biology, np.where(place < 5, "cells", "genes"), ""))
    scores, items = collect(write_grades(tmp_path / "subjects", frame), 0.95)
    assert set(items["subject"]) == {"", "cells", "genes"}
    pd.testing.assert_frame_equal(scores.drop(columns=MACRO), plain.drop(columns=MACRO))  # micro is as it was
    for dataset, own in scores.groupby("dataset"):
        grades = frame[biology & (frame["dataset"] == dataset)].groupby("subject")["grade"]
        row = own[own["ability"] == "biology"].iloc[0]
        error = np.sqrt((grades.var() / grades.size()).sum()) / 2
        assert row["score_macro"] == pytest.approx(grades.mean().mean())
        assert row["standard_error_macro"] == pytest.approx(error)
        assert 0 <= row["low_macro"] <= row["score_macro"] <= row["high_macro"] <= 1
        inside = own[own["in_domain"] & (own["ability"] != OVERALL)]
        overall = own[own["ability"] == OVERALL].iloc[0]
        assert overall["score_macro"] == pytest.approx(inside["score_macro"].mean())
        errors = inside["standard_error_macro"]
        assert overall["standard_error_macro"] == pytest.approx(np.sqrt((errors**2).sum()) / 4)


def test_a_subject_of_one_item_leaves_the_macro_error_unknown(tmp_path):
    frame = item_grades(models=(("tiny", 1),), sources=(), items=12)
    frame["subject"] = np.where(frame.groupby("ability").cumcount() == 0, "rare", "common")
    row = collect(write_grades(tmp_path, frame), 0.95)[0].iloc[0]
    assert np.isnan(row["standard_error_macro"])
    assert not np.isnan(row["standard_error"])
    assert row["high_macro"] - row["low_macro"] > 0.6
