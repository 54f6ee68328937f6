"""What planned jobs will ask of judges and teachers: rows, and lines of them."""

from types import SimpleNamespace

import pytest

from growthpace.endpoint.foreseen import row_of
from growthpace.endpoint.requests import Spent
from growthpace.plan.asking import asking, asking_lines
from growthpace.plan.dry_run import Job


def job(rule, **wildcards):
    return Job(rule, wildcards, [], [], "", {}, 1)


def planned(jobs, known):
    runs = {name: name for name in ("a", "b", "c", "d")}
    return SimpleNamespace(
        jobs=jobs,
        checked={"asking": known},
        wiring=SimpleNamespace(written_sources=["synthetic", "other"], runs=runs),
        grid=SimpleNamespace(evaluations=lambda run: [("open", 0), ("test", 0)]),
        study=SimpleNamespace(judged=["open"]),
    )


def test_only_what_is_planned_is_counted():
    known = {
        "sources.synthetic": row_of("teacher", 10, Spent(100, 200, 3.0)),
        "suites.open": row_of("judge", 40, Spent(400, 800, 8.0)),
    }
    assert asking(planned([job("pool", source="synthetic")], known)) == []
    jobs = [job("synthesise", source="synthetic"), *[job("judge", suite="open")] * 3, job("synthesise", source="other")]
    teacher, other, judge = asking(planned(jobs, known))
    assert (teacher["key"], teacher["requests"], teacher["money"]) == ("sources.synthetic", 10, 3.0)
    assert (judge["jobs"], judge["requests"], judge["prompt_tokens"], judge["money"]) == (3, 30, 300, 6.0)
    assert (other["who"], other["requests"]) == ("teacher", None)
    lines = asking_lines([teacher, other, judge])
    assert lines[0] == (
        "sources.synthetic: 10 requests to the teacher, if nothing is dropped, at most 100 + 200 tokens, cost 3.00"
    )
    assert "how many is known once its items are here" in lines[1]
    assert lines[-1] == "money for judges and teachers: at most 9.00, and 1 of unknown cost"


def test_without_prices_money_is_unknown():
    row = row_of("judge", 4, Spent(10, 20, float("nan")))
    assert row["money"] is None
    (line,) = asking_lines([{"key": "suites.open", "jobs": 1, **row}])
    assert line == "suites.open: 4 requests to the judge, at most 10 + 20 tokens"
    assert pytest.approx(4) == row["requests"]
