"""A study that trains its own advice: the grid first, then the mix, then whether it held; nothing twice."""

import pytest
import yaml

from growthpace.files import read_json

pytestmark = pytest.mark.workflow


def test_a_study_trains_its_own_advice(project):
    project.edit_config(
        sources__curated__volumes=[4, 8, 16],
        mixes__advised={"source": "curated", "models": ["s"], "advice": {"budget": 8}},
    )
    plan = project.plan()
    assert plan.outputs("dataset") == {
        f"results/mini/data/datasets/{d}/seed-1.parquet" for d in ("curated-8", "advised")
    }
    assert (plan.rules["train_3_epochs"], plan.rules["allocate"], plan.rules["check_advice"]) == (3, 1, 1)
    done = project.run()
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    analysis = project.results / "analysis"
    found = yaml.safe_load((analysis / "allocation-advised.yaml").read_text())
    manifest = read_json(project.results / "data/datasets/advised/seed-1.json")
    assert manifest["counts"] == {f"curated/{ability}": n for ability, n in found["counts"]["curated"].items()}
    checked = read_json(analysis / "advice_check.json")
    assert (checked["mix"], checked["against"]) == ("advised", "curated-8")
    assert checked["measured"] is not None
    assert yaml.safe_load((analysis / "advice.yaml").read_text())["allocation"] == [found]
    assert project.plan().jobs == ()

    # Another budget is another division and another training; no run of the grid.
    project.edit_config(mixes__advised={"source": "curated", "models": ["s"], "advice": {"budget": 16}})
    plan = project.plan()
    assert plan.rules["allocate"] == 1
    assert plan.outputs("train_3_epochs") == {"results/mini/runs/s/advised/seed-1/epoch-1.json"}
    assert "mix_advice_budget" in plan.text
