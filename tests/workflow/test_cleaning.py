"""`growthpace clean` on a study whose checkpoints are all there still: what it leaves is a finished study."""

from pathlib import Path

import pytest
from projects import CONFIG

from growthpace.cluster.clean import clean
from growthpace.files import read_json

pytestmark = pytest.mark.workflow


def test_after_cleaning_a_finished_study_nothing_is_to_be_done(project, monkeypatch):
    project.edit_config(keep_checkpoints="selected")  # a `select` that was killed leaves what is not needed, too
    monkeypatch.chdir(project.folder)
    runs = [path.parent for path in project.results.glob("runs/*/*/*/training.json")]
    assert len(runs) == 5
    assert all(len(list(run.glob("epoch-*/"))) == 3 for run in runs)
    said: list[str] = []
    assert clean(Path(CONFIG), True, False, True, said.append) == 0
    assert said[-1] == "freed"
    for run in runs:
        chosen = read_json(project.results / "selected" / f"{run.relative_to(project.results / 'runs')}.json")["epoch"]
        assert [path.name for path in run.glob("epoch-*/")] == [f"epoch-{chosen}"]
    assert not list(project.results.rglob("*.state"))
    assert not project.plan().jobs
