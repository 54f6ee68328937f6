"""Base models made ready: the format's tokens with neutral rows, weights from safetensors only, done once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

import tiny
from growthpace.conversation import PAPER_TOKENS
from growthpace.errors import InputError
from growthpace.files import read_json
from growthpace.models import base as base_models
from growthpace.models.base import make_ready, weights_hash

EMBEDDINGS = ("model.embed_tokens.weight", "lm_head.weight")


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def ready(study=None, **changes):
    """Makes the model in `base` ready in `ready`: what base.json says, the model, the tokenizer, what was reported."""
    lines = []
    described = make_ready(study or tiny.describe_study(Path("base"), **changes), "small", Path("ready"), lines.append)
    model = AutoModelForCausalLM.from_pretrained("ready", dtype="auto")
    return described, model, AutoTokenizer.from_pretrained("ready"), lines


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("tied", [False, True])
def test_new_rows_are_the_mean_of_the_old(tied, dtype):
    tiny.save_model(Path("base"), extra=(), tie_word_embeddings=tied, dtype=dtype)
    before = AutoModelForCausalLM.from_pretrained("base", dtype="auto").state_dict()
    described, model, tokenizer, _ = ready()
    after = model.state_dict()
    assert tokenizer.convert_tokens_to_ids(list(PAPER_TOKENS)) == [43, 44, 45]
    assert tokenizer("w1 <eot>", add_special_tokens=False)["input_ids"] == [4, 45]
    assert model.config.vocab_size == 46
    assert model.dtype == dtype
    for name, weights in before.items():
        if name not in EMBEDDINGS:
            assert torch.equal(after[name], weights), name
            continue
        assert torch.equal(after[name][:43], weights), "known rows stay"
        mean = weights.float().mean(dim=0)
        for row in after[name][43:]:
            torch.testing.assert_close(row.float(), mean, rtol=0, atol=1e-6 if dtype == torch.float32 else 5e-3)
    assert (model.get_input_embeddings().weight is model.get_output_embeddings().weight) == tied
    assert ("lm_head.weight" in load_file("ready/model.safetensors")) == (not tied)
    assert described["parameters"] == sum(parameter.numel() for parameter in model.parameters())


def test_spare_rows_were_never_trained():
    """Many published models have more rows than tokens; the new tokens get the mean there too, of the used rows."""
    tokenizer = tiny.make_tokenizer(())
    model = tiny.make_model(tokenizer)
    model.resize_token_embeddings(64, mean_resizing=False)
    model.save_pretrained("base")
    tokenizer.save_pretrained("base")
    before = load_file("base/model.safetensors")
    _, made, tokenizer, _ = ready()
    assert made.config.vocab_size == 64
    for name in EMBEDDINGS:
        mean = before[name][:43].mean(dim=0)
        torch.testing.assert_close(made.state_dict()[name][43:46], mean.expand(3, -1))
        assert torch.equal(made.state_dict()[name][46:], before[name][46:])


def test_tokens_that_are_there_are_not_added_again():
    tiny.save_model(Path("base"))
    digest = weights_hash(Path("base"))
    described, model, tokenizer, lines = ready()
    assert len(tokenizer) == model.config.vocab_size == 46
    assert described["weights_sha256"] == digest
    assert not any("adding" in line for line in lines)


def test_only_what_is_missing_is_added():
    tiny.save_model(Path("base"), extra=("<tool>", "<eot>"))
    before = load_file("base/model.safetensors")
    _, model, tokenizer, lines = ready()
    assert tokenizer.convert_tokens_to_ids(["<tool>", "<eot>", "<user>", "<assistant>"]) == [43, 44, 45, 46]
    assert torch.equal(model.state_dict()[EMBEDDINGS[0]][:45], before[EMBEDDINGS[0]])
    assert "<tool>" in tokenizer.all_special_tokens, "what was special stays so"
    assert any(line.startswith("adding <user>, <assistant> to") for line in lines)


def test_a_chat_template_leaves_the_vocabulary_alone():
    tokenizer = tiny.make_tokenizer((), chat_template=tiny.CHAT_TEMPLATE)
    tiny.make_model(tokenizer).save_pretrained("base")
    tokenizer.save_pretrained("base")
    digest = weights_hash(Path("base"))
    described, model, made, _ = ready(format="chat_template")
    assert described["weights_sha256"] == digest
    assert len(made) == model.config.vocab_size == 43
    assert made.get_vocab() == tokenizer.get_vocab()
    assert made.chat_template == tiny.CHAT_TEMPLATE


def test_pickled_weights_are_refused():
    tiny.save_model(Path("base"))
    torch.save(load_file("base/model.safetensors"), "base/pytorch_model.bin")
    Path("base/model.safetensors").unlink()
    with pytest.raises(InputError, match=r"base has no \*.safetensors weights \(pickled weights are refused"):
        ready()
    assert not Path("ready").exists()


def test_a_folder_that_is_not_there():
    with pytest.raises(InputError, match="models: base: no such folder"):
        ready()


def test_what_base_json_says():
    tiny.save_model(Path("base"), extra=())
    described, model, _, _ = ready()
    assert read_json("ready/base.json") == described
    assert described == {
        "model": "small",
        "origin": "base",
        "revision": None,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "weights_sha256": weights_hash(Path("ready")),
    }


def test_the_second_call_verifies_and_does_nothing(monkeypatch):
    tiny.save_model(Path("base"), extra=())
    described, *_ = ready()
    Path("ready/base.json").unlink()  # as Snakemake does at the start of every attempt
    stamp = Path("ready/model.safetensors").stat().st_mtime_ns
    monkeypatch.setattr(base_models, "_prepare", None)
    again, _, _, lines = ready()
    assert again == described == read_json("ready/base.json")
    assert lines == ["small: already made ready, weights verified"]
    assert Path("ready/model.safetensors").stat().st_mtime_ns == stamp


def test_damaged_weights_are_made_again():
    tiny.save_model(Path("base"), extra=())
    described, *_ = ready()
    weights = Path("ready/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    assert weights_hash(Path("ready")) != described["weights_sha256"]
    again, *_ = ready()
    assert again == described
    assert weights_hash(Path("ready")) == described["weights_sha256"]


def test_a_changed_format_is_made_again():
    tokenizer = tiny.make_tokenizer((), chat_template=tiny.CHAT_TEMPLATE)
    tiny.make_model(tokenizer).save_pretrained("base")
    tokenizer.save_pretrained("base")
    assert ready(format="chat_template")[1].config.vocab_size == 43
    assert ready()[1].config.vocab_size == 46


def test_a_model_made_from_scratch(monkeypatch):
    """It is written, read, widened and written over again in one folder: no row may get lost on the way."""
    Path("corpus.txt").write_text("w1 w2 w3\nw2 w3 w1\n" * 20, encoding="utf-8")
    settings = {
        "corpus": ["corpus.txt"], "tokenizer": "words", "vocabulary_size": 16, "hidden_size": 16,
        "intermediate_size": 16, "layers": 1, "heads": 2, "key_value_heads": 1, "context": 16, "tie_embeddings": True,
        "pretraining": {"steps": 3, "batch_size": 4, "learning_rate": 1e-2, "seed": 0},
    }  # fmt: skip
    made = {}
    prepare = base_models._prepare

    def keep(origin, *arguments):
        made.update({name: tensor.clone() for name, tensor in load_file(origin / "model.safetensors").items()})
        return prepare(origin, *arguments)

    monkeypatch.setattr(base_models, "_prepare", keep)
    study = tiny.describe_study(Path("base"), models={"small": {"initialise": settings}})
    described, model, tokenizer, _ = ready(study)
    assert described["origin"] == "made from scratch"
    assert described["pretraining"]["tokens"] > 0
    assert len(tokenizer) == model.config.vocab_size == 9
    for name, tensor in made.items():
        assert torch.equal(model.state_dict()[name][: len(tensor)], tensor), name
    digest = described["weights_sha256"]
    Path("ready/ready.json").unlink()
    assert ready(study)[0]["weights_sha256"] == digest, "the same seed, the same bytes"
