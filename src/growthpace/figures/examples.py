"""Answers to read on the page: of one good run, for each ability some that are right and some that are wrong.

Which ones is decided by a hash of the item's name: nobody picks them by their looks, and the same study shows the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from growthpace.analysis.scores import OVERALL

EACH = 2
"""How many right and how many wrong answers of an ability are shown."""
SHORT, LONG = 280, 4000
"""Characters of a question or an answer that are shown at once, and that are kept at all."""


def best_run(points: pd.DataFrame) -> tuple[str, str] | None:
    """(model, dataset) of the grid's largest volume with the highest score: `overall` where there is one, else the mean
    over abilities. `points` of one suite; None where the grid has no point yet. Of equals, the first by name."""
    grid = points[(points["kind"] == "grid") & points["in_domain"].astype(bool)]
    if grid.empty:
        return None
    grid = grid[grid["volume"] == grid["volume"].max()]
    overall = grid[grid["ability"] == OVERALL]
    scores = (overall if len(overall) else grid).groupby(["model", "dataset"], sort=True)["score"].mean()
    model, dataset = scores.idxmax()
    return str(model), str(dataset)


def choose(records: Iterable[Mapping[str, Any]], each: int = EACH) -> list[dict[str, Any]]:
    """One dict per ability, in the records' order: ability, items (how many were graded), share (of 1, the mean grade),
    right and wrong (up to `each` of both).

    records: as `evaluation.item_log` gives them. An answer is right where its grade is above 0.5; one without a grade
    is neither. Each one shown has question, short, expected, given, given_short, understood (empty where nothing was
    generated) and grade.
    """
    abilities: dict[str, list] = {}
    for record in records:
        if record["grade"] is not None:
            abilities.setdefault(record["ability"], []).append(record)
    found = []
    for ability, graded in abilities.items():
        ranked = sorted(graded, key=lambda record: hashlib.sha256(record["item_id"].encode()).digest())
        right, wrong = ([r for r in ranked if (r["grade"] > 0.5) == wanted][:each] for wanted in (True, False))
        found.append(
            {
                "ability": ability, "items": len(graded), "share": sum(r["grade"] for r in graded) / len(graded),
                "right": [_shown(record) for record in right], "wrong": [_shown(record) for record in wrong],
            }
        )  # fmt: skip
    return found


def shortened(text: str, most: int = SHORT) -> str:
    """The text, cut after a word with an ellipsis where it has more than `most` characters."""
    if len(text) <= most:
        return text
    cut = text[:most]
    return (cut[: cut.rindex(" ")] if " " in cut[most // 2 :] else cut).rstrip() + " …"


def _shown(record: Mapping[str, Any]) -> dict[str, Any]:
    question, given = shortened(record["question"], LONG), shortened(_given(record), LONG)
    # The right text stands first among those that are compared by how likely they are, and the item has no answer.
    texts = [candidate["text"] for candidate in record["candidates"]]
    expected = record["answer"] or (texts[0] if texts else "")
    return {
        "question": question, "short": shortened(question),
        "expected": shortened(expected, SHORT) or "not written down",
        "given": given, "given_short": shortened(given),
        "understood": (record["parsed"] or "") if record["text"] is not None else "",
        "grade": record["grade"],
    }  # fmt: skip


def _given(record: Mapping[str, Any]) -> str:
    """The text that was generated, or else what was chosen among the candidates."""
    if record["text"] is not None:
        return record["text"].strip() or "(nothing)"
    if record["scorer"] == "perplexity" and record["parsed"]:  # the place of the likeliest, and by how much
        return record["candidates"][int(record["parsed"].split()[0])]["text"]
    return record["parsed"] or "(none of the candidates)"
