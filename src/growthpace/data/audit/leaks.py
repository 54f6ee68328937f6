"""Leaks: training items that say what is evaluated.

Of an evaluated item, the prompt and the prompt with its reference are each looked for in each training item (and the
question without its options, which alone makes a leak no more than possible), by two measures, and the larger share
counts: `ngram_13`, the share of its n-grams of 13 tokens (GPT-3's contamination study,
arXiv 2005.14165, appendix C), and `ngram_20`, that of its n-grams of 20 characters without space and punctuation, which
sees through formulas and formatting. N-grams in more than a twentieth of the items of an ability in a suite
(`template_of`) are taken for a template (an instruction, a shared passage) and not counted. What is too short for an
n-gram is compared whole only.

The evaluated items are indexed once; training items are looked up as they stream by. Time grows with the text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from growthpace.data.audit.texts import Stream, Text, distinct, ngrams, streams, without_options
from growthpace.data.items import Item

SIZES = (13, 20)
"""Tokens of an n-gram, and characters of one."""
PARTIAL = 0.5
"""Share of an evaluated item's n-grams in one training item from which on it is a leak."""
TEMPLATE, TEMPLATE_SHARE = (5, 100), 0.05
"""N-grams that more items of an ability share in a suite than this share of them, at least and at most so many, are a
template and not a content. The upper bound keeps a common phrase from being compared with much of a large suite."""
PROMPT, WHOLE, NO_OPTIONS = range(3)
"""What is looked for of an evaluated item, its units: its prompt, that with its reference, its question alone."""
UNITS = 3
SAME_PROMPT = 2.0
"""Stands for a share: an equal prompt counts for more than equal n-grams."""


@dataclass(frozen=True, order=True)
class Leak:
    """A training item and the evaluated item that it gives away."""

    sure: bool
    """Whether the prompts are equal, or the training item has at least `PARTIAL` of the 13-grams of the prompt, options
    included; else it is 20-grams alone, or a question without its options."""
    share: float
    """Larger of the two shares, `SAME_PROMPT` for an equal prompt."""
    ngram_13: float
    ngram_20: float


def template_of(items: int) -> float:
    """How many of an ability's items in a suite may share an n-gram that counts."""
    return min(max(TEMPLATE[0], TEMPLATE_SHARE * items), TEMPLATE[1])


class LeakSearch:
    """Where each prompt and each n-gram of the suites occurs, and which training items were found to have them."""

    def __init__(self, suites: Mapping[str, Sequence[Item]], texts: Mapping[str, Sequence[Text]]):
        self.places: list[tuple[str, Item]] = [(suite, item) for suite, items in suites.items() for item in items]
        numbers: dict[tuple[str, str], int] = {}
        groups = [numbers.setdefault((suite, item.ability), len(numbers)) for suite, item in self.places]
        self.texts = [text for suite in suites for text in texts[suite]]
        self.prompts: dict[str, list[int]] = defaultdict(list)
        for place, text in enumerate(self.texts):
            self.prompts[text.prompt].append(place)
        alone = (without_options(item) for _, item in self.places)
        units = [u for text, stem in zip(self.texts, alone, strict=True) for u in (text.prompt, text.whole, stem)]
        made = streams(units) if units else (_EMPTY, _EMPTY)
        self._indexes = [
            _Index(distinct(ngrams(stream, size)), len(units), np.array(groups))
            for stream, size in zip(made, SIZES, strict=True)
        ]
        self.by_place: dict[tuple[str, int], tuple[Leak, tuple[str, str]]] = {}
        """{(source, place): (leak, (ability, id) of the training item)}: the worst of each evaluated item."""
        self.by_item: dict[tuple[str, str, str], dict[str, tuple[Leak, int]]] = defaultdict(dict)
        """{(source, ability, id): {suite: (leak, place)}}: the worst of each training item."""

    def look_up(self, source: str, items: Sequence[Item], texts: Sequence[Text], made: Sequence[Stream]) -> None:
        """Looks for evaluated items in a batch of training items. made: the streams of their whole texts."""
        if not self.places:
            return
        pairs: dict[tuple[int, int], list[float]] = {}
        sure: set[tuple[int, int]] = set()
        for number, (index, stream, size) in enumerate(zip(self._indexes, made, SIZES, strict=True)):
            for position, unit, share in index.contained(source, ngrams(stream, size)):
                pair = (position, unit // UNITS)
                known = pairs.setdefault(pair, [0.0, 0.0])
                known[number] = max(known[number], share)
                if size == SIZES[0] and unit % UNITS != NO_OPTIONS:
                    sure.add(pair)
        for position, text in enumerate(texts):
            for place in self.prompts.get(text.prompt, ()):
                pairs[position, place] = [SAME_PROMPT, SAME_PROMPT]
                sure.add((position, place))
        for pair, shares in pairs.items():
            leak = Leak(pair in sure, max(shares), *(min(share, 1.0) for share in shares))
            self._note(source, items[pair[0]], pair[1], leak)

    def _note(self, source: str, item: Item, place: int, leak: Leak) -> None:
        """Keeps a pair if it is the worst of its evaluated item, or of its training item within a suite; of equals the
        first in the order of names, so that the order of files does not matter."""
        identity = (item.ability, item.id)
        known = self.by_place.get((source, place))
        if known is None or leak > known[0] or (leak == known[0] and identity < known[1]):
            self.by_place[source, place] = (leak, identity)
        suite, asked = self.places[place]
        best = self.by_item[source, *identity]
        there = best.get(suite)
        if (
            there is None
            or leak > there[0]
            or (leak == there[0] and _identity(asked) < _identity(self.places[there[1]][1]))
        ):
            best[suite] = (leak, place)

    def pairs(self) -> dict[tuple[str, str, str, int], Leak]:
        """All leaks that were kept: {(source, ability, id, place): leak}."""
        found = {(source, *identity, place): leak for (source, place), (leak, identity) in self.by_place.items()}
        for key, suites in self.by_item.items():
            found |= {(*key, place): leak for leak, place in suites.values()}
        return found

    def spread(self) -> Iterator[tuple[str, int, tuple[float, float]]]:
        """(source, place, shares of 13-grams and 20-grams) of evaluated items whose n-grams are for the most part in a
        source, though in no single one of its items."""
        shares: dict[tuple[str, int], list[float]] = {}
        for number, index in enumerate(self._indexes):
            for source, unit, share in index.found_anywhere():
                if unit % UNITS != NO_OPTIONS:
                    known = shares.setdefault((source, unit // UNITS), [0.0, 0.0])
                    known[number] = max(known[number], share)
        for (source, place), found in shares.items():
            if (source, place) not in self.by_place:
                yield source, place, (found[0], found[1])


def _identity(item: Item) -> tuple[str, str]:
    return item.ability, item.id


_EMPTY = Stream(np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int32))


class _Index:
    """The n-grams of one size: which units have them."""

    def __init__(self, grams: Stream, units: int, groups: np.ndarray):
        own = self._not_templates(grams, groups)
        hashes, owners = grams.hashes[own], grams.owners[own]
        order = np.argsort(hashes, kind="stable")
        self._units = owners[order]
        self._grams, self._first = np.unique(hashes[order], return_index=True)
        self._first = np.append(self._first, len(hashes))
        self._sizes = np.bincount(owners, minlength=units)
        self._here: dict[str, np.ndarray] = {}
        # Most n-grams of training items are in no suite: a table of low bits turns them away at once.
        self._mask = np.uint64((1 << max(10, (16 * len(self._grams)).bit_length())) - 1)
        self._table = np.zeros(int(self._mask) + 1, dtype=bool)
        self._table[self._grams & self._mask] = True

    @staticmethod
    def _not_templates(grams: Stream, groups: np.ndarray) -> np.ndarray:
        """Which entries are no template: it is counted in whole items. groups: the suite and ability of each place."""
        if not len(grams.hashes):
            return np.empty(0, dtype=bool)
        group = groups[grams.owners // UNITS]
        own = np.ones(len(grams.hashes), dtype=bool)
        for number in np.unique(group):
            here = group == number
            known, counts = np.unique(grams.hashes[here & (grams.owners % UNITS == WHOLE)], return_counts=True)
            most = template_of(int((groups == number).sum()))
            own[here] = ~np.isin(grams.hashes[here], known[counts > most])
        return own

    def contained(self, source: str, grams: Stream) -> Iterator[tuple[int, int, float]]:
        """(number of the training text, unit, share) of the units that a text contains at least `PARTIAL` of."""
        if not len(self._grams):
            return
        likely = self._table[grams.hashes & self._mask]
        grams = distinct(Stream(grams.hashes[likely], grams.owners[likely]))
        places = np.minimum(np.searchsorted(self._grams, grams.hashes), len(self._grams) - 1)
        hit = self._grams[places] == grams.hashes
        places, owners = places[hit], grams.owners[hit].astype(np.int64)
        if source not in self._here:
            self._here[source] = np.zeros(len(self._grams), dtype=bool)
        self._here[source][places] = True
        first, counts = self._first[places], self._first[places + 1] - self._first[places]
        units = self._units[ranges(first, counts)]
        pairs, hits = np.unique(np.repeat(owners, counts) * len(self._sizes) + units, return_counts=True)
        owners, units = np.divmod(pairs, len(self._sizes))
        shares = hits / self._sizes[units]
        most = shares >= PARTIAL
        yield from zip(owners[most].tolist(), units[most].tolist(), shares[most].tolist(), strict=True)

    def found_anywhere(self) -> Iterator[tuple[str, int, float]]:
        """(source, unit, share) of the units at least `PARTIAL` of whose n-grams are in any items of the source."""
        for source, here in self._here.items():
            hits = np.bincount(self._units, weights=np.repeat(here, np.diff(self._first)), minlength=len(self._sizes))
            shares = np.divide(hits, self._sizes, out=np.zeros(len(hits)), where=self._sizes > 0)
            for unit in np.flatnonzero(shares >= PARTIAL).tolist():
                yield source, unit, float(shares[unit])


def ranges(first: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """first[0], first[0] + 1, ... (counts[0] numbers), first[1], ... in one array."""
    before = np.cumsum(counts) - counts
    return np.arange(int(counts.sum())) + np.repeat(first - before, counts)
