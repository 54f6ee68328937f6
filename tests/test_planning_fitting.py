"""What fits a device or a site, what `auto` comes to there, and the settings that faults name."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from growthpace.grid import Run
from growthpace.planning import formulas, memory
from growthpace.planning.fitting import decide_checkpointing, device_fault
from growthpace.planning.shape import of_parameters
from test_planning import CPUS, GPUS, SEVEN, costs_of
from test_planning import study_with as small_study_with

A100 = "NVIDIA A100-SXM4-80GB"
FREE = 79.2 * 2**30
SHAPE = of_parameters(6_700_000_000)
LORA = {"rank": 8, "alpha": 16, "targets": "all-linear", "dropout": 0.0}


def study_with(recipe=None, model=SEVEN):
    """With batches for many processes, and another model that has several."""
    return small_study_with({"batch_size": 64, **(recipe or {})}, model, m={**SEVEN, "processes": 2})


def needed(study, checkpointing: bool, shape=SHAPE) -> float:
    """Bytes of a GPU that the study's `s` needs of what is free when training starts."""
    return memory.training_memory(shape, study.models["s"], study.training, checkpointing) + 0.5e9


def fault_of(recipe, device=A100, free=FREE, shape=SHAPE, **model):
    study = study_with({"gradient_checkpointing": False, **recipe}, {**SEVEN, **model})
    return device_fault(shape, study, "s", free, device)


# --- a device ---


def test_a_device_that_is_large_enough_has_no_fault():
    assert fault_of({}, free=160 * 2**30) is None


def test_a_fault_says_what_is_needed_and_what_there_is():
    study = study_with({"gradient_checkpointing": False})
    size = needed(study, False) / 2**30
    assert fault_of({}) == (
        f"models.s: training needs {size:,.3g} GB on each GPU, {A100} has 79.2 GB free "
        "(would fit: models.s.processes: 2, training.distribution: zero3)"
    )


AGAIN = {"gradient_checkpointing": True}


@pytest.mark.parametrize(
    ("recipe", "processes", "free", "way"),
    [
        ({"microbatch_tokens": 65536}, 1, 163, "training.gradient_checkpointing: true"),
        ({"microbatch_tokens": 65536} | AGAIN, 1, 140, "training.microbatch_tokens: 32768"),
        (
            {"microbatch_tokens": 65536},
            1,
            140,
            "training.gradient_checkpointing: true, training.microbatch_tokens: 32768",
        ),
        ({}, 4, 79.2, "training.distribution: zero2"),
        ({"distribution": "zero2"}, 2, 79.2, "training.distribution: zero3"),
        ({}, 1, 40, "models.s.processes: 4, training.distribution: zero3"),
        ({}, 64, 20, "training.distribution: zero3"),
        ({"distribution": "zero3", "microbatch_tokens": 96} | AGAIN, 64, 2, "training.offload: true"),
    ],
)
def test_the_settings_that_would_fit(recipe, processes, free, way):
    assert fault_of(recipe, free=free * 2**30, processes=processes).endswith(f"(would fit: {way})")


def test_each_process_gets_an_item_of_a_step():
    assert "processes: 4" in fault_of({"batch_size": 4}, free=40 * 2**30)
    assert "(would fit: training.distribution: zero3, training.offload: true" in fault_of(
        {"batch_size": 2}, free=40 * 2**30
    )


def test_no_row_is_shorter_than_the_longest_item():
    study = study_with({"microbatch_tokens": 150} | AGAIN)
    fault = device_fault(SHAPE, study, "s", needed(study, True) - 1, A100)
    assert fault.endswith("(would fit: training.microbatch_tokens: 96)")  # training.max_length


def test_it_is_said_that_nothing_fits():
    assert fault_of({}, free=2**30).endswith("has 1 GB free (no other settings would fit)")


def test_without_a_gpu_it_is_the_machines_memory():
    size = 6.7e9 * 18 + 6.7e9 * 2  # and the copy of an epoch that is written
    fault = fault_of(AGAIN, "CPU, 2 threads", 100e9)
    assert fault == (
        f"models.s: training needs {(size + row(256, True)) / 1e9:,.3g} GB of this machine's memory, it has 100 GB "
        "free (would fit: models.s.method: lora with lora.rank: 16, which changes what is studied)"
    )
    both = fault_of({}, "CPU, 2 threads", 140e9, processes=2)
    assert "memory for each process, it has 140 GB free for each process" in both
    assert both.endswith("(would fit: training.distribution: zero2)")
    assert "method" not in fault_of({}, "CPU, 2 threads", 1e9)


def row(tokens: int, checkpointing: bool) -> float:
    activations = memory.activations(SHAPE, tokens, "bf16", checkpointing)
    return activations + formulas.logits(tokens, SHAPE.vocabulary)


@pytest.mark.parametrize("setting", [True, False])
def test_what_a_study_says_is_not_decided(setting):
    study = study_with({"gradient_checkpointing": setting})
    assert all(decide_checkpointing(SHAPE, study, "s", size) is setting for size in (1e9, 1e15))


def test_auto_recomputes_where_it_would_not_fit_without():
    study = study_with({"gradient_checkpointing": "auto", "microbatch_tokens": 8192})
    without, with_it = needed(study, False), needed(study, True)
    assert with_it < without
    assert decide_checkpointing(SHAPE, study, "s", without, A100) is False
    assert decide_checkpointing(SHAPE, study, "s", without - 1, A100) is True
    assert decide_checkpointing(SHAPE, study, "s", 1e9, A100) is True
    assert device_fault(SHAPE, study, "s", without, A100) is None
    assert device_fault(SHAPE, study, "s", with_it, A100) is None
    fault = device_fault(SHAPE, study, "s", with_it - 1, A100)
    assert f"needs {with_it / 2**30:,.3g} GB" in fault
    assert "gradient_checkpointing" not in fault


def test_on_a_cpu_there_is_no_overhead_of_a_gpu():
    study = study_with({"gradient_checkpointing": "auto"})
    size = memory.cpu_memory(SHAPE, study.models["s"], study.training, False) + 6.7e9 * 2
    assert decide_checkpointing(SHAPE, study, "s", size, "CPU, 1 threads") is False
    assert decide_checkpointing(SHAPE, study, "s", size - 1, "CPU, 1 threads") is True


@settings(max_examples=100, deadline=None)
@given(
    parameters=st.integers(10**6, 10**11),
    free=st.floats(1e9, 1e12),
    processes=st.sampled_from([1, 2, 8]),
    distribution=st.sampled_from(["ddp", "zero1", "zero2", "zero3"]),
    checkpointing=st.sampled_from([True, False, "auto"]),
    method=st.sampled_from(["full", "lora", "qlora"]),
    device=st.sampled_from([A100, "CPU, 1 threads"]),
)
def test_what_a_fault_names_does_fit(parameters, free, processes, distribution, checkpointing, method, device):
    if method == "qlora" and distribution == "zero3":
        return
    shape = of_parameters(parameters)
    model = {**SEVEN, "processes": processes} | ({"method": method, "lora": LORA} if method != "full" else {})
    recipe = {"distribution": distribution, "gradient_checkpointing": checkpointing, "microbatch_tokens": 1024}
    fault = device_fault(shape, study_with(recipe, model), "s", free, device)
    if fault is None or "would fit: " not in fault:
        return
    for setting in (
        fault.partition("would fit: ")[2].rstrip(")").replace(", which changes what is studied", "").split(", ")
    ):
        name, value = setting.replace(" with lora.rank: 16", "").split(": ")
        value = {"true": True, "false": False}.get(value, int(value) if value.isdigit() else value)
        (model if name.startswith("models") else recipe)[name.rpartition(".")[2]] = value
    if model.get("method", "full") != "full":
        model.setdefault("lora", {**LORA, "rank": 16})
    assert device_fault(shape, study_with(recipe, model), "s", free, device) is None


# --- a site ---


def test_a_fault_names_the_settings_that_fit():
    study = study_with()
    fault = costs_of(study, GPUS).fault("s")
    assert fault.startswith("models.s: training on 1 GPU needs 114 GB on each and 56.6 GB of memory on a node")
    assert fault.endswith("(would fit: models.s.processes: 2, training.distribution: zero3)")
    assert costs_of(study, {**GPUS, "gpu_memory_gb": 141}).fault("s") is None
    assert costs_of(study).fault("s") is None
    small = {**GPUS, "gpu_memory_gb": 24, "gpus_per_node": 2, "max_nodes": 1}
    offload = "(would fit: models.s.processes: 2, training.distribution: zero3, training.offload: true)"
    assert costs_of(study, small).fault("s").endswith(offload)
    small["memory_gb_per_node"] = 100
    rank = "(would fit: models.s.method: lora with lora.rank: 16, which changes what is studied)"
    assert costs_of(study, small).fault("s").endswith(rank)
    tiny = {**GPUS, "gpu_memory_gb": 8}
    fault = costs_of(study, tiny).fault("s")
    assert "a prediction runs on 1 GPU, which its weights (12.5 GB) must fit in" in fault
    assert fault.endswith("(would fit: models.s.prediction_gpus: 2)")
    two = study_with(model={**SEVEN, "prediction_gpus": 2})
    assert "a prediction runs" not in costs_of(two, tiny).fault("s")
    answered = costs_of(two, tiny).prediction(Run("s", "curated-4", 1), "valid", 3)
    assert (answered.gpus, answered.nodes) == (2, 1)
    assert 6.3 < answered.gpu_memory_gb < 12, "half of the weights, and what a pass needs"
    none = {**small, "gpu_memory_gb": 14}
    assert costs_of(study, none).fault("s").endswith("method: qlora with lora.rank: 16, which changes what is studied)")
    none["memory_gb_per_node"] = 10
    assert costs_of(study, none).fault("s").endswith("(no other settings would fit)")
    fault = costs_of(study, CPUS).fault("s")
    assert "no node of the site has more than 100" in fault
    assert fault.endswith("(would fit: models.s.method: lora with lora.rank: 16, which changes what is studied)")


def test_recomputing_activations_is_a_way_out():
    recipe = {"gradient_checkpointing": False, "microbatch_tokens": 65536}
    study = study_with(recipe, {"hub": "a/b", "parameters": 1e9})
    single = {**GPUS, "gpus_per_node": 1, "max_nodes": 1}
    assert costs_of(study, single).fault("s").endswith("(would fit: training.gradient_checkpointing: true)")
    single["gpu_memory_gb"] = 20
    way = "(would fit: training.gradient_checkpointing: true, training.microbatch_tokens: 1024)"
    assert costs_of(study, single).fault("s").endswith(way)


def test_auto_recomputes_only_where_the_partition_is_too_small_without():
    study = study_with(
        {"gradient_checkpointing": "auto", "microbatch_tokens": 65536}, {"hub": "a/b", "parameters": 1e9}
    )
    run, large = Run("s", "curated-4", 1), {**GPUS, "gpu_memory_gb": 192}
    asked = {memory: {**GPUS, "gpu_memory_gb": memory} for memory in (16, 80, 192)}
    found = {memory: costs_of(study, partition).training(run) for memory, partition in asked.items()}
    again = {
        m: costs_of(study_with({"microbatch_tokens": 65536}, study.models["s"].model_dump()), p).training(run)
        for m, p in asked.items()
    }
    assert "4/3" not in found[192].why
    assert "4/3" in found[80].why
    assert found[80] == again[80]
    assert found[16] == again[16]  # fits neither way
    assert found[192].gpu_memory_gb > 80 >= found[80].gpu_memory_gb
    assert costs_of(study, GPUS).fault("s") is None
    fault = costs_of(study, asked[16]).fault("s")
    assert f"needs {again[16].gpu_memory_gb:,.3g} GB on each" in fault
    assert "gradient_checkpointing" not in fault
    assert "4/3" in costs_of(study, GPUS, large).training(run).why  # the first that it fits in, either way
    assert costs_of(study).training(run).gpu_memory_gb is None


def test_a_job_goes_to_the_first_partition_that_it_fits_in():
    large = {**GPUS, "name": "large", "gpu": "h200", "gpu_memory_gb": 141, "gpu_tflops": 989, "gpus_per_node": 4}
    found = costs_of(study_with(), CPUS, GPUS, large).training(Run("s", "curated-4", 1))
    assert "of 989 TFLOP/s" in found.why
    assert found.nodes == 1
