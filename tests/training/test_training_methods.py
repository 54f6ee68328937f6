"""Adapters (lora): what is trained and kept, that it resumes and answers, and that splits change nothing."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from attempts import CONFIG, KILLED, STUDY, Moment, attempt, attempt_ranks, outcome, starts
from safetensors.torch import load_file
from test_ranks import history
from transformers import AutoModelForCausalLM

import tiny
from growthpace.conversation import PAPER_TOKENS
from growthpace.errors import InputError
from growthpace.evaluation.engine import Engine, Question
from growthpace.grid import Grid
from growthpace.models.checkpoints import load_checkpoint
from growthpace.training.run import train
from tiny import RUN, silent

LORA = {"rank": 4, "alpha": 8, "targets": "all-linear", "dropout": 0.0}


def study_of(lora: dict, processes: int = 1, recipe: dict | None = None, form: str = "paper", **model):
    """A prepared study whose model is tuned by adapters."""
    models = {"small": {"folder": Path("base"), "method": "lora", "lora": LORA | lora, "processes": processes}}
    study, paths = tiny.make_study(recipe, {"attention_dropout": 0.0, **model}, format=form, models=models)
    Path(CONFIG).write_text(yaml.safe_dump(study.model_dump(mode="json", exclude_none=True)))
    return study, paths


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a study trained by adapters, with dropout in them, checkpoints whole beside them."""
    folder = tmp_path_factory.mktemp("trained")
    with contextlib.chdir(folder):
        study, paths = study_of({"dropout": 0.2, "merged": True})
        shutil.copytree(folder, tmp_path_factory.mktemp("lora") / "prepared")
        found = train(study, RUN, paths, silent)
    return folder, study, paths, found


def test_only_adapters_and_new_tokens_are_kept(trained):
    folder, _study, paths, found = trained
    weights = load_file(folder / paths.weights(RUN, 3) / "adapter_model.safetensors")
    layers, matrices = 2, 7
    assert sum("lora_A" in name for name in weights) == sum("lora_B" in name for name in weights) == layers * matrices
    rows = {name: weight for name, weight in weights.items() if "lora_" not in name}
    assert {tuple(weight.shape) for weight in rows.values()} == {(len(PAPER_TOKENS), 32)}
    assert len(rows) == 2, "of the embeddings and of the vocabulary matrix"
    assert {weight.dtype for weight in weights.values()} == {torch.float32}
    assert found["settings"]["lora_rank"] == 4
    assert "lora_merged" not in found["settings"]
    assert found["loss"][-1] < found["loss"][0]
    kept = {path.name for path in (folder / paths.weights(RUN, 3)).iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "merged", "tokenizer.json"} <= kept
    assert "README.md" not in kept


def test_new_tokens_come_apart(trained):
    """All three begin as the same row; were they frozen, the end of a turn could not be told from a role."""
    folder, _study, paths, _ = trained
    model = AutoModelForCausalLM.from_pretrained(folder / paths.weights(RUN, 3) / "merged")
    user, assistant, end = model.get_output_embeddings().weight[-3:]
    assert not torch.allclose(end, user, atol=1e-4)
    assert not torch.allclose(end, assistant, atol=1e-4)


def test_evaluation_loads_adapters_and_the_merged_model_alike(trained):
    folder, study, paths, _ = trained
    checkpoint, base = folder / paths.weights(RUN, 2), folder / paths.model("small")
    tuned = Engine(checkpoint, "paper", 1, base=base, settings=study.models["small"])
    whole = Engine(checkpoint / "merged", "paper", 1)
    untuned = Engine(base, "paper", 1)
    questions = [Question((43, 5, 6, 45, 44), ((7, 45), (8, 9, 45)))]
    assert tuned.score(questions) == whole.score(questions)
    assert tuned.score(questions) != untuned.score(questions)
    assert tuned.generate([(43, 5, 6, 45, 44)], 4) == whole.generate([(43, 5, 6, 45, 44)], 4)


def test_merging_is_adding_the_products(trained):
    """By hand: W + alpha / rank x B A, and the rows of the new tokens in the place of the old ones."""
    folder, study, paths, _ = trained
    weights = load_file(folder / paths.weights(RUN, 3) / "adapter_model.safetensors")
    base = load_file(folder / paths.model("small") / "model.safetensors")
    model = load_checkpoint(
        folder / paths.weights(RUN, 3), folder / paths.model("small"), study.models["small"], "fp32"
    )
    found = dict(model.named_parameters())
    name = "model.layers.1.mlp.down_proj"
    down, up = (weights[f"base_model.model.{name}.lora_{part}.weight"] for part in "AB")
    torch.testing.assert_close(found[f"{name}.weight"], base[f"{name}.weight"] + 2.0 * up @ down)
    rows = next(weight for key, weight in weights.items() if "embed_tokens" in key)
    torch.testing.assert_close(found["model.embed_tokens.weight"][-3:], rows)
    assert torch.equal(found["model.embed_tokens.weight"][:-3], base["model.embed_tokens.weight"][:-3])


def test_adapters_resume_exactly(tmp_path):
    """Dropout in the adapters, killed in the middle: the same bytes as undisturbed."""
    for name in ("undisturbed", "killed"):
        (tmp_path / name).mkdir()
        with contextlib.chdir(tmp_path / name):
            study_of({"dropout": 0.2})
    assert attempt(tmp_path / "undisturbed") == 0
    killed = tmp_path / "killed"
    assert attempt(killed, Moment("growthpace.training.run:History.add", count=8)) == KILLED
    assert attempt(killed) == 0
    assert starts(killed) == [0, 5]
    assert outcome(killed) == outcome(tmp_path / "undisturbed")


ZERO = [pytest.param(name, marks=pytest.mark.slurm) for name in ("zero2", "zero3")]  # DeepSpeed is slow to start


@pytest.mark.parametrize("distribution", ["ddp", *ZERO])
def test_the_split_changes_nothing(distribution, tmp_path):
    """zero3 with the other format: peft divides trained rows (those of the paper's tokens) among GPUs only."""
    recipe = {"max_length": 20, "microbatch_tokens": 20, "epochs": 2}
    form = "chat_template" if distribution == "zero3" else "paper"
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        folder.mkdir()
        with contextlib.chdir(folder):
            study_of({}, processes, recipe | ({"distribution": distribution} if processes > 1 else {}), form)
        assert attempt_ranks(folder, processes) == [0] * processes
    one, two = (load_file(tmp_path / n / STUDY / "epoch-2/adapter_model.safetensors") for n in "12")
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-4, atol=1e-5, msg=name)
    for a, b in zip(history(tmp_path / "1"), history(tmp_path / "2"), strict=True):
        assert b["loss"] == pytest.approx(a["loss"], rel=1e-5)


def test_tied_embeddings_share_the_new_rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study, paths = study_of({}, tie_word_embeddings=True)
    found = train(study, RUN, paths, silent)
    assert found["loss"][-1] < found["loss"][0]
    model = load_checkpoint(paths.weights(RUN, 1), paths.model("small"), study.models["small"], "fp32")
    assert torch.equal(model.get_input_embeddings().weight, model.get_output_embeddings().weight)


def test_half_precision_freezes_half_weights_and_learns_in_full(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study, paths = study_of({}, recipe={"precision": "bf16"})
    train(study, RUN, paths, silent)  # which checks that what is trained is fp32
    weights = load_file(paths.weights(RUN, 1) / "adapter_model.safetensors")
    assert {weight.dtype for weight in weights.values()} == {torch.float32}
    model = load_checkpoint(paths.weights(RUN, 1), paths.model("small"), study.models["small"], "bf16")
    assert model.dtype == torch.bfloat16


def test_targets_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study, paths = study_of({"targets": ["q_proj", "query"]})
    with pytest.raises(
        InputError, match=r"models.small.lora.targets: query: no such matrix in LlamaForCausalLM \(allow"
    ):
        train(study, RUN, paths, silent)


def test_a_merged_copy_is_no_other_run():
    settings = []
    for merged in (False, True):
        models = {"small": {"folder": Path("base"), "method": "lora", "lora": LORA | {"merged": merged}}}
        settings.append(Grid(tiny.describe_study(Path("base"), models=models)).run_settings(RUN))
    assert settings[0] == settings[1]
    full = Grid(tiny.describe_study(Path("base")))
    added = settings[0].keys() - full.run_settings(RUN).keys()
    assert added == {"lora_rank", "lora_alpha", "lora_targets", "lora_dropout"}
    adapted = Grid(tiny.describe_study(Path("base"), models=models))
    assert adapted.model_settings("small") == full.model_settings("small")


def test_four_bits_learn_and_answer(tmp_path, monkeypatch):
    """Adapters beside weights in four bits; what answers is what was trained, not merged and rounded again."""
    monkeypatch.chdir(tmp_path)
    models = {"small": {"folder": Path("base"), "method": "qlora", "lora": LORA}}
    wide = {"attention_dropout": 0.0, "hidden_size": 64, "intermediate_size": 128}
    study, paths = tiny.make_study(None, wide, models=models)
    found = train(study, RUN, paths, silent)
    assert found["loss"][-1] < found["loss"][0]
    assert "bitsandbytes" in found["versions"]
    engine = Engine(
        paths.weights(RUN, 3), "paper", 1, base=paths.model("small"), settings=study.models["small"], precision="fp32"
    )
    assert type(engine.model.get_base_model().model.layers[0].mlp.up_proj.base_layer).__name__ == "Linear4bit"
    items = tiny.make_items(4)
    untuned = Engine(paths.model("small"), "paper", 1)
    answers = [engine.encoder.answer(item.messages[-1].content) for item in items]
    questions = [
        Question(engine.encoder.prompt(item.messages[:-1]), ([*answer, engine.encoder.end_of_turn],))
        for item, answer in zip(items, answers, strict=True)
    ]
    for tuned, before in zip(engine.score(questions), untuned.score(questions), strict=True):
        assert tuned[0] > before[0], "an item that was learned is likelier than before"
