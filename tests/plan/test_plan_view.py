"""How a plan is shown, written and compared."""

import json

import pytest

from growthpace.errors import InputError
from growthpace.plan.difference import difference, difference_lines, read_plan
from growthpace.plan.pages import markdown, page
from growthpace.plan.screen import shown
from growthpace.plan.view import cell_text, hours, reason_line, total_lines, worst


def cell(state: str, seed: int = 1, model: str = "s", progress: str | None = None) -> dict:
    run = f"{model}/curated-4/seed-{seed}"
    fault = "ValueError: <no>" if state == "blocked" else None
    return {"run": run, "model": model, "dataset": "curated-4", "state": state, "progress": progress, "fault": fault}


def plan(*cells: dict, **totals) -> dict:
    states = [c["state"] for c in cells]
    row = {"done": 1, "running": 0, "resumable": 0, "to_run": 3, "blocked": 0, "jobs": 3, "gpu_hours": 12.5,
           "hours": 12.5, "basis": {"measured": 2, "bound": 1}}  # fmt: skip
    return {
        "version": 1,
        "study": "small",
        "config": "config/small.yaml",
        "site": "profiles/slurm/site.yaml",
        "faults": [],
        "stages": [{"stage": "training", "model": "a-model-with-a-rather-long-name-as-they-are", **row}],
        "cells": list(cells),
        "reasons": [{"cause": "training.epochs: 3 -> 4", "runs": 2, "jobs": 3, "by_stage": {"training": 3}}],
        "totals": {
            "cells": {state: states.count(state) for state in ("done", "running", "resumable", "to run", "blocked")},
            "jobs": 3,
            "gpus": 4,
            "gpus_assumed": False,
            "gpu_hours": 12.5,
            "hours": 12.5,
            "basis": {"measured": 2, "unknown": 1},
            "wall_hours_at_least": 4.0,
            "longest_chain_hours": 4.0,
            "peak_disk_gb": 1234.5,
            **totals,
        },
    }


def test_a_box_sums_up_its_seeds():
    assert cell_text([cell("done", 1), cell("done", 2)]) == "2/2 done"
    assert cell_text([cell("done", 1), cell("to run", 2)]) == "1/2 done, 1 to run"
    assert cell_text([cell("resumable", progress="step 40 of 300")]) == "resumable at step 40 of 300"
    assert worst([cell("done"), cell("blocked"), cell("to run")]) == "blocked"


def test_times_for_people():
    assert [hours(h) for h in (None, 0, 0.05, 2.345, 1234.5)] == ["unknown", "0 h", "3 min", "2.35 h", "1,234 h"]


def test_totals_say_what_they_rest_on():
    text = "\n".join(total_lines(plan(cell("done"), cell("to run", 2))))
    assert "2 runs: 1 done, 1 to run" in text
    assert "GPU hours: 12.5 h (2 jobs as measured; 1 job of unknown time, counted as nothing)" in text
    assert "at least 4 h with 4 GPUs" in text
    assert "at most 1,234 GB" in text
    assert reason_line(plan()["reasons"][0]) == "2 runs again: training.epochs: 3 -> 4 (3 jobs: training 3)"


def test_the_screen_fits_100_columns_and_has_no_colours_unless_asked():
    many = [cell("to run", seed, f"model-{m}") for m in range(9) for seed in (1, 2)]
    text = shown(plan(*many), terminal=False)
    assert max(map(len, text.splitlines())) <= 100
    assert "\x1b" not in text
    assert "\x1b" in shown(plan(*many), terminal=True)


def test_pages_hold_everything_and_escape_it():
    content = plan(cell("blocked"), cell("done", 2))
    assert "| curated-4 | 1/2 done, 1 blocked |" in markdown(content)
    assert "ValueError: <no>" in markdown(content)
    assert "ValueError: &lt;no&gt;" in page(content)
    assert "src=" not in page(content)  # nothing is loaded from elsewhere


def test_differences_between_plans():
    before = plan(cell("to run"), cell("to run", 2), cell("done", 3))
    after = plan(cell("done"), cell("to run", 2), cell("to run", 4), gpu_hours=10.0)
    found = difference(before, after)
    assert found["changed"] == {"s/curated-4/seed-1": ["to run", "done"]}
    assert found["added"] == {"s/curated-4/seed-4": "to run"}
    assert found["removed"] == {"s/curated-4/seed-3": "done"}
    assert found["gpu_hours"] == -2.5
    assert "1 to run -> done: s/curated-4/seed-1" in difference_lines(found)
    assert difference_lines(difference(before, before)) == ["the plans agree"]


@pytest.mark.parametrize("content", ["no JSON", "[]", json.dumps({"version": 1}), json.dumps({**plan(), "version": 9})])
def test_another_file_is_no_plan(content, tmp_path):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(InputError, match=r"x\.json"):
        read_plan(tmp_path / "x.json")
    with pytest.raises(InputError, match="no such file"):
        read_plan(tmp_path / "y.json")
