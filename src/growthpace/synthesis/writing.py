"""The items of one ability: requests in their order, and what becomes of each instruction.

Requests are numbered from 0 and taken in that order, however their answers arrive. Whether an instruction is kept
depends on earlier requests alone, so that the items of a smaller volume are the first of a larger one, and the same
answers always give the same items. A request without an answer is passed over; the next one takes its place.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from growthpace.data.items import Item
from growthpace.endpoint.requests import Request, Result
from growthpace.study import SyntheticItems
from growthpace.synthesis.filters import Known, instruction_fault
from growthpace.synthesis.prompts import Draft, Plan, answering_request, instruction_text, plan, writing_request
from growthpace.synthesis.validation import answers_needed, item_of

FIRST_WAVE = 100
"""Instructions that are asked for before it is known how many of them are kept; where it is none, the teacher is given
up."""

Ask = Callable[[Sequence[Request]], list[Result]]


class UnansweredError(Exception):
    """The cache alone does not know the answer to a request."""


@dataclass(frozen=True)
class Outcome:
    """What became of an instruction, or of a request that gave none."""

    number: int
    """Of the request."""
    dropped: str
    """Why; empty for an item."""
    request: bool = False
    """Whether it is the whole request that is missing."""
    item: Item | None = None
    provenance: dict[str, Any] | None = None
    tokens: int = 0
    """Sent and received for it alone."""


@dataclass
class Draftee:
    """An instruction that has passed its filters and waits for its answers."""

    plan: Plan
    draft: Draft
    position: int
    written: Result
    requests: list[Request]


@dataclass
class Writing:
    """An ability's requests and their outcomes so far."""

    items: SyntheticItems
    ability: str
    wanted: int
    """Items to keep."""
    seeds: dict[str, Item]
    host: str = ""
    """Of the endpoint, for provenance."""
    outcomes: list[Outcome] = field(default_factory=list)
    next_number: int = 0
    kept: int = 0

    def __post_init__(self):
        self.known = Known(self.items.most_similar, self.items.most_overlap)
        self.known.add_all(instruction_text(seed) for seed in self.seeds.values())

    # --- how much to ask ---

    @property
    def asked(self) -> int:
        """Instructions asked for so far."""
        return self.next_number * self.items.per_request

    @property
    def most_requests(self) -> int:
        """Requests after which the teacher is given up."""
        return math.ceil(self.items.overdraw * self.wanted / self.items.per_request)

    @property
    def given_up(self) -> bool:
        """Whether no more is asked although items are missing."""
        hopeless = self.kept == 0 and self.asked >= FIRST_WAVE
        return self.kept < self.wanted and (hopeless or self.next_number >= self.most_requests)

    @property
    def done(self) -> bool:
        return self.kept >= self.wanted or self.given_up

    def wave(self) -> list[Plan]:
        """The requests to make next: as many as should give what is missing, going by what was kept so far."""
        if self.done:
            return []
        missing = self.wanted - self.kept
        share = self.kept / self.asked if self.kept else 1.0
        instructions = missing / share if self.asked else min(missing, FIRST_WAVE)
        instructions = min(instructions, max(FIRST_WAVE, 4 * self.asked))
        count = min(math.ceil(instructions / self.items.per_request), self.most_requests - self.next_number)
        return self.plans(self.next_number, max(1, count))

    def plans(self, first: int, count: int) -> list[Plan]:
        """Requests by their numbers."""
        return [plan(self.items, self.ability, number, self.seeds) for number in range(first, first + count)]

    # --- what becomes of it ---

    def take_drafts(self, plans: list[Plan], results: list[Result]) -> list[Outcome | Draftee]:
        """What the answers to these requests, which must be the next ones, come to before anything is answered."""
        found: list[Outcome | Draftee] = []
        for one, result in zip(plans, results, strict=True):
            tokens = result.prompt_tokens + result.answer_tokens
            if result.missing:
                found.append(Outcome(one.number, result.missing, request=True, tokens=tokens))
                continue
            for position, draft in enumerate(result.value[: self.items.per_request]):
                dropped = instruction_fault(draft.text)
                if not dropped and (similar := self.known.similar(draft.text)):
                    kind, other = similar
                    dropped = f"too similar to {'a seed' if other < len(self.seeds) else 'an earlier one'} ({kind})"
                if dropped:
                    found.append(Outcome(one.number, dropped))
                    continue
                self.known.add(draft.text)
                needed = answers_needed(one.form, self.items.validation)
                requests = [answering_request(self.items, one, draft.text, repeat) for repeat in range(needed)]
                found.append(Draftee(one, draft, position, result, requests))
        self.next_number += len(plans)
        return found

    def take_answers(self, waiting: list[Outcome | Draftee], answered: dict[int, list[Result]]) -> None:
        """Settles what `take_drafts` left; `answered`: results by the draftee's `id()`."""
        for one in waiting:
            if isinstance(one, Draftee):
                one = self._settled(one, answered[id(one)])
            self.outcomes.append(one)
            self.kept += one.item is not None

    def _settled(self, one: Draftee, results: list[Result]) -> Outcome:
        tokens = sum(result.prompt_tokens + result.answer_tokens for result in results)
        for result in results:
            if result.missing:
                what = {"refused": "the answer refuses", "cut off": "the answer is cut off"}.get(
                    result.missing, f"no answer ({result.missing})"
                )
                return Outcome(one.plan.number, what, tokens=tokens)
        item, said = item_of(one.plan, one.draft, [result.value for result in results], self.items.validation)
        if item is None:
            return Outcome(one.plan.number, said, tokens=tokens)
        provenance = {
            "teacher": results[0].model,
            "host": self.host,
            "date": results[0].date,
            "seeds": [seed.id for seed in one.plan.examples],
            "topic": one.plan.topic,
            "style": one.plan.style,
            "request": one.plan.number,
            "position": one.position,
            "prompt": one.written.identity,
            "answers": [result.identity for result in results],
            "checked": said,
        }
        return Outcome(one.plan.number, "", item=item, provenance=provenance, tokens=tokens)

    def replay(self, ask_drafts: Ask, ask_answers: Ask) -> None:
        """Goes on, request by request, as far as answers are known; leaves off where `UnansweredError` is raised, and
        raises it again with its request undone."""
        while self.kept < self.wanted and self.next_number < self.most_requests:
            number, known = self.next_number, len(self.known)
            try:
                plans = self.plans(number, 1)
                waiting = self.take_drafts(plans, ask_drafts([writing_request(self.items, plans[0])]))
                self.take_answers(waiting, _answered(waiting, ask_answers))
            except UnansweredError:
                self.next_number = number
                self.known.forget(known)
                raise

    # --- what is told of it ---

    def settled(self) -> list[Outcome]:
        """Outcomes up to the last item that is wanted; what was asked beyond it says nothing."""
        left = self.wanted
        for position, outcome in enumerate(self.outcomes):
            left -= outcome.item is not None
            if left == 0:
                return self.outcomes[: position + 1]
        return self.outcomes

    def summary(self) -> dict[str, Any]:
        """Numbers of requests, instructions and items, and of what was dropped by reason."""
        outcomes = self.settled()
        last = outcomes[-1].number + 1 if outcomes else 0
        instructions = [outcome for outcome in outcomes if not outcome.request]
        return {
            "ability": self.ability,
            "wanted": self.wanted,
            "kept": sum(outcome.item is not None for outcome in outcomes),
            "requests": last,
            "requests_without_instructions": _counted(o.dropped for o in outcomes if o.request),
            "instructions": len(instructions),
            "dropped": _counted(o.dropped for o in instructions if o.dropped),
        }


def _counted(reasons) -> dict[str, int]:
    return dict(sorted(Counter(reasons).items(), key=lambda pair: (-pair[1], pair[0])))


def _answered(waiting: Sequence[Outcome | Draftee], ask_answers: Ask) -> dict[int, list[Result]]:
    """Results of all draftees' requests, by the draftee's `id()`."""
    draftees = [one for one in waiting if isinstance(one, Draftee)]
    answers = iter(ask_answers([request for draftee in draftees for request in draftee.requests]))
    return {id(draftee): [next(answers) for _ in draftee.requests] for draftee in draftees}


def work(writings: Sequence[Writing], ask_drafts: Ask, ask_answers: Ask, report: Callable[[str], None]) -> None:
    """Goes on in waves, all abilities together, until each has what it wants or is given up."""
    while waves := [(one, plans) for one in writings if (plans := one.wave())]:
        requests = [writing_request(one.items, plan) for one, plans in waves for plan in plans]
        results = iter(ask_drafts(requests))
        waiting = [(one, one.take_drafts(plans, [next(results) for _ in plans])) for one, plans in waves]
        answered = _answered([one for _, found in waiting for one in found], ask_answers)
        for one, found in waiting:
            one.take_answers(found, answered)
        kept, wanted = (sum(min(getattr(o, k), o.wanted) for o in writings) for k in ("kept", "wanted"))
        report(f"{kept:,} of {wanted:,} items, after {sum(one.asked for one in writings):,} instructions asked for")
