"""Do our log-probabilities and accuracies agree with lm-evaluation-harness's? On real benchmarks, item by item.

    python benchmarks/agreement.py [--items 60] [--table docs/referee.md]

Two checkpoints: stories260K, a small pretrained model, and random weights behind the paper's SentencePiece tokenizer.
Each suite is exported by `growthpace.evaluation.referee` and run by the harness (log-softmax in fp32, no cache); the
table has, for each, how many candidates (or prompts) have equal token ids there, the largest difference of their
log-probabilities, and both accuracies. Three more differences tell whose it is: either side's from the same model in
double precision (one candidate at a time), and ours of an item alone from ours in a batch.
"""

from __future__ import annotations

import argparse
import datetime
import json
import random
import re
import sys
import tempfile
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from typing import Any

from training_items import PROJECT, data_folder, llama_config, save_tokenizer

SUITES: dict[str, dict[str, Any]] = {
    "MMLU, 0 shots": {"name": "mmlu", "folder": "mmlu", "shots": 0},
    "MMLU, 5 shots": {"name": "mmlu", "folder": "mmlu", "shots": 5},
    "AGIEval, three Chinese sets": {
        "name": "agieval",
        "folder": "agieval_permissive",
        "shots": 0,
        "subjects": ["gaokao-chinese", "gaokao-history", "gaokao-biology"],
    },
    "GSM8K, 0 shots": {"name": "gsm8k", "folder": "gsm8k", "shots": 0},
    "MBPP as perplexity of three programs": {"name": "mbpp", "folder": "mbpp", "shots": 0},
}
NEW_TOKENS = 24
TITLE = """# A referee

`growthpace referee CONFIG SUITE FOLDER` writes a suite as task files of lm-evaluation-harness: one task for each
ability and way of scoring, its documents with the rendered prompt, and what it takes to grade as the scorer does. Then

    lm_eval --include_path FOLDER --tasks growthpace_STUDY_SUITE --log_samples --model hf \\
        --model_args pretrained=results/STUDY/models/MODEL,softmax_dtype=float32

scores it (extra `growthpace[referee]`). The harness wants a prompt as one text and tokenises it as a whole, where
growthpace encodes turn by turn: an item's ids may differ, and then so may its numbers. Every document holds our ids for
comparison. Items that are cut to fit the context, conversations with open turns and items for a judge are not exported.

tests/evaluation/test_referee.py compares every way of scoring on a tiny model: the same ids, log-probabilities to 1e-4,
the same accuracy.

## Agreement

"""


def save_models(folder: Path) -> dict[str, Path]:
    """Checkpoints of both models with the format's tokens, by name."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaForCausalLM

    from growthpace.conversation import PAPER_TOKENS
    from growthpace.models.tokenizer import load_tokenizer

    sys.path.insert(0, str(PROJECT / "tests" / "real"))
    from prepare import convert_stories260k

    convert_stories260k(folder / "base", data_folder())
    tokenizer = load_tokenizer(folder / "base")
    tokenizer.add_special_tokens({"extra_special_tokens": list(PAPER_TOKENS)})
    model = AutoModelForCausalLM.from_pretrained(folder / "base")
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(folder / "stories")
    tokenizer.save_pretrained(folder / "stories")

    tokenizer = save_tokenizer(folder / "random")
    torch.manual_seed(0)
    config = llama_config("tiny", len(tokenizer))
    config.vocab_size, config.initializer_range = len(tokenizer), 0.2
    LlamaForCausalLM(config).save_pretrained(folder / "random")
    return {"stories260K": folder / "stories", "random, the paper's tokenizer": folder / "random"}


def some_items(settings: dict[str, Any], number: int) -> list:
    """Items of a suite, always the same ones."""
    from dataclasses import replace

    from growthpace.data.importers import read_items_of
    from growthpace.study import BenchmarkItems

    wanted = BenchmarkItems(importer="benchmark", **{**settings, "folder": data_folder() / settings["folder"]})
    items = list(read_items_of(wanted, [settings["name"]]))
    chosen = random.Random(0).sample(items, number)
    if settings["name"] != "mbpp":
        return chosen
    others = [chosen[(place + step) % len(chosen)].answer for place in range(len(chosen)) for step in (1, 2)]
    return [
        replace(item, scorer="perplexity", candidates=(item.answer, *others[2 * place : 2 * place + 2]), tests="")
        for place, item in enumerate(chosen)
    ]


def compared(name: str, folder: Path, items: list, work: Path) -> dict[str, Any]:
    """What both sides make of some items."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager
    from transformers import AutoModelForCausalLM

    from growthpace.evaluation.answering import answers
    from growthpace.evaluation.engine import Engine
    from growthpace.evaluation.grading import grade_predictions
    from growthpace.evaluation.referee import export_suite

    engine = Engine(folder, "paper", threads=2)
    counts = export_suite(items, engine.encoder, engine.context, NEW_TOKENS, "agreement", work)
    if counts.get("exported", 0) == 0:
        return {"model": name, "items": 0}
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    # The harness wants an end token, and the paper's tokenizer has none: a turn's end, which is one anyway.
    engine.tokenizer.eos_token = engine.encoder.end_of_turn_text
    harness = HFLM(pretrained=model, tokenizer=engine.tokenizer, softmax_dtype="float32", batch_size=4)
    found = simple_evaluate(
        model=harness, tasks=["agreement"], log_samples=True, bootstrap_iters=0,
        task_manager=TaskManager(include_path=str(work), include_defaults=False),
    )  # fmt: skip
    samples = [sample for task in found["samples"].values() for sample in task]
    exported = {sample["doc"]["id"] for sample in samples}
    items = [item for item in items if item.id in exported]
    predictions = {one.item_id: one for batch in answers(engine, items, NEW_TOKENS) for one in batch}
    alone = {one.item_id: one for item in items for batch in answers(engine, [item], NEW_TOKENS) for one in batch}
    exact = AutoModelForCausalLM.from_pretrained(folder, dtype="float64").eval()
    grades = grade_predictions(items, predictions.values()).column("grade").to_pylist()
    alike = asked = same = texts = longest = 0
    worst = {"worst": 0.0, "ours_exact": 0.0, "theirs_exact": 0.0, "alone": 0.0}
    alike_right = []
    ours_by_item = dict(zip([item.id for item in items], grades, strict=True))
    for sample in samples:
        document, theirs = sample["doc"], sample["acc"]
        one = predictions[document["id"]]
        if "candidates" in document:
            equal = []
            for number, text in enumerate(document["candidates"]):
                ids = harness._encode_pair(document["prompt"], text)
                equal.append(ids == (document["prompt_ids"], document["candidate_ids"][number]))
                if equal[-1]:
                    mine, other = one.logprobs[number], float(sample["filtered_resps"][number][0])
                    truth = in_double(exact, *ids)
                    apart = {
                        "worst": mine - other,
                        "ours_exact": mine - truth,
                        "theirs_exact": other - truth,
                        "alone": mine - alone[document["id"]].logprobs[number],
                    }
                    worst = {key: max(value, abs(apart[key])) for key, value in worst.items()}
                    longest = max(longest, len(ids[1]))
        else:
            equal = [harness.tok_encode(document["prompt"]) == document["prompt_ids"]]
            texts += bytes_read(sample["filtered_resps"][0]) == one.text.strip()
        alike, asked = alike + sum(equal), asked + len(equal)
        if all(equal):
            alike_right.append((ours_by_item[document["id"]], theirs))
        same += ours_by_item[document["id"]] == theirs
    scored = any("candidates" in sample["doc"] for sample in samples)
    return {
        "model": name,
        "items": len(items),
        "left_out": sum(number for reason, number in counts.items() if reason != "exported"),
        "ids_equal": alike / asked,
        "longest": longest,
        **{key: value if scored and alike else None for key, value in worst.items()},
        "texts_equal": None if scored else texts / len(items),
        "items_alike": len(alike_right),
        "accuracy_ours": sum(a for a, _ in alike_right) / len(alike_right) if alike_right else None,
        "accuracy_theirs": sum(b for _, b in alike_right) / len(alike_right) if alike_right else None,
        "same_grades": same / len(items),
    }


def in_double(model, prompt: list[int], candidate: list[int]) -> float:
    """Summed log-probability of a candidate after a prompt, by a forward pass of its own in double precision."""
    import torch

    with torch.inference_mode():
        logits = model(torch.tensor([[*prompt, *candidate]])).logits[0, len(prompt) - 1 : -1]
    logs = torch.log_softmax(logits.double(), dim=-1)
    return float(logs.gather(1, torch.tensor(candidate)[:, None]).sum())


def bytes_read(text: str) -> str:
    """A text in which the harness left pieces such as `<0x0A>`, which stand for bytes, as they are."""
    parts = re.split(r"((?:<0x[0-9A-F]{2}>)+)", text)
    read = [bytes.fromhex(part.replace("<0x", "").replace(">", "")).decode(errors="replace") for part in parts[1::2]]
    return "".join(part for pair in zip_longest(parts[::2], read, fillvalue="") for part in pair).strip()


def table(rows: list[tuple[str, dict[str, Any]]]) -> str:
    def shown(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    lines = [
        f"{datetime.date.today().isoformat()}, lm-eval {version('lm-eval')}, transformers {version('transformers')}, "
        f"torch {version('torch')}, fp32 on a CPU; written by `benchmarks/agreement.py`.\n",
        "| suite | model | items | longest candidate, tokens | ids alike | largest difference, nats "
        "| ours, theirs from double precision | ours alone from ours in a batch "
        "| accuracy where ids are alike: ours, theirs | same grade, all items |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for suite, one in rows:
        both = ", ".join(shown(one[key], ".4f") for key in ("accuracy_ours", "accuracy_theirs"))
        apart = (
            shown(one["worst"], ".1e") if one["texts_equal"] is None else f"{one['texts_equal']:.0%} of the texts equal"
        )
        truth = ", ".join(shown(one[key], ".1e") for key in ("ours_exact", "theirs_exact") if one[key] is not None)
        cells = [suite, one["model"], str(one["items"]), str(one["longest"] or ""), f"{100 * one['ids_equal']:.1f} %"]
        cells += [apart.replace("%", " %"), truth, shown(one["alone"], ".1e")]
        cells += [
            f"{both} ({one['items_alike']} items)" if one["items_alike"] else "",
            f"{100 * one['same_grades']:.1f} %",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines.append(
        "\nIds alike: share of candidates whose prompt and own ids the harness makes as we do; of generated answers, "
        "of prompts. Differences are of summed log-probabilities of whole candidates, in nats. The harness sums them "
        "in fp32, whose numbers between 1,024 and 2,048 lie 1.2e-4 apart, and 2.4e-4 beyond: so far its own sum of a "
        "long candidate is off, whatever the model computed. growthpace adds up in double precision."
    )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=60, help="of each suite")
    parser.add_argument("--table", type=Path, help="Markdown file to write")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = save_models(folder)
        for suite, settings in SUITES.items():
            items = some_items(settings, options.items)
            for number, (model, checkpoint) in enumerate(models.items()):
                found = compared(model, checkpoint, items, folder / f"{settings['name']}-{settings['shots']}-{number}")
                rows += [(suite, found)] if found["items"] else []
                print(f"{suite}: {json.dumps(found)}", flush=True)
    if options.table:
        options.table.write_text(TITLE + table(rows))


if __name__ == "__main__":
    main()
