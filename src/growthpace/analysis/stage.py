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
    """Writes `analysis/points.parquet` and `analysis/pace.parquet`."""
    from growthpace.analysis.curves import pace, points
    from growthpace.analysis.scores import read_frame, write_frame

    item_grades = read_frame(paths.root / "analysis" / "item_grades.parquet")
    settings = study.analysis
    metadata = {"study": study.study, "stage": "fit", "code_version": VERSIONS["fit"]}
    write_frame(paths.root / "analysis" / "points.parquet", points(item_grades, settings.confidence), metadata)
    found = pace(item_grades, settings.confidence, settings.margin)
    write_frame(paths.root / "analysis" / "pace.parquet", found, metadata)


def compare_sources(study: Study, paths: Paths) -> None:
    """Writes `analysis/comparisons.parquet`."""
    from growthpace.analysis.compare import compare
    from growthpace.analysis.scores import read_frame, write_frame

    item_grades = read_frame(paths.root / "analysis" / "item_grades.parquet")
    metadata = {"study": study.study, "stage": "compare", "code_version": VERSIONS["compare"]}
    found = compare(item_grades, study.analysis.confidence)
    write_frame(paths.root / "analysis" / "comparisons.parquet", found, metadata)


def advise_collection(study: Study, paths: Paths) -> None:
    """Writes `analysis/advice.yaml`, one piece of advice for each labelled source."""
    from growthpace.analysis.advise import advise
    from growthpace.analysis.scores import read_frame

    item_grades = read_frame(paths.root / "analysis" / "item_grades.parquet")
    settings = study.analysis
    labelled = [name for name, source in study.sources.items() if source.labelled]
    advice = [advise(item_grades, s, settings.suite, settings.confidence, settings.margin) for s in labelled]
    content = {"study": study.study, "code_version": VERSIONS["advise"], "advice": advice}
    write_text(paths.root / "analysis" / "advice.yaml", yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
