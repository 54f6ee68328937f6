"""Weights in memory, from a base model's folder or a checkpoint's: all of them, or adapters beside a base model.

A checkpoint of `method: lora` or `qlora` holds adapters alone (peft's `adapter_model.safetensors`); its base model is
the study's. Weights are read from safetensors only, and code that comes with a model is run only where the study says
so.
"""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from growthpace.errors import InputError
from growthpace.study import Model

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
ADAPTER = "adapter_config.json"


def load_weights(folder: Path, settings: Model, dtype: torch.dtype | str, **options: Any):
    """A causal language model from a Hugging Face folder.

    settings: the study's of this model; dtype: of its weights, `auto` for that of the files; options: transformers'.
    Raises `InputError` for a model that brings code which the study does not trust.
    """
    try:
        return AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, use_safetensors=True, trust_remote_code=settings.trust_remote_code, **options
        )
    except ValueError as error:
        if "trust_remote_code" not in str(error):
            raise
        raise InputError(
            f"models: {folder} brings Python code of its own, which is not run; if you trust its publisher, set "
            "trust_remote_code: true for this model"
        ) from None


def load_quantised(folder: Path, settings: Model, precision: str, **options: Any):
    """A base model in four bits, as QLoRA has it (arXiv 2305.14314, section 3): normal floats, their scales quantised
    again, arithmetic in `precision`. Raises `InputError` without bitsandbytes."""
    if find_spec("bitsandbytes") is None:
        raise InputError("method: qlora needs bitsandbytes: pip install -c envs/lock.txt 'growthpace[qlora]'")
    quantisation = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=DTYPES[precision],
    )
    place = {"": torch.cuda.current_device() if torch.cuda.is_available() else "cpu"}
    options = {"device_map": place, **options}
    return load_weights(folder, settings, DTYPES[precision], quantization_config=quantisation, **options)


def load_checkpoint(folder: Path, base: Path, settings: Model, precision: str, **options: Any):
    """The model of a checkpoint, or of the base model itself, ready to answer.

    folder: the checkpoint's, with all weights or adapters; base: the folder of its base model; precision: that of the
    training; options: transformers'. Adapters are merged into the weights, but not into those in four bits, which would
    round them again.
    """
    if not (folder / ADAPTER).exists():
        return load_weights(folder, settings, "auto", **options)
    if settings.method == "qlora":
        return _adapted(load_quantised(base, settings, precision, **options), folder)
    return merged(folder, base, settings, precision, **options)


def merged(folder: Path, base: Path, settings: Model, precision: str, **options: Any):
    """The whole model of a checkpoint of adapters, merged in fp32 and rounded to the training's precision."""
    whole = load_weights(base, settings, torch.float32, **options)
    return _adapted(whole, folder).merge_and_unload().to(DTYPES[precision])


def weight_bytes(folder: Path) -> int:
    """Bytes of the weights in a folder."""
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def copy_code(origin: Path, target: Path) -> None:
    """Copies code that came with a model, so that its copy loads too."""
    for path in origin.glob("*.py"):
        shutil.copyfile(path, target / path.name)


def _adapted(model, folder: Path):
    from peft import PeftModel

    return PeftModel.from_pretrained(model, os.fspath(folder))
