"""The analysis stage's files: grades' metadata, selection, the tidy table, curves, comparisons, advice."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from growthpace.files import read_json, read_metadata, write_json, write_text
from growthpace.grid import SELECTED, Grid, Run
from growthpace.paths import Paths
from growthpace.study import UNTUNED, Study
from growthpace.versions import VERSIONS


def grade_metadata(study: Study, run: Run, suite: str, epoch: int | str, paths: Paths) -> dict[str, Any]:
    """What a grades file says about itself (see `scores.METADATA`)."""
    grid = Grid(study)
    dataset = grid.dataset_of(run)
    volume = 0 if run.dataset == UNTUNED else read_json(paths.manifest(run.dataset, run.seed))["items"]
    number = read_metadata(paths.prediction(run, suite, epoch))["epoch"]
    return {
        "study": study.study,
        "stage": "grading",
        "model": run.model,
        "parameters": read_json(paths.model(run.model) / "base.json")["parameters"],
        "dataset": run.dataset,
        "kind": dataset.kind,
        "source": dataset.source,
        "volume": volume,
        "seed": run.seed,
        "epoch": number,
        "selected": epoch == SELECTED or run.dataset == UNTUNED,
        "suite": suite,
        "abilities_in_domain": list(study.abilities),
        "settings": grid.grading_settings(),
    }


def select_epoch(study: Study, run: Run, paths: Paths) -> dict[str, Any]:
    """Chooses a run's epoch by its grades on the selection suite, and removes the weights of the other epochs where
    the study keeps only the selected ones (every prediction that needs them is there by then)."""
    from growthpace.analysis.selection import choose_epoch
    from growthpace.evaluation.grading import read_grades

    grid, selection = Grid(study), study.selection
    scores: dict[int, dict[str, float]] = {}
    for epoch in grid.candidates(run):
        grades = read_grades(paths.grades(run, selection.suite, epoch)).to_pandas()
        scores[epoch] = grades.groupby("ability")["grade"].mean().to_dict()
    chosen = choose_epoch(scores, selection.rule, grid.candidates(run)[0])
    result = {
        "run": str(run),
        "epoch": chosen,
        "suite": selection.suite,
        "rule": selection.rule,
        "mean_scores": {str(e): sum(s.values()) / len(s) for e, s in scores.items()},
        "code_version": VERSIONS["selection"],
    }
    write_json(paths.selected(run), result)
    if study.keep_checkpoints == "selected":
        for epoch in range(1, grid.epochs(run) + 1):
            if epoch != chosen:
                shutil.rmtree(paths.weights(run, epoch), ignore_errors=True)
    return result


def collect_scores(study: Study, paths: Paths, grades: list[Path]) -> None:
    """Writes `scores.parquet` and `analysis/item_grades.parquet` from the grade files.

    `selected` is decided here and now: a grade is the chosen checkpoint's if its epoch is the one that the run's
    selection names, so a stale test grade never passes for the chosen one's.
    """
    from growthpace.analysis.scores import collect, write_frame

    scores, item_grades = collect(grades, study.analysis.confidence)
    chosen = {
        str(run): read_json(paths.selected(run))["epoch"] for run in Grid(study).runs if paths.selected(run).exists()
    }
    for frame in (scores, item_grades):
        names = frame["model"] + "/" + frame["dataset"] + "/seed-" + frame["seed"].astype(str)
        frame["selected"] = (names.map(chosen) == frame["epoch"]) | (frame["dataset"] == UNTUNED)
    metadata = {"study": study.study, "stage": "collect", "code_version": VERSIONS["collect"]}
    write_frame(paths.root / "scores.parquet", scores, metadata)
    write_frame(paths.root / "analysis" / "item_grades.parquet", item_grades, metadata)


def fit_curves(study: Study, paths: Paths) -> None:
    """Writes the tables of growth curves: `analysis/points.parquet`, `pace`, `laws`, `law_curves`, `sizes` and
    `selection_bias`."""
    from growthpace.analysis.curves import pace, points
    from growthpace.analysis.law_tables import laws
    from growthpace.analysis.matrix import blocks
    from growthpace.analysis.scores import read_chosen, write_frame
    from growthpace.analysis.selection_bias import read_candidates, selection_bias
    from growthpace.analysis.sizes import size_gains

    folder, settings, selection = paths.root / "analysis", study.analysis, study.selection
    bias = selection_bias(
        read_candidates(folder / "item_grades.parquet", selection.suite),
        selection.suite, selection.first_epoch, settings.replicates, settings.confidence,
    )  # fmt: skip
    graded = list(blocks(read_chosen(folder / "item_grades.parquet")))
    found, courses = laws(graded, settings.confidence)
    tables = {
        "points": points(graded, settings.confidence),
        "pace": pace(graded, settings.confidence, settings.margin),
        "laws": found,
        "law_curves": courses,
        "sizes": size_gains(graded, settings.confidence),
        "selection_bias": bias,
    }
    metadata = {"study": study.study, "stage": "fit", "code_version": VERSIONS["fit"]}
    for name, table in tables.items():
        write_frame(folder / f"{name}.parquet", table, metadata)


def compare_sources(study: Study, paths: Paths) -> None:
    """Writes what sources are worth beside each other, and what holds outside the study's abilities: the tables
    `analysis/comparisons.parquet`, `equivalence`, `crossings`, `last_steps` and `generalisation`."""
    from growthpace.analysis.compare import compare
    from growthpace.analysis.crossing import crossings
    from growthpace.analysis.equivalence import equivalence
    from growthpace.analysis.generalisation import generalisation
    from growthpace.analysis.last_step import last_steps
    from growthpace.analysis.matrix import blocks
    from growthpace.analysis.scores import read_chosen, write_frame

    folder, settings = paths.root / "analysis", study.analysis
    found, level = list(blocks(read_chosen(folder / "item_grades.parquet"))), settings.confidence
    tables = {
        "comparisons": compare(found, level),
        "equivalence": equivalence(found, level),
        "crossings": crossings(found, level),
        "last_steps": last_steps(found, level, settings.margin),
        "generalisation": generalisation(found, settings.suite, level, settings.replicates),
    }
    metadata = {"study": study.study, "stage": "compare", "code_version": VERSIONS["compare"]}
    for name, table in tables.items():
        write_frame(folder / f"{name}.parquet", table, metadata)


def advise_collection(study: Study, paths: Paths) -> None:
    """Writes `analysis/advice.yaml`: advice for each labelled source, and as `allocation` how the budgets of the mixes
    that the study's own curves make are divided (`growthpace.advice`), of those that are there."""
    from growthpace.analysis.advise import advise
    from growthpace.analysis.matrix import blocks
    from growthpace.analysis.scores import read_chosen

    settings = study.analysis
    item_grades = list(blocks(read_chosen(paths.root / "analysis" / "item_grades.parquet", settings.suite)))
    labelled = [name for name, source in study.sources.items() if source.labelled]
    advice = [advise(item_grades, s, settings.suite, settings.confidence, settings.margin) for s in labelled]
    there = [path for path in map(paths.allocation, Grid(study).advised) if path.exists()]
    allocation = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in there]
    content = {"study": study.study, "code_version": VERSIONS["advise"], "advice": advice, "allocation": allocation}
    write_text(paths.root / "analysis" / "advice.yaml", yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
