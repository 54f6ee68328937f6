"""What is known of each answer, side by side, for whoever wants to read them: `growthpace answers`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from growthpace.data.items import read_items
from growthpace.errors import InputError
from growthpace.evaluation.grading import read_grades
from growthpace.evaluation.predictions import read_latencies, read_predictions
from growthpace.grid import Run
from growthpace.paths import Paths


def item_log(run: Run, suite: str, epoch: int | str, paths: Paths) -> Iterator[dict[str, Any]]:
    """One record an item, in the suite's order: what was asked, what was answered, how it was understood, what it is
    worth, and how long it took (seconds). Null is what is not known, such as the grade of an ungraded answer.

    Raises `InputError` where there are no predictions.
    """
    path, graded = paths.prediction(run, suite, epoch), paths.grades(run, suite, epoch)
    if not path.exists():
        raise InputError(f"{path}: no such predictions; growthpace status tells what there is")
    predictions = {prediction.item_id: prediction for prediction in read_predictions(path)}
    grades = {row["item_id"]: row for row in read_grades(graded).to_pylist()} if graded.exists() else {}
    seconds = read_latencies(paths.latencies(run, suite, epoch))
    for item in read_items(paths.suite(suite)):
        if item.id not in predictions:
            raise InputError(
                f"{path}: no prediction of the item {item.id!r}; the suite has changed, run the study again"
            )
        prediction, grade = predictions[item.id], grades.get(item.id, {})
        yield {
            "item_id": item.id,
            "ability": item.ability,
            "subject": item.subject,
            "scorer": item.scorer,
            "answer": item.answer,
            "parsed": grade.get("parsed"),
            "grade": grade.get("grade"),
            "text_grade": grade.get("text_grade"),
            "chance": grade.get("chance", item.chance),
            "text": prediction.text,
            "finished": prediction.finished,
            "earlier": list(prediction.earlier),
            "candidates": [
                {"text": text, "logprob": logprob, "tokens": tokens, "bytes": size}
                for text, logprob, tokens, size in zip(
                    item.candidates, prediction.logprobs, prediction.tokens, prediction.bytes, strict=False
                )
            ],
            "prompt_hash": prediction.prompt_hash,
            "prompt_tokens": prediction.prompt_tokens,
            "generated_tokens": prediction.generated_tokens,
            "cut_tokens": prediction.cut_tokens,
            "shots": prediction.shots,
            "seconds": seconds.get(item.id),
            "question": item.messages[-2].content,
        }
