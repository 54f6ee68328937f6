"""How many tokens one forward pass of the engine may hold, from the memory there is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import psutil
import torch

LEAST = 256
"""Tokens of a pass, however little memory there is."""
MOST_SCORED = 2**14
"""Tokens of a pass that scores: more keep no device busier, and a beginning that many prompts share is computed once a
pass."""
MOST_GENERATED = 2**16
"""The same of one that generates, whose every step is a token a row."""
LOGITS_BYTES = 2**26 * 3 * 4
"""Logits at once (`scoring.WHOLE_LOGITS`), their fp32 copy and log-softmax."""
USED = 0.8
"""Share of the free memory that is counted on."""


def free_memory(device: torch.device) -> int:
    """Bytes that this process may still take: of a GPU's memory, or of the host's within the limits of its job."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        groups = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:  # no Linux
        groups = []
    return min([psutil.virtual_memory().available, *left_by_groups(Path("/sys/fs/cgroup"), groups)])


def left_by_groups(root: Path, groups: Sequence[str]) -> list[int]:
    """Bytes that control groups (version 2), by which SLURM and containers limit jobs, leave this process.

    groups: lines of /proc/self/cgroup. A group without a limit of its own gives no number.
    """
    found = []
    for line in groups:
        _, _, name = line.partition("::")
        folder = root / name.strip("/")
        for group in (folder, *folder.parents) if root in (folder, *folder.parents) else ():
            limit, used = group / "memory.max", group / "memory.current"
            if limit.is_file() and (most := limit.read_text().strip()) != "max":
                found.append(max(int(most) - int(used.read_text()) + _droppable(group / "memory.stat"), 0))
            if group == root:
                break
    return found


def _droppable(statistics: Path) -> int:
    """Bytes of files that a group's memory holds and lets go of when it needs room."""
    if not statistics.is_file():
        return 0
    numbers = dict(line.split() for line in statistics.read_text().splitlines())
    return int(numbers.get("inactive_file", 0))


def score_bytes(config, value_bytes: int) -> float:
    """Bytes of a token while it is scored: the widest moment of one layer, its values in `value_bytes` each.

    Eight vectors of the model's width (residual, normalised, queries, keys, values, attended, projected, added) and
    three of the feed-forward network's.
    """
    text = config.get_text_config()
    inside = getattr(text, "intermediate_size", None) or 4 * text.hidden_size
    return value_bytes * (8 * text.hidden_size + 3 * inside)


def cache_bytes(config, value_bytes: int) -> float:
    """Bytes of a token's keys and values in all layers; growing the cache by a token copies a layer at a time."""
    text = config.get_text_config()
    heads = text.num_attention_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // heads
    keys = getattr(text, "num_key_value_heads", None) or heads
    return value_bytes * 2 * (text.num_hidden_layers + 2) * keys * width


def tokens_within(free: float, token_bytes: float, most: int) -> int:
    """Tokens of a pass: a power of two, so that a little more or less memory gives the same batches."""
    tokens = (USED * free - LOGITS_BYTES) / token_bytes
    return max(LEAST, min(most, 2 ** math.floor(math.log2(max(tokens, 1)))))


def ran_out(error: Exception) -> bool:
    """Whether an error says that memory, of a GPU or of the host, did not suffice."""
    words = ("out of memory", "can't allocate memory", "not enough memory", "alloc failed", "ALLOC_FAILED")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(word in str(error) for word in words)
