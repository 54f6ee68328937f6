"""A run's checkpoint as a plain Hugging Face folder for other programs: `growthpace export CONFIG RUN EPOCH FOLDER`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from growthpace.errors import InputError
from growthpace.grid import Run
from growthpace.models.base import quiet_libraries, weights_hash
from growthpace.models.checkpoints import ADAPTER, copy_code, merged
from growthpace.models.tokenizer import load_tokenizer
from growthpace.paths import Paths
from growthpace.study import Model, Study

MERGED = "merged"
"""Folder in an adapter's checkpoint with the whole model, where the study wants one."""


def write_merged(checkpoint: Path, target: Path, base: Path, settings: Model, precision: str) -> None:
    """The whole model of a checkpoint of adapters, with its tokenizer.

    checkpoint: folder of the adapters; base: of their base model, whose settings in the study these are; precision: of
    the training, and of the weights that are written.
    """
    merged(checkpoint, base, settings, precision).save_pretrained(target)
    copy_code(base, target)
    load_tokenizer(base, settings.trust_remote_code).save_pretrained(target)


def export_checkpoint(study: Study, run: Run, epoch: int, paths: Paths, target: Path) -> None:
    """Writes the model of a run after an epoch (0: the base model) to a new folder, in one piece.

    Raises `InputError` where the folder exists or the checkpoint is not there (any more).
    """
    quiet_libraries()
    checkpoint = paths.weights(run, epoch)
    if weights_hash(checkpoint) is None:
        raise InputError(
            f"{run}: the weights of epoch {epoch} are not there ({checkpoint}); a study keeps those that it needs, or "
            "all with keep_checkpoints: all"
        )
    if target.exists():
        raise InputError(f"{target} exists already (allowed: a folder that does not)")
    aside = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        if (checkpoint / ADAPTER).exists():
            settings = study.models[run.model]
            write_merged(checkpoint, aside, paths.model(run.model), settings, study.training.precision)
        else:
            shutil.copytree(checkpoint, aside)
        os.replace(aside, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
