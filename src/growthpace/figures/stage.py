"""The figure and report stages' files."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml

from growthpace import optional
from growthpace.advice import check_advice
from growthpace.analysis import stage as analysis
from growthpace.analysis.scores import read_frame
from growthpace.analysis.transfer_stage import describe_abilities, measure_transfer
from growthpace.completeness import cells, existing_grades
from growthpace.errors import InputError
from growthpace.figures.registry import FIGURES, figures_of
from growthpace.figures.tables import read_tables
from growthpace.files import read_json, sha256, write_text, written_aside
from growthpace.grid import SELECTED, Grid
from growthpace.paths import Paths
from growthpace.study import Study
from growthpace.versions import VERSIONS

if TYPE_CHECKING:
    from growthpace.figures.embedded import Download

GENERATED = (
    "This study is of a generated microworld and of models made on the spot. It shows that the tool works; it is no "
    "finding about language models."
)
LIBRARIES = ("growthpace", "torch", "transformers", "snakemake", "scipy")


def draw(study: Study, paths: Paths, name: str) -> None:
    """Writes `figures/{name}.svg` and `.png`, also of a figure that the study's page does not show.

    `InputError` for a name that is no figure, and for one whose tables are not there yet.
    """
    from growthpace.figures.drawing import save

    if name not in FIGURES:
        raise InputError(f"figure: {name!r} is unknown (allowed: {', '.join(FIGURES)})")
    entry, folder = FIGURES[name], paths.root / "analysis"
    if missing := [table for table in entry.tables if not (folder / f"{table}.parquet").exists()]:
        raise InputError(f"figure {name}: {folder / missing[0]}.parquet is missing; make the study's analysis first")
    tables = read_tables(folder, entry.tables, entry.beside, study.analysis.suite, study.selection.suite)
    figure = entry.draw(tables, study.figures, f"{entry.title}, study {study.study}")
    target = paths.root / "figures" / f"{name}.svg"
    with written_aside(target) as svg, written_aside(target.with_suffix(".png")) as png:
        save(figure, svg, png)


def write_report(study: Study, paths: Paths, config: Path, partial: bool = False) -> Path:
    """Writes `report.html` and returns its path; `partial` first gathers, fits and draws what is there."""
    from growthpace.figures.report import render

    shown = [figure.name for figure in figures_of(study)]

    if partial:
        grades = existing_grades(study, paths)
        if not grades:
            raise InputError(f"{study.study}: nothing has been graded yet, so there is nothing to report")
        analysis.collect_scores(study, paths, grades)
        analysis.fit_curves(study, paths)
        analysis.compare_sources(study, paths)
        analysis.advise_collection(study, paths)
        if study.transfer:
            measure_transfer(study, paths)
        if optional.described_datasets(study):
            describe_abilities(study, paths)
        if Grid(study).advised and all(paths.allocation(name).exists() for name in Grid(study).advised):
            check_advice(study, paths)
        for name in shown:
            draw(study, paths, name)
    folder = paths.root / "analysis"
    points = read_frame(folder / "points.parquet")
    advice = yaml.safe_load((folder / "advice.yaml").read_text(encoding="utf-8"))
    page = render(
        name=study.study,
        description=study.description,
        notice=GENERATED if study.microworld else "",
        suite=study.analysis.suite,
        confidence=study.analysis.confidence,
        margin=study.analysis.margin,
        points=points,
        pace=read_frame(folder / "pace.parquet"),
        comparisons=read_frame(folder / "comparisons.parquet"),
        advice=advice["advice"],
        completeness=cells(study, paths),
        figures={name: (paths.root / "figures" / f"{name}.svg").read_text(encoding="utf-8") for name in shown},
        costs=_costs(study, paths),
        provenance=_provenance(study, paths, config),
        judge=read_json(folder / "judge.json") if study.judge and (folder / "judge.json").exists() else None,
        unbalanced=[name for name, source in study.sources.items() if not source.labelled],
        tables=_tables(study, folder, advice),
        examples=_examples(study, paths, points[points["suite"] == study.analysis.suite]),
        downloads=_downloads(paths),
        palette=study.figures.palette,
    )
    target = paths.root / "report.html"
    write_text(target, page)
    return target


def _tables(study: Study, folder: Path, advice: dict[str, Any]) -> dict[str, Any]:
    """The further tables that are there, as `report.render` takes them. What an earlier state of the study asked for
    and this one does not is left out."""
    from growthpace.figures.sections import PLAIN, SECTIONS

    files = {name: folder / f"{name}.parquet" for name in (*SECTIONS, "law_curves")}
    found = {name: read_frame(file) for name, file in files.items() if file.exists()}
    nested = {name: folder / f"{name}.json" for name in PLAIN}
    found |= {name: read_json(file) for name, file in nested.items() if file.exists()}
    unasked = set() if study.transfer else {"transfer"}
    unasked |= set() if optional.described_datasets(study) else {"features", "feature_prediction"}
    unasked |= set() if Grid(study).advised else {"advice_check"}
    found = {name: table for name, table in found.items() if name not in unasked}
    if divided := advice.get("allocation"):
        found["allocation"] = {
            one["mix"]: {key: value for key, value in one.items() if key not in ("study", "mix", "code_version")}
            for one in divided
        }
    return found


def _examples(study: Study, paths: Paths, points: pd.DataFrame) -> dict[str, Any] | None:
    """Answers of the best run's chosen epoch; None where no seed of it has predictions and grades of the suite."""
    from growthpace.evaluation.item_log import item_log
    from growthpace.figures.examples import best_run, choose

    best, suite = best_run(points), study.analysis.suite
    grid = Grid(study)
    for run in grid.runs:
        if (run.model, run.dataset) != best or not paths.selected(run).exists():
            continue
        epoch = read_json(paths.selected(run))["epoch"]
        for name, at in grid.evaluations(run):
            if name != suite or at not in (SELECTED, epoch):
                continue
            files = (paths.prediction(run, suite, at), paths.grades(run, suite, at), paths.suite(suite))
            if all(file.exists() for file in files):
                about = {"model": run.model, "dataset": run.dataset, "seed": run.seed, "epoch": epoch, "suite": suite}
                return {**about, "abilities": choose(item_log(run, suite, at, paths))}
    return None


def _downloads(paths: Paths) -> list[Download]:
    """Every table that the page shows, and all scores."""
    from growthpace.figures.embedded import download
    from growthpace.figures.sections import SECTIONS

    names = ["scores", *(f"analysis/{name}" for name in ("points", "pace", "comparisons", *SECTIONS, "law_curves"))]
    found = []
    for name in names:
        file = paths.root / f"{name}.parquet"
        if file.exists():
            found.append(download(file.stem, read_frame(file), file, f"{name}.parquet"))
    return found


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:  # a report may be written where nothing is trained
        return "not installed here"


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
