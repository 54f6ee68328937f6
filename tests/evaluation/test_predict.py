"""Predictions of a checkpoint: every item answered as its scorer needs it, prompts cut at the front alone."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from transformers import AutoModelForCausalLM

import tiny
from growthpace.conversation import Encoder
from growthpace.data.items import Message, write_items
from growthpace.errors import InputError
from growthpace.evaluation.answering import answers, fitted
from growthpace.evaluation.engine import Engine
from growthpace.evaluation.predict import predict
from growthpace.evaluation.predictions import read_predictions
from growthpace.files import fingerprint, read_json, read_metadata, write_json
from growthpace.grid import SELECTED, Run
from growthpace.models.base import weights_hash
from growthpace.study import UNTUNED
from growthpace.training.run import train
from tiny import RUN, silent


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny.save_model(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def engine(checkpoint):
    return Engine(checkpoint, "paper", threads=1)


@pytest.fixture(scope="module")
def encoder():
    return Encoder(tiny.make_tokenizer(), "paper")


def choice(identity: str, scorer: str, candidates: tuple[str, ...], **settings):
    return tiny.make_item(
        identity, "w1 w2 w3", candidates[0], scorer=scorer, answer=candidates[0], candidates=candidates, **settings
    )


def said(identity: str, question: str):
    return tiny.make_item(identity, question, "w9", scorer="exact_match", answer="w9")


SUITE = [
    said("said-1", "w4"),
    choice("letter-1", "letter", ("w5", "w6", "w7", "w8")),
    choice("text-1", "perplexity", ("w5 w6 w7", "w5", "w8 w9 w10 w11")),
    said("said-2", "w4 w5 w6 w7"),
    choice("truth-1", "true_false", ("w5", "w6")),
]


def answer(engine, items, max_new_tokens):
    """Predictions of the items, in their order."""
    found = {found.item_id: found for batch in answers(engine, items, max_new_tokens) for found in batch}
    return [found[item.id] for item in items]


def summed(model, prompt, candidate) -> float:
    with torch.inference_mode():
        logs = torch.log_softmax(model(torch.tensor([[*prompt, *candidate]])).logits[0], dim=-1)
    return sum(float(logs[len(prompt) + place - 1, token]) for place, token in enumerate(candidate))


def test_every_item_is_answered(engine, encoder, checkpoint):
    found = answer(engine, SUITE, 4)
    assert [prediction.item_id for prediction in found] == [item.id for item in SUITE]
    model = AutoModelForCausalLM.from_pretrained(checkpoint).eval()
    for item, prediction in zip(SUITE, found, strict=True):
        prompt = encoder.prompt(item.messages[:-1])
        assert prediction.prompt_tokens == len(prompt)
        assert prediction.prompt_hash == fingerprint(prompt)
        assert prediction.cut_tokens == 0
        if item.candidates:
            end = [encoder.end_of_turn] if item.scorer == "perplexity" else []
            candidates = [[*encoder.answer(text), *end] for text in item.candidates]
            assert prediction.tokens == tuple(map(len, candidates))
            assert prediction.logprobs == pytest.approx([summed(model, prompt, c) for c in candidates], abs=1e-4)
            assert (prediction.text, prediction.finished, prediction.generated_tokens) == (None, None, 0)
        else:
            assert (prediction.logprobs, prediction.tokens) == ((), ())
            assert len(prediction.text.split()) <= prediction.generated_tokens <= 4
            assert prediction.finished in (True, False)


def test_candidates_end_as_in_training(encoder):
    """Ids of an answer are those that training learns for it (invariant 2)."""
    item = SUITE[2]
    learned = encoder.encode(item.messages)
    prompt = encoder.prompt(item.messages[:-1])
    assert [*prompt, *encoder.answer(item.candidates[0]), encoder.end_of_turn] == list(learned.ids)


@pytest.mark.parametrize("kind", ["candidates", "generation"])
def test_each_kind_alone(engine, kind):
    items = [item for item in SUITE if bool(item.candidates) == (kind == "candidates")]
    assert [prediction.item_id for prediction in answer(engine, items, 2)] == [item.id for item in items]
    assert answer(engine, [], 2) == []


def test_items_that_cannot_be_answered(engine):
    with pytest.raises(InputError, match=r"item 'free' \(tiny:free\) cannot be scored \(scorer 'none'\)"):
        answer(engine, [tiny.make_item("free", "w1", "w2")], 4)
    with pytest.raises(InputError, match=r"item 'blank' \(tiny:blank\): a candidate has no tokens"):
        answer(engine, [choice("blank", "letter", ("w1", " "))], 4)
    with pytest.raises(InputError, match=r"item 'said-1' .* its answer alone does not fit the model's context"):
        answer(engine, [said("said-1", "w1")], tiny.CONTEXT)


@pytest.mark.parametrize("item", [SUITE[0], SUITE[1]], ids=["generated", "scored"])
def test_nan_names_the_item(tmp_path, item):
    tokenizer = tiny.make_tokenizer()
    model = tiny.make_model(tokenizer)
    with torch.no_grad():
        model.model.norm.weight.fill_(float("nan"))
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(FloatingPointError, match=f"item '{item.id}'"):
        answer(Engine(tmp_path, "paper", threads=1), [item], 4)


# --- prompts that are too long ---


def turns(*contents: str, system: str = ""):
    """An item of several turns; the last content is the answer."""
    messages = [Message(("user", "assistant")[place % 2], text) for place, text in enumerate(contents)]
    first = [Message("system", system)] if system else []
    return replace(tiny.make_item("turns", "", ""), messages=(*first, *messages))


def cut(encoder, item, room: int):
    """The prompt within so many tokens, and how many were cut."""
    found = fitted(encoder, item, item.messages[:-1], room)
    return found.prompt, found.cut


def test_whole_turns_are_cut_first(encoder):
    """A turn of n words has n + 2 tokens, the cue one more."""
    item = turns("w1 w2", "w3", "w4", "w5 w6", "w7 w8", "w9")
    whole = encoder.prompt(item.messages[:-1])
    assert len(whole) == 4 + 3 + 3 + 4 + 4 + 1
    without_one = encoder.prompt(item.messages[2:-1])
    without_two = encoder.prompt(item.messages[4:-1])
    assert cut(encoder, item, 19) == (whole, 0)
    assert cut(encoder, item, 18) == (without_one, 7)
    assert cut(encoder, item, 12) == (without_one, 7)
    assert cut(encoder, item, 11) == (without_two, 14)
    assert cut(encoder, item, 5) == (without_two, 14)
    for room in (4, 1):  # the last question itself is cut, at its front; the cue for the answer stays
        assert cut(encoder, item, room) == (without_two[-room:], 19 - room)
    with pytest.raises(InputError, match=r"'turns' .* its answer alone does not fit"):
        cut(encoder, item, 0)


def test_the_system_message_is_cut_last(encoder):
    item = turns("w1", "w2", "w3", "w4", system="w5 w6")
    system = item.messages[:1]
    assert cut(encoder, item, 12) == (encoder.prompt(item.messages[:-1]), 0)
    assert cut(encoder, item, 11) == (encoder.prompt([*system, *item.messages[3:-1]]), 6)
    assert cut(encoder, item, 6) == (encoder.prompt([*system, *item.messages[3:-1]]), 6)
    assert cut(encoder, item, 5) == (encoder.prompt(item.messages[3:-1]), 8)


def test_worked_examples_that_do_not_fit_are_left_out_whole(encoder):
    item = replace(turns("w1 w2", "w3", "w4", "w5 w6", "w7 w8", "w9"), shots=2)
    found = [fitted(encoder, item, item.messages[:-1], room) for room in (19, 18, 12, 11, 4)]
    assert [one.shots for one in found] == [2, 1, 1, 0, 0]
    assert [len(one.prompt) for one in found] == [19, 12, 12, 5, 4]


def test_the_answer_is_never_cut(engine, encoder):
    """The longest candidate fits behind the prompt, to the last token; so does the longest generated answer."""
    long = " ".join(tiny.WORDS[:30])
    shots = turns(long, "w1", long, "w2")
    texts = ("w1 w2 w3 w4", "w5")
    scored = replace(shots, scorer="perplexity", answer=texts[0], candidates=texts)
    (found,) = answer(engine, [scored], 4)
    assert found.prompt_tokens == 33
    assert found.cut_tokens == 32 + 3
    assert found.tokens == (5, 2)
    single = replace(scored, messages=(Message("user", " ".join(tiny.WORDS * 3)), scored.messages[-1]))
    (found,) = answer(engine, [single], 4)
    assert found.prompt_tokens == tiny.CONTEXT - 4, "its last token predicts nothing, so it needs no place"
    assert found.cut_tokens == 123 - found.prompt_tokens
    assert all(math.isfinite(logprob) for logprob in found.logprobs)
    (found,) = answer(engine, [replace(single, scorer="exact_match", answer="w1", candidates=())], 7)
    assert found.prompt_tokens == tiny.CONTEXT - 7


# --- a whole prediction ---


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with the tiny study, trained for one epoch, and its suites."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        study, paths = tiny.make_study({"epochs": 1})
        train(study, RUN, paths, silent)
        for suite in ("valid", "test"):
            write_items(paths.suite(suite), SUITE, {})
    return folder, study, paths


@pytest.fixture
def copied(trained, tmp_path, monkeypatch):
    folder, study, paths = trained
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return study, paths


def test_a_prediction_file(copied):
    study, paths = copied
    predict(study, RUN, "valid", 1, paths, silent)
    path = paths.prediction(RUN, "valid", 1)
    expected = answer(Engine(paths.weights(RUN, 1), "paper", 1), SUITE, 4)
    assert read_predictions(path) == expected
    metadata = read_metadata(path)
    assert metadata["weights_sha256"] == weights_hash(paths.weights(RUN, 1))
    assert (metadata["run"], metadata["suite"], metadata["epoch"]) == (str(RUN), "valid", 1)
    assert pq.read_schema(path).names[0] == "item_id"
    content = path.read_bytes()
    predict(study, RUN, "valid", 1, paths, silent)
    assert path.read_bytes() == content, "repeating it replaces the file by the same bytes"


def test_the_selected_epoch(copied):
    study, paths = copied
    with pytest.raises(InputError, match=r"no epoch has been selected"):
        predict(study, RUN, "test", SELECTED, paths, silent)
    write_json(paths.selected(RUN), {"epoch": 1})
    predict(study, RUN, "test", SELECTED, paths, silent)
    assert read_metadata(paths.prediction(RUN, "test", SELECTED))["epoch"] == 1


def test_the_untuned_model(copied):
    study, paths = copied
    run = Run("small", UNTUNED, 0)
    predict(study, run, "valid", 0, paths, silent)
    metadata = read_metadata(paths.prediction(run, "valid", 0))
    assert metadata["weights_sha256"] == read_json(paths.model("small") / "base.json")["weights_sha256"]
    tuned = answer(Engine(paths.weights(RUN, 1), "paper", 1), SUITE, 4)
    assert read_predictions(paths.prediction(run, "valid", 0)) != tuned


def test_weights_that_are_gone(copied):
    """The next plan trains the run again, since its marker goes too."""
    study, paths = copied
    shutil.rmtree(paths.weights(RUN, 1))
    with pytest.raises(InputError, match="the weights of epoch 1 are gone"):
        predict(study, RUN, "valid", 1, paths, silent)
    assert not paths.marker(RUN, 1).exists()
    assert not paths.prediction(RUN, "valid", 1).exists()


def test_other_weights_than_were_trained(copied):
    study, paths = copied
    shutil.copy(Path("base/model.safetensors"), paths.weights(RUN, 1) / "model.safetensors")
    with pytest.raises(InputError, match=r"holds other weights than were trained \(hash \w{8}, listed \w{8}\)"):
        predict(study, RUN, "valid", 1, paths, silent)
    assert not paths.prediction(RUN, "valid", 1).exists()
