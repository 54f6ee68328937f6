"""How large a model is: number of parameters, width, depth and vocabulary, from files or settings, without torch."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from growthpace.files import read_json
from growthpace.study import Initialise

UNKNOWN_VOCABULARY = 128_000
"""Tokens taken for a model of which only the number of parameters is known: as many as Llama 3 has."""
BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}


@dataclass(frozen=True)
class Shape:
    """What costs depend on."""

    parameters: int
    layers: int
    hidden: int
    key_value_width: int
    """Width of the keys of one layer, and of its values: heads times the size of a head."""
    vocabulary: int
    stored_bytes: float
    """Bytes of a parameter in the base model's files; 4 where they are not there."""
    feed_forward: int | None = None
    """Width inside a layer's feed-forward network; None where nothing tells it."""

    @property
    def inside(self) -> int:
        """`feed_forward`, or where that is not known 4 hidden: as wide as in nearly all models, or wider."""
        return self.feed_forward or 4 * self.hidden


def of_parameters(parameters: int) -> Shape:
    """The shape that the LLaMA family has at this size: N = 12 layers hidden^2 (Kaplan et al. 2020, arXiv 2001.08361,
    table 1) and hidden = 128 layers (arXiv 2302.13971, table 2). Of a layer's 12 hidden^2 attention has 4, so that a
    gated feed-forward network of three matrices is 8/3 hidden wide."""
    hidden = max(1, round((128 * parameters / 12) ** (1 / 3)))
    layers, inside = max(1, round(hidden / 128)), round(8 / 3 * hidden)
    return Shape(parameters, layers, hidden, hidden, UNKNOWN_VOCABULARY, 4.0, inside)


def llama_parameters(config: dict[str, Any]) -> int | None:
    """Exact number of parameters of a Llama from its config.json (tied embeddings once); None for another one."""
    if config.get("model_type") not in ("llama", "mistral"):
        return None
    if config.get("attention_bias") or config.get("mlp_bias"):
        return None
    hidden, layers, vocabulary = config["hidden_size"], config["num_hidden_layers"], config["vocab_size"]
    attention = 2 * hidden * (_head(config) * config["num_attention_heads"] + _key_value_width(config))
    layer = attention + 3 * hidden * config["intermediate_size"] + 2 * hidden
    embeddings = vocabulary * hidden * (1 if config.get("tie_word_embeddings") else 2)
    return embeddings + layers * layer + hidden


def _head(config: dict[str, Any]) -> int:
    return config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]


def _key_value_width(config: dict[str, Any]) -> int:
    return _head(config) * (config.get("num_key_value_heads") or config["num_attention_heads"])


def of_folder(folder: Path) -> Shape | None:
    """The shape of the model in a Hugging Face folder; None where the folder does not say its size."""
    try:
        config = read_json(folder / "config.json")
    except FileNotFoundError:
        config = {}
    stored = _stored(folder)
    parameters = stored[0] if stored else llama_parameters(config)
    if not parameters:
        return None
    dtype = config.get("dtype") or config.get("torch_dtype") or "float32"
    shape = replace(of_parameters(parameters), stored_bytes=stored[1] if stored else float(BYTES.get(dtype, 4)))
    if {"num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size"} <= config.keys():
        shape = replace(
            shape,
            layers=config["num_hidden_layers"],
            hidden=config["hidden_size"],
            key_value_width=_key_value_width(config),
            vocabulary=config["vocab_size"],
            feed_forward=config.get("intermediate_size"),
        )
    return shape


def _stored(folder: Path) -> tuple[int, float] | None:
    """Number of parameters in a folder's safetensors and their mean bytes, from the headers alone: eight bytes with
    the header's length, then JSON (huggingface.co/docs/safetensors)."""
    parameters = size = 0
    for path in folder.glob("*.safetensors"):
        with open(path, "rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        for name, tensor in header.items():
            if name != "__metadata__":
                parameters += math.prod(tensor["shape"])
                begin, end = tensor["data_offsets"]
                size += end - begin
    return (parameters, size / parameters) if parameters else None


def of_settings(settings: Initialise, vocabulary: int) -> Shape:
    """The shape of a model made from scratch with a vocabulary of this many tokens."""
    config = {
        "model_type": "llama",
        "hidden_size": settings.hidden_size,
        "intermediate_size": settings.intermediate_size,
        "num_hidden_layers": settings.layers,
        "num_attention_heads": settings.heads,
        "num_key_value_heads": settings.key_value_heads,
        "vocab_size": vocabulary,
        "tie_word_embeddings": settings.tie_embeddings,
    }
    parameters, width = llama_parameters(config), settings.intermediate_size
    return Shape(parameters, settings.layers, settings.hidden_size, _key_value_width(config), vocabulary, 4.0, width)
