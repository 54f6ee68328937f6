"""A budget divided by a study's own curves: from grade files to a mix that can be trained, and whether it held."""

import copy
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from typer.testing import CliRunner

from growthpace.advice import advised_counts, check_advice, read_allocation, write_allocation
from growthpace.advice_inputs import AdviceInputs
from growthpace.analysis import stage
from growthpace.analysis.held import CANNOT_TELL, FAILED, HELD, MORE, NOT_MEASURED, check
from growthpace.analysis.scores import GRADES
from growthpace.checks import check_study
from growthpace.cli import app
from growthpace.completeness import existing_grades
from growthpace.data.pools import make_dataset, make_pool
from growthpace.errors import InputError
from growthpace.files import read_json, write_json, write_table
from growthpace.grid import Grid
from growthpace.paths import Paths
from growthpace.study import load_study
from small_study import CONTENT, changed, load_small, write_study

ITEMS = 120
ADVISED = {"source": "curated", "models": ["s"], "advice": {"budget": 16}}


def content_of(**advice):
    """The small study with four volumes and, where wanted, its own advice."""
    content = changed("sources.curated.volumes", [4, 8, 16, 32])
    content["seeds"] = [1, 2]
    if advice:
        content["mixes"]["advised"] = {**ADVISED, "advice": {**ADVISED["advice"], **advice}}
    return content


CONFIG = content_of(budget=16)
STEEP = {"biology": 0.15, "history": 0.0}


def grade(study, paths, runs, slopes, suites=("valid", "test"), advantage=0.0):
    """Grade files of runs whose scores grow by `slopes` per fourfold data."""
    grid = Grid(study)
    for run in runs:
        dataset = grid.dataset_of(run)
        rng = np.random.default_rng([run.seed, dataset.volume, len(run.model) + ord(run.model[0])])
        write_json(paths.selected(run), {"epoch": 3})
        for suite in suites:
            rows = []
            for number, (ability, slope) in enumerate(slopes.items()):
                difficulty = np.random.default_rng([number, suite == "test"]).uniform(size=ITEMS)
                score = 0.3 + slope * np.log(dataset.volume / 4) / np.log(4) + advantage * (dataset.kind == "mix")
                values = (difficulty + 0.05 * rng.normal(size=ITEMS) < score).astype(float)
                rows += [(f"{ability}-{n}", ability, "", value, 0.25, False) for n, value in enumerate(values)]
            at = "selected" if suite == "test" else 3
            metadata = {
                "study": study.study, "model": run.model, "parameters": 10, "dataset": run.dataset,
                "kind": dataset.kind, "source": dataset.source, "volume": dataset.volume, "seed": run.seed, "epoch": 3,
                "selected": at == "selected", "suite": suite, "abilities_in_domain": list(study.abilities),
            }  # fmt: skip
            frame = pd.DataFrame(rows, columns=GRADES)
            table = pa.Table.from_pandas(frame, preserve_index=False)
            write_table(paths.grades(run, suite, at), table, metadata)


@pytest.fixture
def made(tmp_path, monkeypatch):
    """(study, paths) of a study whose grid is graded, where biology alone grows."""

    def make(slopes=STEEP, content=CONFIG):
        monkeypatch.chdir(tmp_path)
        study = load_small(tmp_path, content)
        paths = Paths(study)
        for ability in study.abilities:
            make_pool(study, "curated", ability, paths)
        grade(study, paths, [run for run in Grid(study).runs if run.dataset.startswith("curated-")], slopes)
        return study, paths

    return make


def told(*arguments):
    return CliRunner().invoke(app, ["advise", *arguments], catch_exceptions=False)


# --- by hand ----------------------------------------------------------------------------------------------------------


def test_what_is_printed_is_a_mix_that_the_study_takes(made, tmp_path):
    made()
    done = told("study.yaml", "--budget", "16")
    assert done.exit_code == 0
    assert "# Curves of m, s on the suite valid." in done.stdout
    mix = yaml.safe_load(done.stdout)["advised"]
    assert mix["source"] == "curated"
    assert mix["shares"]["biology"] > mix["shares"]["history"] >= 2
    assert sum(mix["shares"].values()) == 16
    content = content_of()
    text = write_study(tmp_path, content).read_text()
    pasted = text.replace("mixes:\n", "mixes:\n" + "".join(f"  {line}\n" for line in done.stdout.splitlines()))
    (tmp_path / "pasted.yaml").write_text(pasted)
    study = load_study(tmp_path / "pasted.yaml")
    assert Grid(study).datasets["advised"].volume == 16
    check_study(study)
    manifest = make_dataset(study, "advised", 1, Paths(study))
    assert manifest["counts"] == {f"curated/{ability}": number for ability, number in mix["shares"].items()}


def test_weights_turn_the_advice(made):
    made()
    done = told("study.yaml", "--budget", "16", "--weights", "biology=0", "--suite", "test", "--name", "mine")
    assert done.exit_code == 3  # only history counts then, and it does not grow
    assert done.stdout == ""
    assert "no advice on 16 items: the data cannot tell" in done.stderr


def test_flat_data_are_refused_with_exit_code_3(made):
    made({"biology": 0.0, "history": 0.0})
    done = told("study.yaml", "--budget", "16")
    assert (done.exit_code, done.stdout) == (3, "")
    assert "growthpace advise: no advice on 16 items: the data cannot tell a division that is better" in done.stderr


@pytest.mark.parametrize(("options", "message"), [
    (["--weights", "biology=2"], "--weights would have no effect without --budget"),
    (["--budget", "16", "--weights", "biology"], "--weights: 'biology' (allowed: ABILITY=NUMBER"),
    (["--budget", "16", "--weights", "art=2"], "weights: 'art' is no ability of this study (allowed: "),
    (["--budget", "16", "--weights", "biology=0,history=0"], "weights: 0 for every ability"),
    (["--budget", "16", "--source", "synthetic"], "--source 'synthetic' is no labelled source of this study"),
    (["--budget", "16", "--other", "synthetic"], "sources: 'synthetic' is no labelled source of this study"),
    (["--budget", "16", "--suite", "exam"], "suite: 'exam' is no suite of this study (allowed: valid, test)"),
    (["--budget", "3"], "budget: 3 is below what was swept (allowed: 4 or more)"),
    (["--budget", "60"], "budget: 60, but the pools of 'curated' hold 40 items (allowed: up to 40)"),
])  # fmt: skip
def test_what_cannot_be_asked_is_said(made, options, message):
    made()
    with pytest.raises(InputError) as caught:
        told("study.yaml", *options)
    assert message in str(caught.value)


# --- a study that trains its own advice -----------------------------------------------------------------------------


def test_the_workflow_goes_without_a_circle(tmp_path):
    study = load_small(tmp_path, CONFIG)
    inputs = AdviceInputs(study, Paths(study))
    assert inputs.dataset("advised") == inputs.allocations()
    assert inputs.dataset("curated-16") == []
    grades = inputs.grades("advised")
    assert all("/curated-" in path and "/s/" in path for path in grades)
    assert len([path for path in grades if path.endswith("valid.parquet")]) == 2 * (5 + 3 * 3)
    assert Grid(study).datasets["advised"].volume == 16
    assert Grid(load_small(tmp_path, content_of())).advised == []


def test_advice_becomes_a_dataset_and_is_checked(made):
    study, paths = made()
    found = write_allocation(study, paths, "advised")
    assert found["status"] == "advised"
    assert found["models"] == ["s"]
    assert found["low"] > 0
    counts = advised_counts(study, paths, "advised")
    assert counts["curated", "biology"] > counts["curated", "history"]
    assert make_dataset(study, "advised", 1, paths, counts)["items"] == 16
    assert advised_counts(study, paths, "curated-16") is None

    runs = [run for run in Grid(study).runs if run.dataset == "advised"]
    grade(study, paths, runs, STEEP, advantage=0.1)
    stage.collect_scores(study, paths, existing_grades(study, paths))
    checked = check_advice(study, paths)
    assert checked == read_json(paths.advice_check)
    assert (checked["mix"], checked["against"], checked["budget"]) == ("advised", "curated-16", 16)
    assert (checked["suite"], checked["advice_suite"], checked["status"]) == ("test", "valid", "checked")
    assert checked["measured"] == pytest.approx(10, abs=3)
    assert checked["predicted"] == found["gain"]
    assert [row["model"] for row in checked["models"]] == ["s"]
    stage.advise_collection(study, paths)
    advice = yaml.safe_load((paths.root / "analysis/advice.yaml").read_text())
    assert advice["allocation"] == [found]


def test_a_mix_is_drawn_again_only_by_another_division(made):
    study, paths = made()
    inputs = AdviceInputs(study, paths)
    assert inputs.changed("advised", 1) == []  # neither is there
    assert inputs.unchanged("advised", 1) == inputs.dataset("advised")  # which a dataset waits for
    found = write_allocation(study, paths, "advised")
    for seed in study.seeds:
        make_dataset(study, "advised", seed, paths, advised_counts(study, paths, "advised"))
    assert inputs.stale("advised") == []
    found["gain"] = 0.1  # new grades, the same division
    paths.allocation("advised").write_text(yaml.safe_dump(found))
    assert inputs.changed("advised", 1) == []
    found["counts"]["curated"] = {"biology": 2, "history": 14}
    paths.allocation("advised").write_text(yaml.safe_dump(found))
    assert inputs.changed("advised", 1) == inputs.dataset("advised")
    assert inputs.unchanged("advised", 1) == []
    assert inputs.stale("advised") == [1, 2]
    stage.collect_scores(study, paths, existing_grades(study, paths))
    assert "was trained by another division; start the study again" in check_advice(study, paths)["sentence"]


def test_refused_advice_trains_the_equal_division_and_says_so(made):
    study, paths = made({"biology": 0.0, "history": 0.0})
    found = write_allocation(study, paths, "advised")
    assert found["status"] == "refused"
    assert advised_counts(study, paths, "advised") == {("curated", "biology"): 8, ("curated", "history"): 8}
    same = make_dataset(study, "advised", 1, paths, advised_counts(study, paths, "advised"))
    assert same["items_sha256"] == make_dataset(study, "curated-16", 1, paths)["items_sha256"]
    stage.collect_scores(study, paths, existing_grades(study, paths))
    checked = check_advice(study, paths)
    assert (checked["status"], checked["verdict"]) == ("refused", NOT_MEASURED)
    assert checked["sentence"].startswith("The advice on 16 items was refused (the data cannot tell")


def test_a_study_without_grades_is_refused_not_guessed(made):
    study, paths = made()
    for run in Grid(study).runs:
        if run.dataset in ("curated-4", "curated-8"):
            paths.grades(run, "valid", 3).unlink(missing_ok=True)
    found = write_allocation(study, paths, "advised")
    assert (found["status"], found["gain"]) == ("refused", None)
    assert "2 volumes of 'curated' that all models have, a curve needs 3" in found["reason"]
    assert found["counts"] == found["equal"] == {"curated": {"biology": 8, "history": 8}}


def test_a_changed_budget_is_not_overlooked(made):
    study, paths = made()
    with pytest.raises(InputError, match="no such file; `growthpace allocate CONFIG advised` makes it"):
        read_allocation(study, paths, "advised")
    write_allocation(study, paths, "advised")
    other = load_study(write_study(paths.root, content_of(budget=12)))
    with pytest.raises(InputError, match=r"is of a budget of 16, mixes\.advised\.advice\.budget is 12 now"):
        read_allocation(other, paths, "advised")
    with pytest.raises(InputError, match=r"'uneven' is no mix with advice \(allowed: advised\)"):
        write_allocation(study, paths, "uneven")


@pytest.mark.parametrize(("path", "value", "message"), [
    ("total", 12, "mixes.advised: advice says what the mix is made of; total would have no effect"),
    ("shares", {"biology": 4}, "mixes.advised: advice says what the mix is made of; shares would have no effect"),
    ("source", "synthetic", "mixes.advised.source: 'synthetic' is not labelled by ability"),
    ("advice.budget", 2, "mixes.advised.advice.budget: 2 is below what was swept (allowed: 4 or more)"),
    ("advice.weights", {"art": 1.0}, "mixes.advised.advice.weights: 'art' is no ability of this study"),
    ("advice.sources", ["curated"], "mixes.advised.advice.sources: 'curated' is the mix's own source (allowed: none)"),
    ("advice.suite", "exam", "mixes.advised.advice.suite: 'exam' is no suite of this study (allowed: valid, test)"),
])  # fmt: skip
def test_faults_of_a_mix_with_advice(tmp_path, path, value, message):
    with pytest.raises(InputError) as caught:
        load_small(tmp_path, changed(f"mixes.advised.{path}", value, CONFIG))
    assert message in str(caught.value)


@pytest.mark.parametrize(("path", "value", "message"), [
    ("sources.curated.volumes", [4, 16], "mixes.advised.advice: 'curated' is swept at 2 volumes, too few for a curve"),
    ("sources.curated.models", ["m"], "model 's' is not swept over 'curated', so it has no curves there"),
    ("mixes.uneven.also", {"human": {"biology": 2}}, "mixes.uneven.also: 'human' is no source of this study"),
    ("mixes.uneven.also", {"synthetic": {"biology": 2}}, "mixes.uneven.also.synthetic: not labelled by ability"),
])  # fmt: skip
def test_faults_around_it(tmp_path, path, value, message):
    with pytest.raises(InputError) as caught:
        load_small(tmp_path, changed(path, value, CONFIG))
    assert message in str(caught.value)


def test_items_of_several_labelled_sources(tmp_path):
    content = copy.deepcopy(CONTENT)
    content["sources"]["human"] = {**content["sources"]["curated"], "volumes": []}
    content["mixes"]["both"] = {
        "source": "curated", "rest": "none", "shares": {"biology": 3}, "also": {"human": {"history": 5}},
    }  # fmt: skip
    study = load_small(tmp_path, content)
    dataset = Grid(study).datasets["both"]
    assert (dataset.volume, dataset.sources) == (8, ("curated", "human"))
    from growthpace.data.datasets import counts

    assert counts(study, "both", lambda *_: 20) == {("curated", "biology"): 3, ("human", "history"): 5}


# --- whether it held --------------------------------------------------------------------------------------------------


def grades_with(advantage, items=200, seed=0):
    """Item grades of a balanced dataset and of a mix that is better by so many points."""
    rng = np.random.default_rng(seed)
    rows = []
    for ability in ("biology", "history"):
        difficulty = rng.uniform(size=items)
        for dataset, kind, score in (("curated-16", "grid", 0.5), ("advised", "mix", 0.5 + advantage / 100)):
            for number in (1, 2):
                grade_ = (difficulty + 0.02 * rng.normal(size=items) < score).astype(float)
                rows += [
                    {"model": "s", "parameters": 1, "dataset": dataset, "kind": kind, "source": "curated", "volume": 16,
                     "seed": number, "epoch": 3, "selected": True, "suite": "test", "item_id": f"{ability}{n}",
                     "ability": ability, "group": "", "grade": g, "chance": 0.25, "cut": False, "in_domain": True,
                     "abilities_in_study": 2} for n, g in enumerate(grade_)
                ]  # fmt: skip
    return pd.DataFrame(rows)


def allocation(gain, low, high, **more):
    return {"status": "advised", "reason": "", "budget": 16, "source": "curated", "suite": "valid", "gain": gain,
            "low": low, "high": high, "weights": {"biology": 1.0, "history": 1.0}, **more}  # fmt: skip


@pytest.mark.parametrize(("advantage", "foretold", "verdict"), [
    (10, (8.0, 2.0, 14.0), HELD),
    (0, (2.0, 0.5, 4.0), CANNOT_TELL),
    (20, (2.0, 1.0, 3.0), MORE),
    (0, (15.0, 12.0, 18.0), FAILED),
    (-15, (2.0, 1.0, 3.0), FAILED),
])  # fmt: skip
def test_verdicts(advantage, foretold, verdict):
    found = check(grades_with(advantage), allocation(*foretold), "advised", "test", 0.95)
    assert found["verdict"] == verdict
    assert found["measured"] == pytest.approx(advantage, abs=4)
    assert found["measured_low"] < found["measured"] < found["measured_high"]
    assert json.dumps(found, allow_nan=False)
    assert f": {verdict}, since" in found["sentence"]


def test_weights_count_in_what_is_measured():
    grades = grades_with(0)
    better = (grades["dataset"] == "advised") & (grades["ability"] == "history")
    grades.loc[better, "grade"] = 1.0
    weighted = allocation(1.0, 0.5, 2.0, weights={"biology": 3.0, "history": 1.0})
    found = check(grades, weighted, "advised", "test", 0.95)
    alone = check(grades, allocation(1.0, 0.5, 2.0, weights={"biology": 0.0, "history": 1.0}), "advised", "test", 0.95)
    assert found["measured"] == pytest.approx(alone["measured"] / 4, abs=2)


def test_what_was_not_trained_is_not_measured():
    grades = grades_with(5)
    found = check(grades[grades["dataset"] != "advised"], allocation(2.0, 1.0, 3.0), "advised", "test", 0.95)
    assert (found["status"], found["verdict"], found["measured"]) == (NOT_MEASURED, NOT_MEASURED, None)
    assert "no model has been graded on both advised and curated-16" in found["sentence"]
