"""A small study for tests: a dictionary to change, and item files in DoIT's layout that fit it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import yaml

from growthpace.study import Study, load_study

ABILITIES = ("biology", "history")
POOL, SUITE, GENERAL = 20, 4, 30
"""Items per ability in the curated pool, per ability in each suite, and in the synthetic pool."""

CONTENT: dict[str, Any] = {
    "study": "small",
    "description": "a small study",
    "abilities": list(ABILITIES),
    "seeds": [1, 2],
    "format": "paper",
    "models": {"s": {"hub": "someone/s"}, "m": {"hub": "someone/m", "revision": "main"}},
    "sources": {
        "curated": {
            "items": {"importer": "doit", "folder": "items", "files": "curated/{ability}.json"},
            "volumes": [4, 16],
        },
        "synthetic": {
            "items": {"importer": "doit", "folder": "items", "files": "synthetic.json"},
            "labelled": False,
            "volumes": [4, 16],
            "models": ["s"],
        },
    },
    "mixes": {
        "baseline": {"same_as": "curated-16"},
        "uneven": {
            "source": "curated",
            "shares": {"biology": 2},
            "rest": "all",
            "add": {"synthetic": 4},
            "models": ["m"],
        },
    },
    "untuned": True,
    "training": {
        "epochs": 5,
        "epochs_by_volume": {4: 7},
        "batch_size": 4,
        "learning_rate": 1e-3,
        "learning_rate_floor": 1e-4,
        "warmup_steps": 0,
        "betas": [0.9, 0.95],
        "epsilon": 1e-8,
        "weight_decay": 0.1,
        "max_grad_norm": 1.0,
        "max_length": 96,
        "overlong": "refuse",
        "precision": "fp32",
        "microbatch_tokens": 256,
    },
    "suites": {
        "valid": {
            "items": {"importer": "doit", "folder": "items", "files": "valid/{ability}.json"},
            "epochs": "selectable",
            "max_new_tokens": 8,
        },
        "test": {
            "items": {"importer": "doit", "folder": "items", "files": "test/{ability}.json"},
            "epochs": "selected",
            "max_new_tokens": 8,
        },
    },
    "selection": {"suite": "valid", "first_epoch": 3, "rule": "best_mean"},
    "analysis": {"suite": "test", "confidence": 0.95, "margin": 2.0},
    "figures": {"palette": "colorblind", "style": "whitegrid", "panel_width": 3.0, "columns": 4},
    "keep_checkpoints": "selected",
}

WORLD = {
    "seed": 0,
    "entities": 30,
    "documents_per_entity": 2,
    "train_items": 8,
    "synthetic_items": 12,
    "synthetic_error_rate": 0.25,
    "valid_items": 4,
    "test_items": 6,
}
"""Settings of a microworld."""

LLAMA = {
    "corpus": "microworld",
    "tokenizer": "words",
    "vocabulary_size": 400,
    "hidden_size": 32,
    "intermediate_size": 64,
    "layers": 2,
    "heads": 2,
    "key_value_heads": 2,
    "context": 128,
    "tie_embeddings": True,
    "pretraining": {"steps": 20, "batch_size": 16, "learning_rate": 3e-3, "seed": 0},
}
"""A model made from scratch."""

NO_SUCH_KEY = object()


def changed(path: str, value: Any, content: dict[str, Any] = CONTENT) -> dict[str, Any]:
    """The study's content with the value at a dotted path replaced; `NO_SUCH_KEY` takes the key away."""
    content = copy.deepcopy(content)
    *sections, key = path.split(".")
    section = content
    for name in sections:
        section = section[name]
    if value is NO_SUCH_KEY:
        del section[key]
    else:
        section[key] = copy.deepcopy(value)
    return content


def study_of(content: dict[str, Any] = CONTENT) -> Study:
    """The study, not read from a file."""
    return Study.model_validate(content)


def write_study(folder: Path, content: dict[str, Any] = CONTENT) -> Path:
    """Writes the study file and returns its path."""
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def write_items(folder: Path) -> None:
    """Writes the items of the small study to `folder/items`."""
    for ability in ABILITIES:
        for kind, count in (("curated", POOL), ("valid", SUITE), ("test", SUITE)):
            records = [
                record(f"{kind} {ability} {n}?\nA. one\nB. two\nC. three\nD. four", "ABCD"[n % 4], idx=n)
                for n in range(count)
            ]
            write_lines(folder / "items" / kind / f"{ability}.json", records)
    write_lines(
        folder / "items" / "synthetic.json", [record(f"Say {n}.", f"It is {n}.", idx=n) for n in range(GENERAL)]
    )


def record(question: str, answer: str, **more: Any) -> dict[str, Any]:
    """One record in DoIT's layout."""
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": turns, **more}


def write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    """Writes JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records), encoding="utf-8")


def load_small(folder: Path, content: dict[str, Any] = CONTENT) -> Study:
    """The study as read from a file in `folder`, with its items beside it."""
    write_items(folder)
    return load_study(write_study(folder, content))
