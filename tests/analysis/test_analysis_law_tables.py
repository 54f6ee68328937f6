"""Laws of whole made-up studies: every curve has a row, and every number is what the functions below it give."""

import json

import numpy as np
import pandas as pd
import pytest
from made_up import item_grades

from growthpace.analysis.fitting import fit
from growthpace.analysis.forms import FORMS
from growthpace.analysis.law_tables import ALL_MODELS, CURVE_COLUMNS, DRAWN, LAW_COLUMNS, laws
from growthpace.analysis.laws import choose, held_out, reaching
from growthpace.analysis.matrix import blocks
from growthpace.analysis.observed import curve_of
from growthpace.analysis.scores import read_frame, write_frame

VOLUMES = (10, 40, 160, 640, 2560, 10240)
ABILITIES = {"up": 9.0, "flat": 0.0}


@pytest.fixture(scope="module")
def grades():
    return item_grades(3, abilities=ABILITIES, outside=("elsewhere",), volumes=VOLUMES, items=120, untuned=False)


@pytest.fixture(scope="module")
def found(grades):
    return laws(grades, 0.95)


def test_every_curve_has_a_law_and_every_source_a_joint_one(grades, found):
    table, courses = found
    assert list(table) == LAW_COLUMNS
    assert list(courses) == CURVE_COLUMNS
    keys = table[["ability", "model", "source"]]
    assert not keys.duplicated().any()
    assert len(keys) == 4 * 2 * 3  # three abilities and overall; two sources; two models and all of them
    assert set(table.loc[table["model"] == ALL_MODELS, "form"]) == {"joint"}
    assert table.groupby("ability")["in_domain"].first().to_dict() == {
        "up": True, "flat": True, "overall": True, "elsewhere": False,
    }  # fmt: skip
    fitted = table[(table["status"] == "fitted") & (table["model"] != ALL_MODELS)]
    assert len(courses) == DRAWN * len(fitted)
    assert (courses["low"] <= courses["score"]).all()
    assert (courses["score"] <= courses["high"]).all()


def test_a_row_is_what_the_fit_says(grades, found):
    table, courses = found
    block = next(own for own in blocks(grades) if own.ability == "up")
    for model, source in (("tiny", "curated"), ("small", "synthetic")):
        row = table[(table["ability"] == "up") & (table["model"] == model) & (table["source"] == source)].iloc[0]
        curve = curve_of(block, source, [model])
        form = choose(curve).form
        law, check = fit(curve, form, 0.95), held_out(curve, 0.95)
        assert (row["form"], row["growth"], row["points"]) == (form.name, form.growth, 6)
        assert row["goodness"] == pytest.approx(law.goodness)
        slope = law.pace_at(10240)
        assert [row["slope_at_largest" + end] for end in ("", "_low", "_high")] == pytest.approx(
            [slope.value, slope.low, slope.high]
        )
        assert row["volume_90_status"] == reaching(law).status
        assert row["held_out_volume"] == 10240
        assert row["held_out_form"] == check.form
        assert row["held_out_predicted"] == pytest.approx(check.predicted.value)
        assert row["held_out_error"] == pytest.approx(100 * (check.predicted.value - check.observed))
        assert row["held_out_held"] == check.held
        own = courses[(courses["ability"] == "up") & (courses["model"] == model) & (courses["source"] == source)]
        assert own["volume"].iloc[[0, -1]].tolist() == pytest.approx([10, 10240])
        assert own["score"].iloc[-1] == pytest.approx(law.at([10240])[0].value)
        assert set(json.loads(row["parameters"])) == set(form.parameters)


def test_what_is_not_identified_is_no_number(found):
    table = found[0]
    for row in table[table["status"] == "fitted"].itertuples():
        unknown = {name for name, own in json.loads(row.parameters).items() if own["unidentified"]}
        assert {part.split(":")[0] for part in row.reason.split("; ") if part} == unknown
        has = FORMS[row.form].has_ceiling and "ceiling" not in unknown
        assert np.isfinite([row.ceiling, row.ceiling_low, row.ceiling_high]).all() == has
        assert np.isnan(row.volume_90) == (row.volume_90_status == "not identified")


@pytest.mark.parametrize(
    ("scores", "form", "reason"),
    [
        (
            (0.27, 0.28, 0.38, 0.60),
            "logistic",
            "logistic was chosen by its fit alone: what could be left one out (constant, linear)",
        ),
        ((0.30, 0.60, 0.30, 0.60), "", " does not hold: points lie further from it than noise explains"),
    ],
)
def test_a_law_that_was_not_foretold_names_no_growth(scores, form, reason):
    made = item_grades(5, abilities={"up": 0.0}, volumes=VOLUMES[:4], items=400, untuned=False)
    rng = np.random.default_rng(0)
    solved = rng.random(len(made)) < made["volume"].map(dict(zip(VOLUMES, scores, strict=False)))
    table, courses = laws(made.assign(grade=solved.astype(float)), 0.95)
    alone = table[(table["ability"] == "up") & (table["model"] != ALL_MODELS)]
    assert alone["form"].str.contains(form).all()
    assert alone["reason"].str.contains(reason, regex=False).all()
    assert (alone["growth"] == "").all()
    assert len(courses[courses["ability"] == "up"]) == DRAWN * len(alone)


def test_too_few_volumes_and_items_are_refused_with_a_reason(tmp_path):
    for shown, kept in (("1 volume: too few to choose", (10,)), ("2 volumes: too few to choose", (10, 40))):
        table, courses = laws(item_grades(abilities=ABILITIES, volumes=kept, models=(("tiny", 1),)), 0.95)
        assert set(table["status"]) == {"refused"}
        assert table["reason"].str.startswith(shown).all()
        assert (table["form"] == "").all()
        assert courses.empty
        assert table["held_out_held"].isna().all()
        assert (table["held_out_reason"] != "").all()
        write_frame(tmp_path / "laws.parquet", table, {})
        assert read_frame(tmp_path / "laws.parquet")["held_out_held"].isna().all()
    few = laws(item_grades(abilities=ABILITIES, volumes=VOLUMES, items=15), 0.95)[0]
    alone = few[few["ability"] != "overall"]
    assert alone["reason"].str.contains("independent items are too few").all()
    assert (few.loc[few["model"] == ALL_MODELS, "status"] == "refused").all()


def test_several_processes_give_the_same_tables(grades, found, monkeypatch):
    monkeypatch.setattr("growthpace.analysis.law_tables.WORTH_A_PROCESS", 7)  # of 24 curves
    monkeypatch.setattr("growthpace.analysis.law_tables._cores", lambda: 3)
    rows, courses = laws(grades, 0.95)
    pd.testing.assert_frame_equal(rows, found[0])
    pd.testing.assert_frame_equal(courses, found[1])


def test_the_order_of_rows_and_names_of_abilities_change_nothing(grades, found):
    names = {"up": "flat", "flat": "up", "elsewhere": "elsewhere"}
    again, courses = laws(grades.assign(ability=grades["ability"].map(names)), 0.95)
    pd.testing.assert_frame_equal(again.drop(columns="ability"), found[0].drop(columns="ability"))
    pd.testing.assert_frame_equal(courses.drop(columns="ability"), found[1].drop(columns="ability"))
