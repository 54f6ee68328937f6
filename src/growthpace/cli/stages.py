"""Verbs of the workflow's jobs, one a stage, to be repeated by hand from a job's log."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from growthpace.cli.base import STAGES, Config, RunName, app, epoch_of, opened, report
from growthpace.errors import InputError


@app.command(rich_help_panel=STAGES)
def spec(config: Config, stage: str, name: Annotated[str, typer.Argument()] = ""):
    """Write the small file of settings that a run, the predictions on a suite, all verdicts or all grades depend on."""
    from growthpace.files import write_json
    from growthpace.specs import spec_of

    study, paths = opened(config)
    path, settings = spec_of(study, paths, stage, name)
    write_json(path, settings)


@app.command(rich_help_panel=STAGES)
def pool(config: Config, source: str, ability: str):
    """Bring the items of a source for an ability into one form."""
    from growthpace.data.pools import make_pool
    from growthpace.files import read_metadata
    from growthpace.grid import Grid

    study, paths = opened(config)
    Grid(study).require(source=source, ability=ability)
    report(f"pool {source}, {ability}: {make_pool(study, source, ability, paths):,} items")
    for reason, count in read_metadata(paths.pool(source, ability)).get("left_out", {}).items():
        report(f"pool {source}, {ability}: {count:,} items left out, {reason}")


@app.command(rich_help_panel=STAGES)
def suite(config: Config, name: str):
    """Bring the items of a suite into one form."""
    from growthpace.data.pools import make_suite
    from growthpace.files import read_metadata
    from growthpace.grid import Grid

    study, paths = opened(config)
    Grid(study).require(suite=name)
    report(f"suite {name}: {make_suite(study, name, paths):,} items")
    for reason, count in read_metadata(paths.suite(name)).get("left_out", {}).items():
        report(f"suite {name}: {count:,} rows left out, {reason}")


@app.command(rich_help_panel=STAGES)
def audit(config: Config):
    """Say what is wrong with pools and suites: leaks, repeats, broken, overlong or odd items; and what to do."""
    from growthpace.data.audit.stage import audit_study, summary
    from growthpace.token_counts import counters, tokenizer_folders

    study, paths = opened(config)
    folders = tokenizer_folders(study, paths)
    given = {name: folder for name, folder in folders.items() if folder == study.models[name].folder}
    others = {name: folder for name, folder in folders.items() if name not in given}
    found = audit_study(study, paths, list(counters(study, given)), list(counters(study, others)))
    for line in summary(study, found, paths, list(folders)):
        report(line)


@app.command(rich_help_panel=STAGES)
def dataset(config: Config, name: str, seed: int):
    """Select a nested dataset from the pools."""
    from growthpace.advice import advised_counts
    from growthpace.data.pools import make_dataset
    from growthpace.grid import Grid

    study, paths = opened(config)
    Grid(study).require(dataset=name)
    made = make_dataset(study, name, seed, paths, advised_counts(study, paths, name))
    report(f"dataset {name}, seed {seed}: {made['items']:,} items")


@app.command("fetch-model", rich_help_panel=STAGES)
def fetch_model(config: Config, model: str):
    """Fetch a base model from the hub into the hub's cache (the one step that needs a network)."""
    from growthpace.grid import Grid
    from growthpace.models.base import fetch, fetched_path

    study, paths = opened(config)
    Grid(study).require(model=model)
    if study.models[model].hub is None:
        raise InputError(f"model {model!r} is not on the hub, there is nothing to fetch")
    found = fetch(study, model, fetched_path(paths.model(model)), report)
    report(f"model {model}: {found['hub']} at commit {found['commit']}")


@app.command("base-model", rich_help_panel=STAGES)
def base_model(config: Config, model: str):
    """Copy or make a base model and give it the tokens that the study's format needs."""
    from growthpace.grid import Grid
    from growthpace.models.base import make_ready

    study, paths = opened(config)
    Grid(study).require(model=model)
    described = make_ready(study, model, paths.model(model), report)
    report(f"base model {model}: {described['parameters']:,} parameters ({described['origin']})")


@app.command(rich_help_panel=STAGES)
def train(config: Config, name: RunName):
    """Train a run, or go on with it where it was stopped."""
    from growthpace.grid import Grid
    from growthpace.specs import check_spec

    study, paths = opened(config)
    wanted = Grid(study).run(name)
    check_spec(study, paths, "run", name)
    processes = study.models[wanted.model].processes
    if (processes > 1 or study.training.offload) and "WORLD_SIZE" not in os.environ:  # not yet one of them
        from growthpace.training.launch import launch_instead

        launch_instead(processes)
    from growthpace.training.run import train as train_run  # torch: only once the names are known to be right

    found = train_run(study, wanted, paths, report)
    report(f"train {name}: {found['steps']} steps in {found['seconds']:.1f} s, last loss {found['loss'][-1]:.3f}")


@app.command(rich_help_panel=STAGES)
def predict(config: Config, name: RunName, suite: str, epoch: str):
    """Let a checkpoint answer a suite (EPOCH is a number or `selected`)."""
    from growthpace.grid import Grid
    from growthpace.specs import check_spec

    study, paths = opened(config)
    grid, at = Grid(study), epoch_of(epoch)
    wanted = grid.run(name)
    grid.require(suite=suite)
    check_spec(study, paths, "predict", suite)
    from growthpace.evaluation.predict import predict as predict_suite  # torch, as in train

    predict_suite(study, wanted, suite, at, paths, report)


@app.command(rich_help_panel=STAGES)
def judge(config: Config, name: RunName, suite: str, epoch: str):
    """Have a checkpoint's answers judged by the study's endpoint (needs a network and a key)."""
    from growthpace.grid import Grid
    from growthpace.specs import check_spec

    study, paths = opened(config)
    grid, at = Grid(study), epoch_of(epoch)
    wanted = grid.run(name)
    grid.require(suite=suite)
    check_spec(study, paths, "judge", "")
    from growthpace.judging.stage import judge_suite

    judge_suite(study, wanted, suite, at, paths, report)


@app.command("judge-report", rich_help_panel=STAGES)
def judge_report(config: Config):
    """Say how far the judge can be trusted: position bias, agreement with itself, what is missing."""
    from growthpace.judging.stage import report_judge

    study, paths = opened(config)
    report_judge(study, paths, report)


@app.command(rich_help_panel=STAGES)
def grade(config: Config, name: RunName, suite: str, epoch: str):
    """Grade a checkpoint's answers."""
    from growthpace.analysis.stage import grade_metadata
    from growthpace.evaluation.grading import grade_file
    from growthpace.grid import Grid
    from growthpace.specs import check_spec

    study, paths = opened(config)
    check_spec(study, paths, "grade", "")
    grid, at = Grid(study), epoch_of(epoch)
    found = grid.run(name)
    grid.require(suite=suite)
    metadata = grade_metadata(study, found, suite, at, paths)
    predictions, grades = paths.prediction(found, suite, at), paths.grades(found, suite, at)
    judgements = paths.judgements(found, suite, at) if suite in study.judged else None
    rules = study.suites[suite].paper_compatible
    grade_file(paths.suite(suite), predictions, grades, metadata, paper_compatible=rules, judgements_path=judgements)


@app.command(rich_help_panel=STAGES)
def select(config: Config, name: RunName):
    """Choose a run's epoch by its validation scores."""
    from growthpace.analysis.stage import select_epoch
    from growthpace.grid import Grid

    study, paths = opened(config)
    report(f"select {name}: epoch {select_epoch(study, Grid(study).run(name), paths)['epoch']}")


@app.command(rich_help_panel=STAGES)
def collect(config: Config):
    """Gather the grades that are there into one tidy table."""
    from growthpace.analysis.stage import collect_scores
    from growthpace.completeness import existing_grades

    study, paths = opened(config)
    collect_scores(study, paths, existing_grades(study, paths))


@app.command(rich_help_panel=STAGES)
def fit(config: Config):
    """Fit growth curves and their pace."""
    from growthpace.analysis.stage import fit_curves

    fit_curves(*opened(config))


@app.command(rich_help_panel=STAGES)
def compare(config: Config):
    """Set sources and mixes side by side, and scores out of domain beside those in domain."""
    from growthpace.analysis.stage import compare_sources

    compare_sources(*opened(config))


@app.command(rich_help_panel=STAGES)
def allocate(config: Config, mix: str):
    """Divide the budget of a mix that has `advice`, by the growth curves of the study's grid."""
    from growthpace.advice import write_allocation
    from growthpace.advice_inputs import AdviceInputs

    study, paths = opened(config)
    found = write_allocation(study, paths, mix)
    told = found["reason"] or f"{found['gain']:+.2f} points expected ({found['low']:+.2f} to {found['high']:+.2f})"
    report(f"allocate {mix}: {found['status']}, {told}")
    if found["status"] == "refused":
        report(f"allocate {mix}: the equal division of {found['budget']} items is trained instead")
    if AdviceInputs(study, paths).stale(mix):
        report(f"allocate {mix}: the mix was trained by another division; start the study again to train this one")


@app.command("check-advice", rich_help_panel=STAGES)
def check_advice(config: Config):
    """Say whether advice that was trained held."""
    from growthpace.advice import check_advice as check

    found = check(*opened(config))
    for one in [found, *found["others"]]:
        report(f"check-advice: {one['sentence']}")


@app.command(rich_help_panel=STAGES)
def transfer(config: Config):
    """Say what training on one ability does for the others."""
    from growthpace.analysis.transfer_stage import measure_transfer

    found = measure_transfer(*opened(config))
    report(f"transfer: {len(found):,} effects, {int(found['stands'].sum()):,} of them stand")


@app.command(rich_help_panel=STAGES)
def features(config: Config):
    """Describe abilities by features, and say how well these tell pace."""
    from growthpace.analysis.transfer_stage import describe_abilities

    predictions = describe_abilities(*opened(config))["predictions"]
    made = sum(entry["status"] == "predicted" for entry in predictions)
    report(f"features: {made:,} predictions of pace, {len(predictions) - made:,} refused")


@app.command(rich_help_panel=STAGES)
def figure(config: Config, name: str):
    """Draw one figure."""
    from growthpace.figures.stage import draw

    draw(*opened(config), name)


@app.command("report", rich_help_panel=STAGES)
def report_page(
    config: Config,
    partial: Annotated[bool, typer.Option(help="first gather, fit and draw what is there")] = False,
):
    """Write the report page; with --partial of an unfinished study, showing what is missing."""
    from growthpace.figures.stage import write_report

    study, paths = opened(config)
    report(f"report: {write_report(study, paths, config, partial)}")
