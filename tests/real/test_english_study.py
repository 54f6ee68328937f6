"""The shipped English study, at small volumes and with the base model of 260 thousand parameters: all ten abilities,
every stage, from the publishers' own files."""

from __future__ import annotations

import subprocess
import sys

import pyarrow.parquet as pq
import pytest
import yaml
from english import CURATED, SYNTHETIC, TEST, VALID, small

from growthpace.analysis.scores import OVERALL, read_frame
from growthpace.completeness import cells
from growthpace.data.items import read_items
from growthpace.figures.drawing import readable
from growthpace.files import read_json, read_metadata
from growthpace.paths import Paths
from growthpace.study import UNTUNED, load_study
from workflow.projects import Project, new_project

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]

CONFIG = "config/small-english.yaml"
DATASETS = {f"curated-{v}" for v in CURATED} | {f"synthetic-{v}" for v in SYNTHETIC}


@pytest.fixture(scope="module")
def finished(tmp_path_factory, real_data, stories260k):
    """The finished study. Not to be changed."""
    project = Project(tmp_path_factory.mktemp("english") / "project")
    new_project(project.folder)
    content = small(real_data, stories260k)
    (project.folder / CONFIG).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    project.config, project.results = project.folder / CONFIG, project.folder / "results" / "english"
    command = [sys.executable, "-m", "growthpace", "run", CONFIG, "--cores", "2"]
    ended = subprocess.run(command, cwd=project.folder, env=project.environment(), capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    return project


def test_every_cell_is_complete_and_every_ability_is_scored(finished, monkeypatch):
    monkeypatch.chdir(finished.folder)
    study = load_study(CONFIG)
    assert len(study.abilities) == 10
    assert [cell for cell in cells(study, Paths(study)) if not cell["complete"]] == []
    scores = read_frame(finished.results / "scores.parquet")
    for suite, items in (("valid", VALID), ("test", TEST)):
        own = scores[(scores["suite"] == suite) & scores["selected"]]
        assert set(zip(own["dataset"], own["ability"], strict=True)) == {
            (dataset, ability) for dataset in DATASETS | {UNTUNED} for ability in [*study.abilities, OVERALL]
        }
        assert set(own[own["ability"] != OVERALL]["items"]) == {items}
    assert set(scores[~scores["in_domain"]]["suite"]) == {"mmlu", "agieval"}
    assert scores["score"].between(0, 1).all()
    page = (finished.results / "report.html").read_text(encoding="utf-8")
    assert all(readable(ability) in page for ability in study.abilities)
    assert "Items of synthetic are not labelled by ability" in page


def test_splits_share_nothing_and_candidates_are_the_suites_own(finished, monkeypatch):
    monkeypatch.chdir(finished.folder)
    study = load_study(CONFIG)
    paths = Paths(study)
    suites = {suite: read_items(paths.suite(suite)) for suite in ("valid", "test")}
    for ability in study.abilities:
        parts = [read_items(paths.pool("curated", ability))]
        parts += [[item for item in items if item.ability == ability] for items in suites.values()]
        # The publisher's own splits of GSM8K and MBPP share no question, nor do ours; groups are kept together.
        for key in ("id", "group"):
            sets = [{getattr(item, key) for item in part if getattr(item, key)} for part in parts]
            assert sum(map(len, sets)) == len(set().union(*sets)), (ability, key)
    for items in suites.values():
        texts = [item for item in items if item.scorer == "perplexity"]
        assert {item.ability for item in texts} == {"creative_writing", "role_play"}
        assert all(len(item.candidates) == 3 and len(item.taken_from) == 2 for item in texts)
    assert {item.scorer for item in read_items(paths.pool("curated", "role_play"))} == {"none"}


def test_datasets_are_balanced_and_what_was_left_out_is_counted(finished):
    for volume in CURATED:
        manifest = read_json(finished.results / f"data/datasets/curated-{volume}/seed-1.json")
        assert set(manifest["counts"].values()) == {volume // 10}
    path = finished.results / "data/pools/curated/history.parquet"
    (reason, rows), *others = read_metadata(path)["left_out"].items()
    assert (reason, others) == ("mmlu: longer than 1,000 characters", [])
    # 70 % of 1,051 questions, of which those on long source texts are left out
    assert rows + pq.read_metadata(path).num_rows == pytest.approx(0.7 * 1051, abs=60)
