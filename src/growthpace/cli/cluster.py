"""Verbs for a SLURM cluster."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from growthpace.cli.base import CLUSTER, AsJson, Config, MaxRerun, SiteFile, Yes, app, report


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


@app.command(rich_help_panel=CLUSTER)
def doctor(config: Annotated[Path | None, typer.Argument(help="a study, to compare with the cluster")] = None,
           as_json: AsJson = False):  # fmt: skip
    """Look whether this machine, its cluster and the site's file fit together, and say what to do where not."""
    from growthpace.cluster.doctor import show as examine

    sys.exit(examine(config, as_json))
