"""The arithmetic of costs against hand counts and transformers itself."""

from __future__ import annotations

import pytest

from growthpace.planning import formulas
from growthpace.planning.shape import Shape, llama_parameters


@pytest.mark.parametrize("tied", [True, False])
def test_parameters_are_those_of_transformers_own_model(tied):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=300,
        hidden_size=48,
        intermediate_size=112,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=2,
        tie_word_embeddings=tied,
    )
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    assert llama_parameters(config.to_dict()) == sum(parameter.numel() for parameter in model.parameters())


def test_operations_of_training_by_hand():
    shape = Shape(1000, 2, 8, 8, 50, 4.0)
    assert formulas.training_operations(shape, 10, 5, False) == 10 * (6 * 1000 + 12 * 2 * 8 * 5)
    assert formulas.training_operations(1000, 10, 5, True) == pytest.approx(80_000)


def test_frozen_weights_have_no_gradients():
    shape = Shape(1000, 2, 8, 8, 50, 4.0)
    attention = 12 * 2 * 8 * 5
    assert formulas.training_operations(shape, 10, 5, False, "lora") == 10 * (4 * 1000 + attention)
    assert formulas.training_operations(shape, 10, 5, True, "qlora") == 10 * (6 * 1000 + attention * 4 / 3)


def test_what_is_written_by_hand():
    assert [formulas.weight_bytes(precision) for precision in ("fp32", "bf16", "fp16")] == [4, 2, 2]
    assert formulas.training_disk(1000, 5, "fp16") == 1000 * (5 * 2 + 3 * 12)
    assert formulas.training_disk(1000, 5, "bf16", 10) == 10 * (5 * 4 + 3 * 12)
    assert formulas.training_disk(1000, 5, "bf16", 10, merged=True) == 10 * (5 * 4 + 3 * 12) + 5 * 2 * 1000


def test_four_bits_by_hand():
    shape = Shape(1000, 2, 8, 8, 50, 4.0)  # 800 of the 1,000 are embeddings
    assert formulas.quantised_weights(shape, "bf16") == pytest.approx(800 * 2 + 200 * 0.5159, rel=1e-4)


def test_a_pass_of_a_prediction_is_the_engines():
    from growthpace.evaluation import memory

    assert memory.MOST_SCORED == formulas.PREDICTION_TOKENS
    assert memory.LOGITS_BYTES == formulas.WHOLE_LOGITS * formulas.LOGIT_BYTES
