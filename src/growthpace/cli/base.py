"""What all verbs share: the app, its arguments, and how a study is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from growthpace.errors import InputError

app = typer.Typer(
    help="The command line: one verb per stage, so that every job of a workflow can be repeated by hand from its log.",
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


def report(line: str) -> None:
    """One line of progress."""
    print(line, flush=True)


def opened(config: Path):
    from growthpace.paths import Paths
    from growthpace.study import load_study

    study = load_study(config)
    return study, Paths(study)


def live_jobs(config: Path) -> dict[str, str]:
    """SLURM ids of the study's live jobs by run; none on a machine without SLURM."""
    from growthpace.cluster import slurm
    from growthpace.cluster.ledger import live_cells
    from growthpace.paths import Paths
    from growthpace.study import load_study

    study = load_study(config)
    cells = live_cells(study.study, Paths(study)) if slurm.available() else {}
    return {cell.split()[1]: job for cell, job in cells.items()}


def epoch_of(text: str) -> int | str:
    from growthpace.grid import SELECTED

    if text != SELECTED and not text.isdecimal():
        raise InputError(f"epoch: {text!r} is neither a number nor {SELECTED!r}")
    return text if text == SELECTED else int(text)
