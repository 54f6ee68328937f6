"""The loss of a packed row: summed negative log-likelihood (nats, fp32) of its answer tokens.

Only positions that predict an answer token meet the vocabulary matrix, and where even those are many their logits
exist a chunk at a time and are computed again in the backward pass: all logits of a row would be most of the memory.
(torch 2.13's linear_cross_entropy computes none again, but rounds its sum to the weights' precision: three digits.)
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from growthpace.models.plain import is_plain
from growthpace.training.attention import BY_EXAMPLE

WHOLE_LOGITS = 2**26
"""Up to so many logits (256 MB in fp32) are computed at once."""


def learn_answers(model: nn.Module) -> None:
    """From now on calling the model returns the loss of a packed row, given the row's tensors as keywords.

    In place of its `forward`, so that what wraps a model (DDP, DeepSpeed, adapters, torch.compile) sees one call.
    """
    if is_plain(model.config):
        model.forward = MethodType(_plain_loss, model)
    else:  # what else an architecture does to logits (Gemma caps them, Cohere scales them) happens in its own forward
        model.original_forward = model.forward
        model.forward = MethodType(_loss_of_logits, model)


def _plain_loss(model, *, positions, targets, **row) -> torch.Tensor:
    head = model.get_output_embeddings()
    hidden = model.base_model(**_inputs(model, **row)).last_hidden_state[0, positions]
    chunk = max(1, WHOLE_LOGITS // model.config.get_text_config().vocab_size)
    if len(targets) <= chunk:
        return _loss(head, hidden, targets)
    parts = zip(hidden.split(chunk), targets.split(chunk), strict=True)
    return sum(checkpoint(_loss, head, part, wanted, use_reentrant=False) for part, wanted in parts)


def _loss(head: nn.Module, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """hidden: shape (answer tokens, width); targets: shape (answer tokens,)."""
    return cross_entropy(head(hidden).float(), targets, reduction="sum")


def _loss_of_logits(model, *, positions, targets, **row) -> torch.Tensor:
    logits = model.original_forward(**_inputs(model, **row), logits_to_keep=positions).logits[0]
    return cross_entropy(logits.float(), targets, reduction="sum")


def _inputs(model, *, input_ids, position_ids, lengths, **_) -> dict[str, Any]:
    """What a model's own forward needs of a row; peft passes on a dozen keywords more, all None."""
    told = {"lengths": lengths} if model.config._attn_implementation == BY_EXAMPLE else {}
    return {"input_ids": input_ids, "position_ids": position_ids, "use_cache": False, **told}
