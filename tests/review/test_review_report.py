"""What is told of a review, against hand calculation and other people's intervals."""

import json

import pytest
from reviewing import Review
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from growthpace.review.report import lines, summary
from small_study import POOL, record, write_lines

NEW = "Which is it now?\nA. one\nB. two\nC. three\nD. four"
ANNA = ["pass", "pass", "pass", "pass", "pass", "pass", "pass", "pass", "revise", "reject", "reject", "pass"]
BEN = ["pass", "pass", "pass", "pass", "pass", "pass", "pass", "revise", "pass", "reject", "pass", "reject"]


def judged(tmp_path):
    review = Review(tmp_path)

    def of(kinds):
        return {f"history:{n}": (kind, NEW if kind == "revise" else "") for n, kind in enumerate(kinds)}

    review.judge({"anna": of(ANNA), "ben": of(BEN)})
    review.judge({"ben": {"history:8": ("pass",)}})
    return review


def test_the_numbers_of_a_review(tmp_path):
    found = summary(judged(tmp_path).source, 0.95)
    biology, history = found["abilities"]
    assert (biology["offered"], biology["judged"], biology["kept_of_decided"]["share"]) == (POOL, 0, None)
    states = {key: history[key] for key in ("judged", "kept", "rejected", "conflict", "undecided", "revised")}
    assert states == {"judged": 12, "kept": 8, "rejected": 1, "conflict": 2, "undecided": 1, "revised": 1}
    once, kept = history["passed_at_once"], history["kept_of_decided"]
    assert (once["count"], once["of"], kept["count"], kept["of"]) == (7, 12, 8, 9)
    for row in (once, kept):
        known = stats.binomtest(row["count"], row["of"]).proportion_ci(0.95, method="wilson")
        assert (row["low"], row["high"]) == pytest.approx((known.low, known.high))
    (agreement,) = found["agreement"]
    assert agreement["reviewers"] == ["anna", "ben"]
    assert (agreement["same"]["count"], agreement["same"]["of"]) == (8, 12)
    assert agreement["kappa"]["value"] == pytest.approx(cohen_kappa_score(ANNA, BEN))
    assert agreement["kappa"]["low"] < agreement["kappa"]["value"] < agreement["kappa"]["high"]
    assert found["all"]["kept"] == 8
    assert json.dumps(found, allow_nan=False)


def test_what_is_printed(tmp_path):
    said = lines(summary(judged(tmp_path).source, 0.95))
    heads = "ability offered judged kept revised rejected conflict undecided passed at once kept of decided"
    assert " ".join(said[0].split()) == heads
    assert said[1].split() == ["biology", "20", "0", "0", "0", "0", "0", "0", "-", "-"]
    assert said[2].startswith("history       20      12     8        1         1         2          1  58.3 % (32.0 to")
    assert said[4].startswith("anna and ben: the same verdict on 66.7 % (39.1 to 86.2) of 12 items, kappa 0.17 (")


def test_two_who_say_nothing_but_pass_have_no_kappa(tmp_path):
    review = Review(tmp_path)
    passed = {f"{ability}:{n}": ("pass",) for ability in ("history", "biology") for n in range(3)}
    review.judge({"anna": passed, "ben": passed})
    said = lines(summary(review.source, 0.95))
    assert said[4] == "anna and ben: the same verdict on 100.0 % (61.0 to 100.0) of 6 items, kappa undefined"
    assert said[5].startswith("anna and ben on biology: the same verdict on 100.0 % (43.9 to 100.0) of 3 items")


def test_items_of_a_group_are_one_cluster(tmp_path):
    review = Review(tmp_path)
    items = [record(f"Q{n}?\nA. one\nB. two\nC. three\nD. four", "A", idx=n, group=f"g{n // 4}") for n in range(POOL)]
    write_lines(tmp_path / "items/curated/history.json", items)
    kinds = {n: ("pass",) if n < 12 else ("reject",) for n in range(POOL)}
    other = {n: ("pass",) if n < 8 else ("reject",) for n in range(POOL)}
    review.judge({
        "anna": {f"history:{n}": kind for n, kind in kinds.items()},
        "ben": {f"history:{n}": kind for n, kind in other.items()},
    })  # fmt: skip
    (found,) = summary(review.source, 0.95)["agreement"]
    assert (found["items"], found["groups"]) == (20, 5)
    assert found["kappa"]["error"] > 0.3  # five opinions, not twenty
    assert any("of 20 items in 5 groups, kappa 0.62" in line for line in lines(summary(review.source, 0.95)))


def test_verdicts_that_no_longer_count_are_told(tmp_path):
    review = judged(tmp_path)
    items = [record(f"curated history {n}?\nA. one\nB. two\nC. three\nD. four", "ABCD"[n % 4], idx=n) for n in range(2)]
    write_lines(tmp_path / "items/curated/history.json", [items[0], {**items[1], "messages": items[0]["messages"]}])
    said = lines(summary(review.source, 0.95))
    assert "2 verdicts are on items that have changed since; they do not count" in said
    assert "21 verdicts are on items that the source no longer has; they do not count" in said
