"""Features of abilities: by hand on small texts, and unknown where nothing is known."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transfer_grades import ABILITIES, SETTINGS, item_grades

from growthpace.analysis.features import COLUMNS, FEATURES, features, text_features, tokens, untuned_features
from growthpace.analysis.transfer import transfer

GAINS = np.array([[0.20, 0.03, 0.0], [0.10, 0.15, 0.0], [0.0, 0.0, 0.0]])
TEXTS = {ability: [(f"What is {ability}?", "It is this and that."), ("And?", "No.")] for ability in ABILITIES}


def test_tokens_are_words_characters_and_marks():
    assert tokens("Don't stop: 42 times!") == ["don", "'", "t", "stop", ":", "42", "times", "!"]
    assert tokens("学习AI模型。") == ["学", "习", "ai", "模", "型", "。"]
    assert tokens(" \n") == []


def test_text_features_by_hand():
    found = text_features({"one": [("Q", "a b a b"), ("Q", "a b a b")], "two": [("Q", "a b c d e f g h")]})
    assert found["one"]["answer_length"] == 2
    assert found["two"]["answer_length"] == 3
    assert found["one"]["type_token_ratio"] == 2 / 8
    assert found["two"]["type_token_ratio"] == 1
    assert found["one"]["answer_entropy"] == 1
    assert found["two"]["answer_entropy"] == 3


def test_equally_much_text_is_compared():
    short, long = [("Q", "a b c d")], [("Q", "a b c d")] + 50 * [("Q", "a a a a")]
    found = text_features({"short": short, "long": long})
    for name in ("type_token_ratio", "answer_entropy", "compressed_size"):
        assert found["long"][name] == found["short"][name]  # of the first four tokens, and the first nine bytes
    assert found["long"]["answer_length"] == found["short"]["answer_length"] == 2


def test_repetition_compresses():
    rng = np.random.default_rng(0)
    varied = [("Q", " ".join(map(str, rng.integers(0, 10_000, 30)))) for _ in range(20)]
    found = text_features({"varied": varied, "dull": 20 * varied[:1]})
    assert found["dull"]["compressed_size"] < found["varied"]["compressed_size"] < 1


TEXT = st.text("ab学 .\n", max_size=8)


@given(st.dictionaries(st.sampled_from("abc"), st.lists(st.tuples(TEXT, TEXT), max_size=3), max_size=3))
def test_any_text_has_features_in_range_or_none(texts):
    for own in text_features(texts).values():
        known = [not np.isnan(value) for value in own.values()]
        assert all(known) or not any(known)
        if all(known):
            assert 0 < own["type_token_ratio"] <= 1
            assert own["answer_entropy"] >= 0
            assert own["compressed_size"] > 0


def test_pre_knowledge_is_the_score_above_chance():
    rows = pd.DataFrame({"grade": [1.0, 1.0, 0.0, np.nan], "chance": 0.25, "margin": [1.0, 3.0, 2.0, np.nan]})
    found = untuned_features(rows)
    assert found["untuned_score"] == pytest.approx((2 / 3 - 0.25) / 0.75)
    assert found["untuned_margin"] == 2
    assert np.isnan(untuned_features(rows.assign(margin=[1.0, np.nan, 2.0, 1.0]))["untuned_margin"])  # not of all items
    assert all(np.isnan(value) for value in untuned_features(rows[:0]).values())


@pytest.fixture(scope="module")
def grades():
    return item_grades(GAINS, models={"small": 10, "large": 20}, items=40)


def values(table, model, ability):
    own = table[(table["model"] == model) & (table["ability"] == ability)]
    return dict(zip(own["feature"], own["value"], strict=True))


def test_transfer_features_are_means_of_the_matrix(grades):
    effects = transfer(grades, SETTINGS, ABILITIES, 0.95)
    table = features({"curated": [TEXTS]}, grades, effects, "test", ABILITIES)
    assert list(table.columns) == COLUMNS
    assert set(table["feature"]) == set(FEATURES)
    cells = effects[effects["model"] == "large"].set_index(["kind", "trained", "tested"])["effect"]
    found = values(table, "large", "code")
    assert found["self_effect"] == cells["alone", "code", "code"]
    assert found["received"] == pytest.approx((cells["alone", "biology", "code"] + cells["alone", "math", "code"]) / 2)
    assert found["given"] == pytest.approx((cells["alone", "code", "biology"] + cells["alone", "code", "math"]) / 2)
    assert found["self_addition"] == cells["all_but", "code", "code"]
    assert found["given_addition"] == pytest.approx(
        (cells["all_but", "code", "biology"] + cells["all_but", "code", "math"]) / 2
    )


def test_a_mean_over_a_missing_cell_is_not_known(grades):
    effects = transfer(grades, SETTINGS, ABILITIES, 0.95)
    gone = (effects["trained"] == "code") & (effects["tested"] == "math") & (effects["kind"] == "alone")
    table = features({"curated": [TEXTS]}, grades, effects[~gone], "test", ABILITIES)
    assert np.isnan(values(table, "small", "code")["given"])
    assert np.isnan(values(table, "small", "math")["received"])
    assert not np.isnan(values(table, "small", "math")["given"])


def test_without_transfer_there_are_features_of_complexity_alone(grades):
    table = features({"curated": [TEXTS]}, grades, None, "test", ABILITIES)
    assert set(table["group"]) == {"complexity"}
    assert len(table) == 2 * 3 * 7
    assert table["formula"].str.len().min() > 10


def test_seeds_are_averaged_and_no_dataset_is_no_value(grades):
    other = {ability: [("Q", "a a a a a a a a a a")] for ability in ABILITIES}
    one, two, both, none = (
        values(features({"curated": texts}, grades, None, "test", ABILITIES), "small", "math")
        for texts in ([TEXTS], [other], [TEXTS, other], [])
    )
    for name in ("answer_length", "type_token_ratio", "compressed_size", "answer_entropy"):
        assert both[name] == pytest.approx((one[name] + two[name]) / 2)
        assert np.isnan(none[name])
    assert none["untuned_score"] == one["untuned_score"]


def test_subjects_are_counted_by_their_logarithm(grades):
    named = grades.assign(subject=["s" + item[-1] if item.startswith("math") else "" for item in grades["item_id"]])
    table = features({"curated": [TEXTS]}, named, None, "test", ABILITIES)
    assert values(table, "small", "math")["subjects"] == pytest.approx(np.log2(10))
    assert values(table, "small", "code")["subjects"] == 0
