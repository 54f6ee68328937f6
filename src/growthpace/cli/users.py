"""Verbs that users call."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from growthpace.cli.base import USERS, AsJson, Config, Cores, RunName, Yes, app, epoch_of, live_jobs, opened, report
from growthpace.errors import InputError


@app.command(rich_help_panel=USERS)
def check(config: Config):
    """Validate a study: its config and all of its data that is on this machine."""
    from growthpace.checks import check_study
    from growthpace.endpoint.foreseen import told
    from growthpace.grid import Grid

    study, _ = opened(config)
    found = check_study(study)
    for key, number in found["items"].items():
        more = f" {found['reviewed'][key]}" if key in found["reviewed"] else ""
        report(f"{key}: {number:,} items{more}")
    for key in found["unchecked"]:
        report(f"{key}: on the hub, checked when it is fetched")
    for key, cost in found["asking"].items():
        report(f"{key}: {told(cost)}")
    grid = Grid(study)
    report(f"{config}: fine; {len(grid.runs)} runs, {sum(len(grid.evaluations(r)) for r in grid.runs)} evaluations")


@app.command("import", rich_help_panel=USERS)
def import_(
    path: Annotated[Path, typer.Argument(help="a study's config file; with --importer a file or a folder of data")],
    key: Annotated[str, typer.Argument(help="of a study: sources.NAME or suites.NAME")] = "",
    importer: Annotated[
        str, typer.Option(help="the file's format (doit, alpaca, chat) or a public set (gsm8k, ...)")
    ] = "",
    ability: Annotated[str | None, typer.Option(help="what a file's items measure; general if absent")] = None,
    split: Annotated[str, typer.Option(help="of a public set: train, valid or test")] = "train",
    part: Annotated[list[str] | None, typer.Option(help="of a public set, such as a subject; all if absent")] = None,
    samples: Annotated[int, typer.Option(min=0, help="items to show of each ability")] = 1,
    as_json: AsJson = False,
):
    """Show what a source, a suite, a file or a public set would become: counts, lengths, samples, what is left out."""
    import json

    from growthpace.data.preview import of_file, of_study, shown

    if bool(key) == bool(importer):
        raise InputError(
            "import: say what to look at: CONFIG sources.NAME, CONFIG suites.NAME, or --importer NAME FILE"
        )
    if importer:
        found = of_file(path, importer, ability, split, part or None, samples)
    else:
        found = of_study(opened(path)[0], key, samples)
    if as_json:
        report(json.dumps(found, ensure_ascii=False))
        return
    from rich.console import Console

    shown(found, Console(highlight=False, emoji=False))


@app.command(rich_help_panel=USERS)
def synthesise(
    config: Config,
    source: str,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="say what it would cost, and ask nothing")] = False,
    yes: Yes = False,
):
    """Have a teacher write the items of a source, within its limits; says first what that costs."""
    from growthpace.cluster.cancel import agreed
    from growthpace.grid import Grid
    from growthpace.synthesis.settings import written_sources

    study, paths = opened(config)
    Grid(study).require(source=source)
    if source not in (written := written_sources(study)):
        known = ", ".join(written) or "none, no source has importer: synthetic"
        raise InputError(f"sources.{source}.items.importer: its items are not written by a teacher (allowed: {known})")
    from growthpace.synthesis.stage import synthesise as write

    write(study, source, paths, report, lambda: yes or agreed("Ask?", "--yes asks at once"), dry_run)


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
def advise(
    config: Config,
    budget: Annotated[int | None, typer.Option(min=1, help="items to divide over abilities; prints a mix")] = None,
    weights: Annotated[str, typer.Option(help="of abilities in the mean score, such as math=2,code=0; others 1")] = "",
    source: Annotated[str | None, typer.Option(help="labelled source; the study's first if absent")] = None,
    other: Annotated[list[str] | None, typer.Option(help="another labelled source that items may come from")] = None,
    suite: Annotated[str | None, typer.Option(help="whose curves are used; that of `selection` if absent")] = None,
    name: Annotated[str, typer.Option(help="of the mix")] = "advised",
):
    """Say which data to collect next; with --budget print a mix to train (exit code 3: the data cannot tell)."""
    study, paths = opened(config)
    if budget is None:
        given = {"--weights": weights, "--source": source, "--other": other, "--suite": suite}
        if named := [option for option, value in given.items() if value]:
            raise InputError(f"{', '.join(named)} would have no effect without --budget")
        from growthpace.analysis.stage import advise_collection

        advise_collection(study, paths)
        return
    from growthpace.advice import advised, asked_for, fragment, weights_of
    from growthpace.grid import Grid

    mix = asked_for(study, budget, source, weights_of(weights), suite, other or [])
    found = advised(study, paths, mix, Grid(study).swept(mix))
    if found["status"] == "refused":
        print(f"growthpace advise: no advice on {budget} items: {found['reason']}", file=sys.stderr)
        sys.exit(3)
    report(fragment(found, name).rstrip())


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

    sys.exit(show(config, json_path, markdown, html, gpus, diff, as_json, report, live_jobs(config)))


@app.command(rich_help_panel=USERS)
def why(config: Config, cell: Annotated[str, typer.Argument(help="MODEL/DATASET/seed-N[/SUITE/EPOCH], or a file")]):
    """Say whether a cell is done, and if not, why it will run."""
    from growthpace.plan.command import why as tell

    sys.exit(tell(config, cell, report, live_jobs(config)))


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


@app.command(rich_help_panel=USERS)
def export(config: Config, name: RunName, epoch: int, folder: Path):
    """Write a checkpoint as a plain Hugging Face folder, its adapters merged in."""
    from growthpace.grid import Grid

    study, paths = opened(config)
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

    study, paths = opened(config)
    grid = Grid(study)
    grid.require(suite=suite)
    for record in item_log(grid.run(name), suite, epoch_of(epoch), paths):
        report(json.dumps(record, ensure_ascii=False))


@app.command(rich_help_panel=USERS)
def referee(config: Config, suite: str, folder: Path, model: Annotated[str, typer.Option(help="of the study")] = ""):
    """Write a suite as task files of lm-evaluation-harness, to compare its scores with growthpace's."""
    from growthpace.grid import Grid

    study, paths = opened(config)
    model = model or next(iter(study.models))
    Grid(study).require(suite=suite, model=model)
    from growthpace.evaluation.referee import export_of_study  # transformers, for its tokenizers

    for line in export_of_study(study, model, suite, paths, folder):
        report(line)


@app.command(rich_help_panel=USERS)
def analyse(
    scores: Annotated[Path, typer.Option(help="a .csv, .tsv, .parquet or .jsonl; of lm-evaluation-harness a folder")],
    score_map: Annotated[Path, typer.Option("--map", help="says what its columns, or its runs and tasks, are")],
    out: Annotated[Path, typer.Option(help="the folder to write to")],
):
    """Analyse scores from elsewhere: points, paces, laws and comparisons with intervals, and a page of them."""
    from rich.console import Console

    from growthpace.analysis.elsewhere.stage import analyse as analyse_scores
    from growthpace.figures.elsewhere import told, write_page

    found = analyse_scores(scores, score_map, out)
    write_page(found, score_map, out)
    console = Console(highlight=False, emoji=False, markup=False, soft_wrap=True)
    for line in told(found):
        console.print(line)
    console.print(f"written to {out}: report.html, and the tables as Parquet and CSV")
