"""A study of about as many jobs as wanted, to measure planning with.

    python benchmarks/big_study.py 10000 > config/big.yaml

Everything comes from the hub, so that planning it reads no data.
"""

from __future__ import annotations

import sys
from typing import Any

import yaml

MODELS, SEEDS, EPOCHS = 3, 3, 15
ABILITIES = ["biology", "history", "math", "code"]


def big_study(jobs: int) -> dict[str, Any]:
    """The content of a config file with about `jobs` jobs (260 at least), in the shape of the paper's grid."""
    per_run = 2 + 2 * (EPOCHS + 2) + 1  # spec and training; predictions and grades; the choice of an epoch
    seeds = SEEDS if jobs >= 700 else 1
    per_volume = 2 * seeds * (1 + MODELS * per_run)  # of two sources; a dataset is shared by the models
    volumes = [len(ABILITIES) * (number + 1) for number in range(max(1, round((jobs - 40) / per_volume)))]
    items = {"importer": "doit", "hub": "someone/items"}
    suite = {"items": {**items, "files": "test/{ability}.json"}, "epochs": "selected", "max_new_tokens": 16}
    return {
        "study": "big",
        "description": "a big grid",
        "abilities": ABILITIES,
        "seeds": list(range(1, seeds + 1)),
        "format": "paper",
        "models": {f"model-{number + 1}": {"hub": f"someone/model-{number + 1}"} for number in range(MODELS)},
        "sources": {
            "curated": {"items": {**items, "files": "curated/{ability}.json"}, "volumes": volumes},
            "synthetic": {"items": {**items, "files": "synthetic.json"}, "labelled": False, "volumes": volumes},
        },
        "untuned": False,
        "training": {
            "epochs": EPOCHS,
            "batch_size": 64,
            "learning_rate": 1e-5,
            "learning_rate_floor": 1e-6,
            "warmup_steps": 0,
            "betas": [0.9, 0.95],
            "epsilon": 1e-8,
            "weight_decay": 0.1,
            "max_grad_norm": 1.0,
            "max_length": 2048,
            "overlong": "truncate",
            "precision": "bf16",
            "gradient_checkpointing": True,
            "microbatch_tokens": 4096,
            "save_minutes": 30,
        },
        "suites": {
            "valid": {**suite, "epochs": "all"},
            "test": suite,
            "outside": {**suite, "max_new_tokens": 32},
        },
        "selection": {"suite": "valid", "first_epoch": 5, "rule": "best_mean"},
        "analysis": {"suite": "test", "confidence": 0.95, "margin": 1.0},
        "figures": {"palette": "colorblind", "style": "whitegrid", "panel_width": 3.2, "columns": 4},
        "keep_checkpoints": "selected",
    }


if __name__ == "__main__":
    yaml.safe_dump(big_study(int(sys.argv[1])), sys.stdout, sort_keys=False)
