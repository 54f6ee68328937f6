"""Result and sample files in the layout of lm-evaluation-harness 0.4, made by hand: tests/evaluation has real ones."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

DATE = "2026-11-26T11-06-47.335846"
RUN = {
    "match": "(?P<model>tiny|small)/(?P<source>curated|untuned)-(?P<volume>[0-9]+)/seed-(?P<seed>[0-9]+)",
    "parameters": 1000, "epoch": 1,
}  # fmt: skip
TASK = {"ability": "science", "suite": "test", "metric": "acc,none", "chance": 0.25}
MAP = {
    "name": "harness", "harness": {"samples": True, "runs": [RUN], "tasks": {"arc": TASK}}, "epochs": {"rule": "only"},
    "in_domain": ["science"], "comparisons": "equal_volume", "confidence": 0.95, "margin": 2.0, "suite": "test",
}  # fmt: skip


def write_results(
    folder: Path, model: str, grades: dict[str, list[float]], groups: dict[str, list[str]] | None = None,
    metric: str = "acc,none", samples: bool = True, options: int = 4, date: str = DATE, **changes,
) -> Path:  # fmt: skip
    """The files of one call of the harness: `grades` by task; `changes` replace keys of the results."""
    folder = folder / model.replace("/", "__")
    folder.mkdir(parents=True, exist_ok=True)
    name, _, own_filter = metric.partition(",")
    results = {task: {"alias": task, metric: sum(own) / len(own), f"{name}_stderr,{own_filter}": 0.1}
               for task, own in grades.items()}  # fmt: skip
    for group, members in (groups or {}).items():
        every = [grade for member in members for grade in grades[member]]
        results[group] = {"alias": group, metric: sum(every) / len(every)}
    content = {
        "results": results, "group_subtasks": groups or {}, "model_name": model,
        "configs": {task: {"task": task, "output_type": "multiple_choice"} for task in grades},
        "n-samples": {task: {"original": len(own), "effective": len(own)} for task, own in grades.items()},
        **changes,
    }  # fmt: skip
    path = folder / f"results_{date}.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    for task, own in grades.items() if samples else ():
        lines = []
        for number, grade in enumerate(own):
            lines.append({
                "doc_id": number, "doc_hash": f"{task}-{number}", "filter": own_filter, name: grade,
                "filtered_resps": [["-1.0", "False"]] * options,
                "arguments": {f"gen_args_{n}": {"arg_0": "asked", "arg_1": f"option {n}"} for n in range(options)},
            })  # fmt: skip
        text = "\n".join(json.dumps(line) for line in lines)
        (folder / f"samples_{task}_{date}.jsonl").write_text(text, encoding="utf-8")
    return path


def write_map(
    folder: Path, tasks: dict | None = None, samples: bool = True, runs: list | None = None, **changes
) -> Path:
    harness = {"samples": samples, "runs": runs or [RUN], "tasks": tasks or {"arc": TASK}}
    path = folder / "map.yaml"
    path.write_text(yaml.safe_dump({**MAP, "harness": harness, **changes}, sort_keys=False), encoding="utf-8")
    return path
