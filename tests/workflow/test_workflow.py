"""What is planned again, and what is not: each test runs Snakemake on a finished study."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import html
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from projects import CONFIG, new_project

from growthpace.figures.registry import FIGURES
from growthpace.versions import VERSIONS

pytestmark = pytest.mark.workflow

LIGHT = {"collect", "fit", "compare", "advise", "features", "figure", "report"}
"""What always follows a changed grade."""


def tables(project) -> dict[str, str]:
    names = ["scores.parquet", "analysis/item_grades.parquet", "analysis/points.parquet", "analysis/pace.parquet",
             "analysis/laws.parquet", "analysis/law_curves.parquet",
             "analysis/sizes.parquet", "analysis/selection_bias.parquet",
             "analysis/comparisons.parquet", "analysis/equivalence.parquet", "analysis/crossings.parquet",
             "analysis/last_steps.parquet", "analysis/generalisation.parquet", "analysis/advice.yaml"]  # fmt: skip
    return {name: hashlib.sha256((project.results / name).read_bytes()).hexdigest() for name in names}


def test_a_finished_study_has_nothing_to_do(finished):
    plan = finished.plan()
    assert plan.jobs == ()
    assert "Nothing to be done" in plan.text


def test_everything_is_there_and_two_names_for_one_dataset_are_trained_once(finished):
    runs = sorted(
        str(p.parent.relative_to(finished.results / "runs")) for p in finished.results.glob("runs/*/*/*/training.json")
    )
    assert runs == ["m/curated-16/seed-1", "m/curated-4/seed-1", "s/curated-16/seed-1", "s/curated-4/seed-1",
                    "s/synthetic-4/seed-1"]  # fmt: skip
    page = (finished.results / "report.html").read_text()
    assert "generated microworld" in page
    assert (finished.results / "data" / "audit.html").exists()
    for name in ("abilities", "overall", "pace", "sizes", "sources"):
        assert (finished.results / "figures" / f"{name}.png").stat().st_size > 1000


def test_the_papers_grid_is_planned_without_its_data_in_ten_seconds(tmp_path):
    project = new_project(tmp_path / "project")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    plan = project.plan("config/doit.yaml")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert plan.rules["train_15_epochs"] == 36  # 32 settings and four mixes; the fifth is curated-10000
    assert plan.rules["predict"] == 36 * 15 + 36 * 2
    assert "reason: Missing output files" in plan.text
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent < 10, f"{spent:.1f} s of processor time"


def test_a_new_volume_plans_only_its_runs(project):
    project.edit_config(sources__curated__volumes=[4, 8, 16])
    plan = project.plan()
    assert plan.outputs("spec_run") == {f"results/mini/runs/{model}/curated-8/seed-1/spec.json" for model in "sm"}
    assert plan.rules["train_3_epochs"] == 2
    assert plan.rules["predict"] == 2 * 4
    assert all("curated-8" in output for output in plan.outputs("predict"))
    assert set(plan.rules) == {"spec_run", "dataset", "train_3_epochs", "predict", "grade", "select"} | LIGHT


def test_a_first_mix_plans_only_its_runs(project):
    mix = {"source": "curated", "shares": {"biology": 4}, "rest": "none", "models": ["s"]}
    project.edit_config(mixes={"baseline": {"same_as": "curated-16"}, "few": mix})
    plan = project.plan()
    assert plan.outputs("dataset") == {"results/mini/data/datasets/few/seed-1.parquet"}
    assert plan.rules["train_3_epochs"] == 1


def test_a_scorers_version_plans_grading_and_later(project):
    project.edit_source("evaluation/scorers/letter.py", "VERSION = 1", "VERSION = 2")
    plan = project.plan()
    assert set(plan.rules) == {"spec_grade", "grade", "select"} | LIGHT
    assert plan.rules["grade"] == 24
    assert "scorer_letter=1" in plan.text
    assert "scorer_letter=2" in plan.text


def test_a_figures_style_plans_figures(project):
    project.edit_config(figures__style="dark")
    assert set(project.plan().rules) == {"figure", "report"}


def test_the_learning_rate_plans_all_runs_and_says_why(project):
    project.edit_config(training__learning_rate=0.002)
    plan = project.plan()
    assert plan.rules["train_3_epochs"] == 5
    assert plan.rules["predict"] == 20  # not the untuned models'
    assert plan.rules["grade"] == 20
    assert "base_model" not in plan.rules
    assert "dataset" not in plan.rules
    assert "learning_rate=0.001" in plan.text
    assert "learning_rate=0.002" in plan.text


@pytest.mark.parametrize(
    ("stage", "planned", "untouched"),
    [
        ("training", {"spec_run", "train_3_epochs", "predict", "grade", "select"}, {"dataset", "base_model", "suite"}),
        ("prediction", {"spec_predict", "predict", "grade", "select"}, {"train_3_epochs", "dataset"}),
        ("dataset", {"dataset", "train_3_epochs", "predict"}, {"pool", "base_model"}),
        ("fit", {"fit", "figure", "report"}, {"collect", "grade", "compare"}),
    ],
)
def test_a_raised_code_version_plans_its_stage_and_what_follows(project, stage, planned, untouched):
    now = VERSIONS[stage]
    project.edit_source("versions.py", f'"{stage}": {now}', f'"{stage}": {now + 1}')
    rules = set(project.plan().rules)
    assert planned <= rules
    assert not untouched & rules


def test_a_touch_a_checkout_and_a_space_in_a_rule_plan_nothing(project):
    for path in [*project.folder.glob("src/**/*.py"), *project.folder.glob("workflow/**/*.smk"), project.config]:
        path.touch()  # what a `git checkout` does to the files it writes
    for path in project.folder.glob("workflow/rules/*.smk"):
        path.write_text(path.read_text().replace("-m growthpace ", "-m  growthpace "))
    assert project.plan().jobs == ()


def test_a_lost_checkpoint_that_a_missing_prediction_needs_plans_that_run_alone(project):
    run = "s/curated-16/seed-1"
    (project.results / "predictions" / run / "epoch-2" / "valid.parquet").unlink()
    assert project.plan().rules["train_3_epochs"] == 0  # its weights are there
    shutil.rmtree(project.results / "runs" / run / "epoch-2")
    shutil.rmtree(project.results / "runs" / "m/curated-4/seed-1" / "epoch-1")  # nothing needs these
    plan = project.plan()
    assert plan.outputs("train_3_epochs") == {f"results/mini/runs/{run}/epoch-1.json"}
    assert plan.outputs("predict") == {f"results/mini/predictions/{run}/epoch-2/valid.parquet"}
    assert plan.rules["grade"] == 1
    assert "the weights of epoch 2 are gone" in plan.text


def test_random_losses_are_made_good_exactly_and_with_the_same_bytes(project):
    before = tables(project)
    chance = random.Random(7)
    predictions = sorted(project.results.glob("predictions/**/*.parquet"))
    weights = sorted(p for p in project.results.glob("runs/*/*/*/epoch-*") if p.is_dir())
    assert (len(predictions), len(weights)) == (24, 15)
    lost_predictions, lost_weights = chance.sample(predictions, 15), chance.sample(weights, 10)
    for path in lost_predictions:
        path.unlink()
    for path in lost_weights:
        shutil.rmtree(path)

    needed = set()
    for path in lost_predictions:
        model, dataset, seed, epoch, _ = path.relative_to(project.results / "predictions").parts
        if dataset == "untuned":
            continue
        if epoch == "epoch-selected":
            chosen = json.loads((project.results / "selected" / model / dataset / f"{seed}.json").read_text())["epoch"]
            epoch = f"epoch-{chosen}"
        if project.results / "runs" / model / dataset / seed / epoch in lost_weights:
            needed.add(f"results/mini/runs/{model}/{dataset}/{seed}")
    assert 1 <= len(needed) < 5  # else this seed would test nothing

    plan = project.plan()
    assert plan.outputs("predict") == {str(path.relative_to(project.folder)) for path in lost_predictions}
    assert {str(Path(output).parent) for output in plan.outputs("train_3_epochs")} == needed
    assert plan.rules["grade"] == 15
    assert not {"pool", "suite", "dataset", "base_model", "spec_run", "spec_grade"} & set(plan.rules)

    done = project.run()
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert tables(project) == before
    assert project.plan().jobs == ()


def test_a_killed_training_keeps_its_state_and_goes_on_from_it(project):
    shutil.rmtree(project.results / "runs")  # the base model and the dataset stay
    project.edit_config(training__epochs=40, training__save_minutes=0.01, models={"s": project_models(project)["s"]},
                        sources__curated__volumes=[16], sources__synthetic__models=["s"], untuned=False,
                        mixes={}, suites__valid__epochs="selectable", selection__first_epoch=40)  # fmt: skip
    run = project.results / "runs" / "s" / "curated-16" / "seed-1"
    target = "results/mini/runs/s/curated-16/seed-1/training.json"
    head = subprocess.Popen(
        [sys.executable, "-m", "snakemake", target, "--profile", "profiles/local", "--configfile", CONFIG],
        cwd=project.folder, env=project.environment(), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.time() + 300
    while not len(list(run.glob("state/checkpoint-*/complete.json"))) >= 2 and time.time() < deadline:
        time.sleep(0.05)
    os.killpg(head.pid, signal.SIGKILL)
    head.wait()
    states = list(run.glob("state/checkpoint-*"))
    assert states, "no state was written in time"
    assert not (run / "training.json").exists()

    project.snakemake("--unlock")
    done = project.run(target)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (run / "training.json").exists()
    log = (run / "state" / "log.txt").read_text().splitlines()
    starts = [int(line.split("starts at step ")[1].split()[0]) for line in log if "starts at step" in line]
    assert len(starts) == 2
    assert starts[1] > 0
    assert len(json.loads((run / "training.json").read_text())["loss"]) == 160


def project_models(project) -> dict:
    import yaml

    return yaml.safe_load(project.config.read_text())["models"]


def test_a_failed_run_does_not_stop_the_others_and_is_shown_as_missing(project):
    failing = "m/curated-4/seed-1"
    for path in ("runs", "predictions", "grades"):
        shutil.rmtree(project.results / path / failing)
    (project.results / "selected" / "m" / "curated-4" / "seed-1.json").unlink()
    (project.results / "predictions" / "s/curated-4/seed-1" / "epoch-selected" / "test.parquet").unlink()
    lock = project.results / "runs" / failing / "state.lock"
    lock.parent.mkdir(parents=True)
    with open(lock, "w") as handle:
        fcntl.lockf(handle, fcntl.LOCK_EX)  # a job that finds its state in use fails
        done = project.run()
    assert done.returncode != 0
    assert "is in use by another job" in done.stdout + done.stderr
    assert (project.results / "predictions" / "s/curated-4/seed-1" / "epoch-selected" / "test.parquet").exists()
    page = (project.results / "report.html").read_text()
    assert "missing" in page
    points = __import__("pandas").read_parquet(project.results / "analysis" / "points.parquet")
    cells = set(zip(points["model"], points["dataset"], strict=True))
    assert ("m", "curated-4") not in cells
    assert ("s", "curated-4") in cells
    # Once the cause is gone, the missing run alone is made, and the whole report again.
    plan = project.plan()
    assert {o for r, o in plan.jobs if r.startswith("train")} == {f"results/mini/runs/{failing}/epoch-1.json"}
    assert {"collect", "report"} <= set(plan.rules)


@pytest.mark.parametrize("whole", [True, False])
def test_a_training_that_was_cut_off_at_its_end_hides_nothing(project, whole):
    """Snakemake was killed between a training's last file and its note of it, and something else is missing."""
    run = project.results / "runs" / "s" / "curated-4" / "seed-1"
    outputs = [run / "training.json", *run.glob("epoch-*.json")]
    for output in outputs:
        name = base64.urlsafe_b64encode(str(output.relative_to(project.folder)).encode()).decode()
        (project.folder / ".snakemake" / "incomplete" / name).write_text('{"external_jobid": null}')
    if not whole:
        (run / "training.json").unlink()
        shutil.rmtree(project.results / "predictions/s/curated-4/seed-1")
    (project.results / "predictions/m/curated-4/seed-1/epoch-2/valid.parquet").unlink()
    plan = project.plan()
    assert "results/mini/predictions/m/curated-4/seed-1/epoch-2/valid.parquet" in plan.outputs("predict")
    assert (plan.rules["train_3_epochs"], plan.rules["report"]) == (0 if whole else 1, 1)
    done = project.run()
    assert done.returncode == 0, done.stderr[-2000:]
    assert project.plan().jobs == ()
    log = (run / "state" / "log.txt").read_text()
    assert log.count("starts at step") == 1  # what had been trained was not trained again


def test_unselected_checkpoints_are_removed_once_they_are_evaluated(tmp_path):
    project = new_project(tmp_path / "project")
    project.edit_config(
        keep_checkpoints="selected", models={"s": project_models(project)["s"]}, mixes={}, untuned=False,
        sources__curated__volumes=[4], sources__synthetic__models=["s"],
    )  # fmt: skip
    done = project.run()
    assert done.returncode == 0, done.stderr[-2000:]
    for dataset in ("curated-4", "synthetic-4"):
        run = project.results / "runs" / "s" / dataset / "seed-1"
        chosen = json.loads((project.results / "selected" / "s" / dataset / "seed-1.json").read_text())["epoch"]
        assert [p.name for p in sorted(run.glob("epoch-*")) if p.is_dir()] == [f"epoch-{chosen}"]
        assert not list(run.glob("state/checkpoint-*"))
    assert project.plan().jobs == ()

    before = tables(project)
    project.edit_config(training__learning_rate=0.01)
    done = project.run()  # trains again, although only one epoch's weights were left
    assert done.returncode == 0, done.stderr[-2000:]
    assert tables(project)["scores.parquet"] != before["scores.parquet"]
    assert project.plan().jobs == ()
    project.edit_config(training__learning_rate=0.001)
    assert project.run().returncode == 0
    assert tables(project) == before


def test_another_choice_of_epoch_plans_the_chosen_epochs_answers_and_keeps_the_old_ones(project):
    run = "s/curated-16/seed-1"
    choice = project.results / "selected" / f"{run}.json"
    answers = project.results / "predictions" / run
    before = json.loads(choice.read_text())
    other = 3 if before["epoch"] != 3 else 2
    old = (answers / "epoch-selected" / "test.parquet").read_bytes()

    choice.write_text(json.dumps({**before, "epoch": other}))  # what a changed scorer may lead to
    plan = project.plan()
    assert plan.outputs("predict") == {f"results/mini/predictions/{run}/epoch-selected/test.parquet"}
    assert plan.rules["grade"] == 1
    assert not any(rule.startswith("train") for rule in plan.rules)
    assert f"epoch {other} is chosen now instead of {before['epoch']}" in plan.text
    assert (answers / f"epoch-{before['epoch']}" / "test.parquet").read_bytes() == old
    done = project.run()
    assert done.returncode == 0, done.stderr[-2000:]
    assert project.plan().jobs == ()

    choice.write_text(json.dumps(before))  # back again: the answers that were set aside serve
    assert "predict" not in project.plan().rules
    assert (answers / "epoch-selected" / "test.parquet").read_bytes() == old


def test_a_bad_study_stops_before_any_job(project):
    project.edit_config(sources__curated__volumes=[4, 16, 6000])
    done = project.snakemake("-n")
    assert done.returncode != 0
    assert "sources.curated.volumes: 6000 needs 3000 items of 'biology'" in done.stdout + done.stderr
    assert "its pool holds 16" in done.stdout + done.stderr


def test_a_config_edited_under_a_running_sweep_is_refused(project):
    project.edit_config(training__learning_rate=0.003)  # after its spec was planned and written
    command = [sys.executable, "-m", "growthpace", "train", CONFIG, "s/curated-4/seed-1"]
    done = subprocess.run(command, cwd=project.folder, env=project.environment(), capture_output=True, text=True)
    assert done.returncode == 2
    assert "learning_rate from 0.001 to 0.003" in done.stderr
    assert "Traceback" not in done.stderr


def embedded(text: str, name: str) -> dict:
    """What a script of Snakemake's report sets `name` to."""
    return json.JSONDecoder().raw_decode(text, text.index(f"var {name} = {{") + len(f"var {name} = "))[0]


def test_snakemakes_own_report_carries_the_figures_with_captions_and_categories(project):
    done = project.snakemake("--report", "snakemake-report.zip")
    assert done.returncode == 0, done.stderr[-2000:]
    with zipfile.ZipFile(project.folder / "snakemake-report.zip") as report:
        text = report.read("snakemake-report/report.html").decode()
        packed = set(report.namelist())
    results, categories = embedded(text, "results"), embedded(text, "categories")
    drawn = {f"results/mini/figures/{path.name}" for path in (project.results / "figures").glob("*.svg")}
    assert drawn == {name for name in results if name.endswith(".svg")}
    for name in drawn:
        entry, found = FIGURES[Path(name).stem], results[name]
        assert found["labels"] == {"figure": entry.title}
        assert html.unescape(re.sub(r"<[^>]+>", "", found["caption"])).split() == entry.caption.split()
        assert name in categories[entry.category]["Other"]
        assert f"snakemake-report/{found['data_uri']}" in packed
