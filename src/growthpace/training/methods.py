"""What of a model is trained: all weights (full), or adapters beside frozen ones (lora, qlora)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from growthpace.conversation import PAPER_TOKENS
from growthpace.errors import InputError
from growthpace.models.checkpoints import DTYPES, load_quantised, load_weights
from growthpace.study import Study
from growthpace.training.attention import choose_attention
from growthpace.training.loss import learn_answers


def load_for_training(study: Study, name: str, base: Path, tokenizer: Any, deepspeed: bool) -> nn.Module:
    """The base model, ready to learn: called with a row it returns the loss, and only what is trained needs gradients.

    name: the model's in the study; base: its folder. Trained weights are fp32; frozen ones have the precision of the
    arithmetic, which sees the same numbers then (under DeepSpeed, which has one precision for all, fp32).
    """
    settings, precision = study.models[name], study.training.precision
    if settings.method == "qlora":
        model = load_quantised(base, settings, precision)
    else:
        frozen = settings.method == "lora" and not deepspeed
        model = load_weights(base, settings, DTYPES[precision] if frozen else torch.float32)
    model.set_attn_implementation(choose_attention(model.config, precision))
    if settings.method != "full":
        model = _with_adapters(model, settings, tokenizer, study.format, name)
    learn_answers(model.get_base_model() if settings.method != "full" else model)
    return model


def _with_adapters(model: nn.Module, settings, tokenizer: Any, form: str, name: str) -> nn.Module:
    from peft import LoraConfig, get_peft_model

    lora = settings.lora
    known = {module.rpartition(".")[2] for module, layer in model.named_modules() if isinstance(layer, nn.Linear)}
    if lora.targets != "all-linear" and (unknown := sorted(set(lora.targets) - known)):
        raise InputError(
            f"models.{name}.lora.targets: {', '.join(unknown)}: no such matrix in {type(model).__name__} "
            f"(allowed: all-linear, or {', '.join(sorted(known))})"
        )
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.rank,
        lora_alpha=lora.alpha,
        target_modules=lora.targets if lora.targets == "all-linear" else sorted(lora.targets),
        lora_dropout=lora.dropout,
        trainable_token_indices=_new_tokens(model, tokenizer) if form == "paper" else None,
    )
    return get_peft_model(model, config)


def _new_tokens(model: nn.Module, tokenizer: Any) -> dict[str, list[int]]:
    """The rows of <user>, <assistant> and <eot>, which are trained whole: they all begin as the mean of the known rows,
    so that with frozen ones no model could tell the end of a turn from a role."""
    ids = [tokenizer.convert_tokens_to_ids(token) for token in PAPER_TOKENS]
    layers = {id(model.get_input_embeddings()), id(model.get_output_embeddings())}
    if model.config.get_text_config().tie_word_embeddings:
        layers = {id(model.get_input_embeddings())}
    return {module.rpartition(".")[2]: ids for module, layer in model.named_modules() if id(layer) in layers}
