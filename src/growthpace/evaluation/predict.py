"""Predictions of one checkpoint on one suite. By hand: `growthpace predict CONFIG MODEL/DATASET/seed-N SUITE EPOCH`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from growthpace.conversation import Encoder
from growthpace.data.items import Item, Message, read_items
from growthpace.errors import InputError
from growthpace.evaluation.engine import Engine, NotFiniteError, Question
from growthpace.evaluation.predictions import Prediction, write_predictions
from growthpace.evaluation.scorers import SCORERS
from growthpace.files import fingerprint, read_json
from growthpace.grid import SELECTED, Grid, Paths, Run
from growthpace.models.base import weights_hash
from growthpace.models.tokenizer import decode
from growthpace.study import UNTUNED, Study


def predict(study: Study, run: Run, suite: str, epoch: int | str, paths: Paths, report: Callable[[str], None]) -> None:
    """Answers every item of the suite and writes the predictions in one piece.

    epoch: a number, or `selected` for the epoch in the run's selection. Raises `InputError` where weights are gone
    or are not those that the run's `training.json` lists.
    """
    if epoch == SELECTED and not paths.selected(run).exists():
        raise InputError(f"{run}: no epoch has been selected yet (growthpace select), so there is none to predict with")
    number = read_json(paths.selected(run))["epoch"] if epoch == SELECTED else epoch
    folder = paths.weights(run, number)
    weights = _verified(run, number, paths)
    items = read_items(paths.suite(suite))
    engine = Engine(folder, study.format, study.threads)
    report(f"predict {run}: {suite} at epoch {number}, {len(items)} items")
    predictions = answer(engine, items, study.suites[suite].max_new_tokens, _spoken(report, run, suite, len(items)))
    metadata = {
        "study": study.study,
        "stage": "prediction",
        "run": str(run),
        "epoch": number,
        "suite": suite,
        "weights_sha256": weights,
        **Grid(study).prediction_settings(suite),
    }
    write_predictions(paths.prediction(run, suite, epoch), predictions, metadata)


def _verified(run: Run, epoch: int, paths: Paths) -> str:
    """Hash of the weights to evaluate, which must be those that were trained (or made ready)."""
    found = weights_hash(paths.weights(run, epoch))
    listed = paths.model(run.model) / "base.json" if run.dataset == UNTUNED else paths.marker(run, epoch)
    expected = read_json(listed)["weights_sha256"] if listed.exists() else None
    if found is None or expected is None:
        paths.marker(run, epoch).unlink(missing_ok=True)  # so that the next plan trains this run again
        raise InputError(
            f"{run}: the weights of epoch {epoch} are gone ({paths.weights(run, epoch)}); "
            "start the study again, it will train this run once more and then evaluate it"
        )
    if found != expected:
        raise InputError(
            f"{run}: {paths.weights(run, epoch)} holds other weights than were trained "
            f"(hash {found[:8]}, listed {expected[:8]}); remove the folder and start the study again"
        )
    return found


def answer(
    engine: Engine, items: Sequence[Item], max_new_tokens: int, report: Callable[[int], None] = lambda done: None
) -> list[Prediction]:
    """Predictions of the items, in their order: candidates scored or an answer generated, as their scorers need."""
    encoder = engine.encoder
    found: dict[int, Prediction] = {}
    scored, generated = [], []
    for index, item in enumerate(items):
        if item.scorer not in SCORERS:
            raise InputError(f"item {item.id!r} ({item.origin}) cannot be scored (scorer {item.scorer!r})")
        (scored if SCORERS[item.scorer].NEEDS == "candidates" else generated).append(index)

    questions, cuts = [], []
    for index in scored:
        item = items[index]
        end = [encoder.end_of_turn] if SCORERS[item.scorer].END_OF_TURN else []
        candidates = tuple([*encoder.answer(text), *end] for text in item.candidates)
        if not all(candidates):
            raise InputError(f"item {item.id!r} ({item.origin}): a candidate has no tokens ({list(item.candidates)})")
        prompt, cut = fitted(encoder, item, engine.context - max(map(len, candidates)) + 1)
        questions.append(Question(prompt, candidates))
        cuts.append(cut)
    for index, question, cut, logprobs in zip(scored, questions, cuts, engine.score(questions, report), strict=True):
        if not all(map(math.isfinite, logprobs)):
            raise FloatingPointError(f"item {items[index].id!r}: log-probabilities {logprobs} are not finite")
        found[index] = Prediction(
            item_id=items[index].id,
            text=None,
            finished=None,
            logprobs=logprobs,
            tokens=tuple(map(len, question.candidates)),
            prompt_tokens=len(question.prompt),
            generated_tokens=0,
            cut_tokens=cut,
            prompt_hash=fingerprint(list(question.prompt)),
        )

    prompts = [fitted(encoder, items[index], engine.context - max_new_tokens) for index in generated]
    try:
        answers = engine.generate(
            [prompt for prompt, _ in prompts], max_new_tokens, lambda done: report(len(scored) + done)
        )
    except NotFiniteError as error:
        raise FloatingPointError(f"item {items[generated[error.index]].id!r}: the model's logits are NaN") from None
    for index, (prompt, cut), (tokens, ended) in zip(generated, prompts, answers, strict=True):
        found[index] = Prediction(
            item_id=items[index].id,
            text=decode(engine.tokenizer, tokens),
            finished=ended,
            logprobs=(),
            tokens=(),
            prompt_tokens=len(prompt),
            generated_tokens=len(tokens),
            cut_tokens=cut,
            prompt_hash=fingerprint(list(prompt)),
        )
    return [found[index] for index in range(len(items))]


def fitted(encoder: Encoder, item: Item, room: int) -> tuple[list[int], int]:
    """The item's prompt within `room` tokens, and how many tokens were cut.

    Cut at the front, by whole turns (a question with its answer) as long as that helps, then by tokens; never the
    answer, never the cue for it.
    """
    if room < 1:
        raise InputError(f"item {item.id!r} ({item.origin}): its answer alone does not fit the model's context")
    messages: list[Message] = list(item.messages[:-1])
    whole = prompt = encoder.prompt(messages)
    while len(prompt) > room and len(messages) > 2:
        messages = messages[2:] if messages[0].role == "user" else messages[1:]
        prompt = encoder.prompt(messages)
    kept = prompt[-room:]
    return kept, len(whole) - len(kept)


def _spoken(report: Callable[[str], None], run: Run, suite: str, total: int) -> Callable[[int], None]:
    """Says how far a prediction is, at most every five seconds."""
    last = time.monotonic()

    def progress(done: int) -> None:
        nonlocal last
        if time.monotonic() - last > 5:
            last = time.monotonic()
            report(f"predict {run}: {suite}, {done} of {total} items")

    return progress
