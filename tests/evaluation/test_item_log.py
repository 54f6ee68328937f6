"""What `growthpace answers` prints, of items answered in every way."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import tiny
from growthpace.conversation import PAPER_TOKENS
from growthpace.data.items import Message, write_items
from growthpace.errors import InputError
from growthpace.evaluation.grading import grade_file
from growthpace.evaluation.item_log import item_log
from growthpace.evaluation.predict import predict
from growthpace.grid import Run
from growthpace.study import UNTUNED
from tiny import silent

MODEL, SUITE = Run("small", UNTUNED, 0), "valid"
OPTIONS = {"scorer": "letter", "answer": "w5", "candidates": ("w5", "w6", "w7")}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = {"importer": "alpaca", "folder": ".", "files": "{ability}.json"}
    suite = {"items": files, "epochs": "all", "max_new_tokens": 4, "answers": "both"}
    study, paths = tiny.make_study(suites={"valid": suite, "test": {**suite, "epochs": "selected"}})
    shots = (Message("user", "w1"), Message("assistant", "w2"))
    choice = tiny.make_item("choice", "w8 w9", "w5", **OPTIONS, subject="maps")
    taught = replace(choice, id="taught", messages=(*shots, *choice.messages), shots=1)
    said = tiny.make_item("said", "w3", "w4", scorer="exact_match", answer="w4")
    write_items(paths.suite(SUITE), [choice, taught, said], {})
    return study, paths


def test_all_that_is_known_of_each_answer(here):
    study, paths = here
    with pytest.raises(InputError, match="no such predictions; growthpace status tells"):
        list(item_log(MODEL, SUITE, 0, paths))
    predict(study, MODEL, SUITE, 0, paths, silent)
    choice, taught, said = item_log(MODEL, SUITE, 0, paths)
    assert (choice["grade"], choice["parsed"]) == (None, None), "not graded yet"
    grade_file(paths.suite(SUITE), paths.prediction(MODEL, SUITE, 0), paths.grades(MODEL, SUITE, 0), {})
    choice, taught, said = item_log(MODEL, SUITE, 0, paths)
    assert (choice["subject"], choice["question"], choice["shots"], taught["shots"]) == ("maps", "w8 w9", 0, 1)
    logprobs = {c["text"]: c["logprob"] for c in choice["candidates"]}
    assert choice["parsed"] == max(logprobs, key=logprobs.get)
    assert [(c["tokens"], c["bytes"]) for c in choice["candidates"]] == [(1, 2)] * 3
    assert choice["text"] is not None, "answers: both"
    assert choice["text_grade"] in (0.0, 1.0)
    assert said["text_grade"] is None, "its grade is of the text"
    assert said["grade"] == float(said["text"].strip() == "w4")
    assert said["candidates"] == []
    assert choice["prompt_hash"] != taught["prompt_hash"]
    assert taught["prompt_tokens"] > choice["prompt_tokens"]
    assert all(0 < one["seconds"] < 60 for one in (choice, taught, said))


def test_a_suite_that_changed(here):
    study, paths = here
    predict(study, MODEL, SUITE, 0, paths, silent)
    write_items(paths.suite(SUITE), [tiny.make_item("new", "w3", "w4", scorer="exact_match", answer="w4")], {})
    with pytest.raises(InputError, match="no prediction of the item 'new'; the suite has changed"):
        list(item_log(MODEL, SUITE, 0, paths))


@pytest.mark.parametrize("how", ["logprob", "text", "both"])
def test_items_with_options_are_answered_as_the_suite_says(here, how):
    from growthpace.evaluation.answering import answers
    from growthpace.evaluation.engine import Engine

    _, paths = here
    engine = Engine(paths.model("small"), "paper", threads=1)
    item = tiny.make_item("choice", "w8 w9", "w5", **OPTIONS)
    ((found,),) = answers(engine, [item], 4, how)
    assert (found.text is None) == (how == "logprob")
    assert (found.logprobs == ()) == (how == "text")
    ((other,),) = answers(engine, [item], 4, "both")
    if how == "text":
        assert found.text == other.text
    else:
        assert found.logprobs == pytest.approx(other.logprobs, abs=1e-5)


def test_turns_that_nobody_wrote_are_the_models(here):
    """Of a conversation with open turns the model answers each, seeing what it said before."""
    from growthpace.evaluation.answering import answers
    from growthpace.evaluation.engine import Engine
    from growthpace.evaluation.scorers import SCORERS

    _, paths = here
    engine = Engine(paths.model("small"), "paper", threads=1)
    messages = (Message("user", "w1 w2"), Message("assistant", ""), Message("user", "w3"), Message("assistant", ""))
    item = replace(tiny.make_item("open", "", ""), messages=messages, scorer="exact_match", answer="w1")
    assert "exact_match" in SCORERS
    one = tiny.make_item("one", "w1 w2", "w1", scorer="exact_match", answer="w1")
    found = {p.item_id: p for batch in answers(engine, [item, one], 4) for p in batch}
    assert found["open"].earlier == (found["one"].text,)
    written = replace(item, messages=(messages[0], Message("assistant", found["one"].text), *messages[2:]))
    ((again,),) = answers(engine, [written], 4)
    assert (again.text, again.earlier) == (found["open"].text, ())


def test_the_last_step_of_a_suite_that_is_graded_as_the_papers_code_did(tmp_path):
    """It is what a plain forward pass over the prompt and the answer says of the tokens A to D."""
    from growthpace.evaluation.answering import answers
    from growthpace.evaluation.engine import Engine

    letters = list("ABCD")
    folder = tiny.save_model(tmp_path / "model", extra=[*PAPER_TOKENS, *letters])
    engine = Engine(folder, "paper", threads=1)
    ids = engine.tokenizer.convert_tokens_to_ids(letters)
    settings = {"scorer": "letter", "answer": "A", "candidates": ("A", "B", "C", "D")}
    items = [tiny.make_item(f"item-{n}", " ".join(tiny.WORDS[n : n + 1 + n % 7]), "A", **settings) for n in range(20)]
    ways = {"how": "text", "paper_compatible": True}
    found = {one.item_id: one for batch in answers(engine, items, 3, **ways) for one in batch}
    assert {one.finished for one in found.values()} >= {False}
    for item in items:
        one = found[item.id]
        prompt = engine.encoder.prompt(item.messages[:-1])
        ((said, ended),) = engine.generate([prompt], 3)
        context = [*prompt, *(said if ended else said[:-1])]
        with torch.inference_mode():
            logits = engine.model(torch.tensor([context])).logits[0, -1]
        assert one.last_step == pytest.approx(torch.log_softmax(logits, -1)[ids].tolist(), abs=1e-4)
    with pytest.raises(InputError, match="the tokenizer has no tokens A, B, C and D"):
        list(answers(Engine(tiny.save_model(tmp_path / "other"), "paper", threads=1), items, 3, **ways))
