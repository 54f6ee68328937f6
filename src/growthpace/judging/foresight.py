"""What judging a study costs at most, before there is any answer to judge."""

from __future__ import annotations

from collections.abc import Sequence

from growthpace.data.items import Item
from growthpace.endpoint.foreseen import money_of, row_of
from growthpace.endpoint.foreseen import told as in_words
from growthpace.endpoint.requests import BYTES_PER_TOKEN, Spent
from growthpace.evaluation.predictions import Prediction
from growthpace.grid import Grid
from growthpace.judging.pairwise import questions
from growthpace.judging.prompts import open_turns
from growthpace.study import Study


def foreseen(study: Study, suite: str, items: Sequence[Item]) -> tuple[int, Spent]:
    """Number of requests, and the most tokens and money that they take, to judge a suite at every checkpoint that is
    evaluated on it; without repeated attempts.

    Every answer is taken to be as long as it may become. Raises `InputError` naming an item that cannot be judged.
    """
    judge, grid = study.judge, Grid(study)
    judged = [item for item in items if item.scorer == "judge"]
    longest = "x" * (BYTES_PER_TOKEN * study.suites[suite].max_new_tokens)
    answers = {item.id: _answer(item, longest) for item in judged}
    requests = [question.request for question in questions(judge, judged, answers)]
    prompt = sum(request.most_prompt_tokens for request in requests)
    answer = sum(request.most_answer_tokens for request in requests)
    runs = [*grid.untuned_runs, *grid.runs]
    times = sum(name == suite for run in runs for name, _ in grid.evaluations(run))
    money = money_of(judge.prices, prompt, answer)
    return times * len(requests), Spent(times * prompt, times * answer, times * money)


def told(study: Study, suite: str, items: Sequence[Item]) -> str:
    """`foreseen` in words."""
    return in_words(row_of("judge", *foreseen(study, suite, items)))


def _answer(item: Item, text: str) -> Prediction:
    earlier = (text,) * (open_turns(item) - 1)
    return Prediction(item.id, text, True, (), (), 0, 0, 0, "", earlier=earlier)
