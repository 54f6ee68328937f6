"""Finished work that a start of the study would do again: what `growthpace submit` asks about before it begins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from growthpace.files import read_json
from growthpace.plan.making import Planned
from growthpace.plan.reasons import CUT_OFF, MISSING


@dataclass(frozen=True)
class Redone:
    """The finished work of one run that would be done again."""

    run: str
    trained: bool
    """Whether its training is among it."""
    predictions: int
    gpu_hours: float
    """Of the training as it was measured, and of predictions as far as their time is known."""
    unknown: int
    """Predictions of unknown time."""
    why: str


def redone_work(planned: Planned) -> list[Redone]:
    """Runs with finished work that would be done again, in the study's order.

    What a dead head process left finished but not noted down is not among it: the next one takes that over.
    """
    found = []
    for name, run in planned.runs.items():
        trained, predictions, hours, unknown, why = False, 0, 0.0, 0, set()
        for number in planned.numbers_of.get(name, []):
            job, causes = planned.jobs[number], planned.reasons.causes(number) - {MISSING}
            if job.rule not in ("train", "predict") or not causes - {CUT_OFF}:
                continue
            if job.rule == "train" and (record := planned.paths.training(run)).exists():
                known = read_json(record)
                trained, hours = True, hours + known["seconds"] * known["devices"] / 3600
            elif job.rule == "predict" and all(Path(output).exists() for output in job.outputs):
                estimate = planned.estimates[number]
                predictions, unknown = predictions + 1, unknown + (estimate.seconds is None)
                hours += (estimate.seconds or 0.0) * max(estimate.gpus, 1) / 3600
            else:
                continue
            why |= causes
        if trained or predictions:
            found.append(Redone(name, trained, predictions, hours, unknown, "; ".join(sorted(why - {CUT_OFF}))))
    return found
