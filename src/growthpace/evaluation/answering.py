"""From items to predictions: what the engine is asked about each item, and what it said in an item's terms."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from growthpace.conversation import Encoder
from growthpace.data.items import Item, Message
from growthpace.errors import InputError
from growthpace.evaluation.engine import Engine, NotFiniteError
from growthpace.evaluation.predictions import Prediction
from growthpace.evaluation.questions import Question
from growthpace.evaluation.scorers import SCORERS
from growthpace.files import fingerprint
from growthpace.models.tokenizer import decode

OPTIONS = ("letter", "true_false")
"""Scorers that grade log-probabilities of options as well as texts; a suite's `answers` chooses."""


@dataclass(frozen=True)
class Fitted:
    """An item's prompt within the context."""

    prompt: list[int]
    cut: int
    """Tokens that were cut at the front."""
    shots: int
    """Worked examples that are left."""


def answers(
    engine: Engine,
    items: Sequence[Item],
    max_new_tokens: int,
    how: str = "logprob",
    *,
    paper_compatible: bool = False,
    known: Collection[str] = (),
) -> Iterator[list[Prediction]]:
    """Predictions of the items, a batch at a time: candidates scored or an answer generated, as their scorers need.

    how, paper_compatible: the suite's `answers`, for items with options, and its key of that name. known: ids of items
    that need no answer. Which items are answered together depends on all of them, never on what is known (a batch is
    left out as a whole), since the last bits of a result depend on the batch. Raises `InputError` naming an item that
    cannot be answered, FloatingPointError naming one for which the model's logits are NaN.
    """
    scored, generated = [], []
    for item in items:
        if item.scorer not in SCORERS:
            raise InputError(f"item {item.id!r} ({item.origin}) cannot be scored (scorer {item.scorer!r})")
        by_options = how == "logprob" or item.scorer not in OPTIONS
        by_candidates = SCORERS[item.scorer].NEEDS == "candidates" and by_options
        (scored if by_candidates else generated).append(item)
    yield from _scored(engine, scored, known)
    yield from _generated(engine, generated, max_new_tokens, how == "both", paper_compatible, known)


# --- candidates ---


def _scored(engine: Engine, items: list[Item], known: Collection[str]) -> Iterator[list[Prediction]]:
    candidates = [_candidates(engine.encoder, item) for item in items]
    prompts = [
        fitted(engine.encoder, item, item.messages[:-1], engine.context - max(map(len, texts)) + 1)
        for item, texts in zip(items, candidates, strict=True)
    ]
    questions = [Question(prompt.prompt, texts) for prompt, texts in zip(prompts, candidates, strict=True)]

    def answer(batch: list[int]) -> list[Prediction]:
        began = time.monotonic()
        scores = engine.score_batch([questions[index] for index in batch])
        seconds = time.monotonic() - began
        return [
            replace(_blank(items[index], prompts[index], seconds), **_scores(items[index], candidates[index], values))
            for index, values in zip(batch, scores, strict=True)
        ]

    batches = engine.scored_together(questions)
    missing = [batch for batch in batches if not all(items[index].id in known for index in batch)]
    yield from (predictions for _, predictions in engine.answered(missing, answer))


def _candidates(encoder: Encoder, item: Item) -> tuple[list[int], ...]:
    end = [encoder.end_of_turn] if SCORERS[item.scorer].END_OF_TURN else []
    candidates = tuple([*encoder.answer(text), *end] for text in item.candidates)
    if not candidates or not all(candidates):
        raise InputError(f"item {item.id!r} ({item.origin}): a candidate has no tokens ({list(item.candidates)})")
    return candidates


def _scores(item: Item, candidates: Sequence[Sequence[int]], logprobs: tuple[float, ...]) -> dict:
    """A prediction's fields of candidates."""
    if not all(map(math.isfinite, logprobs)):
        raise FloatingPointError(f"item {item.id!r}: log-probabilities {logprobs} are not finite")
    sizes = tuple(len(text.encode()) for text in item.candidates)
    return {"logprobs": logprobs, "tokens": tuple(map(len, candidates)), "bytes": sizes}


# --- generated answers ---


def _generated(
    engine: Engine, items: list[Item], max_new_tokens: int, both: bool, last_step: bool, known: Collection[str]
) -> Iterator[list[Prediction]]:
    """both: score the options of items with options too; last_step: and, of letters, the last step (`last_step`)."""
    room = engine.context - max_new_tokens

    def first_prompt(item: Item) -> list[int]:
        return fitted(engine.encoder, item, item.messages[: _open_turns(item)[0]], room).prompt

    def answer(batch: list[int]) -> list[Prediction]:
        asked = [items[index] for index in batch]
        found, at_end = _converse(engine, asked, room, max_new_tokens)
        if last_step and (places := [place for place, item in enumerate(asked) if item.scorer == "letter"]):
            letters = tuple([token] for token in _bare_letters(engine.encoder))
            scores = engine.score([Question(at_end[place], letters) for place in places])
            for place, values in zip(places, scores, strict=True):
                found[place] = replace(found[place], last_step=values)
        scored = [place for place, item in enumerate(asked) if both and item.scorer in OPTIONS]
        if scored:
            candidates = [_candidates(engine.encoder, asked[place]) for place in scored]
            prompts = [
                fitted(
                    engine.encoder, asked[place], asked[place].messages[:-1], engine.context - max(map(len, texts)) + 1
                )
                for place, texts in zip(scored, candidates, strict=True)
            ]
            scores = engine.score([Question(p.prompt, texts) for p, texts in zip(prompts, candidates, strict=True)])
            for place, texts, values in zip(scored, candidates, scores, strict=True):
                found[place] = replace(found[place], **_scores(asked[place], texts, values))
        return found

    batches = engine.generated_together([first_prompt(item) for item in items], max_new_tokens)
    missing = [batch for batch in batches if not all(items[index].id in known for index in batch)]
    yield from (predictions for _, predictions in engine.answered(missing, answer))


def _open_turns(item: Item) -> list[int]:
    """Places of the messages that the model writes: the last, and earlier turns that nobody wrote."""
    last = len(item.messages) - 1
    return [n for n, m in enumerate(item.messages[:-1]) if m.role == "assistant" and not m.content.strip()] + [last]


def _bare_letters(encoder: Encoder) -> list[int]:
    """The tokens `A` to `D` as the paper's released code asked for them: not those that tuning taught (B25)."""
    ids = [encoder.tokenizer.convert_tokens_to_ids(letter) for letter in "ABCD"]
    if None in ids or encoder.tokenizer.unk_token_id in ids:
        raise InputError("paper_compatible: the tokenizer has no tokens A, B, C and D, whose logits the code compared")
    return ids


def _converse(
    engine: Engine, items: list[Item], room: int, max_new_tokens: int
) -> tuple[list[Prediction], list[list[int]]]:
    """Answers of the items' open turns, the earlier ones first (a later one sees what was said before), and the tokens
    from which the last step of each made its token."""
    at_end: list[list[int]] = [[]] * len(items)
    said: list[list[Message]] = [list(item.messages) for item in items]
    predictions: list[Prediction | None] = [None] * len(items)
    began = time.monotonic()
    for turn in range(max(len(_open_turns(item)) for item in items)):
        asked = [number for number, item in enumerate(items) if turn < len(_open_turns(item))]
        places = [_open_turns(items[number])[turn] for number in asked]
        prompts = [
            fitted(engine.encoder, items[number], said[number][:place], room)
            for number, place in zip(asked, places, strict=True)
        ]
        try:
            found = engine.generate_batch([prompt.prompt for prompt in prompts], max_new_tokens)
        except NotFiniteError as error:
            raise FloatingPointError(f"item {items[asked[error.index]].id!r}: the model's logits are NaN") from None
        for number, place, prompt, (tokens, ended) in zip(asked, places, prompts, found, strict=True):
            text = decode(engine.tokenizer, tokens)
            said[number][place] = Message("assistant", text)
            earlier = tuple(said[number][n].content for n in _open_turns(items[number])[:turn])
            blank = _blank(items[number], prompt, time.monotonic() - began)
            at_end[number] = [*prompt.prompt, *(tokens if ended else tokens[:-1])]
            predictions[number] = replace(
                blank, text=text, finished=ended, generated_tokens=len(tokens), earlier=earlier
            )
    return predictions, at_end


# --- both ---


def _blank(item: Item, fitted: Fitted, seconds: float) -> Prediction:
    """A prediction that says what was asked, and nothing of the answer yet."""
    return Prediction(
        item_id=item.id, text=None, finished=None, logprobs=(), tokens=(), prompt_tokens=len(fitted.prompt),
        generated_tokens=0, cut_tokens=fitted.cut, prompt_hash=fingerprint(list(fitted.prompt)), shots=fitted.shots,
        seconds=round(seconds, 6),
    )  # fmt: skip


def fitted(encoder: Encoder, item: Item, messages: Sequence[Message], room: int) -> Fitted:
    """The prompt of an item's messages so far within `room` tokens.

    Cut at the front, by whole turns (a question with its answer, such as a worked example) as long as that helps, a
    system message last of all, then by tokens; never the answer, never the cue for it.
    """
    if room < 1:
        raise InputError(f"item {item.id!r} ({item.origin}): its answer alone does not fit the model's context")
    system, turns = list(messages[:1]), list(messages[1:])
    if system[0].role != "system":
        system, turns = [], list(messages)
    whole = prompt = encoder.prompt([*system, *turns])
    dropped = 0
    while len(prompt) > room and len(turns) > 2:
        turns, dropped = turns[2:], dropped + 1
        prompt = encoder.prompt([*system, *turns])
    if len(prompt) > room and system:
        prompt = encoder.prompt(turns)
    kept = prompt[-room:]
    return Fitted(kept, len(whole) - len(kept), max(item.shots - dropped, 0))
