"""Costs: formulas against independent references, what an estimate rests on, faults that name the way out."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growthpace.cluster.site import Site
from growthpace.data.items import Item, Message, write_items
from growthpace.files import fingerprint, write_json
from growthpace.grid import Grid, Run
from growthpace.paths import Paths
from growthpace.planning import Costs, formulas
from growthpace.planning.shape import llama_parameters, of_folder, of_parameters
from growthpace.study import load_study
from small_study import LLAMA, WORLD, changed, study_of

GPUS = {
    "name": "gpu",
    "gpu": "a100",
    "gpu_memory_gb": 80,
    "gpu_tflops": 312,
    "gpus_per_node": 8,
    "cpus_per_node": 64,
    "memory_gb_per_node": 1000,
    "max_hours": 48,
    "max_nodes": 4,
}
CPUS = {"name": "cpu", "cpus_per_node": 64, "memory_gb_per_node": 100, "max_hours": 24}
SEVEN = {"hub": "someone/7b", "parameters": 6.7e9}


def site_of(*partitions):
    return Site.model_validate({"partitions": list(partitions)})


def study_with(recipe=None, model=SEVEN, **models):
    """The small study in bf16 with one large model, `s`, and others beside it."""
    content = changed("models", {"s": model, "m": {**SEVEN, "processes": 2}, **models})
    given = {"precision": "bf16", "gradient_checkpointing": True, "batch_size": 64}
    content["training"] |= {**given, **(recipe or {})}
    return study_of(content)


def costs_of(study, *partitions):
    return Costs(study, Paths(study), site_of(*partitions) if partitions else None)


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def finished(study, run, speed=5000.0, device="NVIDIA A100-SXM4-80GB", items=4, tokens=4000, epochs=7, devices=1):
    """Writes the record of a finished run with these tokens an epoch."""
    record = {
        "items": items,
        "steps": epochs,
        "steps_per_epoch": 1,
        "tokens": tokens * epochs,
        "tokens_per_second": speed,
        "device": device,
        "devices": devices,
        "settings": Grid(study).run_settings(run),
    }
    write_json(Paths(study).training(run), record)


# --- sizes ---


def test_the_papers_models_have_the_published_shapes(pytestconfig):
    study = load_study(pytestconfig.rootpath / "config" / "doit.yaml")
    shapes = {"7b": (4096, 32, 11008), "13b": (5120, 40, 13824), "33b": (6656, 60, 17920)}
    for model, (hidden, layers, inside) in shapes.items():
        config = {"model_type": "llama", "hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": 1}
        config |= {"intermediate_size": inside, "vocab_size": 49953}
        assert study.models[model].parameters == pytest.approx(llama_parameters(config), rel=1e-3)
        guessed = of_parameters(round(study.models[model].parameters))
        assert guessed.hidden == pytest.approx(hidden, rel=0.1)
        assert guessed.layers == pytest.approx(layers, rel=0.15)


def test_a_folder_tells_its_size_by_the_headers_of_its_weights(tmp_path):
    from tiny import make_model, make_tokenizer, save_model

    folder = save_model(tmp_path / "base")
    shape = of_folder(folder)
    assert shape.parameters == sum(p.numel() for p in make_model(make_tokenizer()).parameters())
    assert (shape.layers, shape.hidden, shape.key_value_width, shape.stored_bytes) == (2, 32, 16, 4)
    study = study_with(model={"folder": folder, "parameters": 2e5})
    assert costs_of(study).parameters("s") == shape.parameters
    assert "models.s.parameters: 2e+05" in costs_of(study).mismatch("s")
    assert costs_of(study).mismatch("m") is None


def test_a_model_from_scratch_is_counted_exactly(tmp_path):
    from growthpace.models.base import make_ready

    content = changed("models.s", {"initialise": {**LLAMA, "pretraining": {**LLAMA["pretraining"], "steps": 1}}})
    study = study_of({**content, "microworld": WORLD})
    counted = costs_of(study).parameters("s")
    base = make_ready(study, "s", Paths(study).model("s"), lambda line: None)
    assert counted == base["parameters"] == costs_of(study).parameters("s")


def test_an_unknown_size_is_said_and_not_guessed():
    study = study_with(model={"hub": "someone/7b"})
    costs = costs_of(study, GPUS)
    found = costs.training(Run("s", "curated-4", 1))
    assert (found.seconds, found.basis, found.gpu_memory_gb, found.memory_gb, found.disk_gb) == (
        None,
        "unknown",
        None,
        None,
        None,
    )
    assert found.why == "size of s unknown until it is fetched (or set models.s.parameters)"
    assert found.gpus == 1
    assert costs.parameters("s") is costs.peak_disk_gb() is costs.fault("s") is None
    assert costs.base_model("s").basis == "unknown"


def test_parameters_change_no_settings():
    plain, told = study_of(), study_of(changed("models.s.parameters", 7e9))
    assert Grid(plain).model_settings("s") == Grid(told).model_settings("s")
    assert Grid(told).model_settings("s")["hub"] == "someone/s"


def test_parameters_of_a_model_from_scratch_are_refused():
    content = changed("models.s", {"initialise": LLAMA, "parameters": 1e6})
    with pytest.raises(ValueError, match="parameters 1e\\+06 would have no effect"):
        study_of({**content, "microworld": WORLD})


# --- formulas ---


def test_memory_of_7b_by_hand():
    found = costs_of(study_with(), GPUS).training(Run("s", "curated-4", 1))
    shape = of_parameters(6_700_000_000)
    row = 256 * (4 * shape.hidden * 31 + 36 * shape.hidden + 8 * shape.feed_forward + 8 * shape.hidden)  # 32 layers
    logits = 256 * 128_000 * 12
    assert found.gpu_memory_gb * 2**30 == pytest.approx(6.7e9 * (16 + 2) + row + logits + 1.5e9)
    assert found.memory_gb == pytest.approx(6.7 * 8 + 3)  # resuming loads Adam
    needed = {3, 4, 5, 6, 7}  # from the first epoch that may be selected to the seventh and last of this volume
    assert found.disk_gb == pytest.approx(6.7 * (2 * len(needed) + 3 * 12))


def pass_bytes(shape, value_bytes: int) -> float:
    """A pass of a prediction: keys and values, one layer's widest moment, and a chunk of logits."""
    cached = 2 * shape.layers * shape.hidden
    return 2**12 * value_bytes * (cached + 8 * shape.hidden + 3 * shape.inside) + 2**26 * 12


def test_an_adapter_run_by_hand():
    lora = {"rank": 8, "alpha": 16, "targets": ["q_proj", "v_proj"], "dropout": 0.0}
    adapted = {**SEVEN, "method": "lora", "lora": lora}
    costs = costs_of(study_with(model=adapted, m={**adapted, "lora": {**lora, "merged": True}}), GPUS)
    found, merged = (costs.training(Run(model, "curated-4", 1)) for model in "sm")
    full = costs_of(study_with(), GPUS).training(Run("s", "curated-4", 1))
    shape = of_parameters(6_700_000_000)
    adapters = 8 * 32 * 2 * 2 * shape.hidden
    saved = 6.7e9 * 18 - (6.7e9 * 2 + adapters * 18)  # frozen weights are bf16 themselves, adapters fp32 with a copy
    assert (full.gpu_memory_gb - found.gpu_memory_gb) * 2**30 == pytest.approx(saved)
    assert found.disk_gb * 1e9 == pytest.approx(adapters * (5 * 4 + 3 * 12))
    assert merged.disk_gb * 1e9 == pytest.approx(adapters * (5 * 4 + 3 * 12) + 5 * 2 * 6.7e9)
    assert found.memory_gb == pytest.approx(6.7 * 2 + 3)
    assert merged.memory_gb == pytest.approx(6.7 * 4 + 4e-9 * adapters + 3)  # merged in fp32 on the host
    assert found.why.startswith("no run measured: 4 x 6.7e+09 parameters x 2.69e+03 tokens x 3/2 at ")
    assert found.seconds < full.seconds
    answers = costs.prediction(Run("s", "curated-4", 1), "valid", 3)
    assert answers.gpu_memory_gb * 2**30 == pytest.approx(6.7e9 * 2 + pass_bytes(shape, 2) + 1.5e9)
    assert answers.memory_gb == pytest.approx(6.7 * 4 + 3)


def test_a_prediction_of_a_model_in_four_bits_by_hand():
    lora = {"rank": 8, "alpha": 16, "targets": ["q_proj"], "dropout": 0.0}
    costs = costs_of(study_with(model={**SEVEN, "method": "qlora", "lora": lora}), GPUS)
    shape = of_parameters(6_700_000_000)
    embeddings = 2 * 128_000 * shape.hidden
    weights = (6.7e9 - embeddings) * 4.127 / 8 + 2 * embeddings + 4 * 8 * 32 * 2 * shape.hidden
    found = costs.prediction(Run("s", "curated-4", 1), "valid", 3)
    assert found.gpu_memory_gb * 2**30 == pytest.approx(weights + pass_bytes(shape, 2) + 1.5e9, rel=1e-4)
    untuned = costs.prediction(Run("s", "untuned", 0), "valid", 0)
    assert untuned.gpu_memory_gb * 2**30 == pytest.approx(6.7e9 * 4 + pass_bytes(shape, 4) + 1.5e9)


@given(volumes=st.lists(st.integers(1, 10_000), min_size=2, max_size=4, unique=True), measured=st.booleans())
def test_more_items_take_longer(tmp_path_factory, volumes, measured):
    volumes = sorted(2 * volume for volume in volumes)
    content = changed("sources.curated.volumes", volumes)
    content["models"] = {"s": SEVEN, "m": SEVEN}
    content["training"] |= {"precision": "bf16", "epochs_by_volume": {}}
    content["mixes"] = {}
    study = study_of(content)
    paths = Paths(study)
    paths.root = tmp_path_factory.mktemp("results")
    if measured:
        record = {"items": 4, "steps": 4, "steps_per_epoch": 1, "tokens": 900, "tokens_per_second": 10.0}
        run = Run("s", "synthetic-4", 1)
        record |= {"device": "NVIDIA A100", "settings": Grid(study).run_settings(run)}
        write_json(paths.training(run), record)
    costs = Costs(study, paths, site_of(GPUS))
    found = [costs.training(Run("s", f"curated-{volume}", 1)) for volume in volumes]
    assert {estimate.basis for estimate in found} == {"measured" if measured else "bound"}
    seconds = [estimate.seconds for estimate in found]
    assert seconds == sorted(seconds)
    assert seconds[0] < seconds[-1]


# --- what an estimate rests on ---


def test_a_bound_says_its_numbers():
    study = study_with()
    found = costs_of(study, GPUS).training(Run("s", "curated-16", 1))
    tokens = 16 * 96 * 5
    shape = of_parameters(6_700_000_000)
    work = (6 * 6.7e9 + 12 * shape.layers * shape.hidden * 96) * tokens * 4 / 3 / (0.4 * 312e12)
    saving = 6.7e9 * (4 + 5 * 12 + 3 * 2) / 1e9
    assert found.seconds == pytest.approx(10 + work + saving)
    assert found.basis == "bound"
    assert found.why == (
        "no run measured: 6 x 6.7e+09 parameters x 7.68e+03 tokens x 4/3 at 40 % of 1 GPU of 312 TFLOP/s, and 469 s of "
        "loading and saving at 1 GB/s; at most 96 tokens an item, training.max_length"
    )


def test_a_measured_run_is_believed():
    study = study_with({"gradient_checkpointing": False})
    for seed, speed in ((1, 4000.0), (2, 5000.0)):
        finished(study, Run("s", "curated-4", seed), speed)
    finished(study, Run("s", "synthetic-4", 1), 6000.0 * 2, tokens=800, devices=2)
    finished(study, Run("s", "synthetic-4", 2), 10.0, device="CPU, 1 threads")
    costs = costs_of(study, GPUS)
    found = costs.training(Run("s", "curated-16", 1))
    saving = 6.7e9 * (4 + 5 * 12 + 3 * 2) / 1e9
    assert found.basis == "measured"
    assert found.seconds == pytest.approx(10 + saving + 16 * 1000 * 5 / 5000)  # 1,000 tokens an item in curated-4
    assert found.why.startswith("3 runs of s measured at 5,000 tokens/s per GPU (NVIDIA A100-SXM4-80GB), and ")
    assert found.why.endswith("; 1,000 tokens an item as in curated-4")
    other = costs.training(Run("m", "curated-4", 1))
    assert other.basis == "bound"
    assert "x 2.8e+04 tokens" in other.why  # the dataset is as long for another model
    assert (
        Costs(study, Paths(study), site_of(CPUS))
        .training(Run("s", "curated-4", 1))
        .why.startswith("1 run of s measured at 10 tokens/s (CPU, 1 threads)")
    )


def test_runs_under_another_recipe_measure_nothing():
    study = study_with()
    finished(study, Run("s", "curated-4", 1))
    costs = costs_of(study_with({"gradient_checkpointing": False}), GPUS)
    assert costs.training(Run("s", "curated-4", 1)).basis == "bound"


def test_a_run_by_another_method_measures_nothing():
    lora = {"method": "lora", "lora": {"rank": 8, "alpha": 16, "targets": "all-linear", "dropout": 0.0}}
    adapted, run = study_with(model={**SEVEN, **lora}), Run("s", "curated-4", 1)
    finished(adapted, run)
    assert costs_of(adapted, GPUS).training(run).basis == "measured"
    assert costs_of(study_with(), GPUS).training(run).basis == "bound"


def test_a_run_that_decided_by_itself_measures_those_that_will():
    auto, run = study_with({"gradient_checkpointing": "auto"}), Run("s", "curated-4", 1)
    finished(auto, run)
    assert costs_of(auto, GPUS).training(run).basis == "measured"
    assert costs_of(study_with(), GPUS).training(run).basis == "bound"


def test_texts_tell_tokens_where_no_run_does():
    study = study_with()
    paths = Paths(study)
    for ability in study.abilities:
        items = [
            Item(f"{ability}-{n}", ability, (Message("user", "u" * 30), Message("assistant", "a" * 15)), "none")
            for n in range(16)
        ]
        write_items(paths.pool("curated", ability), items, {})
    found = costs_of(study, GPUS).training(Run("s", "curated-16", 1))
    assert f"x {16 * (45 / 3 + 4) * 5:.3g} tokens" in found.why
    assert found.why.endswith("; 3 bytes of text taken for a token")


def test_a_mix_of_unknown_size_is_unknown_until_its_pools_are_counted():
    study = study_with()
    run = Run("m", "uneven", 1)
    assert costs_of(study, GPUS).training(run).why == "how many items uneven has is known once its pools are made"
    sizes = {"sources.curated/biology": 20, "sources.curated/history": 20, "sources.synthetic/general": 30}
    write_json(Paths(study).root / "data" / "checked.json", {"fingerprint": "", "result": {"items": sizes}})
    assert f"x {(2 + 20 + 4) * 96 * 5:.3g} tokens" in costs_of(study, GPUS).training(run).why


def test_without_gpus_only_measurements_give_a_time():
    study = study_with(SMALL_RECIPE, {"hub": "a/b", "parameters": 1e6})
    for partitions in ((CPUS,), ()):
        found = costs_of(study, *partitions).training(Run("s", "curated-4", 1))
        assert (found.gpus, found.seconds, found.basis, found.gpu_memory_gb) == (0, None, "unknown", None)
        assert 1 < found.memory_gb < 2
    assert costs_of(study, GPUS).training(Run("s", "curated-4", 1)).seconds is None  # fp32 has no peak
    half = (costs_of(study_with({"precision": p}), GPUS).training(Run("s", "curated-4", 1)) for p in ("bf16", "fp16"))
    assert next(half) == next(half)


SMALL_RECIPE = {"precision": "fp32", "gradient_checkpointing": False}


def test_a_state_counts_only_for_the_settings_that_made_it():
    study = study_with()
    paths, run = Paths(study), Run("s", "curated-4", 1)
    finished(study, Run("s", "curated-4", 2), tokens=500_000)
    write_json(paths.model("s") / "base.json", {"parameters": 6_700_000_000, "weights_sha256": "w"})
    write_json(paths.manifest(run.dataset, run.seed), {"items_sha256": "i"})
    state = paths.run(run) / "state"
    write_json(state / "checkpoint-2" / "complete.json", {})
    (state / "checkpoint-3").mkdir()
    (state / "history.jsonl").write_text("".join(json.dumps({"seconds": 1.5}) + "\n" for _ in range(3)))
    assert costs_of(study, GPUS).training(run).seconds_done == 0
    identity = {**Grid(study).run_settings(run), "base_weights": "w", "dataset": "i"}
    (state / "fingerprint").write_text(fingerprint(identity))
    assert costs_of(study, GPUS).training(run).seconds_done == 3
    assert (state / "checkpoint-3").exists()  # looking removes nothing
    assert costs_of(study_with({"learning_rate": 2e-3}), GPUS).training(run).seconds_done == 0


def test_a_prediction_is_bound_by_what_is_read_and_written():
    study = study_with()
    costs = costs_of(study, GPUS)
    run = Run("s", "curated-4", 1)
    assert costs.prediction(run, "valid", 3).why == "what valid asks is known once it is made"
    turns = (Message("user", "u" * 30), Message("assistant", "a" * 15))
    items = [Item("1", "history", turns, "letter", "A", ("A", "B"), 0.5), Item("2", "history", turns, "math", "1")]
    write_items(Paths(study).suite("valid"), items, {})
    found = costs_of(study, GPUS).prediction(run, "valid", 3)
    read = 2 * (45 / 3 + 4) + 2 / 3
    assert found.seconds == pytest.approx(10 + 6.7e9 * 4 / 1e9 + 2 * 6.7e9 * (read / 0.2 + 8 / 0.01) / 312e12)
    assert (found.basis, found.gpus, found.nodes) == ("bound", 1, 1)
    kept = pass_bytes(of_parameters(6_700_000_000), 2)
    assert found.gpu_memory_gb * 2**30 == pytest.approx(6.7e9 * 2 + kept + 1.5e9)
    progress = {"done": 1, "of": 2, "seconds": 4.0, "items_per_second": 0.25}
    write_json(Paths(study).prediction(run, "valid", 3).with_suffix(".state") / "progress.json", progress)
    found = costs_of(study, GPUS).prediction(run, "valid", 3)
    assert (found.basis, found.seconds) == ("measured", pytest.approx(10 + 26.8 + 8))
    assert found.seconds_done == found.seconds / 2


# --- the whole study ---


def test_the_whole_study_on_disk():
    study = study_with()
    study = study.model_copy(update={"seeds": [1], "mixes": {}})
    costs = costs_of(study, GPUS)
    base = sum(costs.base_model(model).disk_gb for model in study.models)
    kept = sum(6.7 * 2 * (Grid(study).epochs(run) - 2) for run in Grid(study).runs)
    runs = len(Grid(study).runs)
    assert costs.peak_disk_gb() == pytest.approx(base + kept + runs * 6.7 * 36)
    assert costs_of(study).peak_disk_gb() == pytest.approx(base + kept + 6.7 * 36)


# --- light and quick ---


def test_it_is_light():
    code = "import sys, growthpace.planning; print({'torch', 'pandas', 'transformers'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


def test_ten_thousand_jobs_are_planned_in_seconds(pytestconfig):
    study = load_study(pytestconfig.rootpath / "config" / "doit.yaml")
    study = study.model_copy(update={"seeds": list(range(16))})
    grid, costs = Grid(study), costs_of(study, GPUS)
    began = time.process_time()
    jobs = [costs.training(run) for run in grid.runs]
    jobs += [costs.prediction(run, suite, epoch) for run in grid.runs for suite, epoch in grid.evaluations(run)]
    costs.peak_disk_gb()
    assert len(jobs) > 10_000
    assert time.process_time() - began < 3


def test_a_real_training_is_read_as_it_was_written():
    from growthpace.training.run import train
    from tiny import RUN, make_study, silent

    study, paths = make_study()
    assert Costs(study, paths, None).training(RUN).basis == "unknown"
    record = train(study, RUN, paths, silent)
    write_json(paths.run(RUN) / "state" / "checkpoint-5" / "complete.json", {})  # as if it had been stopped there
    found = Costs(study, paths, None).training(RUN)
    assert found.basis == "measured"
    assert found.why.startswith("1 run of small measured at ")
    assert found.seconds == pytest.approx(formulas.START_SECONDS + record["seconds"], rel=0.01)
    assert 0 < found.seconds_done < record["seconds"]
