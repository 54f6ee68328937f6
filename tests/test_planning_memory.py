"""Memory of training: by hand, against what torch, peft and DeepSpeed really keep, and what must never be otherwise."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from growthpace.planning import formulas, memory
from growthpace.planning.shape import Shape, of_parameters
from growthpace.study import Lora, Model, Training
from small_study import CONTENT

SHAPE = Shape(10_000, 2, 8, 4, 50, 4.0, 20)
LAYER = {"bf16": 32 * 8 + 4 * 4 + 8 * 20, "fp16": 32 * 8 + 4 * 4 + 8 * 20, "fp32": 36 * 8 + 8 * 4 + 16 * 20}
ALL = Lora(rank=2, alpha=4, targets="all-linear", dropout=0.0)
ADAPTERS = 2 * 2 * (16 + 12 + 12 + 16 + 3 * 28)
"""Of `ALL` in `SHAPE`: rank x layers x (q, k, v, o, and three of the feed-forward network)."""
fuzz = settings(max_examples=100, deadline=None)


def model_of(processes: int = 1, method: str = "full", lora: Lora = ALL) -> Model:
    return Model(hub="a/b", processes=processes, method=method, lora=None if method == "full" else lora)


def recipe_of(**recipe) -> Training:
    return Training.model_validate({**CONTENT["training"], "precision": "bf16", **recipe})


# --- by hand ---


@pytest.mark.parametrize(
    ("processes", "distribution", "offload", "each"),
    [
        (1, "ddp", False, 16),
        (1, "zero3", False, 16),  # one process needs no DeepSpeed
        (2, "ddp", False, 20),
        (4, "zero1", False, 4 + 4 + 3),
        (4, "zero2", False, 4 + 1 + 3),
        (4, "zero3", False, 1 + 1 + 3),
        (4, "zero1", True, 4 + 4),
        (4, "zero2", True, 4 + 1),
        (4, "zero3", True, 1),
        (1, "zero2", True, 4 + 4),
        (1, "zero3", True, 4),
    ],
)
def test_states_by_hand(processes, distribution, offload, each):
    assert memory.model_states(6.7e9, processes, distribution, offload) == pytest.approx(6.7e9 * each)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_activations_by_hand(precision):
    layer = LAYER[precision]
    assert memory.activations(SHAPE, 3, precision, False) == 3 * (2 * layer + 8 * 8)
    assert memory.activations(SHAPE, 3, precision, True) == 3 * (4 * 8 + layer + 8 * 8)


def test_logits_by_hand():
    assert formulas.logits(1000, 50_000) == 12 * 50_000_000
    most = 2**26 // 100_000 * 100_000  # whole rows of logits
    assert formulas.logits(10_000, 100_000) == 12 * (2**26 + most)


@pytest.mark.parametrize(
    ("targets", "widths"),
    [
        ("all-linear", 16 + 12 + 12 + 16 + 28 + 28 + 28),
        (["q_proj", "v_proj"], 16 + 12),
        (["gate_up_proj"], 8 + 2 * 20),
    ],
)
def test_adapters_by_hand(targets, widths):
    lora = Lora(rank=2, alpha=4, targets=targets, dropout=0.0)
    assert formulas.adapter_parameters(SHAPE, lora) == 2 * 2 * widths
    unknown = Shape(10_000, 2, 8, 4, 50, 4.0)
    assert formulas.adapter_parameters(unknown, ALL) == 2 * 2 * (16 + 12 + 12 + 16 + 3 * (8 + 32))


@pytest.mark.parametrize(
    ("method", "processes", "recipe", "states"),
    [
        ("full", 1, {"precision": "fp32"}, 10_000 * 16),
        ("full", 1, {"precision": "fp16"}, 10_000 * (16 + 2)),
        ("full", 2, {"precision": "bf16", "distribution": "zero3"}, 10_000 * (10 + 1)),
        ("lora", 1, {"precision": "fp32"}, 10_000 * 4 + ADAPTERS * 16),
        ("lora", 1, {"precision": "bf16"}, 10_000 * 2 + ADAPTERS * (16 + 2)),
        ("lora", 2, {"precision": "bf16"}, 10_000 * 2 + ADAPTERS * (20 + 2)),
        ("lora", 2, {"precision": "bf16", "distribution": "zero2"}, 10_000 * (4 + 2) + ADAPTERS * (4 + 8 + 2)),
        ("lora", 2, {"precision": "bf16", "distribution": "zero3"}, 10_000 * (2 + 1) + ADAPTERS * (10 + 1)),
        (
            "lora",
            2,
            {"precision": "bf16", "distribution": "zero3", "offload": True},
            10_000 * 1 + ADAPTERS * (2 + 1),
        ),
        ("qlora", 1, {"precision": "bf16"}, 800 * 2 + 9200 * 4.126953125 / 8 + ADAPTERS * (16 + 2)),
    ],
)
def test_training_memory_by_hand(method, processes, recipe, states):
    recipe = recipe_of(**{"microbatch_tokens": 128, **recipe})
    row = 128 * (2 * LAYER[recipe.precision] + 8 * 8 + 12 * 50)
    assert memory.training_memory(SHAPE, model_of(processes, method), recipe, False) == pytest.approx(states + row)


def test_host_memory_by_hand():
    def of(processes, here, method="full", lora=ALL, **recipe):
        found = memory.host_memory(SHAPE, model_of(processes, method, lora), recipe_of(**recipe), True, here, gpus=True)
        return found - here * 3e9

    merged = ALL.model_copy(update={"merged": True})
    assert of(1, 1) == pytest.approx(8 * 10_000, abs=1e-4)  # resuming
    assert of(8, 4) == pytest.approx(4 * 4 * 10_000, abs=1e-4)
    assert of(8, 4, distribution="zero3") == pytest.approx((4 + 2) * 10_000, abs=1e-4)  # brought together, and a copy
    assert of(8, 4, distribution="zero2", offload=True) == pytest.approx((16 + 20 / 8 * 4) * 10_000, abs=1e-4)
    assert of(8, 4, distribution="zero3", offload=True) == pytest.approx((6 + 24 / 8 * 4) * 10_000, abs=1e-4)
    assert of(1, 1, "lora") == pytest.approx(2 * 10_000, abs=1e-4)
    assert of(1, 1, "lora", merged) == pytest.approx(4 * 10_000 + 4 * ADAPTERS, abs=1e-4)
    assert of(2, 2, "lora", distribution="zero2") == pytest.approx(8 * 10_000, abs=1e-4)
    offloaded = (4 * 10_000 + 24 * ADAPTERS) / 2 * 2
    found = of(2, 2, "lora", distribution="zero3", offload=True)
    assert found == pytest.approx(4 * 10_000 + 4 * ADAPTERS + offloaded, abs=1e-4)


def test_without_gpus_all_is_in_the_hosts_memory():
    model, recipe = model_of(2), recipe_of(distribution="zero2", offload=True)
    device = memory.training_memory(SHAPE, model, recipe, False)
    each = device + 20 / 2 * 10_000 + 1e9
    assert memory.host_memory(SHAPE, model, recipe, False, 2, gpus=False) == pytest.approx(2 * each + 2 * 10_000)


# --- against what is really kept ---


def test_constants_are_those_of_training():
    from growthpace.training.loss import WHOLE_LOGITS
    from growthpace.training.zero import uses_deepspeed

    assert formulas.WHOLE_LOGITS == WHOLE_LOGITS
    for processes in (1, 2):
        for recipe in ({}, {"distribution": "zero2"}, {"distribution": "zero3", "offload": True}):
            training = recipe_of(**recipe)
            assert memory.uses_deepspeed(training, processes) == uses_deepspeed(training, processes)


HIDDEN, INSIDE, LAYERS, HEADS, TOKENS = 64, 176, 4, 4, 128


def small_llama(key_value_heads: int = HEADS):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(1)
    config = LlamaConfig(
        vocab_size=100,
        hidden_size=HIDDEN,
        intermediate_size=INSIDE,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=key_value_heads,
        tie_word_embeddings=False,
    )
    return LlamaForCausalLM(config)


def shape_of(model, key_value_heads: int) -> Shape:
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Shape(parameters, LAYERS, HIDDEN, HIDDEN // HEADS * key_value_heads, 100, 4.0, INSIDE)


@pytest.mark.parametrize("key_value_heads", [HEADS, 1])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_activations_are_those_that_torch_saves(precision, key_value_heads):
    import torch

    from growthpace.training.attention import BY_EXAMPLE

    model = small_llama(key_value_heads)
    model.set_attn_implementation(BY_EXAMPLE)
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    saved = {}

    def pack(tensor):
        if tensor.untyped_storage().data_ptr() not in weights:
            saved[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    row = {"input_ids": torch.zeros(1, TOKENS, dtype=torch.long), "position_ids": torch.arange(TOKENS)[None]}
    half = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), half:
        model.model(**row, lengths=torch.tensor([TOKENS]), use_cache=False)
    kept = copies = 0
    for tensor in saved.values():
        if TOKENS in tensor.shape:
            kept += tensor.untyped_storage().nbytes()
        else:
            copies += tensor.numel()
    shape = shape_of(model, key_value_heads)
    assert kept == pytest.approx(memory.activations(shape, TOKENS, precision, False), rel=0.03)
    if precision == "bf16":  # autocast's copy of every weight but those that are only looked up or multiplied
        matrices = shape.parameters - 2 * 100 * HIDDEN - (2 * LAYERS + 1) * HIDDEN
        assert copies == matrices


@pytest.mark.parametrize("targets", ["all-linear", ["q_proj", "v_proj", "down_proj"]])
def test_adapters_are_those_of_peft(targets):
    from peft import LoraConfig, get_peft_model

    model = small_llama(key_value_heads=1)
    shape = shape_of(model, 1)
    adapted = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=targets))
    trained = sum(parameter.numel() for parameter in adapted.parameters() if parameter.requires_grad)
    assert formulas.adapter_parameters(shape, Lora(rank=4, alpha=4, targets=targets, dropout=0.0)) == trained


DEEPSPEED = """
import gc, os, tempfile, torch
os.environ.update(RANK="0", WORLD_SIZE="1", LOCAL_RANK="0")
torch.distributed.init_process_group("gloo", init_method=f"file://{tempfile.mktemp()}", rank=0, world_size=1)
import deepspeed
deepspeed.ops.__compatible_ops__ = {}
deepspeed.init_distributed("gloo", auto_mpi_discovery=False)

def kept():
    gc.collect()
    tensors = [thing for thing in gc.get_objects() if isinstance(thing, torch.Tensor)]
    tensors += [tensor.grad for tensor in tensors if tensor.is_leaf and tensor.grad is not None]
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())

for stage in (1, 2, 3):
    for offload in (False, True):
        before = kept()
        model = torch.nn.Sequential(*[torch.nn.Linear(128, 128) for _ in range(32)])
        zero = {"stage": stage, "reduce_bucket_size": 100, "stage3_prefetch_bucket_size": 100}
        if offload:
            zero["offload_optimizer"] = {"device": "cpu", "pin_memory": False}
        if offload and stage == 3:
            zero["offload_param"] = {"device": "cpu", "pin_memory": False}
        engine, *_ = deepspeed.initialize(
            model=model,
            optimizer=torch.optim.AdamW(model.parameters(), fused=True),
            config={
                "train_batch_size": 1,
                "data_types": {"grad_accum_dtype": "fp32"},
                "zero_allow_untested_optimizer": True,
                "zero_force_ds_cpu_optimizer": False,
                "zero_optimization": zero,
            },
        )
        for step in range(2):
            engine.backward(engine(torch.randn(1, 128)).sum())
            if step == 0:
                engine.step()
        most = kept() - before
        print("KEPT", stage, int(offload), most / (32 * 129 * 128))
        engine.destroy()
        del model, engine, _
"""


def test_deepspeed_keeps_what_is_counted():
    pytest.importorskip("deepspeed")
    run = subprocess.run([sys.executable, "-c", DEEPSPEED], capture_output=True, text=True)
    found = [line.split()[1:] for line in run.stdout.splitlines() if line.startswith("KEPT")]
    assert len(found) == 6, run.stderr[-2000:]
    for stage, offload, each in found:
        if offload == "1":  # host and device are one here: on the device remain the weights of zero1 and zero2
            expected = memory.OFFLOADED_BYTES[f"zero{stage}"] + (4 if stage != "3" else 0)
        else:
            expected = 16 + memory.DEEPSPEED_COPY_BYTES
        assert float(each) == pytest.approx(expected, abs=0.3), f"stage {stage}, offload {offload}"


# --- what must never be otherwise ---

GRID = {
    "parameters": st.integers(10**6, 10**12),
    "processes": st.integers(1, 64),
    "precision": st.sampled_from(["fp32", "bf16", "fp16"]),
    "distribution": st.sampled_from(["ddp", "zero1", "zero2", "zero3"]),
}


@fuzz
@given(**GRID, checkpointing=st.booleans(), offload=st.booleans())
def test_more_processes_never_need_more_of_each_gpu(
    parameters, processes, precision, distribution, checkpointing, offload
):
    if distribution == "ddp":
        return
    recipe = recipe_of(precision=precision, distribution=distribution, offload=offload)
    shape = of_parameters(parameters)
    fewer, more = (
        memory.training_memory(shape, model_of(n), recipe, checkpointing) for n in (processes, processes + 1)
    )
    assert more <= fewer * (1 + 1e-12)
    if distribution == "zero3":
        less = recipe.model_copy(update={"distribution": "zero2"})
        assert more <= memory.training_memory(shape, model_of(processes + 1), less, checkpointing)


@fuzz
@given(**GRID, checkpointing=st.booleans(), rank=st.integers(1, 64))
def test_adapters_never_need_more_than_all_weights(parameters, processes, precision, distribution, checkpointing, rank):
    shape = of_parameters(parameters)
    lora = Lora(rank=min(rank, max(1, shape.hidden // 16)), alpha=1, targets="all-linear", dropout=0.0)
    if distribution in ("zero1", "zero2") and processes > 1:  # frozen weights are fp32 and whole there: no gain is sure
        return
    recipe = recipe_of(precision=precision, distribution=distribution)
    full, adapted = (
        memory.training_memory(shape, model_of(processes, method, lora), recipe, checkpointing)
        for method in ("full", "lora")
    )
    assert adapted <= full
    if processes == 1:
        quantised = model_of(1, "qlora", lora)
        assert memory.training_memory(shape, quantised, recipe, checkpointing) <= adapted * (1 + 1e-12)


@fuzz
@given(**GRID, tokens=st.integers(96, 2**17), method=st.sampled_from(["full", "lora", "qlora"]))
def test_recomputation_and_shorter_rows_never_need_more(parameters, processes, precision, distribution, tokens, method):
    shape, model = of_parameters(parameters), model_of(processes, method)
    recipe = recipe_of(precision=precision, distribution=distribution, microbatch_tokens=tokens)
    without = memory.training_memory(shape, model, recipe, False)
    assert memory.training_memory(shape, model, recipe, True) <= without
    longer = recipe.model_copy(update={"microbatch_tokens": tokens + 1})
    assert without <= memory.training_memory(shape, model, longer, False)


@fuzz
@given(**GRID, method=st.sampled_from(["full", "lora"]))
def test_offload_never_needs_more_of_a_gpu(parameters, processes, precision, distribution, method):
    if distribution == "ddp" or (processes == 1 and method == "lora"):
        return
    recipe = recipe_of(precision=precision, distribution=distribution)
    shape, model = of_parameters(parameters), model_of(processes, method)
    away = recipe.model_copy(update={"offload": True})
    without = memory.training_memory(shape, model, recipe, False)
    assert memory.training_memory(shape, model, away, False) <= without * (1 + 1e-12)
