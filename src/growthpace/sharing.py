"""Sharing a number of items as equally as possible: what a balanced dataset is where pools are small."""

from __future__ import annotations

from collections.abc import Sequence


def equal_shares(total: int, limits: Sequence[int]) -> list[int]:
    """`total` items shared as equally as `limits` allow; what does not divide goes one each to the first.

    Raises ValueError where the limits hold fewer.
    """
    if sum(limits) < total:
        raise ValueError(f"the limits hold {sum(limits)} items, fewer than {total}")
    found, left = [0] * len(limits), total
    while left:
        room = [place for place, limit in enumerate(limits) if found[place] < limit]
        each = left // len(room)
        for place in room if each else room[:left]:
            given = min(max(each, 1), limits[place] - found[place])
            found[place] += given
            left -= given
    return found
