"""A source that a teacher writes, as rules: what is planned, what is asked, and where the key does not go."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from faulty_server import KEY, Server
from projects import CONFIG, new_project
from teachers import ITEMS, TEACHER, good

pytestmark = pytest.mark.workflow


def test_a_source_that_a_teacher_writes(tmp_path, monkeypatch):
    monkeypatch.setenv("TEACHER_KEY", KEY)
    project = new_project(tmp_path / "project")
    with Server(good()) as server:
        prices = {"prices": {"prompt": 1.0, "answer": 4.0}}
        items = {**ITEMS, "validation": "none", "teacher": {**TEACHER, **prices, "base_url": server.url}}
        project.edit_config(sources__synthetic__items=items, sources__synthetic__volumes=[4])
        plan = project.plan()
        assert (plan.rules["synthesise"], plan.rules["pool"]) == (1, 3)
        command = [sys.executable, "-m", "growthpace", "plan", CONFIG, "--json"]
        told = subprocess.run(command, cwd=project.folder, env=project.environment(), capture_output=True, text=True)
        (row,) = json.loads(told.stdout)["asking"]
        assert (row["key"], row["who"], row["requests"]) == ("sources.synthetic", "teacher", 6 + 18)
        assert row["money"] == pytest.approx((row["prompt_tokens"] + 4 * row["answer_tokens"]) / 1e6)
        page = (project.results / "plan.md").read_text()
        assert "sources.synthetic: 24 requests to the teacher, if nothing is dropped, at most" in page
        assert server.requests == 0

        wanted = [str(Path("results/mini/data/datasets/synthetic-4/seed-1.parquet"))]
        done = project.run(*wanted)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        asked = server.requests
        written = project.results / "data" / "synthetic" / "synthetic.jsonl"
        assert len(written.read_text().splitlines()) == 16
        assert "synthesise" not in project.plan().rules

        project.edit_config(sources__synthetic__volumes=[4, 16])  # another volume asks nobody
        plan = project.plan()
        assert "synthesise" not in plan.rules
        assert not plan.outputs("pool") & {"results/mini/data/pools/synthetic/general.parquet"}
        project.edit_config(
            sources__synthetic__items__teacher__limits={"tokens": 10**9}, sources__synthetic__items__overdraw=9.0
        )
        assert "synthesise" not in project.plan().rules
        project.edit_config(sources__synthetic__items__volume=18)
        plan = project.plan()
        assert plan.rules["synthesise"] == 1
        assert "volume=18" in plan.text
        before = written.read_text()
        done = project.run(*wanted)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        assert written.read_text().startswith(before)
        assert asked <= server.requests < asked + 8

    files = [path for path in project.folder.rglob("*") if path.is_file()]
    assert KEY not in done.stdout + done.stderr
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
