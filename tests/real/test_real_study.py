"""A whole study on data and a base model that nobody here made: `growthpace run`, then what it left behind.

The study is `study.yaml`, run once in a copy of the project with the prepared items beside it. It takes some
minutes on two free cores, so with several pytest processes one of them runs it and the others wait for it.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
import yaml
from prepare import ABILITIES

from growthpace.analysis.scores import OVERALL, read_frame
from growthpace.completeness import cells
from growthpace.figures.drawing import readable
from growthpace.files import read_json
from growthpace.grid import Grid
from growthpace.paths import Paths
from growthpace.study import UNTUNED, load_study
from workflow.projects import ROOT, Project, new_project

pytestmark = [pytest.mark.real, pytest.mark.timeout(1500)]

CONFIG = "real/study.yaml"
SEEDS = (1, 2)
ITEMS = {"valid": 6, "test": 16}
"""Of an ability in each suite, of 30 and 40 that are prepared: as many as every stage needs to have something to do."""
CURATED, SYNTHETIC = (10, 40, 160), (40,)
VOLUMES = [*(("curated", volume) for volume in CURATED), *(("synthetic", volume) for volume in SYNTHETIC)]
RUNS = [f"stories260k/{source}-{volume}/seed-{seed}" for source, volume in VOLUMES for seed in SEEDS]


class RealProject(Project):
    """A copy of the project with the real study in it."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.config = folder / CONFIG
        self.results = folder / "results" / "real"

    def study(self) -> subprocess.CompletedProcess:
        """What a user types."""
        command = [sys.executable, "-m", "growthpace", "run", CONFIG, "--cores", "2"]
        return subprocess.run(command, cwd=self.folder, env=self.environment(), capture_output=True, text=True)


@pytest.fixture(scope="session")
def finished(tmp_path_factory, real_items, stories260k) -> RealProject:
    """The finished study. Not to be changed."""
    folder = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        folder = folder.parent  # what the processes of one test run have in common
    project, done = RealProject(folder / "real_study"), folder / "real_study.done"
    with open(folder / "real_study.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(project.folder, ignore_errors=True)
            new_project(project.folder)
            shutil.copytree(real_items, project.folder / "real")
            shutil.copytree(stories260k, project.folder / "real" / "stories260k")
            shutil.copy(ROOT / "tests" / "real" / "study.yaml", project.config)
            for split, most in ITEMS.items():
                for path in (project.folder / "real" / "curated" / split).glob("*.json"):
                    lines = path.read_text(encoding="utf-8").split("\n")[:most]
                    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            ended = project.study()
            said = ended.stdout + ended.stderr
            assert ended.returncode == 0, said[-4000:]
            done.write_text(said, encoding="utf-8")
    return project


def records(project: RealProject, split: str, ability: str) -> list[dict]:
    """The prepared items as they lie in their file."""
    lines = (project.folder / "real" / "curated" / split / f"{ability}.json").read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines if line]


def chance(record: dict) -> float:
    """What guessing is worth on a prepared item, without the importers."""
    if "choices" in record:
        return 1 / len(record["choices"])
    if "answer" in record:
        return 0.0
    options = len(re.findall(r"^[A-D]\. ", record["messages"][-2]["content"], flags=re.MULTILINE))
    return 1 / (2**options - 1) if record["type"] == "ethics" else 1 / options


def test_every_cell_is_complete(finished, monkeypatch):
    monkeypatch.chdir(finished.folder)
    study = load_study(CONFIG)
    found = cells(study, Paths(study))
    assert {f"{cell['model']}/{cell['dataset']}/seed-{cell['seed']}" for cell in found} == {
        *RUNS,
        f"stories260k/{UNTUNED}/seed-0",
    }
    assert [cell for cell in found if not cell["complete"]] == []
    assert "All 9 runs of this study are complete." in (finished.results / "report.html").read_text()


def test_scores_have_every_ability_seed_and_volume(finished):
    scores = read_frame(finished.results / "scores.parquet")
    wanted = {(dataset, seed) for dataset in [f"{s}-{v}" for s, v in VOLUMES] for seed in SEEDS} | {(UNTUNED, 0)}
    for suite in ("valid", "test"):
        own = scores[(scores["suite"] == suite) & scores["selected"]]
        cells_ = list(zip(own["dataset"], own["seed"], own["ability"], strict=True))
        assert sorted(cells_) == sorted((*cell, ability) for cell in wanted for ability in [*ABILITIES, OVERALL])
        for ability in ABILITIES:
            prepared, rows = records(finished, suite, ability), own[own["ability"] == ability]
            assert set(rows["items"]) == {len(prepared)}
            expected = math.fsum(map(chance, prepared)) / len(prepared)
            assert rows["chance"].to_numpy() == pytest.approx(expected, abs=1e-12), ability
    # 2 candidate epochs of 8 runs and the base model on valid, the chosen epoch and the base model on test
    assert len(scores) == (2 * 8 + 1 + 8 + 1) * (len(ABILITIES) + 1)
    assert set(scores["volume"]) == {0, 10, 40, 160}
    assert scores["score"].between(0, 1).all()
    assert (scores["low"] <= scores["score"]).all()
    assert (scores["score"] <= scores["high"]).all()


def test_datasets_are_nested_balanced_and_of_the_prepared_items(finished):
    for source, volumes in (("curated", CURATED), ("synthetic", SYNTHETIC)):
        for seed in SEEDS:
            members = []
            for volume in volumes:
                folder = finished.results / "data" / "datasets" / f"{source}-{volume}"
                manifest = read_json(folder / f"seed-{seed}.json")
                ids = {part["ability"]: part["ids"] for part in manifest["ids"]}
                if source == "curated":
                    assert {ability: len(own) for ability, own in ids.items()} == dict.fromkeys(ABILITIES, volume // 10)
                found = {identifier for own in ids.values() for identifier in own}
                assert len(found) == volume
                members.append(found)
            for smaller, larger in pairwise(members):
                assert smaller < larger
            if source == "curated":
                known = {f"{a}:{r['idx']}" for a in ABILITIES for r in records(finished, "train", a)}
                assert members[-1] <= known
    seeds = [read_json(finished.results / f"data/datasets/curated-160/seed-{s}.json")["items_sha256"] for s in SEEDS]
    assert seeds[0] != seeds[1]


def test_every_training_learns(finished):
    recipe = yaml.safe_load(finished.config.read_text())["training"]
    for run in RUNS:
        told = read_json(finished.results / "runs" / run / "training.json")
        volume = int(re.search(r"-(\d+)/", run)[1])
        per_epoch = -(-volume // recipe["batch_size"])
        assert told["items"] == volume, run
        assert told["lengths"] == {"truncated": 0, "dropped": 0}
        assert told["steps_per_epoch"] == per_epoch
        assert told["steps"] == len(told["loss"]) == recipe["epochs"] * per_epoch
        assert [epoch["epoch"] for epoch in told["epochs"]] == list(range(1, recipe["epochs"] + 1))
        assert told["learning_rate"][0] == recipe["learning_rate"]
        assert told["learning_rate"][-1] == pytest.approx(recipe["learning_rate_floor"])
        first, last = told["loss"][:per_epoch], told["loss"][-per_epoch:]
        assert sum(last) < sum(first), run


def test_only_selected_checkpoints_are_kept(finished):
    for run in RUNS:
        chosen = read_json(finished.results / "selected" / f"{run}.json")["epoch"]
        kept = [path.name for path in (finished.results / "runs" / run).glob("epoch-*") if path.is_dir()]
        assert kept == [f"epoch-{chosen}"], run


@pytest.mark.parametrize("run", ["stories260k/curated-160/seed-1", "stories260k/curated-10/seed-2"])
def test_a_plain_greedy_decode_of_the_checkpoint_gives_the_recorded_answers(finished, run):
    """With transformers alone, one item at a time, without padding, cache or the engine."""
    import torch
    from transformers import AutoModelForCausalLM

    from growthpace.models.tokenizer import decode, load_tokenizer

    chosen = read_json(finished.results / "selected" / f"{run}.json")["epoch"]
    folder = finished.results / "runs" / run / f"epoch-{chosen}"
    tokenizer = load_tokenizer(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.dtype == torch.float32
    user, assistant, end = (tokenizer.convert_tokens_to_ids(token) for token in ("<user>", "<assistant>", "<eot>"))
    assert sorted((user, assistant, end)) == [512, 513, 514]
    table = pd.read_parquet(finished.results / "predictions" / run / "epoch-selected" / "test.parquet")
    answers = table.set_index("item_id").to_dict("index")
    longest = yaml.safe_load(finished.config.read_text())["suites"]["test"]["max_new_tokens"]

    def prompt(record: dict) -> list[int]:
        ids = []
        for message in record["messages"][:-1]:
            text = tokenizer.encode(message["content"], add_special_tokens=False)
            ids += [user if message["role"] == "user" else assistant, *text, end]
        return [*ids, assistant]

    @torch.no_grad()
    def logits(ids: list[int]) -> torch.Tensor:
        return model(torch.tensor([ids]), use_cache=False).logits[0]

    for record in records(finished, "test", "math")[:3]:
        known, ids, said = answers[f"math:{record['idx']}"], prompt(record), []
        while len(said) < longest and said[-1:] != [end]:
            said.append(int(logits([*ids, *said])[-1].argmax()))
        ended = said[-1] == end
        assert known["text"] == decode(tokenizer, said[: len(said) - ended])
        assert known["finished"] == ended
        assert known["generated_tokens"] == len(said) - ended
        assert (known["prompt_tokens"], known["cut_tokens"]) == (len(ids), 0)

    # A continued tale and an answered guest: candidates' log-probabilities, with the end of the turn
    for ability in ("creative_writing", "role_play"):
        record = records(finished, "test", ability)[0]
        known, ids = answers[f"{ability}:{record['idx']}"], prompt(record)
        for text, logprob, tokens in zip(record["choices"], known["logprobs"], known["tokens"], strict=True):
            candidate = [*tokenizer.encode(text, add_special_tokens=False), end]
            rows = logits([*ids, *candidate])[len(ids) - 1 : -1].log_softmax(-1)
            assert tokens == len(candidate)
            assert logprob == pytest.approx(float(rows[range(tokens), candidate].sum()), abs=1e-2), (ability, text)


def test_the_report_speaks_of_every_ability(finished):
    page = (finished.results / "report.html").read_text(encoding="utf-8")
    for ability in ABILITIES:
        assert readable(ability) in page
    assert "microworld" not in page
    assert 'class="seed missing"' not in page
    shown = re.sub(r"<[^>]*>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL))
    assert not re.search(r"\b(nan|NaN|None|inf|NaT)\b", shown)


def test_a_finished_study_has_nothing_to_do(finished):
    plan = finished.snakemake("-n", config=CONFIG)
    assert plan.returncode == 0
    assert "Nothing to be done" in plan.stdout + plan.stderr


def test_a_lost_prediction_comes_back_and_gives_the_same_table(finished, tmp_path):
    copy = RealProject(tmp_path / "project")
    shutil.copytree(finished.folder, copy.folder, copy_function=shutil.copy2, symlinks=True)
    table, lost = copy.results / "scores.parquet", "stories260k/curated-160/seed-2/epoch-selected/test.parquet"
    before, answers = table.read_bytes(), (copy.results / "predictions" / lost).read_bytes()
    (copy.results / "predictions" / lost).unlink()
    table.unlink()
    ended = copy.study()
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    jobs = re.findall(r"^(\w+) +\d+$", ended.stdout + ended.stderr, flags=re.MULTILINE)
    assert {"predict", "grade", "collect"} <= set(jobs)
    assert not {"pool", "suite", "dataset", "base_model", "train_2_epochs", "select"} & set(jobs)
    assert (copy.results / "predictions" / lost).read_bytes() == answers
    assert table.read_bytes() == before


def test_the_grid_is_what_the_study_file_says(finished):
    grid = Grid(load_study(finished.config))
    assert [str(run) for run in grid.runs] == RUNS
