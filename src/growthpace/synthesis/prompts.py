"""What a teacher is asked: new instructions after a few examples, then an answer to each. The words are our own.

Which examples, topic and style a request has follows from its number alone: of all options that are there, those with
the lowest hash of (kind, ability, number, option). So one more seed or topic changes few requests, and no request
depends on what came before it, on the volume or on other abilities.
"""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from growthpace.data.items import Item
from growthpace.endpoint.requests import Malformed, Request
from growthpace.study import GENERAL, SyntheticItems

WRITER = (
    "You write instructions for a collection that teaches a language model to be helpful. You are shown a few of "
    "them as examples. Write {number} new {what}, in the language and of the kind of the examples{of_ability}.\n\n"
    "- Each must be complete in itself: whatever text, data, options or dialogue it needs is part of it. It cannot "
    "refer to pictures, files, links or earlier messages.\n"
    "- Each must be new: another matter, another wording, not an example with its names changed.\n"
    "- If the examples have options, write as many, marked in the same way, with exactly as many right ones.\n"
    "- It must have an answer that a careful expert would agree with, in text alone.\n"
    "- Do not answer them."
)
TESTS = (
    '\n- Beside each instruction give "tests": Python statements, such as assert f(2) == 4, that use the function '
    "which the instruction names and fail unless it does all that is asked."
)
ANSWER_WITH = '\n\nAnswer with one JSON object and nothing else: {{"instructions": [{{"instruction": "..."{tests}}}]}}'
ANSWERER = (
    "You answer instructions, correctly and completely, in the language of the instruction. Follow the form of the "
    "answers that came before, without remarks about yourself or the task."
)


@dataclass(frozen=True)
class Draft:
    """An instruction as the teacher wrote it."""

    text: str
    tests: str
    """For code, else empty."""


class _Draft(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    instruction: str
    tests: str = ""


class _Drafts(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    instructions: list[_Draft]


@dataclass(frozen=True)
class Plan:
    """What one request for instructions is made of."""

    ability: str
    number: int
    """From 0, of its ability."""
    examples: tuple[Item, ...]
    """The first decides the form: the others are scored in the same way."""
    topic: str
    """Empty where the study has none."""
    style: str

    @property
    def form(self) -> Item:
        return self.examples[0]


def drawn(kind: str, ability: str, number: int, options: Sequence[str], count: int = 1) -> list[str]:
    """So many of the options, by their hash; fewer where there are fewer."""

    def rank(option: str) -> bytes:
        return hashlib.sha256(f"{kind}\0{ability}\0{number}\0{option}".encode()).digest()

    return heapq.nsmallest(count, options, key=rank)


def plan(items: SyntheticItems, ability: str, number: int, seeds: dict[str, Item]) -> Plan:
    """The request of that number; `seeds`: the ability's, by id."""
    (first,) = drawn("seed", ability, number, list(seeds))
    alike = [i for i, seed in seeds.items() if _form(seed) == _form(seeds[first]) and i != first]
    others = drawn("examples", ability, number, alike, items.examples - 1)
    topic, style = (
        next(iter(drawn(kind, ability, number, items.of_ability(kind, ability))), "") for kind in ("topics", "styles")
    )
    return Plan(ability, number, tuple(seeds[i] for i in (first, *others)), topic, style)


def _form(item: Item) -> tuple[str, int]:
    """What items have in common that can be shown together: the scorer, and the number of options."""
    return item.scorer, len(item.candidates) if item.scorer in ("letter", "letters") else 0


def instruction_text(item: Item) -> str:
    """An item's instruction as one text; turns before the last with who said them. Worked examples are left out."""
    messages = list(item.messages[:-1])
    system = [messages.pop(0)] if messages[0].role == "system" else []
    turns = messages[2 * item.shots :]
    if len(turns) == 1 and not system:
        return turns[0].content
    return "\n".join(f"{message.role}: {message.content}" for message in [*system, *turns])


def writing_request(items: SyntheticItems, plan: Plan) -> Request:
    """The request for new instructions."""
    code = plan.form.scorer == "code"
    what = "instruction" if items.per_request == 1 else "instructions"
    of_ability = "" if plan.ability == GENERAL else f"; what they train is: {plan.ability.replace('_', ' ')}"
    system = WRITER.format(number=items.per_request, what=what, of_ability=of_ability) + (TESTS if code else "")
    system += ANSWER_WITH.format(tests=', "tests": "..."' if code else "")
    shown = [f"Example {n}:\n{instruction_text(item)}" for n, item in enumerate(plan.examples, start=1)]
    if code:
        shown = [f"{text}\nTests:\n{item.tests}" for text, item in zip(shown, plan.examples, strict=True)]
    wanted = [f"Topic: {plan.topic}"] * bool(plan.topic) + [f"Style: {plan.style}"] * bool(plan.style)
    user = "\n\n".join([*shown, *wanted, f"Now write {items.per_request} new {what}."])
    body = _body(items, [("system", system), ("user", user)])
    if items.teacher.answer_format == "json_object":
        body["response_format"] = {"type": "json_object"}
    elif items.teacher.answer_format == "json_schema":
        body["response_format"] = {"type": "json_schema", "json_schema": _schema(code)}
    return Request(f"{plan.ability}, instructions {plan.number}", body, plan.number)


def _body(items: SyntheticItems, messages: Sequence[tuple[str, str]]) -> dict[str, Any]:
    teacher = items.teacher
    return {
        "model": teacher.model,
        "temperature": teacher.temperature,
        "max_tokens": teacher.max_tokens,
        "messages": [{"role": role, "content": content} for role, content in messages],
    }


def _schema(code: bool) -> dict[str, Any]:
    keys = ["instruction", "tests"] if code else ["instruction"]
    one = {
        "type": "object",
        "properties": {key: {"type": "string"} for key in keys},
        "required": keys,
        "additionalProperties": False,
    }
    schema = {
        "type": "object",
        "properties": {"instructions": {"type": "array", "items": one}},
        "required": ["instructions"],
        "additionalProperties": False,
    }
    return {"name": "instructions", "strict": True, "schema": schema}


def read_drafts(text: str) -> list[Draft]:
    """The instructions in an answer: those of its first JSON object of the right shape, whatever stands around it.

    What a reasoning model thinks first (up to `</think>`) is passed over. `Malformed` where there is no such object.
    """
    text = text.rsplit("</think>", 1)[-1]
    position, wrong = text.find("{"), "no JSON object"
    while position >= 0:
        try:
            content, _ = json.JSONDecoder().raw_decode(text, position)
            found = _Drafts.model_validate(content)
            return [Draft(draft.instruction.strip(), draft.tests.strip()) for draft in found.instructions]
        except ValidationError as error:
            first = error.errors()[0]
            wrong = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        except (ValueError, RecursionError):
            pass
        position = text.find("{", position + 1)
    raise Malformed(f"{wrong} in {text[:200]!r}")


def answering_request(items: SyntheticItems, plan: Plan, instruction: str, repeat: int) -> Request:
    """The request for an answer, after the examples and their answers; another `repeat` gives an independent one."""
    messages = [("system", ANSWERER)]
    for item in plan.examples:
        if item.messages[-1].content.strip():  # items for a judge may have no answer
            messages += [("user", instruction_text(item)), ("assistant", item.messages[-1].content)]
    body = _body(items, [*messages, ("user", instruction)])
    return Request(f"{plan.ability}, an answer of request {plan.number}", body, repeat)
