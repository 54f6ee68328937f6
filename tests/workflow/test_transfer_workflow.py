"""A study that asks for transfer: what is planned for it, and what comes out."""

from __future__ import annotations

import json
from contextlib import chdir
from pathlib import Path

import pytest
from projects import CONFIG

from growthpace.analysis.scores import read_frame
from growthpace.plan.making import Planned

pytestmark = pytest.mark.workflow

ALONE = {"source": "curated", "volume": 16, "alone": True, "all_but_one": False, "models": ["s"]}
PARTS = {"curated-16-only-biology", "curated-16-only-history"}


def test_transfer_plans_its_parts_and_tables_alone(project):
    project.edit_config(transfer=ALONE)
    plan = project.plan()
    runs = {f"results/mini/runs/s/{part}/seed-1" for part in PARTS}
    assert plan.outputs("spec_run") == {f"{run}/spec.json" for run in runs}
    assert plan.outputs("dataset") == {f"results/mini/data/datasets/{part}/seed-1.parquet" for part in PARTS}
    assert plan.rules["train_3_epochs"] == 2
    assert plan.rules["predict"] == plan.rules["grade"] == 2 * 4
    assert plan.outputs("transfer") == {"results/mini/analysis/transfer.parquet"}
    assert plan.outputs("features") == {"results/mini/analysis/features.parquet"}
    assert "results/mini/figures/transfer.svg" in plan.outputs("figure")
    assert not {"pool", "suite", "base_model", "audit"} & set(plan.rules)


def test_growthpace_plan_counts_them(project):
    project.edit_config(transfer=ALONE)
    with chdir(project.folder):
        content = Planned(Path(CONFIG)).content(None)
    cells = {cell["run"]: cell for cell in content["cells"] if cell["kind"] == "transfer"}
    assert set(cells) == {f"s/{part}/seed-1" for part in PARTS}
    assert {(cell["state"], cell["volume"], cell["source"]) for cell in cells.values()} == {("to run", 8, "curated")}
    assert content["faults"] == []
    assert content["totals"]["cells"]["to run"] == 2
    training = next(row for row in content["stages"] if row["stage"] == "training" and row["model"] == "s")
    assert (training["to_run"], training["hours"] > 0) == (4, True)
    assert all(row["done"] >= 0 for row in content["stages"])
    analysis = next(row for row in content["stages"] if row["stage"] == "analysis")
    assert (analysis["done"], analysis["to_run"]) == (0, 6)


def test_a_study_with_transfer_to_its_end(project):
    project.edit_config(transfer=ALONE)
    done = project.run()
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    table = read_frame(project.results / "analysis" / "transfer.parquet")
    own = table[table["suite"] == "test"]
    assert set(zip(own["trained"], own["tested"], strict=True)) == {
        (trained, tested) for trained in ("biology", "history") for tested in ("biology", "history", "overall")
    }
    assert set(own["kind"]) == {"alone"}
    features = read_frame(project.results / "analysis" / "features.parquet")
    assert {"self_effect", "answer_length"} <= set(features["feature"])
    found = json.loads((project.results / "analysis" / "feature_prediction.json").read_text())
    assert {entry["status"] for entry in found["predictions"]} == {"refused"}  # two abilities are too few
    assert (project.results / "figures" / "transfer.svg").exists()
    assert project.plan().jobs == ()
    # What it asks for besides its curves changes none of them.
    pace = read_frame(project.results / "analysis" / "pace.parquet")
    assert set(pace["source"]) == {"curated", "synthetic"}
