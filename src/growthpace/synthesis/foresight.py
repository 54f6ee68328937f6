"""What a teacher's items will take, before anything is asked and from then on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from growthpace.data.datasets import ranked
from growthpace.data.items import Item
from growthpace.endpoint.foreseen import money_of
from growthpace.endpoint.requests import Request, Spent
from growthpace.errors import InputError
from growthpace.grid import Grid
from growthpace.study import Study, SyntheticItems
from growthpace.synthesis.prompts import Plan, answering_request, instruction_text, writing_request
from growthpace.synthesis.settings import share
from growthpace.synthesis.validation import answers_needed
from growthpace.synthesis.writing import Writing


def chosen_seeds(items: SyntheticItems, pool: Iterable[Item]) -> dict[str, Item]:
    """The seed items of a pool, by id: the first `seed_items` by the hash of their ids, whatever else is there."""
    found = {item.id: item for item in ranked(pool, 0)[: items.seed_items]}
    if not found:
        raise InputError(f"seeds {items.seeds!r}: there are no items to be seeds")
    return found


def left(items: SyntheticItems, writings: list[Writing]) -> list[Request]:
    """The requests that are still to be made, if as many instructions are kept as so far (all, at first).

    Answers are taken to be to instructions like the seeds'; which of them are known already nobody can tell.
    """
    return list(_left(items, writings))


def foreseen(study: Study, source: str, pools: dict[str, list[Item]]) -> tuple[int, Spent]:
    """Number of requests for a source's items if none had to be dropped, and the most tokens and money that those take.

    pools: items of the seeds' source by ability, or all as `general` for a source that is not labelled.
    """
    items = study.sources[source].items
    each = share(Grid(study), source)
    writings = [Writing(items, ability, each, chosen_seeds(items, pool)) for ability, pool in pools.items()]
    requests = prompt = answer = 0
    for request in _left(items, writings):
        requests, prompt = requests + 1, prompt + request.most_prompt_tokens
        answer += request.most_answer_tokens
    return requests, Spent(prompt, answer, money_of(items.teacher.prices, prompt, answer))


def _left(items: SyntheticItems, writings: list[Writing]) -> Iterator[Request]:
    for one in writings:
        if one.done:
            continue
        share = one.kept / one.asked if one.kept else 1.0
        count = math.ceil((one.wanted - one.kept) / share / items.per_request)
        count = max(1, min(count, one.most_requests - one.next_number))
        for plan in one.plans(one.next_number, count):
            yield writing_request(items, plan)
            yield from _stand_ins(items, plan)


def _stand_ins(items: SyntheticItems, plan: Plan) -> list[Request]:
    """Answers to instructions that are not written yet: to that of the first example in their place."""
    number = items.per_request * answers_needed(plan.form, items.validation)
    text = instruction_text(plan.form)
    # Numbered far beyond what is asked, so that each counts and none is taken for one that has an answer.
    return [answering_request(items, plan, text, 10**9 + plan.number * number + n) for n in range(number)]
