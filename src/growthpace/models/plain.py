"""Which architectures are plain enough for attention of our own, in training and in evaluation."""

from __future__ import annotations

PLAIN = frozenset({"llama", "mistral", "qwen2", "qwen3", "olmo2", "phi3", "smollm3", "starcoder2"})
"""Types of models whose attention is plain: causal, scaled, every layer alike, told of keywords such as `lengths`, and
whose logits are the vocabulary matrix times the last hidden state. Tests try a small one of each."""


def is_plain(config) -> bool:
    """Whether a model is of a type in `PLAIN` and uses no sliding window."""
    windows = {"sliding_attention", "chunked_attention"} & set(getattr(config, "layer_types", None) or ())
    sliding = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    return config.model_type in PLAIN and not windows and not sliding
