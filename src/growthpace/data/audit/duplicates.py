"""Items that repeat another one, exactly or nearly.

Two items are nearly the same when the Jaccard similarity of their shingles (`SHINGLE` tokens in a row, over all turns)
is at least `NEAR`. Candidates come from MinHash and locality-sensitive hashing (A. Broder 1997; Leskovec, Rajaraman,
Ullman, Mining of Massive Datasets, chapter 3), and each is then verified on the shingles themselves, so that nothing is
reported that is not so. The permutations are datasketch's. Its own index, one Python set a bucket and band, would take
several kilobytes an item; here bands are sorted arrays.

With `BANDS` bands of `ROWS` a pair of similarity s is found with probability 1 - (1 - s^ROWS)^BANDS: 0.9989 at 0.75,
0.99995 at 0.8. In a bucket an item is compared with its `NEIGHBOURS` nearest in the order of the next band, so that
time grows linearly in a pool of one template too. Memory is 4 bytes a distinct shingle and 512 an item.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np

from growthpace.data.audit.leaks import ranges
from growthpace.data.audit.texts import Stream, distinct, ngrams

SHINGLE = 3
"""Tokens in a row. Instructions are short: in longer shingles one changed word of twenty would hide a repeat."""
NEAR = 0.75
"""Jaccard similarity of shingles, as in FineWeb's deduplication (arXiv 2406.17557, section 3.4)."""
PERMUTATIONS, BANDS, ROWS = 128, 25, 5
NEIGHBOURS = 8
_SLACK = 0.16
"""Four standard deviations of a similarity of 0.75 estimated from 128 permutations: candidates below are let go."""
_PAIRS_AT_ONCE = 20_000


class Shingles:
    """Shingles and signatures of items, added batch by batch."""

    def __init__(self) -> None:
        self._shingles: list[np.ndarray] = []
        self._signatures: list[np.ndarray] = []
        self._sizes: list[np.ndarray] = []

    def add(self, tokens: Stream, count: int) -> None:
        """A batch of `count` items, given their tokens."""
        found = distinct(ngrams(tokens, SHINGLE), bits=32)
        shingles = found.hashes.astype(np.uint32)
        sizes = np.bincount(found.owners, minlength=count).astype(np.int32)
        self._shingles.append(shingles)
        self._sizes.append(sizes)
        self._signatures.append(signatures(shingles, sizes))

    def near(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of near items among those chosen (their numbers in the order of adding), each pair once, as positions
        in `chosen` of shape (pairs, 2), the smaller first; and their similarities. Empties itself."""
        sizes = _joined(self._sizes, np.int32)
        starts = np.concatenate(([0], np.cumsum(sizes, dtype=np.int64)))[:-1]
        chosen = np.asarray(chosen, dtype=np.int64)
        with_shingles = np.flatnonzero(sizes[chosen] > 0)
        signs = _joined(self._signatures, np.uint32, PERMUTATIONS)
        numbers = chosen[with_shingles]
        pairs = with_shingles[candidates(signs, numbers)]
        del signs
        return verified(_joined(self._shingles, np.uint32), starts[chosen], sizes[chosen], pairs)


def _joined(parts: list[np.ndarray], kind: type, *width: int) -> np.ndarray:
    """The parts as one array, without both being there for long."""
    found = np.empty((sum(map(len, parts)), *width), dtype=kind)
    place = 0
    parts.reverse()
    while parts:
        part = parts.pop()
        found[place : place + len(part)] = part
        place += len(part)
    return found


@cache
def permutations() -> np.ndarray:
    """datasketch's factors (odd) and summands of h -> factor h + summand modulo 2^32: shape (2, PERMUTATIONS)."""
    from datasketch import MinHash

    return MinHash(num_perm=PERMUTATIONS, seed=1, scheme="affine32").permutations


def signatures(shingles: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """MinHash of each item, shape (items, PERMUTATIONS); 2^32 - 1 for items without shingles.

    shingles: 32-bit hashes, already spread evenly, item after item. As datasketch's `MinHash.update_batch` on each item
    would, for all items at once.
    """
    found = np.full((len(sizes), PERMUTATIONS), 2**32 - 1, dtype=np.uint32)
    there = np.flatnonzero(sizes)
    if len(there):
        starts = (np.cumsum(sizes, dtype=np.int64) - sizes)[there]
        for number, (factor, summand) in enumerate(permutations().T):
            found[there, number] = np.minimum.reduceat(shingles * factor + summand, starts)
    return found


def candidates(signs: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Pairs of positions in `numbers` (rows of `signs`) that share a band and look similar: shape (pairs, 2), smaller
    first, each pair once, sorted."""
    found = np.empty(0, dtype=np.uint64)
    if len(numbers) < 2:
        return np.empty((0, 2), dtype=np.int64)
    following = _band(signs, numbers, 0)
    for band in range(BANDS):
        keys, following = following, _band(signs, numbers, (band + 1) % BANDS)
        order = np.lexsort((following, keys))
        keys = keys[order]
        packed = []
        for distance in range(1, min(NEIGHBOURS, len(keys) - 1) + 1):
            same = np.flatnonzero(keys[distance:] == keys[:-distance])
            if not len(same):
                break
            one, other = order[same], order[same + distance]
            low, high = np.minimum(one, other).astype(np.uint64), np.maximum(one, other).astype(np.uint64)
            packed.append((low << np.uint64(32)) | high)
        if packed:
            new = np.setdiff1d(np.unique(np.concatenate(packed)), found, assume_unique=True)
            found = np.union1d(found, new[_look_similar(signs, numbers, new)])
    return np.stack((found >> np.uint64(32), found & np.uint64(2**32 - 1)), axis=1).astype(np.int64)


def _band(signs: np.ndarray, numbers: np.ndarray, band: int) -> np.ndarray:
    """Hash of a band's rows, of each of the numbers."""
    keys = np.zeros(len(numbers), dtype=np.uint64)
    for row in range(band * ROWS, (band + 1) * ROWS):
        keys = keys * np.uint64(0x9E3779B97F4A7C15) + signs[numbers, row]
    return keys ^ (keys >> np.uint64(29))


def _look_similar(signs: np.ndarray, numbers: np.ndarray, packed: np.ndarray) -> np.ndarray:
    """Whether signatures agree in about as many places as those of near items do."""
    found = np.empty(len(packed), dtype=bool)
    for start in range(0, len(packed), _PAIRS_AT_ONCE):
        part = packed[start : start + _PAIRS_AT_ONCE]
        one, other = numbers[part >> np.uint64(32)], numbers[part & np.uint64(2**32 - 1)]
        agreeing = (signs[one] == signs[other]).sum(axis=1)
        found[start : start + len(part)] = agreeing >= (NEAR - _SLACK) * PERMUTATIONS
    return found


def verified(
    shingles: np.ndarray, starts: np.ndarray, sizes: np.ndarray, pairs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The pairs whose exact Jaccard similarity is at least `NEAR`, and that similarity."""
    sizes = sizes.astype(np.int64)
    kept, similarities = [np.empty((0, 2), dtype=np.int64)], [np.empty(0)]
    for part in _in_parts(pairs, sizes):
        one, other = part.T
        number = np.arange(len(part), dtype=np.uint64) << np.uint64(32)
        sides = [
            np.repeat(number, sizes[side]) | shingles[ranges(starts[side], sizes[side])].astype(np.uint64)
            for side in (one, other)
        ]
        both = np.sort(np.concatenate(sides))
        shared = np.bincount((both[1:][both[1:] == both[:-1]] >> np.uint64(32)).astype(np.int64), minlength=len(part))
        similarity = shared / (sizes[one] + sizes[other] - shared)
        near = similarity >= NEAR
        kept.append(part[near])
        similarities.append(similarity[near])
    return np.concatenate(kept), np.concatenate(similarities)


def _in_parts(pairs: np.ndarray, sizes: np.ndarray) -> Iterator[np.ndarray]:
    """Some pairs at a time, as many as have a few million shingles."""
    if not len(pairs):
        return
    weight = np.cumsum(sizes[pairs].sum(axis=1)) // 4_000_000
    yield from np.split(pairs, np.flatnonzero(np.diff(weight)) + 1)


def kept_back(pairs: np.ndarray, similarities: np.ndarray) -> dict[int, tuple[int, float]]:
    """Which items repeat one that stays: {item: (the most similar of those that stay, similarity)}.

    Items are taken in their order; one stays unless it is near one that stayed before. So whatever is left out has a
    near one among those that stay, and no chain of small differences leaves out what differs much.
    """
    partners: dict[int, list[tuple[float, int]]] = {}
    for (low, high), similarity in zip(pairs.tolist(), similarities.tolist(), strict=True):
        partners.setdefault(high, []).append((-similarity, low))
    found: dict[int, tuple[int, float]] = {}
    for item in sorted(partners):
        staying = [partner for partner in partners[item] if partner[1] not in found]
        if staying:
            similarity, other = min(staying)
            found[item] = (other, -similarity)
    return found


def first_of_equals(digests: Sequence[int] | np.ndarray) -> np.ndarray:
    """For each item the position of the first with the same digest."""
    _, first, inverse = np.unique(np.asarray(digests, dtype=np.uint64), return_index=True, return_inverse=True)
    return first[inverse]
