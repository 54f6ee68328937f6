"""Packing: several examples in one row, none seeing its neighbour.

A row is the concatenation of examples whose position ids begin again at 0 and which has no attention mask; how each
example then attends to itself alone is `attention`'s (an all-ones mask beside the position ids would silently let
neighbours see each other).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from growthpace.conversation import Encoded

IGNORED = -100
"""Label of a position that no loss falls on (PyTorch's convention)."""


@dataclass(frozen=True)
class Row:
    """One packed row; the first three lists have one entry a token."""

    input_ids: list[int]
    position_ids: list[int]
    labels: list[int]
    examples: list[int]
    """Index of each example, in the order in which they stand in the row ..."""
    lengths: list[int]
    """... and its number of tokens."""


def best_fit(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Bins of indices whose lengths sum to at most `capacity`: best fit, longest first (ties in the given order).

    Raises ValueError if a length is above the capacity.
    """
    bins: list[list[int]] = []
    room: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if lengths[index] > capacity:
            raise ValueError(f"example {index} has {lengths[index]} tokens, a row holds {capacity}")
        fitting = [(left, b) for b, left in enumerate(room) if left >= lengths[index]]
        if fitting:
            _, chosen = min(fitting)
            bins[chosen].append(index)
            room[chosen] -= lengths[index]
        else:
            bins.append([index])
            room.append(capacity - lengths[index])
    return bins


def even_fit(lengths: Sequence[int], capacity: int, processes: int) -> list[list[int]]:
    """Bins as `best_fit` makes them, but for several processes a multiple of them in number where there are enough
    examples, and as even as the smallest capacity makes them that gives no more: all wait for the largest."""
    bins = best_fit(lengths, capacity)
    if processes == 1:
        return bins
    wanted = min(-(-len(bins) // processes) * processes, len(lengths))
    low, high = max(lengths), capacity
    while low < high:
        middle = (low + high) // 2
        if len(best_fit(lengths, middle)) <= wanted:
            high = middle
        else:
            low = middle + 1
    return best_fit(lengths, high)


def pack(examples: Sequence[Encoded], capacity: int, processes: int = 1) -> list[Row]:
    """Rows of at most `capacity` tokens that hold every example once, to be shared by so many processes.

    A label stands at the position whose token it is (the model shifts); an example's first token is never learned,
    so that no prediction crosses from one example to the next.
    """
    rows = []
    for indices in even_fit([len(example.ids) for example in examples], capacity, processes):
        row = Row([], [], [], list(indices), [len(examples[index].ids) for index in indices])
        for index in indices:
            example = examples[index]
            row.input_ids.extend(example.ids)
            row.position_ids.extend(range(len(example.ids)))
            row.labels.append(IGNORED)
            row.labels.extend(
                t if learned else IGNORED for t, learned in zip(example.ids[1:], example.mask[1:], strict=True)
            )
        rows.append(row)
    return rows
