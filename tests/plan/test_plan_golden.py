"""Plans of clean checkouts against stored ones; after a wanted change: `python tests/plan/golden.py`."""

import json

import pytest
from golden import CONFIGS, clean_plan, stored


@pytest.mark.workflow
@pytest.mark.parametrize("config", CONFIGS)
def test_the_plan_of_a_clean_checkout(config, tmp_path):
    plan = clean_plan(config, tmp_path / "project")
    assert all(row["done"] == 0 for row in plan["stages"])  # the number of all jobs is counted apart from Snakemake
    assert plan == json.loads(stored(config).read_text())
