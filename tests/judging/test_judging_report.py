"""Position bias and agreement, against hand calculation and simulated judges."""

import random

import pytest
from scipy import stats

from growthpace.evaluation.judgements import Verdict
from growthpace.judging.report import agreement, correlation, lines, position_bias, summary


def verdict(item, shown="alone", second=False, score=None, winner=None, missing=""):
    return Verdict(str(item), shown, second, score, 1, 10, winner, "", missing, "", 1, 5, 2, "h", "j")


def pair(item, first, second, again=False):
    """Winners with the answer first, then with the reference first."""
    return [verdict(item, "answer_first", again, winner=first), verdict(item, "reference_first", again, winner=second)]


def test_position_bias_by_hand():
    verdicts = [
        *pair(1, "first", "second"),  # the answer, twice
        *pair(2, "second", "first"),  # the reference, twice
        *pair(3, "tie", "tie"),
        *pair(4, "first", "first"),  # the first, twice
        *pair(5, "second", "second"),
        *pair(6, "tie", "first"),
        verdict(7, "answer_first", winner="first"),
        verdict(7, "reference_first", missing="refused"),
        *pair(1, "first", "first", again=True),  # a second pass is not for this
    ]
    found = position_bias(verdicts, 0.95)
    assert (found["follows_position"]["count"], found["follows_position"]["of"]) == (2, 6)
    assert found["consistent"]["count"] == 3
    assert (found["first_wins"]["count"], found["first_wins"]["of"]) == (5, 9)
    low, high = stats.binomtest(2, 6).proportion_ci(0.95, method="wilson")
    assert found["follows_position"]["low"] == pytest.approx(low)
    assert found["follows_position"]["high"] == pytest.approx(high)
    assert position_bias([verdict(1, score=3)], 0.95) == {}


@pytest.mark.parametrize("bias", [0.0, 0.3, 1.0])
def test_a_biased_judge_is_found_out(bias):
    """It says `first` with this probability, whatever is shown, and else what it thinks."""
    chance = random.Random(1)
    verdicts = []
    for item in range(400):
        better = chance.random() < 0.5
        says = ["first" if chance.random() < bias or better == shown else "second" for shown in (True, False)]
        verdicts += pair(item, *says)
    found = position_bias(verdicts, 0.95)
    expected = (1 + bias) / 2  # of all verdicts
    assert found["first_wins"]["low"] <= expected <= found["first_wins"]["high"]
    assert found["follows_position"]["low"] <= bias <= found["follows_position"]["high"] + 1e-9


def test_agreement_by_hand():
    winners = [("first", "first")] * 20 + [("first", "second")] * 5 + [("second", "first")] * 10
    winners += [("second", "second")] * 15
    verdicts = []
    for item, (one, two) in enumerate(winners):
        verdicts.append(verdict(item, "answer_first", winner=one))
        verdicts.append(verdict(item, "answer_first", True, winner=two))
    found = agreement(verdicts, 0.95)
    assert found["same"]["share"] == 0.7
    assert found["kappa"]["value"] == pytest.approx(0.4)  # the textbook's example: 0.7 observed, 0.5 expected
    assert found["kappa"]["low"] < 0.4 < found["kappa"]["high"]
    assert any(f"kappa 0.40 ({found['kappa']['low']:.2f} to" in line for line in lines(summary(verdicts, 0.95)))
    assert agreement(verdicts[::2], 0.95) == {}


def test_the_two_orders_of_an_item_are_one_cluster():
    """Every verdict given again in the other order says nothing new, so the interval must not shrink."""
    winners = [("first", "first")] * 20 + [("first", "second")] * 5 + [("second", "first")] * 10
    once, twice = [], []
    for item, (one, two) in enumerate(winners + [("second", "second")] * 15):
        for shown in ("answer_first", "reference_first"):
            both = [verdict(item, shown, winner=one), verdict(item, shown, True, winner=two)]
            twice += both
            once += both if shown == "answer_first" else []
    assert agreement(twice, 0.95)["kappa"] == pytest.approx(agreement(once, 0.95)["kappa"])


def test_agreement_of_scores():
    chance = random.Random(2)
    pairs = [(score, min(10, max(1, score + chance.choice([-1, 0, 0, 1])))) for score in range(1, 11) for _ in range(5)]
    verdicts = []
    for item, (one, two) in enumerate(pairs):
        verdicts += [verdict(item, score=one), verdict(item, second=True, score=two)]
    verdicts += [verdict("x", score=4), verdict("x", second=True, missing="refused")]
    found = agreement(verdicts, 0.95)
    assert found["same"]["of"] == 50
    known = stats.pearsonr(*zip(*pairs, strict=True))
    interval = known.confidence_interval(0.95)
    assert found["correlation"]["value"] == pytest.approx(known.statistic)
    assert found["correlation"]["low"] == pytest.approx(interval.low)
    assert found["correlation"]["high"] == pytest.approx(interval.high)
    assert 0.8 < found["kappa"]["value"] < 1
    assert any("second pass" in line and "correlation" in line for line in lines(summary(verdicts, 0.95)))


def test_what_cannot_be_told_is_none():
    assert correlation([(1, 1), (1, 2)], 0.95) is None
    assert correlation([(1, 1), (2, 2), (3, 4)], 0.95)["low"] is None
    found = agreement([verdict(1, score=2), verdict(1, second=True, missing="x")], 0.95)
    assert found["same"]["share"] is None
    assert lines(summary([verdict(1, score=2), verdict(1, second=True, missing="x")], 0.95))
