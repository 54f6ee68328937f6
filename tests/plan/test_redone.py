"""What a start would throw away, and the guard that asks before it does."""

import json
from pathlib import Path

import pytest
from projects import CONFIG

from growthpace.cluster.head import guard
from growthpace.errors import InputError
from growthpace.plan.making import Planned
from growthpace.plan.redone import redone_work

pytestmark = pytest.mark.workflow


@pytest.fixture
def measured(project):
    """Every training took two GPUs for half an hour."""
    for path in project.results.glob("runs/*/*/*/training.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "seconds": 1800.0, "devices": 2}))
    return project


def test_what_is_missing_throws_nothing_away(measured):
    (measured.results / "predictions/s/curated-4/seed-1/epoch-2/valid.parquet").unlink()
    assert redone_work(Planned(Path(CONFIG))) == []
    guard(Path(CONFIG), 0.0, False, pytest.fail)


def test_a_changed_recipe_is_asked_about_with_hours_and_reason(measured):
    measured.edit_config(training__learning_rate=5e-3)
    found = redone_work(Planned(Path(CONFIG)))
    assert len(found) == 5
    assert all(row.trained and row.gpu_hours >= 1.0 for row in found)
    assert {row.why for row in found} == {"training.learning_rate: 0.001 -> 0.005"}
    with pytest.raises(InputError) as refusal:
        guard(Path(CONFIG), 4.9, False, pytest.fail)
    text = str(refusal.value)
    assert "training.learning_rate: 0.001 -> 0.005: 5 trainings and 20 predictions (5.00 GPU hours" in text
    assert "Nothing was submitted" in text
    said = []
    guard(Path(CONFIG), 5.1, False, said.append)
    guard(Path(CONFIG), 0.0, True, said.append)
    assert len(said) == 2


def test_only_the_runs_that_change_are_asked_about(measured):
    measured.edit_config(suites__test__max_new_tokens=9)
    found = redone_work(Planned(Path(CONFIG)))
    assert not any(row.trained for row in found)
    assert sum(row.predictions for row in found) == 7
    assert sum(row.unknown for row in found) == 7
    assert {row.why for row in found} == {"suites.test.max_new_tokens: 8 -> 9"}
