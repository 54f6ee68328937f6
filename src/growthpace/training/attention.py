"""Attention in packed rows: each example of a row attends to itself alone, and only that is computed.

transformers' sdpa sees a packed row through a mask, which costs the square of the row. Here the row is cut into its
examples, which costs the square of each (measured in benchmarks/training.py). On a GPU with the package flash-attn its
kernel does the same for all examples at once.
"""

from __future__ import annotations

from importlib.util import find_spec

import torch
from transformers import AttentionInterface

from growthpace.models.plain import is_plain

BY_EXAMPLE = "growthpace_by_example"
"""The name under which transformers knows `attend_by_example`."""
MASKED = "sdpa"
FLASH = "flash_attention_2"


def choose_attention(config, precision: str) -> str:
    """How packed rows of a model are attended: by flash-attn where it is installed (half precision on a GPU), else
    example by example where the model's attention is plain, else through a mask."""
    if precision != "fp32" and torch.cuda.is_available() and find_spec("flash_attn"):
        return FLASH
    return BY_EXAMPLE if is_plain(config) else MASKED


@torch.compiler.disable
def attend_by_example(module, query, key, value, attention_mask, dropout=0.0, scaling=None, lengths=None, **_):
    """Causal attention within each example of a packed row.

    query: shape (1, heads, tokens, width of a head); key and value may have fewer heads; lengths: of the row's examples
    in tokens, an integer tensor on the CPU (so that a GPU need not be waited for). Returns shape (1, tokens, heads,
    width) and no weights, as transformers expects it.
    """
    if lengths is None:
        raise ValueError(f"{type(module).__name__} was not told the lengths of the row's examples")
    cuts = lengths.tolist()
    grouped = query.shape[1] != key.shape[1]
    parts = [
        torch.nn.functional.scaled_dot_product_attention(
            q, k, v, dropout_p=dropout, is_causal=True, scale=scaling, enable_gqa=grouped
        )
        for q, k, v in zip(query.split(cuts, 2), key.split(cuts, 2), value.split(cuts, 2), strict=True)
    ]
    return torch.cat(parts, dim=2).transpose(1, 2), None


AttentionInterface.register(BY_EXAMPLE, attend_by_example)
