"""A run's checkpoints: the weights of an epoch as an ordinary Hugging Face folder, written aside and put in place."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import nn

from growthpace.files import read_json, write_json
from growthpace.models.checkpoints import DTYPES, copy_code
from growthpace.models.export import MERGED, write_merged
from growthpace.study import Model


def copied(weights: dict[str, torch.Tensor], dtype: torch.dtype, when: str) -> dict[str, torch.Tensor]:
    """Copies on the CPU in another precision, tied weights as one tensor, so that they are written once.

    Raises FloatingPointError, with `when` in it, for a weight that is not finite.
    """
    copies: dict[tuple, torch.Tensor] = {}
    found = {}
    for name, tensor in weights.items():
        place = (tensor.data_ptr(), tensor.shape)
        if place not in copies:
            copies[place] = tensor.detach().to("cpu", dtype)
            if not copies[place].isfinite().all():
                raise FloatingPointError(
                    f"{name} is not finite {when}; lower training.learning_rate or look at the data"
                )
        found[name] = copies[place]
    return found


def write_checkpoint(
    target: Path, model: nn.Module, weights: dict[str, torch.Tensor], tokenizer: Any, base: Path, settings: Model,
    precision: str, when: str,
) -> None:  # fmt: skip
    """Writes all weights in the precision that training ran in, or the adapters in theirs, fp32.

    weights: by name, of the whole model; base: folder of the base model; settings: the study's of the model.
    """
    aside = target.with_name(f".{target.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    if settings.method == "full":
        dtype = DTYPES[precision]
        model.save_pretrained(aside, state_dict=copied(weights, dtype, when))
        # transformers writes the precision of the model in memory, which is not that of these weights.
        config = read_json(aside / "config.json")
        config["dtype"] = str(dtype).removeprefix("torch.")
        write_json(aside / "config.json", config)
        copy_code(base, aside)
    else:
        _write_adapter(aside, model, weights, base, settings, precision, when)
    tokenizer.save_pretrained(aside)
    for path in aside.rglob("*"):
        if path.is_file():
            with open(path, "rb+") as handle:
                os.fsync(handle.fileno())
    shutil.rmtree(target, ignore_errors=True)
    os.replace(aside, target)


def _write_adapter(aside: Path, model, weights, base: Path, settings: Model, precision: str, when: str) -> None:
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    kept = copied({name: weights[name] for name in weights.keys() & trained}, torch.float32, when)
    (config,) = model.peft_config.values()
    config.base_model_name_or_path = base.as_posix()
    model.save_pretrained(aside, state_dict=kept, save_embedding_layers=False)
    (aside / "README.md").unlink(missing_ok=True)  # peft's model card, all of it still to be filled in
    if settings.lora.merged:
        write_merged(aside, aside / MERGED, base, settings, precision)
