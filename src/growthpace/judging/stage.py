"""The judging stage's files: `judgements/{run}/epoch-{epoch}/{suite}.parquet`, and what they say about the judge.

Prints what it will cost before it asks anything. Answers lie in `asked/` (see `growthpace.endpoint.cache`), so that a
job that is killed, or run again after a change of something else, pays for nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from growthpace.data.items import read_items
from growthpace.endpoint.client import Client
from growthpace.endpoint.opening import endpoint_settings, limits_told
from growthpace.endpoint.requests import Result
from growthpace.errors import InputError
from growthpace.evaluation.judgements import Verdict, read_judgements, write_judgements
from growthpace.evaluation.predictions import read_predictions
from growthpace.files import read_metadata, sha256, write_json
from growthpace.grid import Grid, Run
from growthpace.judging.pairwise import Question, questions
from growthpace.judging.prompts import read_verdict, squeezed, verdict_model
from growthpace.judging.report import lines, summary
from growthpace.paths import Paths
from growthpace.study import Judge, Study
from growthpace.versions import VERSIONS


def judge_suite(
    study: Study, run: Run, suite: str, epoch: int | str, paths: Paths, report: Callable[[str], None]
) -> dict[str, Any]:
    """Has a checkpoint's answers judged, writes the verdicts and returns their summary.

    Raises `InputError` for a suite without items to judge, a limit that would be passed, an endpoint that takes no
    request at all, and where not one verdict came back: then nothing is written, and running it again asks again.
    """
    judge, source = study.judge, paths.prediction(run, suite, epoch)
    if judge is None or suite not in study.judged:
        raise InputError(f"suites.{suite}.judged: false (allowed: true, with a section judge)")
    items = [item for item in read_items(paths.suite(suite)) if item.scorer == "judge"]
    if not items:
        raise InputError(f"suites.{suite}.judged: would have no effect, none of its items has the scorer judge")
    try:
        asked = list(questions(judge, items, {p.item_id: p for p in read_predictions(source)}))
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    verdicts = _verdicts(judge, asked, paths.asked, f"{run}: {suite} at epoch {epoch}", report)
    metadata = {
        "study": study.study,
        "stage": "judging",
        "run": str(run),
        "suite": suite,
        "epoch": read_metadata(source).get("epoch"),
        "predictions_sha256": sha256(source),
        "settings": Grid(study).judging_settings(),
    }
    found = summary(verdicts, study.analysis.confidence)
    for line in lines(found):
        report(f"judge {run}: {line}")
    write_judgements(paths.judgements(run, suite, epoch), verdicts, metadata)
    return found


def _verdicts(judge: Judge, asked: list[Question], folder: Path, named: str, report) -> list[Verdict]:
    shape = verdict_model(judge)
    client = Client(endpoint_settings(judge, "judge"), folder)
    requests = [question.request for question in asked]

    def check(request, text):
        return read_verdict(shape, text)

    estimate = client.estimate(requests, check)
    report(f"judge {named}: {estimate}{limits_told(judge)}")
    client.refuse_beyond_limits(estimate)
    step = max(1, len(requests) // 10)

    def tell(done: int) -> None:
        if done and done % step == 0:
            report(f"judge {named}, {done:,} of {len(requests):,} answered")

    results = client.complete(requests, check, tell)
    if all(result.missing for result in results):
        first = results[0]
        raise InputError(
            f"{judge.base_url}: not one of {len(results):,} requests was answered ({first.missing}: {first.detail}); "
            "see whether the endpoint works and run it again"
        )
    return [_verdict(judge, question, result) for question, result in zip(asked, results, strict=True)]


def _verdict(judge: Judge, question: Question, result: Result) -> Verdict:
    lowest, highest = judge.scale or (None, None)
    return Verdict(
        item_id=question.item.id,
        shown=question.shown,
        second_pass=question.second_pass,
        score=getattr(result.value, "score", None),
        lowest=lowest,
        highest=highest,
        winner=getattr(result.value, "winner", None),
        reasoning=squeezed(result.value.reasoning) if result.value else "",
        missing=result.missing,
        detail=squeezed(result.detail),
        attempts=result.attempts,
        prompt_tokens=result.prompt_tokens,
        answer_tokens=result.answer_tokens,
        request=result.identity,
        judge=result.model,
    )


def report_judge(study: Study, paths: Paths, report: Callable[[str], None]) -> dict[str, Any]:
    """Writes `analysis/judge.json`: for each judged suite the summary of all verdicts that are there, and of each file.

    Tokens of a suite are those that its verdicts took; an answer that several of them share counts in each.
    """
    grid, suites = Grid(study), {}
    for suite in study.judged:
        verdicts, files = [], []
        for run in [*grid.untuned_runs, *grid.runs]:
            for name, epoch in grid.evaluations(run):
                path = paths.judgements(run, suite, epoch)
                if name == suite and path.exists():
                    own = read_judgements(path)
                    verdicts += _named_apart(own, f"{run}/{epoch}")
                    files.append({"run": str(run), "epoch": epoch, **summary(own, study.analysis.confidence)})
        found = summary(verdicts, study.analysis.confidence)
        suites[suite] = {**found, "said": lines(found), "files": files}
        for line in lines(found):
            report(f"judge, {suite}: {line}")
    content = {
        "study": study.study,
        "code_version": VERSIONS["judging"],
        "settings": Grid(study).judging_settings(),
        "confidence": study.analysis.confidence,
        "suites": suites,
    }
    write_json(paths.root / "analysis" / "judge.json", content)
    return content


def _named_apart(verdicts: list[Verdict], checkpoint: str) -> list[Verdict]:
    """The verdicts with items of different checkpoints told apart."""
    return [Verdict(**{**vars(verdict), "item_id": f"{checkpoint}/{verdict.item_id}"}) for verdict in verdicts]
