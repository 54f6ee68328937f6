"""`growthpace review` as it is called: what it prints, and bad arguments."""

import json
import os
import subprocess
import sys

import pytest
from reviewing import Review, fill

from small_study import changed


def call(folder, *arguments):
    command = [sys.executable, "-m", "growthpace", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=os.environ | {"NO_COLOR": "1"})


def test_a_review_from_export_to_check(tmp_path):
    content = changed("sources.curated.volumes", [4])
    content["mixes"] = {}
    review = Review(tmp_path, content)
    found = call(tmp_path, "review", "export", "study.yaml", "curated", "--reviewers", "anna,ben", "--to", "out",
                 "--sample", "4", "--format", "csv")  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines() == [
        "review curated, anna: 8 items (biology 4, history 4) in out/curated-anna.csv",
        "review curated, ben: 8 items (biology 4, history 4) in out/curated-ben.csv",
        "in a spreadsheet: fill the column verdict (pass, revise or reject); with revise also the revised text",
        "next: growthpace review import study.yaml curated out/curated-anna.csv out/curated-ben.csv",
        "a file may be half done: import it now and again later",
    ]
    passed = {f"{ability}:{n}": ("pass",) for ability in ("biology", "history") for n in range(20)}
    for name in ("anna", "ben"):
        fill(tmp_path / f"out/curated-{name}.csv", passed)
    found = call(tmp_path, "review", "import", "study.yaml", "curated", "out/curated-anna.csv", "out/curated-ben.csv")
    assert found.stdout.splitlines() == [
        "out/curated-anna.csv: 8 pass, 0 revise, 0 reject, 0 not judged yet; 8 new verdicts",
        "out/curated-ben.csv: 8 pass, 0 revise, 0 reject, 0 not judged yet; 8 new verdicts",
        f"decisions written to {review.folder}: biology.jsonl, history.jsonl",
        "review curated: 8 kept, 0 rejected, 0 in conflict, 0 undecided, 32 not judged by anybody",
        "next: growthpace review report study.yaml curated",
        "to train on kept items only: sources.curated.reviewed: reviews/curated",
    ]
    found = call(tmp_path, "review", "report", "study.yaml", "curated")
    assert "anna and ben: the same verdict on 100.0 % (67.6 to 100.0) of 8 items, kappa undefined\n" in found.stdout
    found = call(tmp_path, "review", "report", "study.yaml", "curated", "--json")
    assert json.loads(found.stdout)["all"]["kept_of_decided"]["count"] == 8
    Review(tmp_path, changed("sources.curated.reviewed", "reviews/curated", content))
    found = call(tmp_path, "check", "study.yaml")
    assert "sources.curated/history: 4 items of 20 offered, 16 not passed by two reviewers\n" in found.stdout
    found = call(tmp_path, "pool", "study.yaml", "curated", "history")
    assert found.stdout.splitlines() == [
        "pool curated, history: 4 items",
        "pool curated, history: 16 items left out, not passed by two reviewers",
    ]


@pytest.mark.parametrize(("arguments", "message"), [
    (("export", "--to", "out"), "name either --reviewers anna,ben (two) or --adjudicator clara (one who decides"),
    (("export", "--to", "out", "--reviewers", "anna"), "--reviewers anna: two different people are needed, such as"),
    (("export", "--to", "out", "--reviewers", "a/b,c"), "reviewer: 'a/b' (allowed: up to 64 letters, digits and . _ -"),
    (("export", "--to", "out", "--adjudicator", "c", "--sample", "3"), "--sample would have no effect: an adjudicator"),
    (("report",), "reviews/curated: no verdicts yet; growthpace review export study.yaml curated --reviewers"),
    (("import", "gone.csv"), "gone.csv: no such file"),
])  # fmt: skip
def test_bad_arguments(tmp_path, arguments, message):
    Review(tmp_path)
    verb, *more = arguments
    found = call(tmp_path, "review", verb, "study.yaml", "curated", *more)
    assert found.returncode == 2
    assert message in found.stderr
    assert "Traceback" not in found.stderr
