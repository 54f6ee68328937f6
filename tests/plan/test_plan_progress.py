"""What a state folder tells, without touching it."""

import json

import pytest

from growthpace.files import fingerprint, write_json
from growthpace.grid import Grid
from growthpace.paths import Paths
from growthpace.plan.progress import Progress, States
from growthpace.training.states import mark_complete
from small_study import study_of


@pytest.fixture
def states(tmp_path, monkeypatch) -> States:
    monkeypatch.chdir(tmp_path)
    study = study_of()
    found = States(Grid(study), Paths(study))
    run = found.grid.runs[0]
    write_json(found.paths.model(run.model) / "base.json", {"weights_sha256": "w"})
    write_json(found.paths.manifest(run.dataset, run.seed), {"items_sha256": "i"})
    return found


def leave(states: States, step: int, whole: bool = True, base: str = "w") -> None:
    run = states.grid.runs[0]
    folder = states.paths.run(run) / "state" / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    identity = {**states.grid.run_settings(run), "base_weights": base, "dataset": "i"}
    (folder.parent / "fingerprint").write_text(fingerprint(identity))
    (folder / "trainer_state.json").write_text(json.dumps({"max_steps": 30}))
    if whole:
        mark_complete(folder)


def test_the_newest_whole_state_counts_and_half_written_ones_stay(states):
    run = states.grid.runs[0]
    assert states.training(run) is None
    leave(states, 9)
    leave(states, 10)
    leave(states, 11, whole=False)
    assert states.training(run) == Progress(10, 30, "step")
    assert (states.paths.run(run) / "state" / "checkpoint-11").exists()


def test_a_state_of_another_base_model_counts_for_nothing(states):
    leave(states, 9, base="other")
    assert states.training(states.grid.runs[0]) is None


def test_answered_items(states):
    run, path = states.grid.runs[0], states.paths.prediction(states.grid.runs[0], "test", "selected")
    assert states.prediction(run, "test", "selected") is None
    write_json(path.with_suffix(".state") / "progress.json", {"done": 3, "of": 8})
    assert str(states.prediction(run, "test", "selected")) == "item 3 of 8"
