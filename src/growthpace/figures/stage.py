"""The figure and report stages' files."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from growthpace.analysis import stage as analysis
from growthpace.analysis.scores import read_frame
from growthpace.completeness import cells, existing_grades
from growthpace.errors import InputError
from growthpace.files import read_json, sha256, write_text, written_aside
from growthpace.grid import Grid
from growthpace.paths import Paths
from growthpace.study import Study
from growthpace.versions import VERSIONS

GENERATED = (
    "This study is of a generated microworld and of models made on the spot. It shows that the tool works; it is no "
    "finding about language models."
)
LIBRARIES = ("growthpace", "torch", "transformers", "snakemake", "scipy")


def draw(study: Study, paths: Paths, name: str) -> None:
    """Writes `figures/{name}.svg` and `.png`."""
    from growthpace.figures.panels import FIGURES, save

    if name not in FIGURES:
        raise InputError(f"figure: {name!r} is unknown (allowed: {', '.join(FIGURES)})")
    points, pace = (_of_suite(study, paths, table) for table in ("points", "pace"))
    figure = FIGURES[name](points, pace, study.figures, f"{name.capitalize()}, study {study.study}")
    target = paths.root / "figures" / f"{name}.svg"
    with written_aside(target) as svg, written_aside(target.with_suffix(".png")) as png:
        save(figure, svg, png)


def write_report(study: Study, paths: Paths, config: Path, partial: bool = False) -> Path:
    """Writes `report.html` and returns its path; `partial` first gathers, fits and draws what is there."""
    from growthpace.figures.panels import FIGURES
    from growthpace.figures.report import render

    if partial:
        grades = existing_grades(study, paths)
        if not grades:
            raise InputError(f"{study.study}: nothing has been graded yet, so there is nothing to report")
        analysis.collect_scores(study, paths, grades)
        analysis.fit_curves(study, paths)
        analysis.compare_sources(study, paths)
        analysis.advise_collection(study, paths)
        for name in FIGURES:
            draw(study, paths, name)
    folder = paths.root / "analysis"
    advice = yaml.safe_load((folder / "advice.yaml").read_text(encoding="utf-8"))
    page = render(
        name=study.study,
        description=study.description,
        notice=GENERATED if study.microworld else "",
        suite=study.analysis.suite,
        confidence=study.analysis.confidence,
        margin=study.analysis.margin,
        points=read_frame(folder / "points.parquet"),
        pace=read_frame(folder / "pace.parquet"),
        comparisons=read_frame(folder / "comparisons.parquet"),
        advice=advice["advice"],
        completeness=cells(study, paths),
        figures={name: (paths.root / "figures" / f"{name}.svg").read_text(encoding="utf-8") for name in FIGURES},
        costs=_costs(study, paths),
        provenance=_provenance(study, paths, config),
        judge=read_json(folder / "judge.json") if study.judge and (folder / "judge.json").exists() else None,
        unbalanced=[name for name, source in study.sources.items() if not source.labelled],
    )
    target = paths.root / "report.html"
    write_text(target, page)
    return target


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:  # a report may be written where nothing is trained
        return "not installed here"


def _of_suite(study: Study, paths: Paths, table: str):
    frame = read_frame(paths.root / "analysis" / f"{table}.parquet")
    return frame[frame["suite"] == study.analysis.suite].reset_index(drop=True)


def _costs(study: Study, paths: Paths) -> list[dict[str, Any]]:
    rows = []
    for run in Grid(study).runs:
        known = read_json(paths.training(run)) if paths.training(run).exists() else {}
        rows.append(
            {
                "model": run.model,
                "dataset": run.dataset,
                "seed": run.seed,
                "wall_seconds": known.get("seconds"),
                "tokens_per_second": known.get("tokens_per_second"),
                "device": known.get("device"),
            }
        )
    return rows


def _provenance(study: Study, paths: Paths, config: Path) -> dict[str, Any]:
    hashes = {f"suite {name}": sha256(paths.suite(name)) for name in study.suites if paths.suite(name).exists()}
    for model in study.models:
        base = paths.model(model) / "base.json"
        if base.exists():
            hashes[f"base model {model}"] = read_json(base)["weights_sha256"]
    versions = {"Python": platform.python_version(), **{name: _version(name) for name in LIBRARIES}}
    versions |= {f"stage {stage}": str(number) for stage, number in VERSIONS.items()}
    return {"config": config.read_text(encoding="utf-8"), "versions": versions, "hashes": hashes}
