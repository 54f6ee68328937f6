"""Wrong candidates for items that are scored by perplexity: a near and a far one, each the reference of another item.

The paper's authors wrote two wrong texts for each reference by hand, one closer to the right one than the other. Here
both are taken from the other items of the same set and split, so that they are as fluent as the reference:

- near: of the item that is most similar, by the cosine of TF-IDF vectors over the words of all its messages
  (scikit-learn's TfidfVectorizer: tf is 1 + ln(count), idf is ln((1 + n) / (1 + documents)) + 1, lengths made 1);
- far: of one in the less similar half of the items, chosen by a hash of both ids. (The least similar one of all would
  be the same few odd items for everybody.)

Never of the same group (a passage, a dialogue), never a text that says the same as another candidate. A tie goes by the
hash too. Whose references they are stands in the item's `taken_from`.
Nothing depends on the order of the items, and all is the same on repetition.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from growthpace.data.items import Item

if TYPE_CHECKING:
    import numpy as np

VERSION = 1
"""To be raised with every change that can change a candidate."""
NEEDED = 2
"""Other items that a reference needs."""
_AT_ONCE = 512
"""Rows of the matrix of similarities that are in memory at once."""


def with_candidates(items: Sequence[Item]) -> Iterator[Item]:
    """The items with a near and a far wrong candidate and the chance 1/3, in their order.

    Left out are items that have fewer than two others with another group and another reference. Similarities are
    rounded to 6 digits, so that no library's last bit decides. Time and comparisons grow with the square of the number
    of items (5,000 take seconds), memory linearly.
    """
    if len(items) <= NEEDED:
        return
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    order = sorted(range(len(items)), key=lambda n: items[n].id)
    known = [items[n] for n in order]
    texts = ["\n".join(message.content for message in item.messages) for item in known]
    # Words of letters and digits; every Chinese or Japanese character is a word of its own.
    words = r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+"
    vectors = TfidfVectorizer(token_pattern=words, sublinear_tf=True).fit_transform(texts)
    others = _Others(
        said=_codes([" ".join(item.answer.casefold().split()) for item in known]),
        group=_codes([item.group or f"\x1f{item.id}" for item in known]),
        hashes=np.array([_hash(item.id) for item in known], dtype=np.uint64),
    )
    found: dict[int, Item] = {}
    for start in range(0, len(known), _AT_ONCE):
        similar = (vectors[start : start + _AT_ONCE] @ vectors.T).toarray().round(6)
        for number, row in enumerate(similar, start=start):
            if (pair := others.pair(number, row)) is not None:
                near, far = (known[n] for n in pair)
                found[order[number]] = replace(
                    known[number],
                    candidates=(known[number].answer, near.answer, far.answer),
                    chance=1 / 3,
                    taken_from=(near.id, far.id),
                )
    yield from (found[number] for number in range(len(items)) if number in found)


@dataclass(frozen=True)
class _Others:
    """What decides which items may lend their reference, an entry an item."""

    said: np.ndarray
    """Equal for references that say the same."""
    group: np.ndarray
    """Equal within a group; an item without one has its own."""
    hashes: np.ndarray
    """Of the ids, 64 bits."""

    def pair(self, number: int, similarities: np.ndarray) -> tuple[int, int] | None:
        """Places of the near and the far item; None where there are no two."""
        import numpy as np

        allowed = (self.said != self.said[number]) & (self.group != self.group[number])
        if not allowed.any():
            return None
        near = self._one(number, allowed & (similarities == similarities[allowed].max()))
        allowed &= self.said != self.said[near]
        if not allowed.any():
            return None
        return near, self._one(number, allowed & (similarities <= np.median(similarities[allowed])))

    def _one(self, number: int, among: np.ndarray) -> int:
        """The one of them whose hash is next to the item's own, as bits differ: another one for every item."""
        import numpy as np

        places = np.flatnonzero(among)
        return int(places[np.argmin(self.hashes[places] ^ self.hashes[number])])


def _codes(texts: Sequence[str]) -> np.ndarray:
    """A number for each text, equal for equal ones."""
    import numpy as np

    return np.unique(np.array(texts, dtype=object), return_inverse=True)[1]


def _hash(identifier: str) -> int:
    return int.from_bytes(hashlib.sha256(identifier.encode()).digest()[:8], "big")
