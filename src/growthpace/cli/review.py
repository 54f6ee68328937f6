"""Verbs for quality control by people (docs/review.md)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from growthpace.cli.base import USERS, AsJson, Config, app, opened, report
from growthpace.errors import InputError

review = typer.Typer(help="Have two people review a source's items; keep what both passed.", no_args_is_help=True)
app.add_typer(review, name="review", rich_help_panel=USERS)

SourceName = Annotated[str, typer.Argument(metavar="SOURCE", help="a source of the study")]
To = Annotated[Path, typer.Option(help="folder that the files are written to")]
Reviewers = Annotated[str, typer.Option(help="two names, such as anna,ben")]
Adjudicator = Annotated[str, typer.Option(help="instead of reviewers: a third person, who decides conflicts")]
Sample = Annotated[int | None, typer.Option(min=1, help="so many items of each ability; all when absent")]
Seed = Annotated[int | None, typer.Option(help="draws the sample and the order; the study's first when absent")]


def _label(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise InputError(f"reviewer: {name!r} (allowed: up to 64 letters, digits and . _ -, a letter or digit first)")
    return name


@review.command("export")
def export_items(
    config: Config,
    source: SourceName,
    to: To,
    reviewers: Reviewers = "",
    adjudicator: Adjudicator = "",
    sample: Sample = None,
    seed: Seed = None,
    format: Annotated[Literal["csv", "jsonl", "both"], typer.Option(help="for a spreadsheet, Label Studio")] = "both",
):
    """Write what each reviewer still has to judge, for a spreadsheet or Label Studio."""
    from growthpace.review.exporting import FORMATS, Request, export
    from growthpace.review.source import open_source

    names = tuple(_label(name.strip()) for name in reviewers.split(",")) if reviewers else ()
    if bool(names) == bool(adjudicator):
        raise InputError("name either --reviewers anna,ben (two) or --adjudicator clara (one who decides conflicts)")
    if names and (len(names) != 2 or names[0] == names[1]):
        raise InputError(f"--reviewers {reviewers}: two different people are needed, such as anna,ben")
    if adjudicator and sample is not None:
        raise InputError("--sample would have no effect: an adjudicator gets every conflict")
    study, _ = opened(config)
    request = Request(
        to=to,
        reviewers=names,
        adjudicator=_label(adjudicator) if adjudicator else "",
        sample=sample,
        formats=FORMATS[format],
        seed=study.seeds[0] if seed is None else seed,
    )
    export(open_source(study, source, config), request, config, report)


@review.command("import")
def import_verdicts(
    config: Config,
    source: SourceName,
    files: Annotated[list[Path], typer.Argument(help="reviewers' tables, or Label Studio's exports")],
):
    """Read reviewers' verdicts into the source's history; with a fault in any file, nothing is read."""
    from datetime import UTC, datetime

    from growthpace.review.importing import import_files
    from growthpace.review.source import open_source

    study, _ = opened(config)
    import_files(open_source(study, source, config), files, config, datetime.now(UTC).date().isoformat(), report)


@review.command("report")
def report_review(config: Config, source: SourceName, as_json: AsJson = False):
    """Say how much passed, how well the reviewers agree, what was revised, and what is left to do."""
    from growthpace.data.reviewed.history import alone, read_history
    from growthpace.review.importing import next_steps
    from growthpace.review.report import lines, summary
    from growthpace.review.source import open_source

    study, _ = opened(config)
    found = open_source(study, source, config)
    if not found.history:
        raise InputError(
            f"{found.folder}: no verdicts yet; growthpace review export {config} {source} --reviewers NAME,NAME "
            "--to FOLDER writes what there is to judge, growthpace review import reads it back"
        )
    changed = []
    if found.changed_decisions():  # the source or the history was changed by other means than an import
        with alone(found.folder):
            found.history = read_history(found.folder)
            changed = found.decide()
    told = summary(found, study.analysis.confidence)
    if as_json:
        report(json.dumps(told, ensure_ascii=False))
        return
    for line in lines(told):
        report(line)
    if changed:
        report(f"decisions written anew, since the source or the history has changed: {', '.join(changed)}")
    for line in next_steps(found, config):
        if "review report" not in line:
            report(line)
