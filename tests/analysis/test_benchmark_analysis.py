"""The simulated study of benchmarks/analysis.py is what its stages read."""

import argparse
import runpy
import sys
from pathlib import Path

import yaml

from growthpace.analysis.matrix import blocks
from growthpace.analysis.scores import read_chosen
from growthpace.analysis.selection_bias import read_candidates
from growthpace.study import load_study

FOLDER = Path(__file__).parents[2] / "benchmarks"


def test_it_writes_a_study_that_the_stages_read(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    benchmark = runpy.run_path(str(FOLDER / "analysis.py"))
    options = argparse.Namespace(abilities=2, models=2, sources=2, volumes=3, seeds=2, epochs=3, items=5)
    content = benchmark["study_of"](options)
    config = tmp_path / "simulated.yaml"
    config.write_text(yaml.safe_dump(content, sort_keys=False))
    study = load_study(config)
    assert study.analysis.replicates == 2000
    path = tmp_path / "item_grades.parquet"
    runs = 2 * 2 * 3 * 2
    assert benchmark["written"](path, content, options) == 10 * (runs * 3 + runs + 2)
    assert len(read_candidates(path, study.selection.suite)) == 10 * runs * 3
    found = {(block.suite, block.ability): block.values.shape for block in blocks(read_chosen(path))}
    assert found == {
        ("test", "ability_0"): (5, runs + 2), ("test", "ability_1"): (5, runs + 2), ("test", "overall"): (10, runs + 2),
        ("valid", "ability_0"): (5, runs), ("valid", "ability_1"): (5, runs), ("valid", "overall"): (10, runs),
    }  # fmt: skip
    sys.modules.pop("big_study", None)
