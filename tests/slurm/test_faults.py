"""One fault of each kind, at random moments of one sweep; `make test-faults` throws many (see `faults`)."""

import json
import random

import pytest
from fault_record import faults_of_results, table
from faults import KINDS, reference, shuffled, storm
from submitted import Submitted

from cluster import Cluster

pytestmark = pytest.mark.slurm

SEED = 7
"""Of which fault comes when and what it hits, as far as the machine's own haste allows."""


@pytest.mark.timeout(1800)
def test_a_fault_of_each_kind_changes_nothing(cluster, tmp_path):
    expected, chance = reference(tmp_path / "undisturbed", cluster, seeds=2), random.Random(SEED)
    with Cluster(cpus=1) as own:
        outcome = storm(tmp_path / "disturbed", own, shuffled(1, KINDS, chance), chance, 2, 5, expected)
    assert not outcome.wrong, table(outcome, SEED) + outcome.said[-3000:]
    assert {fault.kind for fault in outcome.faults} == set(KINDS)
    assert all(fault.same for fault in outcome.faults)


# --- that the storm's judge sees what is wrong --------------------------------------------------------------------


@pytest.fixture
def project(tmp_path):
    """The files of a project with one finished training, without the project."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "x.yaml").write_text("study: x\n")
    made = Submitted(tmp_path, None, "config/x.yaml")
    state = made.results / "runs" / "m" / "d" / "seed-1" / "state"
    (state.parent / "epoch-1").mkdir(parents=True)
    (state.parent / "epoch-1" / "model.safetensors").write_bytes(b"weights")
    state.mkdir()
    (state / "log.txt").write_text("t [1@n1/7] starts at step 0 of 4\nt [2@n2/8] epoch 1 written\nt [2@n2/8] done\n")
    write_events(made, ("takes", 1, 10), ("passes", 1, 12), ("takes", 2, 13), ("leaves", 2, 15))
    return made


def write_events(project, *events):
    state = str(project.results / "runs" / "m" / "d" / "seed-1" / "state")
    facts = [{"kind": kind, "pid": pid, "time": time, "state": state} for kind, pid, time in events]
    whole = [json.dumps({**fact, "node": "n1", "job": "1"}) + "\n" for fact in facts]
    project.events_path.write_text("".join(whole))


def test_a_faultless_sweep_has_no_faults(project):
    assert faults_of_results(project, project.hashes()) == []


def test_two_processes_at_a_time_are_seen(project):
    write_events(project, ("takes", 1, 10), ("takes", 2, 11), ("passes", 1, 12), ("leaves", 2, 15))
    (found,) = faults_of_results(project, project.hashes())
    assert "at the same time" in found


def test_what_is_done_twice_is_seen(project):
    log = project.results / "runs" / "m" / "d" / "seed-1" / "state" / "log.txt"
    log.write_text(log.read_text() + "t [3@n3/9] epoch 1 written\nt [2@n2/8] late\n")
    written, back = sorted(faults_of_results(project, project.hashes()))
    assert "2 times 'epoch 1 written'" in written
    assert "[2@n2/8] worked there, then another, then it again" in back


def test_other_bits_are_seen(project):
    expected = project.hashes()
    (weights,) = project.results.glob("runs/*/*/*/epoch-1/model.safetensors")
    weights.write_bytes(b"Weights")
    (found,) = faults_of_results(project, expected)
    assert found.startswith("other content than undisturbed: runs/m/d/seed-1/epoch-1")
    weights.unlink()
    (found,) = faults_of_results(project, expected)
    assert found.startswith("missing: runs/m/d/seed-1/epoch-1")
