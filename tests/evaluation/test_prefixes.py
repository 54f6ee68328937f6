"""Beginnings that prompts share."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from growthpace.evaluation.prefixes import common, shared_beginnings

PROMPTS = st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=9), max_size=9)


@given(first=st.lists(st.integers(0, 2)), second=st.lists(st.integers(0, 2)))
def test_what_two_sequences_share(first, second):
    shared = common(first, second)
    assert first[:shared] == second[:shared]
    assert shared == min(len(first), len(second)) or first[shared] != second[shared]


@given(prompts=PROMPTS, least=st.integers(1, 4))
def test_groups_hold_every_prompt_once_and_share_what_they_say(prompts, least):
    groups = shared_beginnings(prompts, least)
    assert sorted(index for _, indices in groups for index in indices) == list(range(len(prompts)))
    for shared, indices in groups:
        assert shared == 0 or (shared >= least and len(indices) > 1)
        assert len({tuple(prompts[index][:shared]) for index in indices}) == 1
        assert all(len(prompts[index]) > shared for index in indices), "each has a token of its own"
    assert [shared for shared, _ in groups].count(0) <= 1


def best_of_neighbours(prompts, least: int) -> int:
    """Most tokens that any division of the sorted prompts into stretches saves."""
    prompts = sorted(prompts)
    best = [0] * (len(prompts) + 1)
    for stop in range(1, len(prompts) + 1):
        best[stop] = best[stop - 1]
        for start in range(stop):
            stretch = prompts[start:stop]
            shared = min(common(stretch[0], stretch[-1]), *(len(prompt) - 1 for prompt in stretch))
            if shared >= least:
                best[stop] = max(best[stop], best[start] + shared * (len(stretch) - 1))
    return best[-1]


def test_groups_save_about_as_much_as_any_could():
    ours = best = 0
    for seed in range(500):
        chance = random.Random(seed)
        prompts = [[chance.randint(0, 1) for _ in range(chance.randint(1, 8))] for _ in range(chance.randint(0, 8))]
        least = chance.randint(1, 4)
        ours += sum(shared * (len(indices) - 1) for shared, indices in shared_beginnings(prompts, least))
        best += best_of_neighbours(prompts, least)
    assert ours >= 0.99 * best


def test_subjects_with_their_own_examples_under_one_instruction():
    instruction = list(range(100, 130))
    prompts = [[*instruction, *[subject] * 200, index, 1] for index in range(20) for subject in (1, 2, 3)]
    groups = shared_beginnings(prompts)
    assert [(shared, len(indices)) for shared, indices in groups] == [(230, 20)] * 3
    assert shared_beginnings([[1, 2, 3, 4], [1, 2, 3, 5]]) == [(0, [0, 1])], "too short to be worth it"
