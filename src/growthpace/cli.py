"""The command line: one verb per stage, so that every job of a workflow can be repeated by hand from its log.

A verb imports its stage only when it runs: `growthpace --help` needs no torch and no pandas.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from growthpace.errors import InputError
from growthpace.interruptible import DEFECT, exit_code, message

app = typer.Typer(
    help=__doc__.splitlines()[0],
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Config = Annotated[Path, typer.Argument(help="the study's config file, such as config/demo.yaml")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="MODEL/DATASET/seed-N")]
Cores = Annotated[int, typer.Option(help="processor cores to use")]
SiteFile = Annotated[Path | None, typer.Option("--site", help="the site's file; profiles/slurm/site.yaml if absent")]
MaxRerun = Annotated[float, typer.Option(help="finished GPU hours that may be done again without --yes")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="do not ask")]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object")]
USERS, CLUSTER, STAGES = "For you", "On a SLURM cluster", "Stages (what the workflow's jobs call)"


def main() -> None:
    """Runs the command line; all but a defect becomes one message and a documented exit code (see `interruptible`)."""
    try:
        app(prog_name="growthpace")
    except Exception as error:
        code = exit_code(error)
        if code == DEFECT:
            raise
        print(f"growthpace: {message(error, sys.argv[1:])}", file=sys.stderr)
        sys.exit(code)


def report(line: str) -> None:
    """One line of progress."""
    print(line, flush=True)


def _open(config: Path):
    from growthpace.grid import Paths
    from growthpace.study import load_study

    study = load_study(config)
    return study, Paths(study)


def _live(config: Path) -> dict[str, str]:
    """SLURM ids of the study's live jobs by run; none on a machine without SLURM."""
    from growthpace.cluster import slurm
    from growthpace.cluster.ledger import live_cells
    from growthpace.grid import Paths
    from growthpace.study import load_study

    study = load_study(config)
    cells = live_cells(study.study, Paths(study)) if slurm.available() else {}
    return {cell.split()[1]: job for cell, job in cells.items()}


def _epoch(text: str) -> int | str:
    from growthpace.grid import SELECTED

    if text != SELECTED and not text.isdecimal():
        raise InputError(f"epoch: {text!r} is neither a number nor {SELECTED!r}")
    return text if text == SELECTED else int(text)


# --- what users call --------------------------------------------------------------------------------------------------


@app.command(rich_help_panel=USERS)
def check(config: Config):
    """Validate a study: its config and all of its data that is on this machine."""
    from growthpace.checks import check_study
    from growthpace.grid import Grid

    study, _ = _open(config)
    found = check_study(study)
    for key, number in found["items"].items():
        report(f"{key}: {number:,} items")
    for key in found["unchecked"]:
        report(f"{key}: on the hub, checked when it is fetched")
    for key, cost in found["judging"].items():
        report(f"{key}: {cost}")
    grid = Grid(study)
    report(f"{config}: fine; {len(grid.runs)} runs, {sum(len(grid.evaluations(r)) for r in grid.runs)} evaluations")


@app.command(rich_help_panel=USERS)
def run(
    config: Config,
    cores: Cores = 2,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="show what would be done and why")] = False,
):
    """Run a study on this machine, doing only what is missing."""
    from growthpace.local import run_study

    sys.exit(run_study(config, cores, dry_run, report))


@app.command(rich_help_panel=USERS)
def demo(cores: Cores = 2):
    """Run the embedded study and print where its report is."""
    from growthpace.local import run_study

    sys.exit(run_study(Path("config/demo.yaml"), cores, False, report))


@app.command(rich_help_panel=USERS)
def plan(
    config: Config,
    gpus: Annotated[int | None, typer.Option(help="how many GPUs the wall time is told for")] = None,
    diff: Annotated[Path | None, typer.Option(help="another plan's JSON, to tell the differences from")] = None,
    json_path: Annotated[Path | None, typer.Option("--json-file", help="where to write the plan as JSON")] = None,
    markdown: Annotated[Path | None, typer.Option(help="where to write it as Markdown")] = None,
    html: Annotated[Path | None, typer.Option(help="where to write it as a page")] = None,
    as_json: AsJson = False,
):
    """Show what there is to do, why, and what it costs; changes nothing."""
    from growthpace.plan.command import plan as show

    sys.exit(show(config, json_path, markdown, html, gpus, diff, as_json, report, _live(config)))


@app.command(rich_help_panel=USERS)
def why(config: Config, cell: Annotated[str, typer.Argument(help="MODEL/DATASET/seed-N[/SUITE/EPOCH], or a file")]):
    """Say whether a cell is done, and if not, why it will run."""
    from growthpace.plan.command import why as tell

    sys.exit(tell(config, cell, report, _live(config)))


@app.command(rich_help_panel=CLUSTER)
def submit(config: Config, site: SiteFile = None, max_rerun_gpu_hours: MaxRerun = 1.0, yes: Yes = False):
    """Run a study on a SLURM cluster, doing only what is missing; goes on until all is done."""
    from growthpace.cluster.head import submit as start

    sys.exit(start(config, site, max_rerun_gpu_hours, yes, report))


@app.command(rich_help_panel=CLUSTER)
def resume(config: Config, site: SiteFile = None, max_rerun_gpu_hours: MaxRerun = 1.0, yes: Yes = False):
    """Go on with a study after an interruption of whatever kind; jobs that still run are waited for."""
    from growthpace.cluster.head import submit as start

    sys.exit(start(config, site, max_rerun_gpu_hours, yes, report))


@app.command(rich_help_panel=CLUSTER)
def status(
    config: Config,
    watch: Annotated[bool, typer.Option(help="refresh every few seconds until Ctrl-C")] = False,
    all_failures: Annotated[bool, typer.Option("--all", help="show every failure, not the last five")] = False,
    as_json: AsJson = False,
):
    """Show how far a study is: its cells, its jobs, what failed and why; changes nothing."""
    from growthpace.cluster.status import show

    sys.exit(show(config, watch, as_json, all_failures))


@app.command(rich_help_panel=CLUSTER)
def cancel(config: Config, yes: Yes = False):
    """End all jobs of a study; what they have saved stays."""
    from growthpace.cluster.cancel import cancel as end

    sys.exit(end(config, yes, report))


@app.command(rich_help_panel=USERS)
def clean(
    config: Config,
    orphans: Annotated[bool, typer.Option(help="also runs that are no longer in the study")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
):
    """Show what of a study is needed no more and how much that frees, then remove it."""
    from growthpace.cluster.clean import clean as free

    sys.exit(free(config, yes, as_json, orphans, report))


@app.command(rich_help_panel=CLUSTER)
def doctor(config: Annotated[Path | None, typer.Argument(help="a study, to compare with the cluster")] = None,
           as_json: AsJson = False):  # fmt: skip
    """Look whether this machine, its cluster and the site's file fit together, and say what to do where not."""
    from growthpace.cluster.doctor import show as examine

    sys.exit(examine(config, as_json))


# --- stages -----------------------------------------------------------------------------------------------------------


@app.command(rich_help_panel=STAGES)
def spec(config: Config, stage: str, name: Annotated[str, typer.Argument()] = ""):
    """Write the small file of settings that a run, the predictions on a suite, all verdicts or all grades depend on."""
    from growthpace.files import write_json
    from growthpace.specs import spec_of

    study, paths = _open(config)
    path, settings = spec_of(study, paths, stage, name)
    write_json(path, settings)


@app.command(rich_help_panel=STAGES)
def pool(config: Config, source: str, ability: str):
    """Bring the items of a source for an ability into one form."""
    from growthpace.data.pools import make_pool
    from growthpace.grid import Grid

    study, paths = _open(config)
    Grid(study).require(source=source, ability=ability)
    report(f"pool {source}, {ability}: {make_pool(study, source, ability, paths):,} items")


@app.command(rich_help_panel=STAGES)
def suite(config: Config, name: str):
    """Bring the items of a suite into one form."""
    from growthpace.data.pools import make_suite
    from growthpace.files import read_metadata
    from growthpace.grid import Grid

    study, paths = _open(config)
    Grid(study).require(suite=name)
    report(f"suite {name}: {make_suite(study, name, paths):,} items")
    for reason, count in read_metadata(paths.suite(name)).get("left_out", {}).items():
        report(f"suite {name}: {count:,} rows left out, {reason}")


@app.command(rich_help_panel=STAGES)
def audit(config: Config):
    """Look for leaks, duplicates and odd lengths in pools and suites."""
    from growthpace.data.audit import audit as find
    from growthpace.data.audit import audit_html
    from growthpace.data.pools import read_pools, read_suites
    from growthpace.files import write_table, write_text
    from growthpace.versions import VERSIONS

    study, paths = _open(config)
    findings = find(read_pools(study, paths), read_suites(study, paths))
    metadata = {"study": study.study, "stage": "audit", "code_version": VERSIONS["audit"]}
    write_table(paths.root / "data" / "audit.parquet", findings, metadata)
    write_text(paths.root / "data" / "audit.html", audit_html(findings, study.study))
    report(f"audit: {findings.num_rows} findings, see {paths.root / 'data' / 'audit.html'}")


@app.command(rich_help_panel=STAGES)
def dataset(config: Config, name: str, seed: int):
    """Select a nested dataset from the pools."""
    from growthpace.data.pools import make_dataset
    from growthpace.grid import Grid

    study, paths = _open(config)
    Grid(study).require(dataset=name)
    report(f"dataset {name}, seed {seed}: {make_dataset(study, name, seed, paths)['items']:,} items")


@app.command("fetch-model", rich_help_panel=STAGES)
def fetch_model(config: Config, model: str):
    """Fetch a base model from the hub into the hub's cache (the one step that needs a network)."""
    from growthpace.grid import Grid
    from growthpace.models.base import fetch, fetched_path

    study, paths = _open(config)
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

    study, paths = _open(config)
    Grid(study).require(model=model)
    described = make_ready(study, model, paths.model(model), report)
    report(f"base model {model}: {described['parameters']:,} parameters ({described['origin']})")


@app.command(rich_help_panel=STAGES)
def train(config: Config, name: RunName):
    """Train a run, or go on with it where it was stopped."""
    from growthpace.grid import Grid
    from growthpace.specs import check_spec

    study, paths = _open(config)
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

    study, paths = _open(config)
    grid, at = Grid(study), _epoch(epoch)
    wanted = grid.run(name)
    grid.require(suite=suite)
    check_spec(study, paths, "predict", suite)
    from growthpace.evaluation.predict import predict as predict_suite  # torch, as in train

    predict_suite(study, wanted, suite, at, paths, report)


@app.command(rich_help_panel=USERS)
def export(config: Config, name: RunName, epoch: int, folder: Path):
    """Write a checkpoint as a plain Hugging Face folder, its adapters merged in."""
    from growthpace.grid import Grid

    study, paths = _open(config)
    found = Grid(study).run(name)
    from growthpace.models.export import export_checkpoint  # torch, as in train

    export_checkpoint(study, found, epoch, paths, folder)
    report(f"export {name}: epoch {epoch} written to {folder}")


@app.command(rich_help_panel=USERS)
def answers(config: Config, name: RunName, suite: str, epoch: str):
    """Print what a checkpoint answered, an item a line as JSON: texts, log-probabilities, grades, seconds."""
    import json

    from growthpace.evaluation.item_log import item_log
    from growthpace.grid import Grid

    study, paths = _open(config)
    grid = Grid(study)
    grid.require(suite=suite)
    for record in item_log(grid.run(name), suite, _epoch(epoch), paths):
        report(json.dumps(record, ensure_ascii=False))


@app.command(rich_help_panel=USERS)
def referee(config: Config, suite: str, folder: Path, model: Annotated[str, typer.Option(help="of the study")] = ""):
    """Write a suite as task files of lm-evaluation-harness, to compare its scores with growthpace's."""
    from growthpace.grid import Grid

    study, paths = _open(config)
    model = model or next(iter(study.models))
    Grid(study).require(suite=suite, model=model)
    from growthpace.evaluation.referee import export_of_study  # transformers, for its tokenizers

    for line in export_of_study(study, model, suite, paths, folder):
        report(line)


@app.command(rich_help_panel=STAGES)
def judge(config: Config, name: RunName, suite: str, epoch: str):
    """Have a checkpoint's answers judged by the study's endpoint (needs a network and a key)."""
    from growthpace.grid import Grid
    from growthpace.specs import check_spec

    study, paths = _open(config)
    grid, at = Grid(study), _epoch(epoch)
    wanted = grid.run(name)
    grid.require(suite=suite)
    check_spec(study, paths, "judge", "")
    from growthpace.judging.stage import judge_suite

    judge_suite(study, wanted, suite, at, paths, report)


@app.command("judge-report", rich_help_panel=STAGES)
def judge_report(config: Config):
    """Say how far the judge can be trusted: position bias, agreement with itself, what is missing."""
    from growthpace.judging.stage import report_judge

    study, paths = _open(config)
    report_judge(study, paths, report)


@app.command(rich_help_panel=STAGES)
def grade(config: Config, name: RunName, suite: str, epoch: str):
    """Grade a checkpoint's answers."""
    from growthpace.analysis.stage import grade_metadata
    from growthpace.evaluation.grading import grade_file
    from growthpace.grid import Grid
    from growthpace.specs import check_spec

    study, paths = _open(config)
    check_spec(study, paths, "grade", "")
    grid, at = Grid(study), _epoch(epoch)
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

    study, paths = _open(config)
    report(f"select {name}: epoch {select_epoch(study, Grid(study).run(name), paths)['epoch']}")


@app.command(rich_help_panel=STAGES)
def collect(config: Config):
    """Gather the grades that are there into one tidy table."""
    from growthpace.analysis.stage import collect_scores
    from growthpace.completeness import existing_grades

    study, paths = _open(config)
    collect_scores(study, paths, existing_grades(study, paths))


@app.command(rich_help_panel=STAGES)
def fit(config: Config):
    """Fit growth curves and their pace."""
    from growthpace.analysis.stage import fit_curves

    fit_curves(*_open(config))


@app.command(rich_help_panel=STAGES)
def compare(config: Config):
    """Compare sources and mixes at equal volume."""
    from growthpace.analysis.stage import compare_sources

    compare_sources(*_open(config))


@app.command(rich_help_panel=STAGES)
def advise(config: Config):
    """Say which data to collect next."""
    from growthpace.analysis.stage import advise_collection

    advise_collection(*_open(config))


@app.command(rich_help_panel=STAGES)
def figure(config: Config, name: str):
    """Draw one figure."""
    from growthpace.figures.stage import draw

    draw(*_open(config), name)


@app.command("report", rich_help_panel=STAGES)
def report_page(
    config: Config,
    partial: Annotated[bool, typer.Option(help="first gather, fit and draw what is there")] = False,
):
    """Write the report page; with --partial of an unfinished study, showing what is missing."""
    from growthpace.figures.stage import write_report

    study, paths = _open(config)
    report(f"report: {write_report(study, paths, config, partial)}")
