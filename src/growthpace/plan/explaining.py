"""How one cell stands and why, in plain sentences."""

from __future__ import annotations

import difflib
import os
from collections import Counter
from pathlib import Path

from growthpace.errors import InputError
from growthpace.grid import Run
from growthpace.interruptible import failure
from growthpace.plan.dry_run import Job
from growthpace.plan.making import BLOCKED_BEFORE, Planned
from growthpace.plan.progress import described
from growthpace.plan.reasons import MISSING
from growthpace.plan.view import basis, hours
from growthpace.study import UNTUNED


def explanation(planned: Planned, cell: str) -> list[str]:
    """Lines about a run, a prediction or an output file; `InputError` with the closest names for another name."""
    if cell in planned.runs:
        return _run(planned, planned.runs[cell])
    evaluations = {
        f"{run}/{suite}/{epoch}": (run, suite, epoch)
        for run in planned.runs.values()
        for suite, epoch in planned.grid.evaluations(run)
    }
    if cell in evaluations:
        return _evaluation(planned, cell, *evaluations[cell])
    path = os.path.relpath(cell)
    if path in planned.reasons.made_by:
        return _job(planned, planned.reasons.made_by[path], path)
    if Path(path).is_file() and Path(path).is_relative_to(planned.paths.root):
        return [f"{path}: done; no job is planned that writes it"]
    close = difflib.get_close_matches(cell, [*planned.runs, *evaluations, *planned.reasons.made_by], n=3, cutoff=0.3)
    raise InputError(
        f"{cell!r} is no run, no prediction and no file of the study {planned.study.study} "
        f"(close to it: {', '.join(close) or 'nothing'}; runs are such as {next(iter(planned.runs))})"
    )


def _run(planned: Planned, run: Run) -> list[str]:
    cell, numbers = planned.cell(run), planned.numbers_of.get(str(run), [])
    at = f" at {cell['progress']}" if cell["state"] == "resumable" else ""
    lines = [f"{run}: {cell['state']}{at}"]
    if str(run) in planned.live:
        lines.append(f"on the cluster: {planned.live[str(run)]}")
    training = "not trained" if run.dataset == UNTUNED else "trained" if cell["trained"] else "to be trained"
    lines.append(f"{training}; {cell['evaluated']} of {cell['evaluations']} evaluations are there")
    if cell["fault"]:
        lines.append(f"blocked: {cell['fault']}")
    if not numbers:
        return [*lines, *_marks(planned, run), "nothing is planned for it"]
    rules = Counter(planned.jobs[number].rule for number in numbers)
    lines.append("planned: " + ", ".join(f"{number} {_verb(rule)}" for rule, number in rules.items()))
    lines += _why(planned, numbers)
    for number in numbers:
        if planned.jobs[number].rule == "train":
            lines.append(f"training: {_cost(planned, number)}")
    predictions = planned.cost([number for number in numbers if planned.jobs[number].rule == "predict"])
    if predictions["basis"]:
        time = "time unknown" if predictions["hours"] is None else f"{hours(predictions['hours'])} one after another"
        lines.append(f"predictions: {time} ({basis(predictions)})")
    return lines + _marks(planned, run)


def _evaluation(planned: Planned, cell: str, run: Run, suite: str, epoch: int | str) -> list[str]:
    paths = (planned.paths.prediction(run, suite, epoch), planned.paths.grades(run, suite, epoch))
    found = [planned.reasons.made_by[str(path)] for path in paths if str(path) in planned.reasons.made_by]
    if not found:
        return [f"{cell}: done", "nothing is planned for it"]
    lines = [f"{cell}: {planned.job_states[found[0]]}"]
    if found[0] in planned.progress:
        lines[0] += f" at {planned.progress[found[0]]}"
    lines.append("planned: " + ", ".join(_verb(planned.jobs[number].rule) for number in found))
    lines += _blocked(planned, found[0]) + _why(planned, found)
    if found[0] in planned.estimates:
        lines.append(f"prediction: {_cost(planned, found[0])}")
    mark = failure(paths[0].with_suffix(".state"))
    return lines + ([f"last failure: {described(mark)}"] if mark else [])


def _job(planned: Planned, number: int, path: str) -> list[str]:
    job = planned.jobs[number]
    lines = [f"{path}: {planned.job_states[number]}", f"written by: {job}"]
    lines += _blocked(planned, number) + _why(planned, [number])
    return lines + ([f"time: {_cost(planned, number)}"] if number in planned.estimates else [])


def _blocked(planned: Planned, number: int) -> list[str]:
    if planned.job_states[number] != "blocked":
        return []
    return [f"blocked: {planned.failures.get(number, BLOCKED_BEFORE)}"]


def _why(planned: Planned, numbers: list[int]) -> list[str]:
    """Each cause of some jobs once, with the way from it to the first of the jobs that has it."""
    lines, seen = [], set()
    for number in numbers:
        causes = planned.reasons.causes(number)
        if causes <= seen:
            continue
        seen |= causes
        lines += _chain(planned.reasons.chain(number), planned.reasons.forced)
    return lines


def _chain(chain: list[tuple[Job, list[str]]], forced) -> list[str]:
    steps = [_verb(job.rule) for job, _ in chain]
    job, causes = chain[-1]
    if causes == [MISSING]:
        end = f"{', '.join(job.outputs[:1])} is not there"
    else:
        end = "; ".join(causes) or "what it follows is planned"
    way = f"{steps[0]} follows {', which follows '.join(steps[1:])}: " if len(steps) > 1 else f"{steps[0]}: "
    return [f"why: {way}{end}"]


_VERBS = {
    "spec_run": "the run's settings", "spec_predict": "the suite's settings", "spec_grade": "the scorers' versions",
    "spec_judge": "the judge's settings", "judge": "judging",
    "base_model": "the base model", "train": "training", "predict": "prediction", "grade": "grading",
    "select": "choice of an epoch",
    "synthesise": "the teacher's items", "pool": "the pool", "suite": "the suite's items", "dataset": "the dataset",
}  # fmt: skip


def _verb(rule: str) -> str:
    return _VERBS.get(rule, rule)


def _cost(planned: Planned, number: int) -> str:
    found, left = planned.estimates[number], planned.left(number)
    gpus = f" on {found.gpus} GPU{'s' * (found.gpus != 1)}" if found.gpus else ""
    if left is None:
        return f"time unknown{gpus}; {found.why}"
    done = f", {hours(found.seconds_done / 3600)} are done" if found.seconds_done else ""
    return f"{hours(left / 3600)}{gpus} ({found.basis}; {found.why}){done}"


def _marks(planned: Planned, run: Run) -> list[str]:
    """What the last attempts said that failed by themselves."""
    places = {"training": planned.paths.run(run) / "state"}
    for suite, epoch in planned.grid.evaluations(run):
        places[f"{suite} at epoch {epoch}"] = planned.paths.prediction(run, suite, epoch).with_suffix(".state")
    return [f"last failure, {what}: {described(mark)}" for what, folder in places.items() if (mark := failure(folder))]
