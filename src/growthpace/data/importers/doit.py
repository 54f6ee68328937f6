"""The layout of the paper's dataset DoIT: JSON lines (or an array) with the fields

- `messages`: [{role: user | assistant, content}], the last one the reference;
- `idx`: number or text, unique within its file (optional);
- `type`: the publisher's name of the ability. Not used to label the item, the study's file mapping does that; `ethics`
  says that several options may be right;
- `question_format`: 0 the answer is matched, 1 the reference has the lowest perplexity of `choices` (0 when absent);
- `choices`: the texts compared, the right one first (format 1);
- `answer`: the final answer (mathematics);
- `group`: our addition, optional: items that share a passage or a dialogue.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from growthpace.data.importers.records import Record, read_messages, read_records
from growthpace.data.importers.references import UNSCORED, Scoring, scoring_of
from growthpace.data.items import Item, Message

ROLES = {"system": "system", "user": "user", "assistant": "assistant"}


def read(path: Path, name: str, ability: str, labelled: bool) -> Iterator[Item]:
    """Items of one file; ids are `{file stem}:{idx}` where `idx` is given. Raises `InputError` with file and line."""
    stem = Path(name).stem
    for record in read_records(path, name):
        messages = read_messages(record, "messages", "role", "content", ROLES)
        index = record.field("idx", (int, str), required=False)
        scoring = _scoring(record, messages, ability) if labelled and messages else UNSCORED
        yield Item(
            id="" if index is None else f"{stem}:{index}",
            ability=ability,
            messages=messages,
            scorer=scoring.scorer,
            answer=scoring.answer,
            candidates=scoring.candidates,
            chance=scoring.chance,
            group=record.field("group", str, required=False) or "",
            origin=record.origin,
        )


def _scoring(record: Record, messages: tuple[Message, ...], ability: str) -> Scoring:
    question_format = record.field("question_format", int, required=False)
    if question_format not in (None, 0, 1):
        raise record.wrong(f"question_format: {question_format} (allowed: 0 match, 1 perplexity)")
    if question_format == 1:
        return _perplexity(record, messages[-1].content)
    answer = record.field("answer", (str, int, float), required=False)
    if answer is not None:
        if not str(answer).strip():
            raise record.wrong("answer: empty")
        return Scoring("math", str(answer).strip())
    kind = (record.field("type", str, required=False) or "").replace("-", "_")
    scoring, fault = scoring_of(messages, several="ethics" in (kind, ability))
    if fault:
        raise record.wrong(fault)
    return scoring


def _perplexity(record: Record, reference: str) -> Scoring:
    choices = record.field("choices", list, required=False)
    if not choices:  # a training item: compared with nothing
        return UNSCORED
    for position, choice in enumerate(choices, start=1):
        if not record.typed(choice, str, f"choices[{position}]").strip():
            raise record.wrong(f"choices[{position}]: empty")
    if len(choices) < 2:
        raise record.wrong("choices: at least two texts are needed, found 1")
    if len({choice.strip() for choice in choices}) < len(choices):
        raise record.wrong("choices: the same text occurs twice, so neither can be the best")
    # The publisher edited some choices without their messages; only an order that is plainly wrong is refused.
    if reference.strip() in [choice.strip() for choice in choices[1:]]:
        raise record.wrong("choices: the reference comes first, but the last message is another of them")
    return Scoring("perplexity", choices[0], tuple(choices), 1 / len(choices))
