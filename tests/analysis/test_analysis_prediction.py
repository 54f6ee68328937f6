"""Prediction of pace from features: a planted relation, none, a reference, and refusals."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from growthpace.analysis import prediction
from growthpace.analysis.features import FEATURES
from growthpace.analysis.prediction import cross_validated, permuted, predict_pace, skill

NAMES = [f"ability_{number}" for number in range(10)]
FEW = 199
"""Permutations: enough for a p-value of 0.005."""


def feature_table(values, models=("tiny",)):
    """values: {feature: [one value an ability]}"""
    rows = [
        {"suite": "test", "source": "curated", "model": model, "ability": ability, "group": FEATURES[name].group,
         "feature": name, "value": value}
        for model in models for name, own in values.items() for ability, value in zip(NAMES, own, strict=False)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def pace_table(paces, models=("tiny",)):
    rows = [
        {"suite": "test", "source": "curated", "model": model, "ability": ability, "pace": pace}
        for model in models
        for ability, pace in [*zip(NAMES, paces, strict=False), ("overall", 3.0)]
    ]
    return pd.DataFrame(rows)


def of_set(found, name, models=("tiny",)):
    return next(e for e in found["predictions"] if e["set"] == name and e["models"] == list(models))


def normal(seed=0, size=10):
    return np.random.default_rng(seed).normal(size=size)


# --- the numbers ------------------------------------------------------------------------------------------------------


def test_one_penalty_is_ridge_regression(monkeypatch):
    monkeypatch.setattr(prediction, "PENALTIES", (0.7,))
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(9, 3)), rng.normal(size=9)
    found = cross_validated(x, y[:, None])[:, 0]
    for row in range(9):
        rest = np.arange(9) != row
        middle, spread = x[rest].mean(axis=0), x[rest].std(axis=0)
        model = Ridge(alpha=0.7).fit((x[rest] - middle) / spread, y[rest])
        assert found[row] == pytest.approx(model.predict((x[[row]] - middle) / spread)[0])


def test_the_penalty_is_chosen_among_the_others_alone():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(8, 2)), rng.normal(size=8)
    changed = y.copy()
    changed[3] += 100  # its own prediction knows nothing of it
    assert cross_validated(x, y[:, None])[3] == pytest.approx(cross_validated(x, changed[:, None])[3])


@given(st.integers(0, 1000), st.integers(1, 4))
def test_many_targets_at_once_are_each_as_alone(seed, size):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(8, size)), rng.normal(size=(8, 3))
    together = cross_validated(x, y)
    for column in range(3):
        assert together[:, column] == pytest.approx(cross_validated(x, y[:, [column]])[:, 0])


@given(st.integers(0, 1000))
def test_scale_and_order_of_features_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(8, 3)), rng.normal(size=(8, 1))
    assert cross_validated(x[:, [2, 0, 1]] * [5.0, 0.01, 100.0] + 7, y) == pytest.approx(cross_validated(x, y))


def test_skill_is_zero_for_the_mean_of_the_others():
    y = normal()[:, None]
    others = (y.sum() - y) / 9
    assert skill(y, others) == pytest.approx([0])
    assert skill(y, y) == pytest.approx([1])


# --- planted, and nothing ---------------------------------------------------------------------------------------------


def test_a_feature_that_tells_pace_is_found():
    own = normal(3)
    found = predict_pace(
        feature_table({"answer_length": own, "untuned_score": normal(4)}), pace_table(4 * own + 0.5 * normal(5)),
        "test", 0.95,
    )  # fmt: skip
    right, wrong = of_set(found, "answer_length"), of_set(found, "untuned_score")
    assert right["skill"] > 0.8
    assert right["p_holm"] < 0.01
    assert right["mean_absolute_error"] < right["mean_absolute_error_of_mean"] / 2
    assert wrong["p"] > 0.05
    assert [row["ability"] for row in right["by_ability"]] == NAMES
    assert found["permutations"] == 1999
    assert json.loads(json.dumps(found)) == found  # plain values


def test_features_without_a_relation_are_rarely_called_predictive():
    called = sum(permuted(normal(seed)[:, None], normal(1000 + seed), 99)[2] <= 0.05 for seed in range(100))
    assert called <= 11  # more in 1 of 100 tries at 5 %


def test_p_is_at_least_one_of_all_orders_tried():
    x = np.arange(10.0)
    assert permuted(x[:, None], x, FEW)[2] == 1 / (FEW + 1)


def test_the_same_again():
    x, y = normal(1)[:, None], normal(2)
    assert permuted(x, y, FEW)[1:] == permuted(x, y, FEW)[1:]


# --- what is told, and what is refused --------------------------------------------------------------------------------


def test_models_together_and_each_alone():
    own, models = normal(), ("small", "large")
    features, pace = feature_table({"answer_length": own}, models), pace_table(own, models)
    pace.loc[pace["model"] == "large", "pace"] *= 3
    found = predict_pace(features, pace, "test", 0.95, FEW)
    assert [(e["models"], e["set"]) for e in found["predictions"]] == [
        (["small", "large"], "answer_length"), (["small", "large"], "complexity"),
        (["small"], "complexity"), (["large"], "complexity"),
    ]  # fmt: skip
    together = of_set(found, "complexity", models)
    assert [row["pace"] for row in together["by_ability"]] == pytest.approx(2 * own, abs=1e-3)


def test_sets_of_features():
    found = predict_pace(
        feature_table({"answer_length": normal(1), "received": normal(2)}), pace_table(normal(3)), "test", 0.95, FEW
    )
    assert [e["set"] for e in found["predictions"]] == ["answer_length", "received", "complexity", "transfer", "all"]
    assert of_set(found, "all")["features"] == ["answer_length", "received"]


@pytest.mark.parametrize(("abilities", "count", "reason"), [
    (4, 1, "4 abilities have a pace in every model, 5 are needed"),
    (5, 4, "4 features need 6 abilities or more, 5 have a pace in every model"),
])  # fmt: skip
def test_too_few_abilities_are_refused(abilities, count, reason):
    names = list(FEATURES)[:count]
    table = feature_table({name: normal(i, abilities) for i, name in enumerate(names)})
    entry = of_set(predict_pace(table, pace_table(normal(9, abilities)), "test", 0.95, FEW), "complexity")
    assert (entry["status"], entry["reason"]) == ("refused", reason)
    assert entry["skill"] is entry["p"] is entry["p_holm"] is None


def test_five_abilities_and_three_features_are_enough():
    table = feature_table({name: normal(i, 5) for i, name in enumerate(list(FEATURES)[:3])})
    entry = of_set(predict_pace(table, pace_table(normal(9, 5)), "test", 0.95, FEW), "complexity")
    assert entry["status"] == "predicted"
    assert entry["detectable_correlation"] > 0.95  # hardly anything could be found


def test_features_that_say_nothing_are_left_out_and_named():
    values = {"answer_length": normal(), "subjects": [0.0] * 10, "untuned_margin": [np.nan, *normal(size=9)]}
    entry = of_set(predict_pace(feature_table(values), pace_table(normal(2)), "test", 0.95, FEW), "complexity")
    assert entry["features"] == ["answer_length"]
    assert entry["left_out"] == {
        "subjects": "the same for all abilities", "untuned_margin": "not known for every ability",
    }  # fmt: skip
    alone = of_set(predict_pace(feature_table(values), pace_table(normal(2)), "test", 0.95, FEW), "subjects")
    assert alone["reason"] == "no feature is known for every ability and differs between them"


def test_an_ability_without_a_pace_is_left_out_and_named():
    pace = pace_table(normal(1))
    pace.loc[pace["ability"] == NAMES[2], "pace"] = np.nan
    entry = of_set(predict_pace(feature_table({"answer_length": normal()}), pace, "test", 0.95, FEW), "complexity")
    assert entry["abilities_left_out"] == [NAMES[2]]
    assert entry["abilities"] == 9
    assert NAMES[2] not in [row["ability"] for row in entry["by_ability"]]


def test_the_same_pace_everywhere_is_refused():
    found = predict_pace(feature_table({"answer_length": normal()}), pace_table([1.0] * 10), "test", 0.95, FEW)
    assert of_set(found, "complexity")["reason"] == "all abilities have the same pace"


def test_no_pace_at_all():
    found = predict_pace(feature_table({"answer_length": normal()}), pace_table([])[:0], "test", 0.95, FEW)
    assert all(entry["status"] == "refused" for entry in found["predictions"])
    assert (
        predict_pace(feature_table({}).reindex(columns=["suite", "source"]), pace_table([]), "test", 0.95)[
            "predictions"
        ]
        == []
    )
