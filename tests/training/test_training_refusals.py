"""What training refuses, in words that say what to do; and what it tells while it runs."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

import pytest
import torch

import tiny
from growthpace.errors import InputError
from growthpace.files import read_json
from growthpace.models.base import make_ready
from growthpace.paths import Paths
from growthpace.planning import memory
from growthpace.planning.shape import of_folder
from growthpace.training import devices, run, tracking
from growthpace.training.record import figures, in_words, summary
from growthpace.training.run import train
from tiny import RUN, silent


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- before anything is loaded ---------------------------------------------------------------------------------------


def test_a_device_too_small_is_refused_before_the_model_is_loaded(here, monkeypatch):
    """Naming the setting that would fit: 80 MB would do with shorter rows, 1 MB never."""
    study, paths = tiny.make_study({"microbatch_tokens": 20_000, "gradient_checkpointing": False})
    monkeypatch.setattr(run, "load_for_training", lambda *arguments: pytest.fail("loaded"))
    for free, way in (
        (80_000_000, "would fit: training.gradient_checkpointing: true"),
        (1_000_000, "would fit"),
        (1000, "no other settings would fit"),
    ):
        monkeypatch.setattr(run, "device_memory", lambda processes, free=free: free)
        with pytest.raises(InputError, match=rf"models.small: training needs .* of this machine's memory.*{way}"):
            train(study, RUN, paths, silent)


def test_recomputation_is_chosen_by_memory_once(here, monkeypatch):
    """On a small device activations are recomputed; an attempt that goes on elsewhere keeps to that."""
    study, paths = tiny.make_study({"microbatch_tokens": 20_000})
    shape, model = of_folder(paths.model("small")), study.models["small"]
    without, little = (memory.cpu_memory(shape, model, study.training, again) + 1e6 for again in (False, True))
    plenty = 8e9
    assert little < without < plenty
    monkeypatch.setattr(run, "device_memory", lambda processes: little)
    found = train(study, RUN, paths, silent)
    assert found["gradient_checkpointing"] is True
    notes = read_json(paths.run(RUN) / "state" / "notes.json")
    assert notes["gradient_checkpointing"] is True
    monkeypatch.setattr(run, "device_memory", lambda processes: plenty)
    again = run._Training.__new__(run._Training)
    again.recipe, again.notes = study.training, notes
    again.shape, again.ranks = None, None
    assert again._decide_checkpointing() is True


def test_half_floats_need_a_gpu(here):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    study, paths = tiny.make_study({"precision": "fp16"})
    with pytest.raises(InputError, match=r"training.precision: fp16 needs a GPU \(allowed on a CPU: fp32, bf16\)"):
        train(study, RUN, paths, silent)


def test_pickled_weights_are_refused(here):
    base = tiny.save_model(Path("base"))
    torch.save(torch.zeros(1), base / "pytorch_model.bin")
    (base / "model.safetensors").unlink()
    study = tiny.describe_study(base)
    with pytest.raises(InputError, match=r"base has no \*.safetensors weights \(pickled weights are refused"):
        make_ready(study, "small", Paths(study).model("small"), silent)


CODE = """
from transformers import LlamaConfig, LlamaForCausalLM

class OwnConfig(LlamaConfig):
    model_type = "own"

class OwnModel(LlamaForCausalLM):
    config_class = OwnConfig
"""


def test_code_of_a_model_runs_only_where_the_study_trusts_it(here):
    """A real model with code of its own: refused, then trained and loaded from its checkpoint."""
    base = tiny.save_model(Path("base"))
    (base / "own.py").write_text(CODE)
    config = read_json(base / "config.json")
    own = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"}
    config |= {"model_type": "own", "architectures": ["OwnModel"], "auto_map": own}
    (base / "config.json").write_text(json.dumps(config))
    study = tiny.describe_study(base)
    paths = Paths(study)
    with pytest.raises(InputError, match=r"base brings Python code of its own, which is not run; .*trust_remote_code"):
        make_ready(study, "small", paths.model("small"), silent)
    trusting = tiny.describe_study(base, {"epochs": 1}, models={"small": {"folder": base, "trust_remote_code": True}})
    make_ready(trusting, "small", paths.model("small"), silent)
    tiny.write_dataset(paths, tiny.make_items(tiny.VOLUME))
    found = train(trusting, RUN, paths, silent)
    assert found["steps"] == 5
    assert (paths.weights(RUN, 1) / "own.py").exists()


# --- a loss that is not finite ---------------------------------------------------------------------------------------


def test_a_loss_that_is_not_finite_names_step_rate_and_items(here):
    """A learning rate at which everything breaks at once."""
    study, paths = tiny.make_study({"learning_rate": 1e30, "learning_rate_floor": 1e30, "warmup_steps": 0})
    with pytest.raises(FloatingPointError) as caught:
        train(study, RUN, paths, silent)
    said = str(caught.value)
    assert re.match(
        rf"{RUN}: the loss is nan at step \d+ \(learning rate 1e\+30; it came from the items item-\d+, ", said
    )
    assert said.endswith("lower training.learning_rate or look at these items")


# --- trackers --------------------------------------------------------------------------------------------------------


def test_a_tracker_that_is_not_there_is_named(here, monkeypatch):
    study, paths = tiny.make_study({"tracking": ["trackio"]})
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"training.tracking: trackio is not installed \(pip install"):
        train(study, RUN, paths, silent)


def test_tensorboard_gets_every_step(here, monkeypatch):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for key in ("TENSORBOARD_LOGGING_DIR", "WANDB_MODE", "WANDB_RUN_ID", "WANDB_DIR", "TRACKIO_DIR"):
        monkeypatch.setenv(key, "")
        monkeypatch.delenv(key)
    study, paths = tiny.make_study({"tracking": ["tensorboard"]})
    found = train(study, RUN, paths, silent)
    seen = events.EventAccumulator(str(paths.run(RUN) / "tensorboard"))
    seen.Reload()
    losses = seen.Scalars(next(tag for tag in seen.Tags()["scalars"] if tag.endswith("loss")))
    assert [event.step for event in losses] == list(range(1, 16))
    assert [event.value for event in losses] == pytest.approx(found["loss"])
    assert "tracking" not in found["settings"]


# --- what is told ----------------------------------------------------------------------------------------------------


STEP = {"loss": 1.5, "learning_rate": 2e-5, "tokens": 3000, "answer_tokens": 600, "attended": 9, "seconds": 2.0}
PEAK = devices.Peak(1.0, "a data sheet")


def test_a_step_in_numbers_and_in_words():
    """Two devices: 750 tokens/s on each; 1.2e12 operations in 2 s are 30 % of 2 x 1 TFLOP/s."""
    shown = figures({**STEP, "memory": 3 * 2**30}, 2, 1.2e12, PEAK)
    assert shown["tokens_per_second"] == 750
    assert shown["answer_tokens_per_second"] == 150
    assert shown["model_flop_utilisation"] == pytest.approx(0.3)
    assert in_words(RUN, 7, 15, 5, shown) == (
        f"train {RUN}: step 7 of 15, epoch 2, loss 1.500, learning rate 2.00e-05, 750 tokens/s (150 of answers), "
        "30 % MFU, 3.0 GB"
    )


def test_no_number_is_invented():
    steps = [{**STEP, "memory": 2**30}, {**STEP, "memory": 2**31}]
    cpu = summary(steps, "CPU, 2 threads", 1, 1e12, None)
    assert (cpu["gpu_hours"], cpu["model_flop_utilisation"], cpu["peak"]) == (None, None, None)
    gpu = summary(steps, "NVIDIA H200", 4, 1.2e12, PEAK)
    assert gpu["gpu_hours"] == pytest.approx(4.0 * 4 / 3600, abs=1e-4)
    assert gpu["model_flop_utilisation"] == pytest.approx(1.2 / 4 / 4)
    assert gpu["peak_memory_gb"] == 2
    assert gpu["tokens_per_second_per_device"] == 375


@pytest.mark.parametrize(
    ("name", "tflops"),
    [("NVIDIA H200", 989), ("NVIDIA H100 80GB HBM3", 989), ("NVIDIA H100 PCIe", 756), ("NVIDIA A100-SXM4-80GB", 312)],
)
def test_peaks_are_of_the_data_sheets(name, tflops):
    assert devices.peak_of(name, "bf16").tflops == tflops
    assert devices.peak_of(name, "bf16").source
    assert devices.peak_of(name, "fp32") is None
    assert devices.peak_of("CPU, 2 threads", "bf16") is None


# --- torch.compile ---------------------------------------------------------------------------------------------------


@pytest.mark.slurm  # slow: a compiler runs
def test_compiled_training_learns_the_same(tmp_path):
    losses = []
    for compiled in (False, True):
        folder = tmp_path / str(compiled)
        folder.mkdir()
        with contextlib.chdir(folder):
            study, paths = tiny.make_study({"compile": compiled, "epochs": 1}, {"attention_dropout": 0.0})
            losses.append(train(study, RUN, paths, silent)["loss"])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
