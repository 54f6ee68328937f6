"""How large the engine's batches are, from the memory there is."""

from __future__ import annotations

import pytest
import torch

import tiny
from growthpace.evaluation import memory


@pytest.mark.parametrize(
    ("free", "tokens"), [(0, 256), (memory.LOGITS_BYTES / 0.8 + 1000 * 600 / 0.8, 512), (10**12, 2**14)]
)
def test_tokens_are_a_power_of_two_within_memory(free, tokens):
    assert memory.tokens_within(free, 1000, memory.MOST_SCORED) == tokens


def test_bytes_of_a_token():
    config = tiny.make_config(46)  # 32 wide
    inside = config.intermediate_size
    assert memory.score_bytes(config, 4) == 4 * (8 * config.hidden_size + 3 * inside)
    width = config.hidden_size // config.num_attention_heads * config.num_key_value_heads
    assert memory.cache_bytes(config, 2) == 2 * 2 * (config.num_hidden_layers + 2) * width


def test_memory_of_a_control_group_counts(tmp_path, monkeypatch):
    """A job under SLURM or in a container may use what its group and those above it leave, not what the machine has."""
    inner = tmp_path / "job" / "step"
    inner.mkdir(parents=True)
    for folder, limit, used in ((inner, "max", 5), (tmp_path / "job", "3000", 1000)):
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text(f"{used}\n")
    (tmp_path / "job" / "memory.stat").write_text("anon 900\ninactive_file 70\n")
    found = memory.left_by_groups(tmp_path, ["0::/job/step"])
    assert found == [2070]
    assert memory.left_by_groups(tmp_path, []) == []
    assert 0 < memory.free_memory(torch.device("cpu")) < 2**62


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_errors_that_mean_memory(error, expected):
    assert memory.ran_out(error) == expected
