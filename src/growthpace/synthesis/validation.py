"""From an instruction and the teacher's answers to an item, where the answers can be trusted.

An answer is read by the scorer of the item's form, as a model's answer would be in evaluation, and a second,
independent one must say the same. A program must pass its tests, in the sandbox, which an empty program must not.
"""

from __future__ import annotations

from dataclasses import replace

from growthpace.data.importers.references import options
from growthpace.data.items import Item, Message, content_id
from growthpace.errors import InputError
from growthpace.evaluation.predictions import Prediction
from growthpace.evaluation.scorers import SCORERS
from growthpace.synthesis.filters import refuses, unfinished
from growthpace.synthesis.prompts import Draft, Plan

BY_TWO = ("letter", "letters", "true_false", "cloze", "math", "exact_match")
"""Scorers that tell whether two answers agree."""
BARE = ("letter", "letters", "true_false")
"""Scorers whose answers are a word: where the seed's answer is that word alone, so is the new item's."""
AGREED, PASSED = "two answers agree", "its tests pass"


def answers_needed(form: Item, validation: str) -> int:
    """How many answers are asked for to an instruction of a seed's form."""
    return 2 if validation == "scorer" and form.scorer in BY_TWO else 1


def item_of(plan: Plan, draft: Draft, answers: list[str], validation: str) -> tuple[Item | None, str]:
    """(the item, how it was checked), or (None, why it is dropped). `answers`: as many as `answers_needed`."""
    for answer in answers:
        if not answer.strip():
            return None, "the answer is empty"
        if refuses(answer):
            return None, "the answer refuses"
        if unfinished(answer):
            return None, "the answer is cut off"
    form, text = plan.form, answers[0].strip()
    free = _item(plan, draft.text, text, Item("", plan.ability, (), "none"))
    if validation == "none":
        return free, ""
    if form.scorer == "code":
        return _tried(plan, draft, text)
    if form.scorer not in BY_TWO:
        return free, ""
    return _agreed(plan, draft, answers)


def _item(plan: Plan, instruction: str, answer: str, scoring: Item) -> Item:
    messages = (Message("user", instruction), Message("assistant", answer))
    identity = content_id(plan.ability, messages, scoring.answer, scoring.candidates)
    return replace(scoring, id=identity, ability=plan.ability, messages=messages)


def _agreed(plan: Plan, draft: Draft, answers: list[str]) -> tuple[Item | None, str]:
    form, scorer = plan.form, SCORERS[plan.form.scorer]
    blank = Item("", plan.ability, (), form.scorer, answer="0", chance=0.0)
    if form.scorer in ("letter", "letters"):
        found = options(draft.text, "A")
        if len(found) != len(form.candidates):
            return None, "other options than the examples have"
        blank = replace(blank, candidates=tuple(found), answer=found[0], chance=form.chance)
    elif form.scorer == "true_false":
        blank = replace(blank, candidates=form.candidates, answer=form.candidates[0], chance=form.chance)

    def said(text: str, item: Item):
        return scorer.grade(item, Prediction("", text, True, (), (), 0, 0, 0, ""))

    parsed = said(answers[0], blank).parsed
    if not parsed.strip():
        return None, "the scorer does not understand the answer"
    item = replace(blank, answer=parsed)
    if said(answers[1], item).grade != 1:
        return None, "two answers differ"
    bare = form.scorer in BARE and form.messages[-1].content.strip() == form.answer
    return _item(plan, draft.text, parsed if bare else answers[0].strip(), item), AGREED


def _tried(plan: Plan, draft: Draft, answer: str) -> tuple[Item | None, str]:
    from growthpace.evaluation.sandbox import try_out

    if not draft.tests:
        return None, "there are no tests"
    if try_out(["pass"], "", draft.tests).passed:
        return None, "an empty program passes the tests"
    item = Item("", plan.ability, (), "code", answer=answer, tests=draft.tests)
    grade = SCORERS["code"].grade(item, Prediction("", answer, True, (), (), 0, 0, 0, ""))
    return (
        (_item(plan, draft.text, answer, item), PASSED) if grade.grade == 1 else (None, "the program fails its tests")
    )


def require_sandbox(forms: list[Item], validation: str) -> None:
    """Raises `InputError` where programs are to be tried out and cannot be here."""
    if validation == "scorer" and any(form.scorer == "code" for form in forms):
        from growthpace.evaluation.sandbox import check_works, find_bubblewrap

        try:
            find_bubblewrap()
            check_works()
        except InputError as error:
            raise InputError(f"validation: scorer tries programs out: {error} (or say validation: none)") from None
