"""A run killed at any moment and resumed ends with the same weights, bit for bit, and computes nothing twice that was
saved (invariant 5). Each attempt is a process of its own, which runs `growthpace train`."""

from __future__ import annotations

import contextlib
import shutil
import signal
from pathlib import Path

import pytest
import yaml
from attempts import CONFIG, KILLED, STUDY, Moment, attempt, kill_at_random, leftovers, outcome, rewrite, starts

import tiny
from growthpace.interruptible import BAD_INPUT, BUSY, STOPPED, StateFolder
from growthpace.paths import Paths
from growthpace.training.run import train
from tiny import RUN, silent

STEPS = 15


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder with the study's config, base model and dataset, and nothing trained."""
    folder = tmp_path_factory.mktemp("prepared")
    with contextlib.chdir(folder):
        study, _ = tiny.make_study()
        Path(CONFIG).write_text(yaml.safe_dump(study.model_dump(mode="json", exclude_none=True)))
    return folder


@pytest.fixture(scope="module")
def undisturbed(prepared, tmp_path_factory):
    """What training gives that nobody disturbs, in this process."""
    folder = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(prepared, folder, dirs_exist_ok=True)
    with contextlib.chdir(folder):
        study = tiny.describe_study(Path("base"))
        train(study, RUN, Paths(study), silent)
    return outcome(folder)


@pytest.fixture
def folder(prepared, tmp_path):
    """A copy of the prepared study."""
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    return tmp_path


RUN_MODULE = "growthpace.training.run"
MOMENTS = {
    # name: (the moment, after which step the next attempt begins; None: there is nothing left to train)
    "in the first step": (Moment("growthpace.training.loss:_loss"), 0),
    "after a step": (Moment(f"{RUN_MODULE}:History.add", count=8), 5),
    "before an epoch's weights": (Moment(f"{RUN_MODULE}:_Training.save_epoch", count=2), 5),
    "in the middle of an epoch's weights": (
        Moment("transformers.modeling_utils:safe_save_file", ".epoch-2.partial", half=True),
        5,
    ),
    "between an epoch's old and new folder": (Moment("os:replace", "/epoch-2'"), 5),
    "before an epoch's weights are on record": (Moment(f"{RUN_MODULE}:write_json", "epochs.json", 2), 5),
    "in the middle of a state's optimiser": (Moment("torch:save", "checkpoint-10/optimizer.pt", half=True), 5),
    "before a state's last file": (Moment("torch:save", "checkpoint-10/rng_state.pth"), 5),
    "before a state is marked as whole": (Moment("growthpace.training.states:write_json", "checkpoint-10"), 5),
    "before a state is in its place": (Moment("os:replace", "state/checkpoint-10'"), 5),
    "after the last step": (Moment(f"{RUN_MODULE}:History.add", count=STEPS), 10),
    "after the last weights": (Moment(f"{RUN_MODULE}:write_json", "finished.json"), None),
    "before the last state is removed": (Moment("shutil:rmtree", "state/checkpoint-"), None),
    "before a marker": (Moment(f"{RUN_MODULE}:write_json", "epoch-2.json"), None),
    "before training.json": (Moment(f"{RUN_MODULE}:write_json", "training.json"), None),
}


@pytest.mark.parametrize("name", MOMENTS)
def test_killed_at(name, folder, undisturbed):
    moment, step = MOMENTS[name]
    assert attempt(folder, moment) == KILLED
    assert not (folder / STUDY / "training.json").exists(), "written last"
    assert attempt(folder) == 0
    assert starts(folder) == ([0] if step is None else [0, step])
    assert outcome(folder) == undisturbed
    assert not leftovers(folder)


def test_killed_while_an_old_state_is_removed(folder, undisturbed):
    """That is once the new state is in its place, and the newest two are kept."""
    rewrite(folder, save_minutes=1e-9)
    assert attempt(folder, Moment("shutil:rmtree", "checkpoint-5'")) == KILLED
    kept = sorted(path.name for path in (folder / STUDY / "state").glob("checkpoint-*"))
    assert kept == ["checkpoint-5", "checkpoint-6", "checkpoint-7"]
    assert attempt(folder) == 0
    assert starts(folder) == [0, 7]
    assert outcome(folder) == undisturbed
    assert not leftovers(folder)


def test_killed_at_twenty_random_moments(prepared, tmp_path):
    """With a state after every step, so that many kills fall into the writing of one."""
    for name in ("undisturbed", "killed"):
        shutil.copytree(prepared, tmp_path / name)
        rewrite(tmp_path / name, save_minutes=1e-9, epochs=16)
    assert attempt(tmp_path / "undisturbed") == 0
    assert kill_at_random(tmp_path / "killed", 1, 20, seed=0) == 20
    assert attempt(tmp_path / "killed") == 0
    begun = starts(tmp_path / "killed")
    assert begun == sorted(begun)
    assert begun[-1] >= 10
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "undisturbed")
    assert not leftovers(tmp_path / "killed")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_asked_to_stop(folder, undisturbed, number):
    """In the middle of an epoch: saved within the step, exit code 75, and the next attempt goes on from that step."""
    assert attempt(folder, Moment(f"{RUN_MODULE}:History.add", count=8, signal=number)) == STOPPED == 75
    assert "growthpace: small/curated-18/seed-1: stopped after step 8" in (folder / "output.txt").read_text()
    assert not (folder / STUDY / "training.json").exists()
    assert attempt(folder) == 0
    assert starts(folder) == [0, 8]
    assert outcome(folder) == undisturbed


def test_asked_to_stop_while_still_loading(folder, undisturbed):
    """Before the first step there is nothing to save; one step is made, and kept."""
    assert attempt(folder, Moment(f"{RUN_MODULE}:read_items", signal=signal.SIGTERM)) == STOPPED
    assert attempt(folder) == 0
    assert starts(folder) == [0, 1]
    assert outcome(folder) == undisturbed


def test_asked_to_stop_when_all_is_done(folder, undisturbed):
    """A signal in the last step is no reason to leave before the end."""
    last = Moment(f"{RUN_MODULE}:History.add", count=STEPS, signal=signal.SIGTERM)
    assert attempt(folder, last) == 0
    assert outcome(folder) == undisturbed


def test_earlier_weights_that_are_gone_come_back(folder, undisturbed):
    """The state is after epoch 2, epoch 1 was removed meanwhile: going on would leave a hole."""
    assert attempt(folder, Moment(f"{RUN_MODULE}:History.add", count=12)) == KILLED
    shutil.rmtree(folder / STUDY / "epoch-1")
    assert attempt(folder) == 0
    assert starts(folder) == [0, 0]
    assert outcome(folder) == undisturbed


def test_a_damaged_state_is_not_used(folder, undisturbed):
    """The newest state lost a file: the one before it serves."""
    assert attempt(folder, Moment(f"{RUN_MODULE}:History.add", count=12)) == KILLED
    (folder / STUDY / "state/checkpoint-10/optimizer.pt").unlink()
    assert attempt(folder) == 0
    assert starts(folder) == [0, 5]
    assert outcome(folder) == undisturbed


def test_a_state_with_one_wrong_byte_is_not_used(folder, undisturbed):
    """Of the size it should have, but not what was written: its checksum tells."""
    assert attempt(folder, Moment(f"{RUN_MODULE}:History.add", count=12)) == KILLED
    path = folder / STUDY / "state/checkpoint-10/optimizer.pt"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert attempt(folder) == 0
    assert starts(folder) == [0, 5]
    assert outcome(folder) == undisturbed


def test_killed_while_lost_weights_are_trained_again(folder, undisturbed):
    """The second training resumes too, and leaves what the first one recorded."""
    assert attempt(folder) == 0
    for epoch in (1, 3):
        shutil.rmtree(folder / STUDY / f"epoch-{epoch}")
    assert attempt(folder, Moment(f"{RUN_MODULE}:History.add", count=12)) == KILLED
    assert attempt(folder) == 0
    assert starts(folder) == [0, 0, 10]
    found = outcome(folder)
    assert found["training"].pop("seconds_again") > 0
    assert found == undisturbed


def test_a_state_of_other_settings_is_not_used(folder, undisturbed):
    """Killed, then the learning rate changed, then changed back: each starts anew."""
    assert attempt(folder, Moment(f"{RUN_MODULE}:History.add", count=8)) == KILLED
    rewrite(folder, learning_rate=5e-3)
    assert attempt(folder, Moment(f"{RUN_MODULE}:History.add", count=8)) == KILLED
    assert starts(folder) == [0]
    assert (folder / STUDY / "state.stale/checkpoint-5/complete.json").exists()
    rewrite(folder, learning_rate=1e-2)
    assert attempt(folder) == 0
    assert starts(folder) == [0]
    assert outcome(folder) == undisturbed


def test_exit_codes(folder):
    with StateFolder(folder / STUDY / "state", "another job"):
        assert attempt(folder) == BUSY == 76
    rewrite(folder, max_length=5)
    assert attempt(folder) == BAD_INPUT == 2
    said = (folder / "output.txt").read_text()
    assert "is in use by another job (process" in said
    assert "tokens, training.max_length is 5; raise max_length" in said
    assert "Traceback" not in said
