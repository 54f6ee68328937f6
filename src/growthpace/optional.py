"""Tables that only some studies have. Light: the workflow is loaded with it."""

from __future__ import annotations

from growthpace.paths import Paths
from growthpace.study import Study


def described_datasets(study: Study) -> dict[str, str]:
    """The datasets whose items the features of abilities are of: {labelled source: its dataset of largest volume}."""
    swept = {name: source.volumes for name, source in study.sources.items() if source.labelled and source.volumes}
    return {name: f"{name}-{max(volumes)}" for name, volumes in swept.items()}


def described_files(study: Study, paths: Paths) -> list[str]:
    """Their files, of all seeds."""
    return [str(paths.dataset(name, seed)) for name in described_datasets(study).values() for seed in study.seeds]


def transfer_table(study: Study, paths: Paths) -> list[str]:
    """What abilities do for each other, where the study asks for it."""
    return [f"{paths.root}/analysis/transfer.parquet"] if study.transfer else []


def feature_tables(study: Study, paths: Paths) -> list[str]:
    """Features of abilities and how well they predict pace, where a source that is labelled by ability is swept."""
    names = ("features.parquet", "feature_prediction.json") if described_datasets(study) else ()
    return [f"{paths.root}/analysis/{name}" for name in names]
