"""A judged suite in a finished study: what is planned, what is asked, and where the key does not go."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from faulty_server import KEY, Server, says
from projects import CONFIG
from test_workflow import LIGHT

from growthpace.analysis.scores import read_frame
from growthpace.data.items import Item, Message, write_items
from growthpace.files import read_json

pytestmark = pytest.mark.workflow

ITEMS = [
    Item(f"open-{n}", "biology", (Message("user", f"Where is it, {n}?"), Message("assistant", "Here.")), "judge")
    for n in range(4)
]
EVALUATIONS = 7
"""Five runs and two untuned models."""


def with_judge(project, url: str) -> None:
    """Adds a judge and a suite from the hub, whose file is there already."""
    project.edit_config(
        suites__open={
            "items": {"importer": "chat", "hub": "someone/open", "files": "{ability}.json"},
            "abilities": ["biology"],
            "epochs": "selected",
            "max_new_tokens": 4,
            "judged": True,
        },
        judge={
            "model": "judge",
            "base_url": url,
            "key_variable": "JUDGE_KEY",
            "mode": "pairwise",
            "rubric": "quality",
            "max_tokens": 50,
            "answer_format": "text",
            "second_pass": 0.5,
            "retries": 1,
        },
    )


def test_a_judged_suite_of_a_finished_study(project, monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", KEY)
    with Server(lambda body, n: says('{"reasoning": "r", "winner": "first"}')) as server:
        with_judge(project, server.url)
        plan = project.plan()
        assert plan.rules["judge"] == EVALUATIONS
        assert set(plan.rules) == {"suite", "audit", "spec_predict", "predict", "spec_judge", "judge", "judge_report",
                                   "grade", "spec_grade", "select"} | LIGHT  # fmt: skip
        assert plan.rules["predict"] == EVALUATIONS
        write_items(project.results / "data" / "suites" / "open.parquet", ITEMS, {})
        done = project.run()
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        asked = server.requests
        assert asked > 0
        content = read_json(project.results / "analysis" / "judge.json")["suites"]["open"]
        assert content["position_bias"]["follows_position"]["share"] == 1
        assert content["agreement"]["same"]["share"] == 1
        scores = read_frame(project.results / "scores.parquet")
        assert scores[scores["suite"] == "open"]["score"].tolist() == [0.5] * EVALUATIONS
        assert "position bias" in (project.results / "report.html").read_text()
        assert project.plan().jobs == ()
        command = [sys.executable, "-m", "growthpace", "plan", CONFIG, "--json"]
        told = subprocess.run(command, cwd=project.folder, env=project.environment(), capture_output=True, text=True)
        stages = [row for row in json.loads(told.stdout)["stages"] if row["stage"] == "judging"]
        assert sum(row["done"] for row in stages) == EVALUATIONS + 2
        assert sum(row["jobs"] for row in stages) == 0

        project.edit_config(judge__limits={"tokens": 10**9}, judge__concurrency=1)
        assert project.plan().jobs == ()
        project.edit_source("evaluation/scorers/judge.py", "VERSION = 1", "VERSION = 2")
        assert set(project.plan().rules) == {"spec_grade", "grade", "select"} | LIGHT
        project.edit_source("evaluation/scorers/judge.py", "VERSION = 2", "VERSION = 1")
        project.edit_config(judge__rubric="Which of them is shorter?")
        plan = project.plan()
        assert set(plan.rules) == {"spec_judge", "judge", "judge_report", "grade"} | LIGHT
        assert plan.rules["judge"] == plan.rules["grade"] == EVALUATIONS
        assert "rubric=Which of them is shorter?" in plan.text
        done = project.run()
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        assert server.requests == 2 * asked

    assert KEY not in done.stdout + done.stderr
    files = [path for path in project.folder.rglob("*") if path.is_file()]
    assert len(files) > 100
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


def test_a_missing_key_is_one_message(project, monkeypatch):
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    assert "JUDGE_KEY" not in os.environ
    with_judge(project, "http://127.0.0.1:1/v1")
    write_items(project.results / "data" / "suites" / "open.parquet", ITEMS, {})
    done = project.run("--until", "judge")
    assert done.returncode != 0
    assert "the environment variable JUDGE_KEY is not set" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
