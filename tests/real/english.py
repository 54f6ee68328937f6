"""The shipped English study at small volumes: the publishers' files from the data folder, the real base model of 260
thousand parameters, what a CPU does in a few minutes, and no teacher. Everything else is as in config/english.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]

FOLDERS = {"ethics": "hendrycks_ethics", "agieval": "agieval_permissive"}
"""Where a set's folder is not called as the set."""
WITHOUT_TRAINING = {
    "friendsqa": {"splits": {"train": ["dev"], "test": ["tst"]}, "shares": {"valid": 0.2}},
    "multiwoz": {"splits": {"train": ["val"], "test": ["test"]}, "shares": {"valid": 0.2}},
}
"""Sets whose training file is not in the data folder: they train on what is valid elsewhere, less a share."""
LONGEST = 1000
"""Characters: the base model has a context of 512 tokens, about two characters each."""
CURATED, SYNTHETIC = [10, 80], [40]
VALID, TEST = 4, 8
"""Items of an ability."""
SUBJECTS = {"mmlu": ["global_facts"], "agieval": ["sat-math"]}


def local(given: dict[str, Any], data: Path) -> dict[str, Any]:
    """A set (or a benchmark) of its publisher's files in the data folder."""
    kept = {key: value for key, value in given.items() if key not in ("hub", "revision")}
    return (
        kept
        | {"folder": str(data / FOLDERS.get(given["name"], given["name"]))}
        | WITHOUT_TRAINING.get(given["name"], {})
    )


def small(data: Path, model: Path) -> dict[str, Any]:
    """The study file's content; `model` is the folder of the base model."""
    study = yaml.safe_load((ROOT / "config" / "english.yaml").read_text(encoding="utf-8"))
    del study["sources"]["generated"]  # a teacher in a workflow: tests/workflow/test_synthetic_workflow.py
    sections = [*study["sources"].values(), *study["suites"].values()]
    for items in (section["items"] for section in sections):
        if items["importer"] == "public":
            items["longest"] = LONGEST
            items["sets"] = {ability: local(given, data) for ability, given in items["sets"].items()}
        else:
            given = local(items, data) | {"subjects": SUBJECTS[items["name"]]}
            items.clear()
            items.update(given)
    study["models"] = {"stories260k": {"folder": str(model)}}
    study["sources"]["curated"]["volumes"], study["sources"]["synthetic"]["volumes"] = CURATED, SYNTHETIC
    study["suites"]["valid"]["items"]["most"], study["suites"]["test"]["items"]["most"] = VALID, TEST
    for suite in study["suites"].values():
        suite["max_new_tokens"] = min(suite["max_new_tokens"], 24)
    study["seeds"] = [1]
    del study["training"]["distribution"], study["training"]["save_minutes"]
    study["training"] |= {
        "epochs": 2,
        "batch_size": 10,
        "max_length": 512,
        "microbatch_tokens": 512,
        "precision": "fp32",
    }
    study["training"] |= {"learning_rate": 1.0e-3, "learning_rate_floor": 1.0e-4}
    study["selection"]["first_epoch"] = 1
    return study
