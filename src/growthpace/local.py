"""Running a study on this machine: `snakemake --profile profiles/local` with a summary at the end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from growthpace.checks import check_study
from growthpace.errors import InputError
from growthpace.paths import Paths
from growthpace.study import UNTUNED, load_study
from growthpace.warm import WarmServer


def run_study(config: Path, cores: int, dry_run: bool, report: Callable[[str], None]) -> int:
    """Runs Snakemake on the study and returns its exit code; afterwards prints the scores and where the report is.

    Raises `InputError` for a bad study, before any job, and where the working directory is no growthpace project.
    """
    if not Path("Snakefile").exists():
        raise InputError("no Snakefile here; run this in the folder that growthpace was cloned into")
    study = load_study(config)
    paths = Paths(study)
    check_study(study, paths)
    command = [sys.executable, "-m", "snakemake", "--profile", "profiles/local", "--configfile", str(config)]
    command += ["--cores", str(cores), *(["-n"] if dry_run else [])]
    # Jobs call `growthpace` by name, also where the virtual environment was not activated.
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    if dry_run:
        return subprocess.run(command, env=environment).returncode
    with WarmServer() as warm:
        code = subprocess.run(command, env={**environment, **warm.environment}).returncode
    if (paths.root / "scores.parquet").exists():
        report(score_table(paths))
        report(f"report: {(paths.root / 'report.html').resolve()}")
    return code


def score_table(paths: Paths) -> str:
    """A short table of the chosen checkpoints' overall scores: datasets down, models across, mean over seeds."""
    from growthpace.analysis.scores import OVERALL, read_frame

    points = read_frame(paths.root / "analysis" / "points.parquet")
    points = points[(points["ability"] == OVERALL)].copy()
    points["cell"] = [
        f"{100 * s:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
        for s, low, high in zip(points["score"], points["low"], points["high"], strict=True)
    ]
    lines = []
    for suite, rows in points.groupby("suite", sort=False):
        table = rows.pivot(index=["source", "volume"], columns="model", values="cell")
        models = rows.sort_values("parameters")["model"].drop_duplicates()
        table = table[list(models)].sort_index().reset_index().fillna("missing")
        named = zip(table["source"], table["volume"], strict=True)
        table["dataset"] = [source if source == UNTUNED else f"{source}-{volume}" for source, volume in named]
        text = table[["dataset", *models]].to_string(index=False)
        lines.append(f"\n{suite}: mean score over abilities in %, with its interval\n{text}\n")
    return "\n".join(lines)
