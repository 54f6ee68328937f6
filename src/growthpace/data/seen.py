"""Which of millions of texts were seen before, in 8 bytes each."""

from __future__ import annotations

import hashlib
from array import array


class Seen:
    """Counts texts by a 64-bit hash of each (BLAKE2b, which makes no difference between texts and attackers').

    A table with open addressing, at most two thirds full: 12 to 24 bytes a text, where a set of texts takes 100 and
    more. Two different texts of n share a hash with a chance of n^2 / 2^65, which is 7e-7 for five million: who must be
    sure looks again at what is told to be a repeat.
    """

    def __init__(self) -> None:
        self._slots, self._taken = array("Q", bytes(8 * 1024)), 0
        self._again: dict[int, int] = {}

    def add(self, text: str) -> int:
        """How often the text was added, this time included."""
        key = int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") or 1
        if self._put(self._slots, key):
            self._taken += 1
            if 3 * self._taken > 2 * len(self._slots):
                self._grow()
            return 1
        self._again[key] = self._again.get(key, 1) + 1
        return self._again[key]

    @staticmethod
    def _put(slots: array, key: int) -> bool:
        """Whether the key is new; 0 marks a free slot."""
        mask = len(slots) - 1
        place = key & mask
        while found := slots[place]:
            if found == key:
                return False
            place = (place + 1) & mask
        slots[place] = key
        return True

    def _grow(self) -> None:
        larger = array("Q", bytes(16 * len(self._slots)))
        for key in self._slots:
            if key:
                self._put(larger, key)
        self._slots = larger
