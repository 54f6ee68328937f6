"""One training from dataset to checkpoints: what it computes, what it writes, and when it is done again."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

import tiny
from growthpace.conversation import Encoder
from growthpace.errors import InputError
from growthpace.files import read_json, write_json
from growthpace.grid import Grid
from growthpace.interruptible import Busy, StateFolder
from growthpace.models.base import weights_hash
from growthpace.training import run as training
from growthpace.training import trainer
from growthpace.training.batches import Steps, encode_items
from growthpace.training.run import needed_epochs, train
from growthpace.training.schedule import linear
from tiny import RUN, silent

EPOCHS, STEPS = 3, 15


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def watched(monkeypatch):
    """Before each step of the optimiser: the optimiser, its learning rate, all gradients after clipping, the model."""
    seen = []

    def look(self, args, state, control, model=None, optimizer=None, **kwargs):
        gradients = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
        seen.append((optimizer, {group["lr"] for group in optimizer.param_groups}, gradients, model))

    monkeypatch.setattr(trainer.Keeper, "on_pre_optimizer_step", look, raising=False)
    return seen


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which the tiny study has been trained, with the study, its paths and what `train` returned."""
    folder = tmp_path_factory.mktemp("trained")
    with contextlib.chdir(folder):
        study, paths = tiny.make_study()
        found = train(study, RUN, paths, silent)
    return folder, study, paths, found


@pytest.fixture
def copied(trained, here):
    """A copy of the trained study in the working directory."""
    folder, study, paths, found = trained
    shutil.copytree(folder, here, dirs_exist_ok=True)
    return study, paths, found


def hashes(found) -> list[str]:
    return [epoch["weights_sha256"] for epoch in found["epochs"]]


def no_training(monkeypatch):
    """From here on a step of training is a failure."""

    def step(self, *arguments):
        raise AssertionError("a step was trained")

    monkeypatch.setattr(trainer.PackedTrainer, "training_step", step)


# --- what is written ---


def test_what_is_written(copied):
    study, paths, found = copied
    assert read_json(paths.training(RUN)) == found
    assert [epoch["epoch"] for epoch in found["epochs"]] == [1, 2, 3]
    assert len(set(hashes(found))) == EPOCHS
    for epoch in found["epochs"]:
        assert read_json(paths.marker(RUN, epoch["epoch"])) == epoch
        assert weights_hash(paths.run(RUN) / epoch["folder"]) == epoch["weights_sha256"]
    assert {path.name for path in paths.run(RUN).iterdir()} == {
        *(f"epoch-{epoch}{end}" for epoch in (1, 2, 3) for end in ("", ".json")), "training.json", "state", "state.lock"
    }  # fmt: skip
    assert not list((paths.run(RUN) / "state").glob("checkpoint-*")), "a finished run needs no resumable state"
    assert found["steps"] == len(found["loss"]) == len(found["learning_rate"]) == STEPS
    assert found["loss"][-1] < 0.8 * found["loss"][0]
    items = tiny.make_items(tiny.VOLUME)
    words = sum(len(message.content.split()) for item in items for message in item.messages)
    assert found["tokens"] == EPOCHS * (words + 4 * len(items))
    assert found["answer_tokens"] == EPOCHS * sum(len(item.messages[1].content.split()) + 1 for item in items)
    assert found["lengths"] == {"truncated": 0, "dropped": 0}
    assert found["tokens_per_second"] > 0
    assert found["settings"]["learning_rate"] == study.training.learning_rate


def test_checkpoints_are_plain_folders(copied):
    _, paths, _ = copied
    for epoch in (1, 2, 3):
        folder = paths.weights(RUN, epoch)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder)
        assert tokenizer.convert_tokens_to_ids("<eot>") == len(tokenizer) - 1 == model.config.vocab_size - 1
        assert model.dtype == torch.float32
        assert model.config.use_cache, "whoever loads it generates at full speed"
        assert model(torch.tensor([[3, 4]])).logits.isfinite().all()


def test_the_same_bytes_in_another_folder(trained, here):
    study, paths = tiny.make_study()
    again = train(study, RUN, paths, silent)
    assert hashes(again) == hashes(trained[3])
    assert again["loss"] == trained[3]["loss"]


# --- what is computed ---


def test_equals_a_plain_loop(here):
    """Against an independent loop: one example at a time, mean over the step's answer tokens, AdamW, clipping."""
    study, paths = tiny.make_study(model={"attention_dropout": 0.0})
    found = train(study, RUN, paths, silent)
    recipe = study.training
    model = AutoModelForCausalLM.from_pretrained(paths.model("small")).train()
    encoder = Encoder(AutoTokenizer.from_pretrained(paths.model("small")), "paper")
    examples, _ = encode_items(training.read_items(paths.dataset(RUN.dataset, 1)), encoder, 32, "refuse")
    order = Steps(examples, RUN.seed, EPOCHS, recipe.batch_size, 32)
    decayed = [p for name, p in model.named_parameters() if "norm" not in name]
    plain = [p for name, p in model.named_parameters() if "norm" in name]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}],
        betas=recipe.betas, eps=recipe.epsilon,
    )  # fmt: skip
    losses = []
    for step in range(STEPS):
        epoch, position = divmod(step, 5)
        chosen = [examples[index] for index in order.order(epoch)[position * 4 : position * 4 + 4]]
        answers = sum(sum(example.mask[1:]) for example in chosen)
        total = torch.zeros(())
        for example in chosen:
            logs = torch.log_softmax(model(torch.tensor([example.ids])).logits[0], dim=-1)
            for place, (token, learned) in enumerate(zip(example.ids, example.mask, strict=True)):
                if learned:
                    total = total - logs[place - 1, token]
        (total / answers).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.max_grad_norm)
        for group in optimizer.param_groups:
            group["lr"] = linear(step, STEPS, 1e-2, 1e-3, 2)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(total.detach() / answers))
    assert found["loss"] == pytest.approx(losses, rel=1e-3)
    assert found["loss"][:3] == pytest.approx(losses[:3], rel=1e-5)
    theirs = model.state_dict()
    for name, ours in load_file(paths.weights(RUN, EPOCHS) / "model.safetensors").items():
        assert (ours - theirs[name]).norm() < 5e-3 * theirs[name].norm(), name


def test_the_optimiser_lives_by_the_recipe(here, watched):
    """Read from the optimiser itself at every step, not from what was asked of it."""
    recipe = {"betas": (0.85, 0.97), "epsilon": 3e-7, "weight_decay": 0.07, "learning_rate_floor": 2e-3}
    study, paths = tiny.make_study(recipe, {"dtype": torch.bfloat16})
    found = train(study, RUN, paths, silent)
    rates = [linear(step, STEPS, 1e-2, 2e-3, 2) for step in range(STEPS)]
    assert [max(live) for _, live, _, _ in watched] == pytest.approx(rates, rel=1e-9)
    assert [min(live) for _, live, _, _ in watched] == pytest.approx(rates, rel=1e-9)
    assert found["learning_rate"] == pytest.approx(rates, rel=1e-9)
    assert max(watched[-1][1]) == pytest.approx(2e-3, rel=1e-9), "the floor is reached at the last step"
    optimizer, _, _, model = watched[-1]
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for group in optimizer.param_groups:
        assert tuple(group["betas"]) == (0.85, 0.97)
        assert group["eps"] == 3e-7
        norms = {"norm" in names[id(parameter)] for parameter in group["params"]}
        assert (group["weight_decay"], norms) in ((0.07, {False}), (0.0, {True}))
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(names)
    for state in optimizer.state.values():
        assert state["exp_avg"].dtype == state["exp_avg_sq"].dtype == torch.float32


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_master_weights_are_fp32(here, watched, precision):
    """Though the base checkpoint is bf16, and though the arithmetic may be."""
    tiny.save_model(Path("bf16"), dtype=torch.bfloat16, tie_word_embeddings=True)
    study, paths = tiny.make_study({"precision": precision})
    study = tiny.describe_study(Path("bf16"), {"precision": precision})
    shutil.rmtree(paths.model("small"))
    tiny.make_ready(study, "small", paths.model("small"), silent)
    assert read_json(paths.model("small") / "config.json")["dtype"] == "bfloat16"
    train(study, RUN, paths, silent)
    assert {parameter.dtype for _, _, _, model in watched for parameter in model.parameters()} == {torch.float32}
    assert {gradient.dtype for _, _, gradients, _ in watched for gradient in gradients.values()} == {torch.float32}
    saved = load_file(paths.weights(RUN, EPOCHS) / "model.safetensors")
    expected = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    assert {tensor.dtype for tensor in saved.values()} == {expected}
    assert "lm_head.weight" not in saved, "tied weights are written once"
    model = AutoModelForCausalLM.from_pretrained(paths.weights(RUN, EPOCHS), dtype="auto")
    assert model.dtype == expected, "loaded in the precision that it was written in"
    assert torch.equal(model.lm_head.weight, saved["model.embed_tokens.weight"])


def test_gradients_do_not_depend_on_rows(here, watched):
    """The loss is the mean over the step's answer tokens, in one row or in many."""
    found = {}
    for rows, tokens in (("many", 32), ("one", 4096)):
        Path(rows).mkdir()
        with contextlib.chdir(rows):
            study, paths = tiny.make_study({"microbatch_tokens": tokens, "epochs": 1}, {"attention_dropout": 0.0})
            found[rows] = train(study, RUN, paths, silent)
    assert found["many"]["loss"] == pytest.approx(found["one"]["loss"], rel=1e-4)
    many, one = watched[0][2], watched[5][2]
    whole = torch.stack([gradient.norm() for gradient in one.values()]).norm()
    for name, gradient in one.items():
        assert (many[name] - gradient).norm() <= 1e-5 * gradient.norm() + 1e-6 * whole, name


# --- what is done again, and what is not ---


def test_a_second_call_trains_nothing(copied, monkeypatch):
    study, paths, found = copied
    no_training(monkeypatch)
    paths.training(RUN).unlink()  # as Snakemake does at the start of every attempt
    for epoch in (1, 2, 3):
        paths.marker(RUN, epoch).unlink()
    assert train(study, RUN, paths, silent) == found
    assert read_json(paths.training(RUN)) == found
    assert all(paths.marker(RUN, epoch).exists() for epoch in (1, 2, 3))


def stamps(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_lost_weights_come_back_the_same(copied):
    study, paths, found = copied
    kept = {epoch: stamps(paths.weights(RUN, epoch)) for epoch in (1, 3)}
    shutil.rmtree(paths.weights(RUN, 2))
    again = train(study, RUN, paths, silent)
    assert weights_hash(paths.weights(RUN, 2)) == hashes(found)[1]
    assert {epoch: stamps(paths.weights(RUN, epoch)) for epoch in (1, 3)} == kept, "other epochs are left alone"
    assert {**again, "seconds_again": None} == {**found, "seconds_again": None}
    history = (paths.run(RUN) / "state" / "history.jsonl").read_text().splitlines()
    assert len(history) == 10, "training stopped after the epoch that was lost"


def test_damaged_weights_are_trained_again(copied):
    study, paths, found = copied
    weights = paths.weights(RUN, 1) / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    train(study, RUN, paths, silent)
    assert weights_hash(paths.weights(RUN, 1)) == hashes(found)[0]


def evaluated(study, paths, epochs, selected: bool) -> None:
    """Leaves files where the predictions of these epochs on `valid` lie, and of the selection (epoch 2) on `test`."""
    wanted = [paths.prediction(RUN, "valid", epoch) for epoch in epochs]
    if selected:
        write_json(paths.selected(RUN), {"epoch": 2})
        wanted.append(paths.prediction(RUN, "test", "selected"))
    for path in wanted:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_needed_epochs(here):
    study, paths = tiny.describe_study(Path("base"), keep_checkpoints="selected"), tiny.Paths("tiny")
    assert needed_epochs(study, RUN, paths, True) == [1, 2, 3]
    evaluated(study, paths, [1, 3], False)
    assert needed_epochs(study, RUN, paths, True) == [1, 2, 3], "the epoch to be selected may be any"
    write_json(paths.selected(RUN), {"epoch": 3})
    assert needed_epochs(study, RUN, paths, True) == [2, 3]
    evaluated(study, paths, [1, 2, 3], True)
    assert needed_epochs(study, RUN, paths, True) == []
    assert needed_epochs(study, RUN, paths, False) == [1, 2, 3], "predictions of other weights count for nothing"
    assert needed_epochs(tiny.describe_study(Path("base")), RUN, paths, True) == [1, 2, 3], "all are kept"


def test_weights_that_nothing_needs_stay_gone(copied, monkeypatch):
    study, paths, found = copied
    study = study.model_copy(update={"keep_checkpoints": "selected"})
    evaluated(study, paths, [1, 2, 3], True)
    shutil.rmtree(paths.weights(RUN, 1))
    no_training(monkeypatch)
    assert train(study, RUN, paths, silent) == found
    assert not paths.weights(RUN, 1).exists()


def test_a_changed_learning_rate_starts_anew(copied):
    """The old state is set aside, and predictions of the old weights do not pass for predictions of the new."""
    study, paths, found = copied
    evaluated(study, paths, [1, 2, 3], True)
    changed = tiny.describe_study(Path("base"), {"learning_rate": 5e-3}, keep_checkpoints="selected")
    lines = []
    again = train(changed, RUN, paths, lines.append)
    assert not any("resuming" in line for line in lines)
    assert again["settings"]["learning_rate"] == 5e-3
    assert [epoch["epoch"] for epoch in again["epochs"]] == [1, 2, 3]
    assert not set(hashes(again)) & set(hashes(found))
    for epoch in again["epochs"]:
        assert read_json(paths.marker(RUN, epoch["epoch"])) == epoch
        assert weights_hash(paths.weights(RUN, epoch["epoch"])) == epoch["weights_sha256"]
    assert read_json(paths.run(RUN) / "state.stale" / "finished.json") == found
    back = train(study, RUN, paths, silent)
    assert hashes(back) == hashes(found)


def test_what_must_not_change_the_result(copied):
    """How often a state is written, and recomputing activations, do not change the weights that training gives."""
    study, paths, found = copied
    shutil.rmtree(paths.run(RUN))
    study = tiny.describe_study(Path("base"), {"save_minutes": 1e-9})
    assert Grid(study).run_settings(RUN).keys() == found["settings"].keys() - {"base_weights", "dataset"}
    assert hashes(train(study, RUN, paths, silent)) == hashes(found)


# --- what goes wrong ---


def test_a_loss_that_is_not_finite_names_the_step(here):
    study, paths = tiny.make_study({"learning_rate": 1e30, "learning_rate_floor": 0.0})
    with pytest.raises(
        FloatingPointError, match=r"small/curated-18/seed-1: the loss is (nan|inf) at step [23] \(learning"
    ):
        train(study, RUN, paths, silent)
    assert not paths.training(RUN).exists()
    assert not list(paths.run(RUN).glob("epoch-*"))


def test_weights_that_are_not_finite_are_never_kept(here, monkeypatch):
    """The last step of an epoch has no next loss that would show it."""
    study, paths = tiny.make_study({"epochs": 1})

    def spoil(self, args, state, control, model=None, **kwargs):
        if state.global_step == 4:
            model.model.norm.weight.grad.fill_(float("nan"))

    monkeypatch.setattr(trainer.Keeper, "on_pre_optimizer_step", spoil, raising=False)
    with pytest.raises(
        FloatingPointError, match=rf"model.norm.weight is not finite after step 5 of {RUN}, the last of"
    ):
        train(study, RUN, paths, silent)
    assert not paths.weights(RUN, 1).exists()
    assert not paths.training(RUN).exists()
    monkeypatch.undo()


def test_a_second_trainer_is_busy(copied):
    study, paths, _ = copied
    with (
        StateFolder(paths.run(RUN) / "state", "whatever"),
        pytest.raises(Busy, match="in use by another job"),
    ):
        train(study, RUN, paths, silent)


def test_items_longer_than_the_context(here):
    study, paths = tiny.make_study({"max_length": tiny.CONTEXT + 1, "microbatch_tokens": 100})
    with pytest.raises(InputError, match=r"training.max_length: 65 is above the context of small \(64\)"):
        train(study, RUN, paths, silent)


def test_dropped_items_are_counted(here):
    study, paths = tiny.make_study({"max_length": 10, "overlong": "drop", "epochs": 1})
    found = train(study, RUN, paths, silent)
    assert found["lengths"]["dropped"] > 0
    assert found["items"] + found["lengths"]["dropped"] == tiny.VOLUME
