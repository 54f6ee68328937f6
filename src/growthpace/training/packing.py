"""Packing: several examples in one row, none seeing its neighbour.

A row is the concatenation of examples whose position ids begin again at 0 and which has no attention mask; from that
transformers derives a block-diagonal causal mask (measured: losses and gradients equal unpacked ones to 1e-7; an
all-ones mask beside the position ids would silently let neighbours see each other).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from growthpace.conversation import Encoded

IGNORED = -100
"""Label of a position that no loss falls on (PyTorch's convention)."""


@dataclass(frozen=True)
class Row:
    """One packed row; the three lists are equally long."""

    input_ids: list[int]
    position_ids: list[int]
    labels: list[int]


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


def pack(examples: Sequence[Encoded], capacity: int) -> list[Row]:
    """Rows of at most `capacity` tokens that hold every example once.

    A label stands at the position whose token it is (the model shifts); an example's first token is never learned,
    so that no prediction crosses from one example to the next.
    """
    rows = []
    for indices in best_fit([len(example.ids) for example in examples], capacity):
        row = Row([], [], [])
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
