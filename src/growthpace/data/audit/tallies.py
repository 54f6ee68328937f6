"""What is counted over the items of an ability in a source or a suite: answers, lengths, languages."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from growthpace.data.audit.languages import UNKNOWN
from growthpace.data.items import Item

IMBALANCED = 1.5
"""An answer this many times as frequent as an even share is a finding..."""
DEVIATIONS = 3
"""...if it is also this many standard deviations (binomial) above it: in few items chance alone does that."""
MAIN = 0.8
"""Share of the items of known language from which on one language is an ability's own, and others are odd."""
ENOUGH = 10
"""Items of known language that this takes."""


@dataclass
class Tally:
    """The items of one ability in one source or suite."""

    answers: Counter[str] = field(default_factory=Counter)
    """How often each answer is right, where there are few to choose from."""
    even: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    """How often it would be, were all candidates equally likely."""
    languages: Counter[str] = field(default_factory=Counter)
    lengths: array = field(default_factory=lambda: array("L"))
    """Characters of all messages."""
    longest: tuple[int, str, str] = (-1, "", "")
    """(characters, id, origin) of the longest item; of equals the first by id."""

    def add(self, item: Item, language: str) -> None:
        """One more item."""
        if item.scorer in ("letter", "true_false"):
            self.answers[item.answer] += 1
            for candidate in item.candidates:
                self.even[candidate] += 1 / len(item.candidates)
        self.languages[language] += 1
        length = sum(len(message.content) for message in item.messages)
        self.lengths.append(length)
        if length > self.longest[0] or (length == self.longest[0] and item.id < self.longest[1]):
            self.longest = (length, item.id, item.origin)

    @property
    def main_language(self) -> str | None:
        """The language of nearly all; None where there is no such one."""
        known = {code: number for code, number in self.languages.items() if code != UNKNOWN}
        total = sum(known.values())
        if total < ENOUGH:
            return None
        code = max(known, key=known.get)
        return code if known[code] >= MAIN * total else None

    def findings(self) -> Iterator[tuple[str, float, str, str, str]]:
        """(kind, value, id, origin, detail)."""
        total = sum(self.answers.values())
        for answer, count in sorted(self.answers.items()):
            share, even = count / total, self.even[answer] / total
            detail = f"{answer}: {count} of {total}"
            yield "label_share", share, "", "", detail
            deviation = (total * even * (1 - even)) ** 0.5
            if share > IMBALANCED * even and count - total * even > DEVIATIONS * deviation:
                yield "label_imbalance", share, "", "", f"{detail}, an even share is {even:.2f}"
        items = len(self.lengths)
        for code, count in sorted(self.languages.items()):
            what = "undetermined" if code == UNKNOWN else code
            yield "language_share", count / items, "", "", f"{what}: {count} of {items}"
        yield "length_median", float(np.median(np.frombuffer(self.lengths, dtype="L"))), "", "", f"{items} items"
        length, item, origin = self.longest
        yield "length_longest", length, item, origin, f"{items} items"
