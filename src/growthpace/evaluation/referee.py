"""A suite as task files of lm-evaluation-harness, so that a referee can check our log-probabilities and accuracies.

    growthpace referee CONFIG SUITE FOLDER
    lm_eval --include_path FOLDER --tasks growthpace_{study}_{suite} --log_samples \
        --model hf --model_args pretrained=results/STUDY/models/MODEL,softmax_dtype=float32

There is one task for each ability and way of scoring. A task's documents hold an item's prompt as one text, as the
harness wants it, with the format's tokens spelt out; the harness tokenises it again, so an item's ids may be others
than growthpace's: `prompt_ids` and `candidate_ids` stand beside it for comparison. Only what the harness can do is
exported: candidates and answers of one turn whose prompt fits the context.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from growthpace.conversation import Encoder
from growthpace.data.items import Item, read_items
from growthpace.errors import InputError
from growthpace.evaluation.answering import OPTIONS, fitted
from growthpace.evaluation.predictions import Prediction
from growthpace.evaluation.scorers import SCORERS
from growthpace.files import read_json, write_text
from growthpace.models.tokenizer import load_tokenizer
from growthpace.paths import Paths
from growthpace.study import Study

PROCESS = "process.py"


def export_suite(
    items: Sequence[Item], encoder: Encoder, context: int, max_new_tokens: int, group: str, folder: Path
) -> dict[str, int]:
    """Writes the tasks of a suite into a folder; returns how many items were exported, and why others were not.

    context: the model's, in tokens; max_new_tokens: of the suite; group: name of all tasks together.
    """
    tasks: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    counts: Counter[str] = Counter()
    for item in items:
        document, reason = _document(item, encoder, context, max_new_tokens)
        counts[reason or "exported"] += 1
        if document:
            tasks[item.ability, item.scorer].append(document)
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for (ability, scorer), documents in tasks.items():
        name = f"{group}_{ability}_{scorer}"
        names.append(name)
        data = folder / f"{name}.jsonl"
        write_text(data, "".join(json.dumps(d, ensure_ascii=False) + "\n" for d in documents))
        write_text(folder / f"{name}.yaml", _task(name, data, scorer, encoder, max_new_tokens))
    write_text(folder / PROCESS, _PROCESS)
    write_text(folder / f"{group}.yaml", yaml.safe_dump({"group": group, "task": names}, sort_keys=False))
    return dict(counts)


def export_of_study(study: Study, model: str, suite: str, paths: Paths, folder: Path) -> Iterator[str]:
    """Exports a suite for the tokenizer of one of the study's models; yields what to tell. `InputError` where the suite
    or the model have not been made ready."""
    for path, stage in (
        (paths.suite(suite), f"suite CONFIG {suite}"),
        (paths.model(model), f"base-model CONFIG {model}"),
    ):
        if not path.exists():
            raise InputError(f"{path}: not there yet; run the study first, or growthpace {stage}")
    encoder = Encoder(load_tokenizer(paths.model(model), study.models[model].trust_remote_code), study.format)
    config = read_json(paths.model(model) / "config.json")
    context = config.get("max_position_embeddings") or 2**31
    group = f"growthpace_{study.study}_{suite}".replace("-", "_")
    tokens = study.suites[suite].max_new_tokens
    for what, number in export_suite(read_items(paths.suite(suite)), encoder, context, tokens, group, folder).items():
        yield f"referee: {number} items {what}"
    yield f"referee: lm_eval --include_path {folder} --tasks {group} --log_samples"


def _document(item: Item, encoder: Encoder, context: int, max_new_tokens: int) -> tuple[dict[str, Any] | None, str]:
    """What the harness is asked about an item; or None and why not."""
    if item.scorer == "judge" or any(not m.content.strip() for m in item.messages[:-1]):
        return None, "several turns or a judge"
    by_candidates = SCORERS[item.scorer].NEEDS == "candidates"
    ids = [encoder.answer(text) for text in item.candidates] if by_candidates else []
    longest = max(map(len, ids)) if ids else max_new_tokens
    prompt = fitted(encoder, item, item.messages[:-1], context - longest) if longest < context else None
    if prompt is None or prompt.cut:
        return None, "too long for the context"
    document: dict[str, Any] = {
        "id": item.id,
        "subject": item.subject,
        "prompt": encoder.prompt_text(item.messages[:-1]),
        "prompt_ids": prompt.prompt,
    }
    if by_candidates:
        end = encoder.end_of_turn_text if SCORERS[item.scorer].END_OF_TURN else ""
        document |= {
            "candidates": [encoder.answer_text(text) + end for text in item.candidates],
            "candidate_ids": [[*one, *([encoder.end_of_turn] if end else [])] for one in ids],
            "gold": item.candidates.index(item.answer),
        }
    else:
        document |= {"item": _as_json(item)}
    return document, ""


def _as_json(item: Item) -> str:
    """An item as text: the harness's reader of JSON lines would want every document to have the same lists."""
    kept = {"id", "ability", "scorer", "answer", "candidates", "chance", "references", "tests"}
    return json.dumps({name: value for name, value in vars(item).items() if name in kept}, ensure_ascii=False)


def _task(name: str, data: Path, scorer: str, encoder: Encoder, max_new_tokens: int) -> str:
    task: dict[str, Any] = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data.resolve())}},
        "test_split": "test",
        "doc_to_text": "prompt",
        "target_delimiter": "",
        "metadata": {"version": SCORERS[scorer].VERSION},
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
    if SCORERS[scorer].NEEDS == "candidates":
        task |= {"output_type": "multiple_choice", "doc_to_choice": "candidates", "doc_to_target": "gold"}
        processed = "" if scorer in OPTIONS else "process_mean"
    else:
        stop = {"until": [encoder.end_of_turn_text], "max_gen_toks": max_new_tokens, "do_sample": False}
        task |= {"output_type": "generate_until", "doc_to_target": "id", "generation_kwargs": stop}
        processed = "process_text"
    text = yaml.safe_dump(task, sort_keys=False, allow_unicode=True)
    return text + (f"process_results: !function {PROCESS.removesuffix('.py')}.{processed}\n" if processed else "")


_PROCESS = '''"""What lm-evaluation-harness makes of answers to growthpace's items (written by `growthpace referee`)."""

from growthpace.evaluation.referee import mean_grade, text_grade


def process_mean(document, results):
    return {"acc": mean_grade(document, [logprob for logprob, _ in results])}


def process_text(document, results):
    return {"acc": text_grade(document, results[0])}
'''


def mean_grade(document: dict[str, Any], logprobs: Sequence[float]) -> float:
    """1 if the right candidate has strictly the highest mean log-probability of its tokens, else 0."""
    means = [total / len(ids) for total, ids in zip(logprobs, document["candidate_ids"], strict=True)]
    return float(all(means[document["gold"]] > mean for n, mean in enumerate(means) if n != document["gold"]))


def text_grade(document: dict[str, Any], text: str) -> float:
    """What the item's own scorer says of a generated text."""
    content = json.loads(document["item"])
    lists = {name: tuple(content[name]) for name in ("candidates", "references")}
    item = Item(**{**content, **lists, "messages": ()})
    prediction = Prediction(item.id, text, True, (), (), 0, 0, 0, "")
    return SCORERS[item.scorer].grade(item, prediction).grade
