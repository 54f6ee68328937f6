"""The arithmetic of costs against hand counts and transformers itself."""

from __future__ import annotations

import inspect

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


def test_activations_by_hand():
    shape = Shape(1000, 2, 8, 8, 50, 4.0)
    assert formulas.activations(shape, 3, "bf16", False) == 3 * (34 * 8 * 2 + 12 * 50)
    assert formulas.activations(shape, 3, "bf16", True) == 3 * (2 * 8 * 2 + 34 * 8 + 12 * 50)
    assert formulas.activations(shape, 3, "fp32", False) == 3 * (68 * 8 * 2 + 12 * 50)


def test_a_pass_of_a_prediction_is_the_engines():
    from growthpace.evaluation.engine import Engine

    assert inspect.signature(Engine).parameters["batch_tokens"].default == formulas.PREDICTION_TOKENS
