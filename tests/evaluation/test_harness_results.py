"""growthpace analyse on what lm-evaluation-harness itself writes, of tiny models."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
import yaml
from transformers import AutoModelForCausalLM

import tiny
from growthpace.analysis.elsewhere.score_map import load_map
from growthpace.analysis.elsewhere.stage import analysed
from growthpace.evaluation.engine import Engine
from growthpace.evaluation.referee import export_suite

lm_eval = pytest.importorskip("lm_eval", reason="the extra `referee` is not installed")
GROUP = "growthpace_test"
LETTER, SAID = f"{GROUP}_history_letter", f"{GROUP}_history_exact_match"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A folder of the harness's own results, with samples, of three models that differ in their weights."""
    from lm_eval import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    folder, chance, items = tmp_path_factory.mktemp("results"), random.Random(3), []
    model = tiny.save_model(folder / "model")
    engine = Engine(model, "paper", threads=1)
    for number in range(20):
        options = tuple(chance.sample(tiny.WORDS, 4))
        asked, right = " ".join(chance.sample(tiny.WORDS, 5)), chance.choice(options)
        made = {"scorer": "letter", "answer": right, "candidates": options}
        items.append(tiny.make_item(f"letter-{number}", asked, right, **made))
        items.append(tiny.make_item(f"said-{number}", asked, "w1", scorer="exact_match", answer="w1"))
    export_suite(items, engine.encoder, engine.context, 4, GROUP, folder / "tasks")
    for seed, volume in enumerate((0, 40, 160)):
        weights = AutoModelForCausalLM.from_pretrained(model)
        weights.load_state_dict(tiny.make_model(engine.tokenizer, seed=seed).state_dict())
        tracker = EvaluationTracker(output_path=str(folder / "out"))
        found = simple_evaluate(
            model=HFLM(pretrained=weights, tokenizer=engine.tokenizer, batch_size=8), tasks=[GROUP], log_samples=True,
            bootstrap_iters=0, evaluation_tracker=tracker,
            task_manager=TaskManager(include_path=str(folder / "tasks"), include_defaults=False),
        )  # fmt: skip
        # Of a model in memory the harness makes a name up; from its command line it is the folder.
        tracker.general_config_tracker.model_name = f"runs/tiny/curated-{volume}"
        tracker.general_config_tracker.model_name_sanitized = f"runs__tiny__curated-{volume}"
        samples = found.pop("samples")
        tracker.save_results_aggregated(results=found, samples=samples)
        for task, own in samples.items():
            tracker.save_results_samples(task_name=task, samples=own)
    return folder / "out"


def a_map(folder, samples: bool):
    task = {"suite": "test", "metric": "acc,none"}
    content = {
        "name": "tiny", "epochs": {"rule": "only"}, "in_domain": ["letters"], "comparisons": "all", "confidence": 0.95,
        "margin": 2.0, "suite": "test",
        "harness": {
            "samples": samples,
            "runs": [{"match": "tiny/curated-(?P<volume>[0-9]+)", "model": "tiny", "parameters": 1000,
                      "source": "curated", "seed": 1, "epoch": 1}],
            "tasks": {LETTER: {**task, "ability": "letters", **({} if samples else {"chance": 0.25})},
                      SAID: {**task, "ability": "words", "chance": 0.0}},
        },
    }  # fmt: skip
    path = folder / "map.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return load_map(path)


def test_real_results_and_samples(results, tmp_path):
    paired, alone = (analysed(results, a_map(tmp_path, samples)) for samples in (True, False))
    files = sorted(results.rglob("results_*.json"))
    assert len(files) == 3
    told = {}
    for path in files:
        content = json.loads(path.read_text(encoding="utf-8"))
        volume = int(content["model_name"].rsplit("-", 1)[1])
        told |= {(volume, "letters"): content["results"][LETTER]["acc,none"]}
        told |= {(volume, "words"): content["results"][SAID]["acc,none"]}
    assert len(set(told.values())) > 1, "models differ"
    for found in (paired, alone):
        scores = found.scores.set_index(["volume", "ability"])
        assert {key: scores.at[key, "score"] for key in told} == pytest.approx(told)
        assert set(scores["items"]) == {20}
        assert scores.at[(40, "letters"), "chance"] == 0.25
        assert found.left_out == [GROUP]
    assert len(paired.item_grades) == 3 * 40
    table, without = paired.tables["comparisons"], alone.tables["comparisons"]
    assert np.allclose(table["difference"], without["difference"])
    row = table[table["ability"] == "letters"].iloc[0]
    assert (row["first"], row["second"]) == ("curated-160", "curated-40")
