"""Several ranks train what one does, stop together, and resume with the same weights, bit for bit."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from attempts import (
    CONFIG,
    KILLED,
    STUDY,
    Moment,
    attempt,
    attempt_ranks,
    kill_at_random,
    leftovers,
    outcome,
    rewrite,
    starts,
)
from pydantic import ValidationError
from safetensors.torch import load_file

import tiny
from growthpace.errors import InputError
from growthpace.files import read_json
from growthpace.grid import Grid
from growthpace.interruptible import BAD_INPUT, STOPPED
from growthpace.training import ranks as ranks_module
from growthpace.training.launch import Place, find_place, ranks_of
from growthpace.training.ranks import Ranks
from growthpace.training.schedule import linear
from growthpace.training.zero import deepspeed_config

STEP_END = "growthpace.training.trainer:Keeper.on_step_end"
ZERO = [pytest.param(name, marks=pytest.mark.slurm) for name in ("zero2", "zero3")]  # DeepSpeed is slow to start
ZERO_ON_2 = [pytest.param(name, 2, marks=pytest.mark.slurm) for name in ("zero1", "zero2", "zero3")]


def prepare(folder: Path, processes: int, dropout: float, **recipe) -> Path:
    """A folder with the study's config, base model and dataset, and nothing trained."""
    folder.mkdir(exist_ok=True)
    with contextlib.chdir(folder):
        models = {"small": {"folder": Path("base"), "processes": processes}}
        study, _ = tiny.make_study(recipe, {"attention_dropout": dropout}, models=models)
        Path(CONFIG).write_text(yaml.safe_dump(study.model_dump(mode="json", exclude_none=True)))
    return folder


def history(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / STUDY / "state/history.jsonl").read_text().splitlines()]


# --- the same result -------------------------------------------------------------------------------------------------

NARROW = {"max_length": 20, "microbatch_tokens": 20, "epochs": 2}
"""Rows of about one item: three or four a step, and one or two in an epoch's last, so that a rank has none."""


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What one process learns."""
    folder = prepare(tmp_path_factory.mktemp("alone"), 1, 0.0, **NARROW)
    assert attempt(folder) == 0
    return folder


@pytest.mark.parametrize(("distribution", "processes"), [("ddp", 2), ("ddp", 3), *ZERO_ON_2])
def test_the_split_changes_nothing(distribution, processes, alone, tmp_path):
    folder = prepare(tmp_path, processes, 0.0, distribution=distribution, **NARROW)
    assert attempt_ranks(folder, processes) == [0] * processes
    for epoch in (1, 2):
        one, several = (load_file(f / STUDY / f"epoch-{epoch}/model.safetensors") for f in (alone, folder))
        assert one.keys() == several.keys()
        for name in one:
            torch.testing.assert_close(several[name], one[name], rtol=1e-5, atol=5e-6, msg=name)
    assert_alike(alone, folder)


def assert_alike(alone: Path, folder: Path, first: float = 1e-5, later: float = 1e-5) -> None:
    """Two trainings have the same loss curve, to a part of it, and an optimiser that lives by the recipe: what
    `training.json` says of it was read from the one that changes the weights, inside DeepSpeed."""
    one, several = (read_json(f / STUDY / "training.json") for f in (alone, folder))
    assert several["loss"][0] == pytest.approx(one["loss"][0], rel=first)
    assert several["loss"] == pytest.approx(one["loss"], rel=later)
    for key in ("tokens", "answer_tokens", "data_order"):
        assert several[key] == one[key]
    for found in (one, several):
        assert found["optimiser"] == {
            "class": "AdamW",
            "betas": [0.9, 0.95],
            "epsilon": [1e-8],
            "weight_decay": [0.0, 0.1],
        }
        assert found["learning_rate"] == pytest.approx([linear(step, 10, 1e-2, 1e-3, 2) for step in range(10)])


@pytest.fixture(scope="module")
def alone_in_half(tmp_path_factory):
    """What one process learns in bf16."""
    folder = prepare(tmp_path_factory.mktemp("half"), 1, 0.0, precision="bf16", **NARROW)
    assert attempt(folder) == 0
    return folder


@pytest.mark.parametrize(("distribution", "processes"), [("ddp", 2), *ZERO_ON_2])
def test_half_precision_is_the_same_on_every_path(distribution, processes, alone_in_half, tmp_path):
    """The first loss exactly: DeepSpeed rounds no weights before it. Later ones as gradients in half precision are."""
    folder = prepare(tmp_path, processes, 0.0, distribution=distribution, precision="bf16", **NARROW)
    assert attempt_ranks(folder, processes) == [0] * processes
    assert_alike(alone_in_half, folder, first=1e-6, later=2e-2)


@pytest.mark.slurm
@pytest.mark.parametrize(("distribution", "processes"), [("zero2", 1), ("zero3", 2)])
def test_offloading_changes_nothing(distribution, processes, alone, tmp_path):
    folder = prepare(tmp_path, processes, 0.0, distribution=distribution, offload=True, **NARROW)
    assert attempt_ranks(folder, processes) == [0] * processes
    assert_alike(alone, folder)


# --- stopping and resuming -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """For each distribution the prepared folder and what two undisturbed ranks leave, made when first asked for."""
    found = {}

    def get(distribution: str) -> tuple[Path, dict]:
        if distribution not in found:
            prepared = prepare(tmp_path_factory.mktemp("prepared"), 2, 0.1, distribution=distribution)
            folder = tmp_path_factory.mktemp("undisturbed")
            shutil.copytree(prepared, folder, dirs_exist_ok=True)
            assert attempt_ranks(folder, 2) == [0, 0]
            found[distribution] = prepared, outcome(folder)
        return found[distribution]

    return get


@pytest.mark.parametrize("distribution", ["ddp", *ZERO])
def test_resuming_is_exact(distribution, undisturbed, tmp_path):
    """One rank is asked to stop, and both do at that step; then both are killed; then they come to the end."""
    prepared, expected = undisturbed(distribution)
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    assert attempt_ranks(tmp_path, 2, {1: Moment(STEP_END, count=3, signal=signal.SIGTERM)}) == [STOPPED, STOPPED]
    killed = Moment(STEP_END, count=5)
    assert attempt_ranks(tmp_path, 2, {0: killed, 1: killed}) == [KILLED, KILLED]
    assert attempt_ranks(tmp_path, 2) == [0, 0]
    assert starts(tmp_path) == [0, 3, 5]
    assert outcome(tmp_path) == expected
    assert not leftovers(tmp_path)


@pytest.mark.slurm
@pytest.mark.timeout(900)
def test_two_ranks_killed_at_twenty_random_moments(tmp_path):
    """With ZeRO-2 and a state after every step: one rank is killed, then the other."""
    for name in ("undisturbed", "killed"):
        prepare(tmp_path / name, 2, 0.1, distribution="zero2", save_minutes=1e-9, epochs=16)
    assert attempt_ranks(tmp_path / "undisturbed", 2) == [0, 0]
    assert kill_at_random(tmp_path / "killed", 2, 20, seed=1) == 20
    assert attempt_ranks(tmp_path / "killed", 2) == [0, 0]
    begun = starts(tmp_path / "killed")
    assert begun == sorted(begun)
    assert begun[-1] >= 10
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "undisturbed")
    assert not leftovers(tmp_path / "killed")


def test_a_state_counts_once_every_rank_has_written_its_part(undisturbed, tmp_path):
    """Rank 1 dies before it has: rank 0 ends as well, without calling it a defect, and the state is not used."""
    prepared, expected = undisturbed("ddp")
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    assert attempt_ranks(tmp_path, 2, {1: Moment("torch:save", "checkpoint-10/rng_state_1")}) == [1, KILLED]
    state = tmp_path / STUDY / "state"
    assert not (state / "checkpoint-10").exists()
    assert (state / "aside/checkpoint-10").exists()
    assert not (state / "failed.json").exists()
    assert attempt_ranks(tmp_path, 2) == [0, 0]
    assert starts(tmp_path) == [0, 5]
    assert outcome(tmp_path) == expected


def test_bad_input_is_said_once(tmp_path):
    folder = prepare(tmp_path, 2, 0.0)
    rewrite(folder, max_length=5)
    assert attempt_ranks(folder, 2) == [BAD_INPUT, BAD_INPUT]
    assert (folder / "output.txt").read_text().count("training.max_length is 5") == 1


# --- the launcher ----------------------------------------------------------------------------------------------------


def rank_1_of(launcher: int) -> int:
    """The process id of rank 1 among a launcher's children."""
    for child in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split():
        if b"RANK=1" in Path(f"/proc/{child}/environ").read_bytes().split(b"\0"):
            return int(child)
    raise AssertionError("no rank 1")


def test_the_launcher(undisturbed, tmp_path):
    """Killing one rank ends the other; SIGTERM to the launcher stops both; the result is what it would have been."""
    prepared, expected = undisturbed("ddp")
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    rewrite(tmp_path, save_minutes=1e-9)
    by_hand = [sys.executable, "-m", "growthpace.training.launch", "--processes", "2", "--"]
    codes = []
    for action, by in (("kill", [sys.executable, "-m", "growthpace"]), ("stop", by_hand), (None, by_hand)):
        command = [*by, "train", CONFIG, str(tiny.RUN)]
        process = subprocess.Popen(command, cwd=tmp_path, start_new_session=True)
        begun, lines = time.monotonic(), 2 if action == "kill" else 7
        path = tmp_path / STUDY / "state/history.jsonl"
        while action and process.poll() is None and (not path.exists() or len(path.read_text().splitlines()) < lines):
            assert time.monotonic() - begun < 120
            time.sleep(0.005)
        if action == "kill":
            os.kill(rank_1_of(process.pid), signal.SIGKILL)
        elif action == "stop":
            process.send_signal(signal.SIGTERM)
        codes.append(process.wait(timeout=120))
        with pytest.raises(ProcessLookupError):  # nobody is left of its session
            os.killpg(process.pid, 0)
    assert codes == [128 + signal.SIGKILL, STOPPED, 0]
    assert not (tmp_path / STUDY / "state/failed.json").exists()
    assert outcome(tmp_path) == expected


def slurm(node: int, **changes: str) -> dict[str, str]:
    """The environment of a task of srun on a node of a job on three nodes."""
    return {
        "SLURM_NNODES": "3",
        "SLURM_NODEID": str(node),
        "SLURM_JOB_NODELIST": "n[4-6]",
        "SLURM_JOB_ID": "1234567",
        **changes,
    }


def ask(*command: str) -> str:
    """What `scontrol` says of a virtual cluster."""
    return {
        ("scontrol", "show", "hostnames", "n[4-6]"): "n4\nn5\nn6\n",
        ("scontrol", "show", "node", "n4"): "NodeName=n4 Arch=x86_64\n   NodeAddr=10.0.0.4 NodeHostName=box Port=17\n",
    }[command]


def test_places_in_a_slurm_job():
    places = [find_place(slurm(node), 3, ask, lambda host: True) for node in range(3)]
    assert [place.node for place in places] == [0, 1, 2]
    assert {place.address for place in places} == {"n4"}
    (port,) = {place.port for place in places}
    assert 10000 <= port < 30000
    assert find_place(slurm(0, SLURM_STEP_ID="1"), 3, ask, lambda host: True).port != port
    assert find_place(slurm(0), 3, ask, lambda host: host == "box").address == "box"
    assert find_place(slurm(0), 3, ask, lambda host: host == "10.0.0.4").address == "10.0.0.4"
    with pytest.raises(InputError, match=r"the node n4 has no address \(nor has box, 10\.0\.0\.4\)"):
        find_place(slurm(0), 3, ask, lambda host: False)
    with pytest.raises(InputError, match="asked for 2 nodes, but SLURM_NNODES is 3"):
        find_place(slurm(0), 2, ask, lambda host: True)
    with pytest.raises(InputError, match="SLURM_NNODES is not set: on 2 nodes this is started by srun"):
        find_place({}, 2, ask, lambda host: True)
    alone = find_place({}, 1, ask, lambda host: False)
    assert (alone.node, alone.nodes, alone.address) == (0, 1, "127.0.0.1")


def test_ranks_are_dealt_over_nodes():
    nodes = [ranks_of(Place(node, 3, "n4", 20000), 8) for node in range(3)]
    assert [[rank["RANK"] for rank in node] for node in nodes] == [["0", "1", "2"], ["3", "4", "5"], ["6", "7"]]
    assert [[rank["LOCAL_RANK"] for rank in node] for node in nodes] == [["0", "1", "2"], ["0", "1", "2"], ["0", "1"]]
    assert {rank["WORLD_SIZE"] for node in nodes for rank in node} == {"8"}
    with pytest.raises(InputError, match="2 processes cannot be shared by 3 nodes"):
        ranks_of(Place(0, 3, "n4", 20000), 2)


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("processes", "world"), [(2, "3"), (1, "2")])
def test_another_number_of_ranks_is_refused(processes, world, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", world)
    with pytest.raises(InputError, match=f"models.small.processes is {processes}, but WORLD_SIZE is {world}"):
        Ranks.join("small", processes, 1)


@pytest.mark.filterwarnings("error")
def test_more_ranks_than_gpus_are_refused(monkeypatch):
    for name, value in {"RANK": 1, "WORLD_SIZE": 4, "LOCAL_RANK": 1, "LOCAL_WORLD_SIZE": 2}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(ranks_module, "listen", lambda: None)
    monkeypatch.setattr(ranks_module.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(ranks_module.torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match=r"small\.processes is 4, 2 of them on this node, which shows 1 GPU "):
        Ranks.join("small", 4, 1)


def test_settings_name_ranks_only_where_there_are_several():
    one = Grid(tiny.describe_study(Path("base")))
    assert not {"processes", "distribution"} & one.run_settings(tiny.RUN).keys()
    models = {"small": {"folder": Path("base"), "processes": 4}}
    four = Grid(tiny.describe_study(Path("base"), {"distribution": "zero2"}, models=models))
    added = {"processes": 4, "distribution": "zero2"}
    assert four.run_settings(tiny.RUN) == {**one.run_settings(tiny.RUN), **added}
    assert four.model_settings("small") == one.model_settings("small")


def test_deepspeed_is_told_what_the_study_says():
    models = {"small": {"folder": Path("base"), "processes": 8}}
    recipe = {"distribution": "zero3", "precision": "bf16", "batch_size": 8}
    training = tiny.describe_study(Path("base"), recipe, models=models).training
    found = deepspeed_config(training, 8)
    assert found["zero_optimization"]["stage"] == 3
    assert found["torch_autocast"] == {"enabled": True, "dtype": "bfloat16"}
    assert not {"bf16", "fp16"} & found.keys(), "these would round the weights"
    assert found["train_batch_size"] == 8
    assert found["gradient_clipping"] == training.max_grad_norm
    assert not {"optimizer", "scheduler"} & found.keys()
    assert deepspeed_config(training, 1) is None
    assert deepspeed_config(training.model_copy(update={"distribution": "ddp"}), 8) is None
    kept = deepspeed_config(training.model_copy(update={"offload": True}), 1)["zero_optimization"]
    assert kept["offload_optimizer"]["device"] == kept["offload_param"]["device"] == "cpu"


def test_a_step_that_ranks_cannot_share_is_refused():
    models = {"small": {"folder": Path("base"), "processes": 5}}
    with pytest.raises(ValidationError, match=r"small.processes: 5 cannot share a step of training.batch_size 4 items"):
        tiny.describe_study(Path("base"), models=models)
