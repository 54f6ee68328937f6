"""A prediction killed at any moment and resumed ends with the same bytes, and answers nothing twice that was kept.

Each attempt is a process that runs `growthpace predict`, forked from one that has only imported what it needs."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

import tiny
from growthpace.data.items import read_items, write_items
from growthpace.evaluation import engine as engine_module
from growthpace.evaluation import predict as predict_module
from growthpace.evaluation.answering import answers
from growthpace.evaluation.engine import Engine
from growthpace.evaluation.predict import predict
from growthpace.evaluation.predictions import Batches, read_predictions
from growthpace.files import read_json, read_metadata
from growthpace.grid import Run
from growthpace.interruptible import BUSY, NO_SPACE, STOP_AT, STOPPED, StateFolder, Stopped, failure
from growthpace.paths import Paths
from growthpace.study import UNTUNED
from growthpace.warm import WarmServer
from tiny import silent

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["growthpace.cli", "growthpace.evaluation.predict", "transformers.models.llama", "torch._dynamo", "deepspeed"]
)  # deepspeed, where it is there, because transformers then imports it
KILLED = -signal.SIGKILL
CONFIG = "study.yaml"
SUITE, MODEL = "valid", Run("small", UNTUNED, 0)
COMMAND = ("predict", CONFIG, str(MODEL), SUITE, "0")
PREDICTIONS = Path(f"results/tiny/predictions/{MODEL}/epoch-0")
OUTPUT, STATE = PREDICTIONS / f"{SUITE}.parquet", PREDICTIONS / f"{SUITE}.state"
BATCH_TOKENS = 50


def some_items(number: int):
    """Items of many lengths, of both kinds."""
    items = []
    for index in range(number):
        asked = " ".join(tiny.WORDS[(index * 7 + word) % 40] for word in range(1 + index * 5 % 9))
        if index % 2:
            settings = {"scorer": "letter", "answer": "w5", "candidates": ("w5", "w6", "w7 w8")}
        else:
            settings = {"scorer": "exact_match", "answer": "w9"}
        items.append(tiny.make_item(f"item-{index}", asked, "w9", **settings))
    return items


ITEMS = some_items(40)


def small_batches(slowly: float = 0.0, stop_after: int = 0, ask=None, most: int = len(ITEMS)) -> None:
    """Batches of a few items; keeping one takes a while; after `stop_after` batches, `ask` is called. With more than
    `most` items kept it waits to be killed."""
    original, add, kept = Engine.__init__, Batches.add, 0

    def few(self, *arguments, **keywords):
        original(self, *arguments, **keywords)
        self.score_tokens = self.generate_tokens = BATCH_TOKENS

    def adding(self, batch):
        nonlocal kept
        time.sleep(slowly)
        add(self, batch)
        kept += 1
        if kept == stop_after:
            ask()
        if len(self.found) > most:
            os.kill(os.getpid(), signal.SIGSTOP)

    engine_module.Engine.__init__, Batches.add = few, adding


def _attempt(folder: Path, settings: dict) -> None:
    os.chdir(folder)
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):  # pytest captures neither of another process
        os.dup2(os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
        stream.flush()
    from growthpace import cli

    small_batches(**settings)
    sys.argv = ["growthpace", *COMMAND]
    cli.main()


def start(folder: Path, **settings):
    """Starts `growthpace predict` in the folder; settings: see `small_batches`."""
    process = PROCESSES.Process(target=_attempt, args=(folder, settings))
    process.start()
    return process


def attempt(folder: Path, **settings) -> int:
    """Runs `growthpace predict` to its end: the exit code, or minus the number of the signal that killed it."""
    process = start(folder, **settings)
    process.join(120)
    assert process.exitcode is not None, "still running after two minutes"
    return process.exitcode


def kept(folder: Path) -> int:
    """Number of items with an answer that is kept."""
    path = folder / STATE / "batches.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return sum(len(json.loads(line)) for line in lines)


def starts(folder: Path) -> list[int]:
    """The item that each attempt began with."""
    return [int(item) for item in re.findall(r"starts at item (\d+) of 40", log(folder))]


def log(folder: Path) -> str:
    return (folder / STATE / "log.txt").read_text()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder with the study's config, base model and suite, and nothing predicted."""
    folder = tmp_path_factory.mktemp("prepared")
    with contextlib.chdir(folder):
        study, paths = tiny.make_study()
        write_items(paths.suite(SUITE), ITEMS, {})
        Path(CONFIG).write_text(yaml.safe_dump(study.model_dump(mode="json", exclude_none=True)))
    return folder


@pytest.fixture(scope="module")
def undisturbed(prepared, tmp_path_factory) -> bytes:
    """What nobody disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(prepared, folder, dirs_exist_ok=True)
    assert attempt(folder) == 0
    return (folder / OUTPUT).read_bytes()


@pytest.fixture
def folder(prepared, tmp_path):
    """A copy of the prepared study."""
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_killed_again_and_again(folder, undisturbed):
    chance, expected = random.Random(0), [0]
    for items in (1, 10, 25):
        process = start(folder, slowly=0.02, most=30)  # a busy machine may be late with the kill
        deadline = time.monotonic() + 60
        while kept(folder) < items and process.is_alive() and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.04))
        process.kill()
        process.join()
        assert process.exitcode == KILLED
        assert not (folder / OUTPUT).exists()
        expected.append(kept(folder))
    assert attempt(folder) == 0
    assert starts(folder) == expected == sorted(expected)
    assert (folder / OUTPUT).read_bytes() == undisturbed
    left = sorted(path.name for path in (folder / STATE).iterdir())
    assert left == ["fingerprint", "finished", "log.txt", "progress.json"]
    progress = read_json(folder / STATE / "progress.json")
    assert progress["done"] == progress["of"] == len(ITEMS), "plans learn from its speed"
    assert not list((folder / PREDICTIONS).glob(".*partial"))


def test_killed_at_random_moments(folder, undisturbed):
    """Also while loading and while finishing."""
    chance = random.Random(1)
    for _ in range(5):
        process = start(folder, slowly=0.02)
        process.join(chance.uniform(0, 2))
        process.kill()
        process.join()
        assert process.exitcode in (KILLED, 0)
        if (folder / OUTPUT).exists():
            assert (folder / OUTPUT).read_bytes() == undisturbed
    assert attempt(folder) == 0
    assert starts(folder) == sorted(starts(folder))
    assert (folder / OUTPUT).read_bytes() == undisturbed


def ask_by_sigterm():
    os.kill(os.getpid(), signal.SIGTERM)


def ask_by_sigusr1():
    os.kill(os.getpid(), signal.SIGUSR1)


def ask_by_the_clock():
    os.environ[STOP_AT] = str(time.time())


@pytest.mark.parametrize("ask", [ask_by_sigterm, ask_by_sigusr1, ask_by_the_clock])
def test_asked_to_stop(folder, undisturbed, ask):
    assert attempt(folder, stop_after=3, ask=ask) == STOPPED
    done = kept(folder)
    assert 0 < done < len(ITEMS)
    assert f"epoch 0, stopped after item {done} of 40, run it again to go on" in (folder / "output.txt").read_text()
    assert f"stopped at item {done} (" in log(folder)
    progress = read_json(folder / STATE / "progress.json")
    assert (progress["done"], progress["of"]) == (done, len(ITEMS))
    assert progress["items_per_second"] == pytest.approx(done / progress["seconds"], rel=0.1)
    assert not (folder / OUTPUT).exists()
    assert attempt(folder) == 0
    assert starts(folder) == [0, done]
    assert (folder / OUTPUT).read_bytes() == undisturbed


def test_a_torn_line_is_answered_again(folder, undisturbed):
    assert attempt(folder, stop_after=3, ask=ask_by_sigterm) == STOPPED
    batches = folder / STATE / "batches.jsonl"
    before = [len(json.loads(line)) for line in batches.read_text().splitlines()]
    os.truncate(batches, batches.stat().st_size - 5)
    assert attempt(folder) == 0
    assert starts(folder) == [0, sum(before[:-1])]
    assert (folder / OUTPUT).read_bytes() == undisturbed


@pytest.fixture
def here(folder, monkeypatch):
    """The study, in this process."""
    monkeypatch.chdir(folder)
    study = tiny.describe_study(Path("base"))
    return study, Paths(study)


def test_a_finished_prediction_comes_back_without_a_model(here, monkeypatch):
    study, paths = here
    predict(study, MODEL, SUITE, 0, paths, silent)
    content = OUTPUT.read_bytes()
    OUTPUT.unlink()
    monkeypatch.setattr(predict_module, "Engine", None)
    (paths.model("small") / "model.safetensors").unlink()
    predict(study, MODEL, SUITE, 0, paths, silent)
    assert OUTPUT.read_bytes() == content
    assert OUTPUT.stat().st_ino != (STATE / "finished").stat().st_ino, "each may be moved about by itself"
    assert log(Path()).count("starts at item") == 1
    assert list(Path("results/tiny/predictions").rglob("*.parquet")) == [OUTPUT], "who reads them all reads each once"


def test_killed_before_the_output_is_in_place(here, monkeypatch):
    study, paths = here

    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(predict_module.shutil, "copyfile", killed)
        with pytest.raises(KeyboardInterrupt):
            predict(study, MODEL, SUITE, 0, paths, silent)
    assert not OUTPUT.exists()
    predict(study, MODEL, SUITE, 0, paths, silent)
    assert [p.item_id for p in read_predictions(OUTPUT)] == [item.id for item in ITEMS]
    assert log(Path()).count("starts at item") == 1


def test_asked_to_stop_with_the_last_answer(here, monkeypatch):
    """That is no reason to leave before the end."""
    study, paths = here
    add = Batches.add

    def adding(self, batch):
        add(self, batch)
        if len(self.found) == len(ITEMS):
            monkeypatch.setenv(STOP_AT, "1")

    monkeypatch.setattr(Batches, "add", adding)
    predict(study, MODEL, SUITE, 0, paths, silent)
    assert OUTPUT.exists()
    assert os.environ[STOP_AT] == "1"


@pytest.mark.parametrize("change", ["items", "settings", "weights"])
def test_a_stale_state_is_set_aside(here, change):
    """Whatever answers depend on; an unfinished state's and a finished one's alike."""
    study, paths = here
    predict(study, MODEL, SUITE, 0, paths, silent)
    before = OUTPUT.read_bytes()
    if change == "items":
        write_items(paths.suite(SUITE), ITEMS[:-1], {})
    elif change == "settings":
        suites = {**study.suites, SUITE: study.suites[SUITE].model_copy(update={"max_new_tokens": 5})}
        study = study.model_copy(update={"suites": suites})
    else:
        tiny.save_model(Path("other"), initializer_range=0.4)
        shutil.copy("other/model.safetensors", paths.model("small"))
        described = read_json(paths.model("small") / "base.json")
        described["weights_sha256"] = predict_module.weights_hash(paths.model("small"))
        (paths.model("small") / "base.json").write_text(json.dumps(described))
    predict(study, MODEL, SUITE, 0, paths, silent)
    assert OUTPUT.read_bytes() != before
    assert (STATE.with_suffix(".state.stale") / "finished").read_bytes() == before
    assert len(read_predictions(OUTPUT)) == len(read_items(paths.suite(SUITE)))
    assert read_metadata(OUTPUT)["max_new_tokens"] == (5 if change == "settings" else 4)


def test_answers_that_are_not_finite_leave_a_mark(here):
    study, paths = here
    model = tiny.make_model(tiny.make_tokenizer())
    with torch.no_grad():
        model.model.norm.weight.fill_(float("nan"))
    model.save_pretrained(paths.model("small"))
    described = read_json(paths.model("small") / "base.json")
    described["weights_sha256"] = predict_module.weights_hash(paths.model("small"))
    (paths.model("small") / "base.json").write_text(json.dumps(described))
    with pytest.raises(FloatingPointError):
        predict(study, MODEL, SUITE, 0, paths, silent)
    found = failure(STATE)
    assert found["kind"] == "defect"
    assert re.match(r"FloatingPointError: item 'item-\d+': log-probabilities .* are not finite", found["error"])
    assert found["where"].startswith("growthpace/evaluation/answering.py:")


def test_one_job_at_a_time(folder):
    with StateFolder(folder / STATE, "another job"):
        assert attempt(folder) == BUSY


def test_a_full_disk(folder, undisturbed):
    """The answers that found room stay, and count once there is room again."""
    disk = folder / PREDICTIONS
    disk.mkdir(parents=True)
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", disk]).returncode:
        pytest.skip("only root may mount a file system")
    try:
        assert attempt(folder) == NO_SPACE
        assert f"no space to write on the file system {disk} (" in (folder / "output.txt").read_text()
        assert not (folder / OUTPUT).exists()
        subprocess.run(["mount", "-o", "remount,size=1m", disk], check=True)
        assert attempt(folder) == 0
        assert starts(folder)[0] == 0 < starts(folder)[-1]
        assert (folder / OUTPUT).read_bytes() == undisturbed
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


# --- from the very start ---


def catches(process: subprocess.Popen) -> bool:
    """Whether the process has its own way with SIGTERM."""
    text = Path(f"/proc/{process.pid}/status").read_text()
    return bool(int(re.search(r"SigCgt:\s*(\w+)", text)[1], 16) >> (signal.SIGTERM - 1) & 1)


def early_signal(folder: Path, environment: dict[str, str]) -> int:
    """Sends SIGTERM as soon as the job listens, long before its imports are done; returns its exit code."""
    command = f"trap '' TERM USR1; exec {sys.executable} -m growthpace {' '.join(COMMAND)}"
    process = subprocess.Popen(["bash", "-c", command], cwd=folder, env=environment)
    while not catches(process):
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGTERM)
    return process.wait(300)  # a busy machine may take long for the imports


def test_a_signal_during_imports(folder):
    assert early_signal(folder, dict(os.environ)) == STOPPED
    assert not (folder / PREDICTIONS).exists() or not list((folder / PREDICTIONS).iterdir())


def test_a_signal_before_the_warm_process_is_ready(folder):
    with WarmServer() as server:
        assert early_signal(folder, {**os.environ, **server.environment}) == STOPPED
    assert not (folder / OUTPUT).exists()


def test_its_time_was_over_before_it_began(here, monkeypatch):
    study, paths = here
    monkeypatch.setenv(STOP_AT, "1")
    with pytest.raises(Stopped, match="its time is over"):
        predict(study, MODEL, SUITE, 0, paths, silent)
    assert not PREDICTIONS.exists()


# --- batches ---


def test_what_is_known_does_not_change_who_is_answered_together(prepared):
    """So that the last bits of every answer are those of an undisturbed prediction."""
    engine = Engine(prepared / "results/tiny/models/small", "paper", threads=1, batch_tokens=BATCH_TOKENS)
    whole = list(answers(engine, ITEMS, 4))
    assert len(whole) > 8
    for split in (1, len(whole) // 2, len(whole) - 1):
        known = {found.item_id for batch in whole[:split] for found in batch}
        assert list(answers(engine, ITEMS, 4, known=known)) == whole[split:]
