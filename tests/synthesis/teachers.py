"""A study with a source that a teacher writes, and teachers that answer well or badly; nothing here needs torch."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from faulty_server import says

from growthpace.paths import Paths
from growthpace.study import Study, load_study
from small_study import CONTENT, changed, write_items, write_study

TEACHER: dict[str, Any] = {
    "model": "teacher",
    "base_url": "http://127.0.0.1:1/v1",
    "key_variable": "TEACHER_KEY",
    "max_tokens": 200,
    "answer_format": "json_schema",
    "temperature": 1.0,
    "retries": 1,
}
ITEMS: dict[str, Any] = {
    "importer": "synthetic",
    "teacher": TEACHER,
    "seeds": "curated",
    "seed_items": 6,
    "examples": 2,
    "volume": 16,
    "per_request": 3,
    "most_similar": 0.7,
    "most_overlap": 0.9,
    "validation": "scorer",
    "topics": ["rivers", "trade", "machines"],
    "styles": ["short", "formal"],
}


def content(teacher: dict[str, Any] | None = None, labelled: bool = False, **items: Any) -> dict[str, Any]:
    """The small study with its synthetic source written by a teacher."""
    found = changed("sources.synthetic.items", {**ITEMS, **items, "teacher": {**TEACHER, **(teacher or {})}}, CONTENT)
    found["sources"]["synthetic"]["labelled"] = labelled
    if items.get("volume", 16) < 4:  # smaller than any dataset of the small study
        found["sources"]["synthetic"]["volumes"] = [items["volume"]]
        del found["mixes"]["uneven"]["add"]
    return found


def ready(folder: Path, url: str, labelled: bool = False, teacher: dict[str, Any] | None = None, **items: Any):
    """(study, paths); the current folder must be `folder`."""
    write_items(folder)
    study: Study = load_study(write_study(folder, content({"base_url": url, **(teacher or {})}, labelled, **items)))
    return study, Paths(study)


def writes(body: dict[str, Any]) -> bool:
    """Whether a request asks for instructions."""
    return "You write instructions" in body["messages"][0]["content"]


def asked_instruction(body: dict[str, Any]) -> str:
    return body["messages"][-1]["content"]


def words_of(key: str, count: int = 8) -> str:
    """Words that differ for each key."""
    digest = hashlib.sha256(key.encode()).hexdigest()
    return " ".join(f"w{digest[4 * n : 4 * n + 4]}" for n in range(count))


def question(key: str, options: int = 4) -> str:
    listed = "\n".join(f"{letter}. {words_of(f'{key} {letter}', 2)}" for letter in "ABCDEF"[:options])
    return f"Which is it, {words_of(key)}?\n{listed}"


def drafts(*texts: str, **more: str) -> str:
    return json.dumps({"instructions": [{"instruction": text, **more} for text in texts]})


def good_answer(body: dict[str, Any]) -> str:
    """A letter that depends on the question alone."""
    return "ABCD"[hashlib.sha256(asked_instruction(body).encode()).digest()[0] % 4]


def good(answer: Callable[[dict[str, Any]], str] = good_answer, per_request: int = 3) -> Callable:
    """A teacher that writes new questions, each time others, and answers them always alike."""

    def behave(body: dict[str, Any], count: int) -> Callable:
        if not writes(body):
            return says(answer(body))
        key = hashlib.sha256(json.dumps([body, count]).encode()).hexdigest()
        return says(drafts(*(question(f"{key} {n}") for n in range(per_request))))

    return behave


def lines_of(paths: Paths, source: str = "synthetic") -> list[dict[str, Any]]:
    return [json.loads(line) for line in paths.synthetic(source).read_text().splitlines()]


def number_in(text: str) -> int:
    return int(re.findall(r"\d+", text)[-1])
