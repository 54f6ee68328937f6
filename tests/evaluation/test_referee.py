"""Log-probabilities and accuracies beside lm-evaluation-harness's, on the same tiny model."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from transformers import AutoModelForCausalLM

import tiny
from growthpace.evaluation.answering import answers
from growthpace.evaluation.engine import Engine
from growthpace.evaluation.grading import grade_predictions
from growthpace.evaluation.referee import export_suite

lm_eval = pytest.importorskip("lm_eval", reason="the extra `referee` is not installed")
NEW_TOKENS = 6


def some_items() -> list:
    """Items of every way of scoring that the harness can do."""
    chance, items = random.Random(3), []

    def words(number: int) -> str:
        return " ".join(chance.sample(tiny.WORDS, number))

    for number in range(24):
        asked = words(chance.randint(1, 12))
        options = tuple(chance.sample(tiny.WORDS, 4))
        texts = tuple(words(chance.randint(1, 5)) for _ in range(3))
        for scorer, candidates in (("letter", options), ("true_false", options[:2]), ("perplexity", texts)):
            right = candidates[0] if scorer == "perplexity" else chance.choice(candidates)
            item = tiny.make_item(
                f"{scorer}-{number}", asked, right, scorer=scorer, answer=right, candidates=candidates
            )
            items.append(replace(item, ability=("history", "ethics")[number % 2]))
        reply = words(1)
        items.append(tiny.make_item(f"said-{number}", asked, reply, scorer="exact_match", answer=reply))
    return items


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """{task: samples of the harness}, its results, and our predictions and grades by item."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    folder = tmp_path_factory.mktemp("referee")
    model = tiny.save_model(folder / "model")
    engine = Engine(model, "paper", threads=1)
    items = some_items()
    # Some right answers among the generated ones: what the model says of every third item is its reference.
    said = {one.item_id: one for batch in answers(engine, items, NEW_TOKENS) for one in batch}
    items = [
        replace(item, answer=said[item.id].text.strip() or "w1")
        if item.scorer == "exact_match" and place % 3 == 0
        else item
        for place, item in enumerate(items)
    ]
    counts = export_suite(items, engine.encoder, engine.context, NEW_TOKENS, "growthpace_test", folder / "tasks")
    assert counts == {"exported": len(items)}
    harness = HFLM(
        pretrained=AutoModelForCausalLM.from_pretrained(model), tokenizer=engine.tokenizer, softmax_dtype="float32",
        batch_size=7,
    )  # fmt: skip
    found = simple_evaluate(
        model=harness, tasks=["growthpace_test"], log_samples=True, bootstrap_iters=0,
        task_manager=TaskManager(include_path=str(folder / "tasks"), include_defaults=False),
    )  # fmt: skip
    predictions = [one for batch in answers(engine, items, NEW_TOKENS) for one in batch]
    grades = {row["item_id"]: row for row in grade_predictions(items, predictions).to_pylist()}
    return found, {one.item_id: one for one in predictions}, grades, harness


def test_log_probabilities_are_the_referees(compared):
    found, predictions, _, harness = compared
    worst = checked = 0
    for task, samples in found["samples"].items():
        for sample in samples:
            document = sample["doc"]
            if "candidates" not in document:
                continue
            for number, text in enumerate(document["candidates"]):
                context, candidate = harness._encode_pair(document["prompt"], text)
                assert context == document["prompt_ids"], task
                assert candidate == document["candidate_ids"][number], task
                theirs = float(sample["filtered_resps"][number][0])
                worst = max(worst, abs(predictions[document["id"]].logprobs[number] - theirs))
                checked += 1
    assert checked == 24 * (4 + 2 + 3)
    assert worst < 1e-4


def test_accuracies_are_the_referees(compared):
    found, _, grades, _ = compared
    tasks = {task: result for task, result in found["results"].items() if task in found["samples"]}
    assert len(tasks) == 2 * 3 + 1
    for task, result in tasks.items():
        ours = [grades[sample["doc"]["id"]]["grade"] for sample in found["samples"][task]]
        assert result["acc,none"] == pytest.approx(sum(ours) / len(ours), abs=1e-12), task
        assert 0 < sum(ours) < len(ours), "some right, some wrong"


def test_texts_are_the_referees(compared):
    found, predictions, _, _ = compared
    samples = [s for samples in found["samples"].values() for s in samples if "item" in s["doc"]]
    assert len(samples) == 24
    for sample in samples:
        assert sample["filtered_resps"][0].split() == predictions[sample["doc"]["id"]].text.split()


def test_what_the_harness_cannot_do_is_said(tmp_path):
    encoder = Engine(tiny.save_model(tmp_path / "model"), "paper", threads=1).encoder
    long = tiny.make_item(
        "long", " ".join(tiny.WORDS) + " " + " ".join(tiny.WORDS), "w1", scorer="exact_match", answer="w1"
    )
    assert export_suite([long], encoder, 64, 4, "growthpace_test", tmp_path / "tasks") == {
        "too long for the context": 1
    }
