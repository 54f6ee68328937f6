"""Beginnings that prompts share, such as the worked examples of a benchmark: found once, so as to be computed once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

Ids = Sequence[int]
LEAST = 16
"""Tokens: a shorter beginning is not worth a segment of its own."""


def common(first: Ids, second: Ids) -> int:
    """Number of tokens that two sequences share at the front."""
    low, high = 0, min(len(first), len(second))
    while low < high:  # compared in halves, which C does
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


Group = tuple[int, list[int]]
"""Tokens shared, and the indices of the prompts that share them."""


def shared_beginnings(prompts: Sequence[Ids], least: int = LEAST) -> list[Group]:
    """The prompts in groups of those that begin alike, every index once.

    A group shares at least `least` tokens; prompts that share none come last, as (0, indices). Every prompt keeps at
    least one token of its own. Sorted prompts form a tree, whose nodes share what their least similar neighbours
    share. From the leaves up, a node makes one group of its prompts without a group, and of those groups that save
    less by themselves.
    """
    if not prompts:
        return []
    prompts = [list(prompt) for prompt in prompts]
    order = sorted(range(len(prompts)), key=lambda index: (prompts[index], index))
    shares = [min(common(prompts[a], prompts[b]), len(prompts[a]) - 1, len(prompts[b]) - 1) for a, b in pairwise(order)]
    nodes: list[list] = []  # from the root down: [tokens shared, groups so far]
    for index, shared in zip(order, [*shares, 0], strict=True):
        groups: list[Group] = [(0, [index])]
        while nodes and nodes[-1][0] > shared:
            depth, before = nodes.pop()
            groups = _joined(depth, [*before, *groups], least)
        if nodes and nodes[-1][0] == shared:
            nodes[-1][1] += groups
        else:
            nodes.append([shared, groups])
    groups = [group for _, inside in nodes for group in inside]
    alone = [index for shared, indices in groups for index in indices if not shared]
    return [*(group for group in groups if group[0]), *([(0, alone)] if alone else [])]


def _joined(depth: int, groups: list[Group], least: int) -> list[Group]:
    """The groups of a node whose prompts all share `depth` tokens."""

    def saved(group: Group) -> int:
        return group[0] * (len(group[1]) - 1)

    joining = [group for group in groups if depth * len(group[1]) >= saved(group)]
    indices = [index for _, inside in joining for index in inside]
    if depth < least or depth * (len(indices) - 1) <= sum(map(saved, joining)):
        return groups
    return [(depth, indices), *(group for group in groups if group not in joining)]
