"""Every solution that HumanEval and MBPP come with passes in the sandbox, and what is no solution fails."""

import gzip
import json

import pytest

from bubblewrap import need_bubblewrap
from growthpace.evaluation.sandbox import try_out
from growthpace.evaluation.scorers.code import programs_of

pytestmark = pytest.mark.real

EVERY = 8
"""Of MBPP's 974 programs every eighth is tried here; all of them have passed by hand."""


@pytest.fixture(autouse=True)
def _needs_bubblewrap():
    need_bubblewrap()


@pytest.fixture(scope="module")
def human_eval(real_data):
    """(name, beginning, solution, tests) of each problem."""
    with gzip.open(real_data / "human_eval" / "HumanEval.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [
        (row["task_id"], row["prompt"], row["canonical_solution"], f"{row['test']}\ncheck({row['entry_point']})\n")
        for row in rows
    ]


@pytest.fixture(scope="module")
def mbpp(real_data):
    """(name, beginning, solution, tests) of each problem that is tried."""
    rows = [json.loads(line) for line in (real_data / "mbpp" / "mbpp.jsonl").read_text(encoding="utf-8").splitlines()]
    return [
        (row["task_id"], "", row["code"], "\n".join([row["test_setup_code"], *row["test_list"]]))
        for row in rows
        if row["task_id"] % EVERY == 0 or row["test_setup_code"]
    ]


def passed(problems, answers):
    """Names of the problems that pass with these answers."""
    found = []
    for (name, beginning, _, tests), answer in zip(problems, answers, strict=True):
        if try_out(programs_of(answer, beginning, tests), beginning, tests).passed:
            found.append(name)
    return found


@pytest.mark.parametrize("set_of_problems", ["human_eval", "mbpp"])
def test_every_reference_passes(set_of_problems, request):
    problems = request.getfixturevalue(set_of_problems)
    assert passed(problems, [solution for _, _, solution, _ in problems]) == [name for name, *_ in problems]


@pytest.mark.parametrize("set_of_problems", ["human_eval", "mbpp"])
def test_no_empty_answer_passes(set_of_problems, request):
    problems = request.getfixturevalue(set_of_problems)
    assert passed(problems, [""] * len(problems)) == []


@pytest.mark.parametrize("set_of_problems", ["human_eval", "mbpp"])
def test_no_answer_to_another_problem_passes(set_of_problems, request):
    problems = request.getfixturevalue(set_of_problems)[::4]
    solutions = [solution for _, _, solution, _ in problems]
    assert passed(problems, solutions[1:] + solutions[:1]) == []
