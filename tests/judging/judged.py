"""A study with a judge, its items and predictions, for tests; nothing here needs torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from growthpace.data.items import Item, Message, write_items
from growthpace.evaluation.predictions import Prediction, write_predictions
from growthpace.files import write_json
from growthpace.grid import Run
from growthpace.paths import Paths
from growthpace.study import Judge, Study, load_study
from small_study import CONTENT, changed, write_study

RUN = Run("s", "untuned", 0)

JUDGE: dict[str, Any] = {
    "model": "judge",
    "base_url": "http://127.0.0.1:1/v1",
    "key_variable": "JUDGE_KEY",
    "mode": "pointwise",
    "rubric": "quality",
    "scale": [1, 5],
    "max_tokens": 60,
    "answer_format": "json_schema",
    "second_pass": 0.0,
    "retries": 1,
}
PAIRS = {key: value for key, value in JUDGE.items() if key != "scale"} | {"mode": "pairwise"}


def judge_of(**changes: Any) -> Judge:
    return Judge.model_validate({**(PAIRS if changes.get("mode") == "pairwise" else JUDGE), **changes})


def make_item(identity: str, *texts: str, reference: str = "the reference", **settings: Any) -> Item:
    """An item of the user's turns `texts`; every answer but the last is left to the model."""
    messages = []
    for text in texts:
        messages += [Message("user", text), Message("assistant", "")]
    messages[-1] = Message("assistant", reference)
    return Item(identity, "biology", tuple(messages), **{"scorer": "judge", "origin": f"x:{identity}", **settings})


def said(identity: str, text: str, *earlier: str) -> Prediction:
    return Prediction(identity, text, True, (), (), 5, 3, 0, "0" * 16, earlier=tuple(earlier))


def judged_content(judge: dict[str, Any]) -> dict[str, Any]:
    """The small study, its suite `open` judged and from the hub (so that no item is needed to load it)."""
    content = changed("judge", judge, CONTENT)
    content["suites"]["open"] = {
        "items": {"importer": "chat", "hub": "someone/open", "files": "{ability}.json"},
        "abilities": ["biology"],
        "epochs": "selected",
        "max_new_tokens": 8,
        "judged": True,
    }
    return content


def ready(
    folder: Path, url: str, items: list[Item], predictions: list[Prediction], **judge: Any
) -> tuple[Study, Paths]:
    """The study with a suite `open` and the untuned model's predictions on it; the current folder must be `folder`."""
    settings = {**(PAIRS if judge.get("mode") == "pairwise" else JUDGE), "base_url": url, **judge}
    study = load_study(write_study(folder, judged_content(settings)))
    paths = Paths(study)
    write_items(paths.suite("open"), items, {})
    write_predictions(paths.prediction(RUN, "open", 0), predictions, {"epoch": 0})
    write_json(paths.model("s") / "base.json", {"parameters": 10})
    return study, paths


def shown(body: dict[str, Any]) -> str:
    """What a request shows the judge."""
    return body["messages"][1]["content"]


def scored(score: Any) -> str:
    return json.dumps({"reasoning": "because", "score": score})


def won(winner: str) -> str:
    return json.dumps({"reasoning": "because", "winner": winner})
