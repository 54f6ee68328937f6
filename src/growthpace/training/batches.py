"""What a run learns at each optimiser step: examples encoded once, in an order that depends on seed and epoch alone.

The order is a function of (seed, epoch), not of a generator's state, so that a resumed run finds its place from the
number of the step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from growthpace.conversation import Encoded, Encoder
from growthpace.data.items import Item
from growthpace.errors import InputError
from growthpace.training.packing import Row, pack


@dataclass(frozen=True)
class Example(Encoded):
    """An item as it is learned."""

    item: str
    """The item's id."""


def encode_items(items: Sequence[Item], encoder: Encoder, max_length: int, overlong: str) -> tuple[list[Example], dict]:
    """Examples of the items in their order, and how many were cut or dropped for their length.

    `overlong`: `refuse` raises `InputError` naming the first item above `max_length`; `truncate` cuts its end;
    `drop` leaves it out. An example without a learned token is an `InputError` that names the item: nothing could be
    learned from it, and it would only change the average.
    """
    examples, counts = [], {"truncated": 0, "dropped": 0}
    for item in items:
        example = encoder.encode(item.messages)
        if len(example.ids) > max_length:
            if overlong == "refuse":
                raise InputError(
                    f"item {item.id!r} ({item.origin}) has {len(example.ids)} tokens, training.max_length is "
                    f"{max_length}; raise max_length, or set training.overlong to truncate or drop"
                )
            if overlong == "drop":
                counts["dropped"] += 1
                continue
            counts["truncated"] += 1
            example = Encoded(example.ids[:max_length], example.mask[:max_length])
        if not any(example.mask[1:]):
            raise InputError(
                f"item {item.id!r} ({item.origin}) has no answer left to learn within {max_length} tokens; "
                "raise training.max_length or set training.overlong: drop"
            )
        examples.append(Example(example.ids, example.mask, item.id))
    if not examples:
        raise InputError(f"every item is longer than training.max_length ({max_length}), nothing is left to train on")
    return examples, counts


class Steps:
    """The run's optimiser steps: `len` of them, each a list of packed rows.

    A step takes `batch_size` items of the epoch's order; the last step of an epoch takes what is left.
    """

    def __init__(
        self, examples: Sequence[Example], seed: int, epochs: int, batch_size: int, capacity: int, processes: int = 1
    ):
        """capacity: tokens of a row; processes: that share a step's rows."""
        self.examples, self.seed, self.epochs = examples, seed, epochs
        self.batch_size, self.capacity, self.processes = batch_size, capacity, processes
        self.per_epoch = -(-len(examples) // batch_size)

    def __len__(self) -> int:
        return self.per_epoch * self.epochs

    def order(self, epoch: int) -> np.ndarray:
        """Indices of the examples in the order of an epoch (from 0)."""
        return np.random.Generator(np.random.PCG64([self.seed, epoch])).permutation(len(self.examples))

    def __getitem__(self, step: int) -> list[Row]:
        return pack(self.examples_of(step), self.capacity, self.processes)

    def examples_of(self, step: int) -> list[Example]:
        """The examples of a step, whose indices its rows name."""
        epoch, position = divmod(step, self.per_epoch)
        chosen = self.order(epoch)[position * self.batch_size : (position + 1) * self.batch_size]
        return [self.examples[index] for index in chosen]

    def order_hash(self) -> str:
        """Hash of the examples' ids and of the order of all epochs: two runs with equal hashes learn the same data in
        the same order."""
        digest = hashlib.sha256()
        for example in self.examples:
            digest.update(np.asarray(example.ids, dtype=np.int64).tobytes())
        for epoch in range(self.epochs):
            digest.update(self.order(epoch).tobytes())
        return digest.hexdigest()[:16]
