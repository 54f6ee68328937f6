"""The files of transfer and of abilities' features."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from growthpace.errors import InputError
from growthpace.files import write_json
from growthpace.optional import described_datasets
from growthpace.paths import Paths
from growthpace.study import Study
from growthpace.versions import VERSIONS


def measure_transfer(study: Study, paths: Paths) -> pd.DataFrame:
    """Writes `analysis/transfer.parquet` and returns it. `InputError` for a study without a section transfer."""
    from growthpace.analysis.scores import read_frame, write_frame
    from growthpace.analysis.transfer import transfer

    if study.transfer is None:
        raise InputError(
            f"transfer: the study {study.study} has no runs on one ability alone or on all but one; a section "
            "transfer asks for them (docs/transfer.md)"
        )
    item_grades = read_frame(paths.root / "analysis" / "item_grades.parquet")
    found = transfer(item_grades, study.transfer, study.abilities, study.analysis.confidence)
    write_frame(paths.root / "analysis" / "transfer.parquet", found, _metadata(study, "transfer"))
    return found


def describe_abilities(study: Study, paths: Paths) -> dict[str, Any]:
    """Writes `analysis/features.parquet` and `analysis/feature_prediction.json`, and returns the latter's content.

    Takes the datasets that are there. `InputError` for a study without a labelled source that is swept.
    """
    from growthpace.analysis.features import features
    from growthpace.analysis.prediction import predict_pace
    from growthpace.analysis.scores import read_frame, write_frame

    if not described_datasets(study):
        raise InputError(
            f"features: the study {study.study} sweeps no source that is labelled by ability, so that there are no "
            "abilities' items to describe (docs/transfer.md)"
        )
    folder, settings = paths.root / "analysis", study.analysis
    item_grades = read_frame(folder / "item_grades.parquet")
    transfer_table = read_frame(folder / "transfer.parquet") if study.transfer else None
    texts = {source: _texts(study, paths, dataset) for source, dataset in described_datasets(study).items()}
    table = features(texts, item_grades, transfer_table, settings.suite, study.abilities)
    write_frame(folder / "features.parquet", table, _metadata(study, "features"))
    found = predict_pace(table, read_frame(folder / "pace.parquet"), settings.suite, settings.confidence)
    content = {"study": study.study, "code_version": VERSIONS["features"], **found}
    write_json(folder / "feature_prediction.json", content)
    return content


def _texts(study: Study, paths: Paths, dataset: str) -> Iterator[dict[str, list[tuple[str, str]]]]:
    """(What is asked, what is answered) of each ability's items, for each seed whose dataset is there."""
    from growthpace.data.items import stream_items

    for seed in study.seeds:
        path = paths.dataset(dataset, seed)
        if not path.exists():
            continue
        found: dict[str, list[tuple[str, str]]] = {ability: [] for ability in study.abilities}
        for item in stream_items(path):
            sides = [
                "\n".join(message.content for message in item.messages if (message.role == "assistant") is answered)
                for answered in (False, True)
            ]
            found[item.ability].append((sides[0], sides[1]))
        yield found


def _metadata(study: Study, stage: str) -> dict[str, Any]:
    return {"study": study.study, "stage": stage, "code_version": VERSIONS[stage]}
