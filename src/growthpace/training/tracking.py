"""Trackers that a study may ask for: TensorBoard, Weights & Biases, trackio. transformers' own callbacks feed them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from growthpace.errors import InputError


def check_tracking(trackers: Sequence[str]) -> None:
    """Raises `InputError` for a tracker that is not installed."""
    for name in trackers:
        if find_spec(name) is None:
            raise InputError(
                f"training.tracking: {name} is not installed (pip install -c envs/lock.txt 'growthpace[tracking]', or "
                f"pip install {name})"
            )


def prepare_tracking(folder: Path, project: str, run: str, identity: str) -> None:
    """Tells the trackers where to write and which run this is, unless the user's environment says otherwise.

    folder: of the run; identity: the same for every attempt at it, so that an interrupted run goes on as one. Jobs
    have no network: Weights & Biases writes files, to be sent with `wandb sync`.
    """
    settings = {
        "TENSORBOARD_LOGGING_DIR": str(folder / "tensorboard"),
        "WANDB_DIR": str(folder),
        "WANDB_MODE": "offline",
        "WANDB_PROJECT": project,
        "WANDB_RUN_ID": identity,
        "WANDB_NAME": run,
        "WANDB_RESUME": "allow",
        "TRACKIO_DIR": str(folder / "trackio"),
    }
    for key, value in settings.items():
        os.environ.setdefault(key, value)
