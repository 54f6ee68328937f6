"""What is wrong, or worth knowing, about a study's items before anything is trained on them.

`audit(pools, suites)` gives a tidy table of findings and the items that a policy may leave out; `page.audit_html` makes
a page of the table, `stage.audit_study` does it for a study's files. Kinds of finding (docs/audit.md has the reasons):

| kind | id, in source | other_id, in other_source | value |
|---|---|---|---|
| `leak` | training item | evaluated item with the same prompt | 1 |
| `partial_leak` | training item | evaluated item most of whose 13-grams it contains | larger share, 0.5 to 1 |
| `possible_leak` | training item | evaluated item it may contain (`leaks.Leak.sure`) | larger share, 0.5 to 1 |
| `spread_leak` | none | evaluated item whose n-grams several training items contain | that share, 0.5 to 1 |
| `suite_overlap` | evaluated item | item of another suite with the same prompt | 1 |
| `duplicate_within`, `duplicate_between` | item | equal item of the same source; of another | 1 |
| `near_within`, `near_between` | item | similar item of the same source; of another | similarity, 0.75 to 1 |
| `empty`, `broken`, `markup` | item | none | 1 |
| `overlong` | item | none (other_source: the model) | tokens, above the study's max_length |
| `language_odd` | item | none | 1 |
| `label_imbalance` | none | none | share of an answer, far above an even one |
| `licence` | none | none | number of items |
| `label_share`, `language_share` | none | none | share of an answer, of a language (in detail) |
| `length_median`, `length_longest` | none; the longest item | none | characters of all messages |

The same items give the same bytes in any order. Time grows with the amount of text. Pools stream by: of their items
only ids, hashes and a few numbers are kept.
"""

from __future__ import annotations

import itertools
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from growthpace.data.audit.duplicates import Shingles, first_of_equals, kept_back
from growthpace.data.audit.languages import UNKNOWN, language
from growthpace.data.audit.leaks import SAME_PROMPT, LeakSearch
from growthpace.data.audit.quality import faults
from growthpace.data.audit.tallies import Tally
from growthpace.data.audit.texts import Text, streams, text_of
from growthpace.data.items import Item

if TYPE_CHECKING:
    import pyarrow as pa

KINDS = (
    "leak",
    "partial_leak",
    "possible_leak",
    "spread_leak",
    "suite_overlap",
    "duplicate_within",
    "duplicate_between",
    "near_within",
    "near_between",
    "empty",
    "broken",
    "markup",
    "overlong",
    "language_odd",
    "label_imbalance",
    "licence",
    "label_share",
    "language_share",
    "length_median",
    "length_longest",
)
"""Most serious first."""
FAULTS = KINDS[: KINDS.index("licence")]
"""Kinds that something is wrong with; the others describe."""
UNKNOWN_LICENCE = "unknown"
COLUMNS = (
    "kind", "source", "ability", "id", "other_source", "other_id", "value", "ngram_13", "ngram_20", "detail", "origin",
    "other_origin",
)  # fmt: skip
"""source: a source or a suite. ngram_13, ngram_20: of leaks, the two measures (`leaks`). detail: of two items the
beginning of the first. origin: file and line."""
EXCERPT = 140
"""Characters of an item that are shown: some more than the words that all questions of a benchmark begin with."""
BATCH_ITEMS, BATCH_CHARACTERS = 10_000, 3_000_000
"""Items that are looked at together: as many as do not pass either."""


def schema() -> pa.Schema:
    """Columns of the table of findings."""
    import pyarrow as pa

    numbers = ("value", "ngram_13", "ngram_20")
    return pa.schema([(name, pa.float64() if name in numbers else pa.string()) for name in COLUMNS])


class TokenCounter(Protocol):
    """Counts an item's tokens as training would see them."""

    model: str
    max_length: int

    def overlong(self, item: Item) -> int | None:
        """The item's tokens if they are more than max_length, else None."""


@dataclass(frozen=True)
class Audit:
    """What an audit found."""

    findings: pa.Table
    """Columns as in `schema`, most serious kinds first."""
    leaked: dict[tuple[str, str], list[str]]
    """{(source, ability): ids} of training items that say what is evaluated, sorted."""
    possible: dict[tuple[str, str], list[str]]
    """Of others that may, as `possible_leak`."""
    repeated: dict[tuple[str, str], list[str]]
    """{(source, ability): ids} of items that repeat another of their source, which stays, sorted."""
    sizes: dict[tuple[str, str], int]
    """{(source, ability): number of items}."""


def audit(
    pools: Mapping[str, Iterable[Item]],
    suites: Mapping[str, Iterable[Item]],
    licences: Mapping[str, str | None] | None = None,
    counters: Sequence[TokenCounter] = (),
) -> Audit:
    """Looks at the items of all sources and suites, by name. Pools are gone through once.

    licences: of the sources, which are reported (none when None). counters: one for each tokenizer at hand.
    """
    return _Run(suites, counters).finish(pools, licences or {})


@dataclass
class _Known:
    """What is kept of every training item."""

    sources: list[str] = field(default_factory=list)
    abilities: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    origins: list[str] = field(default_factory=list)
    excerpts: list[str] = field(default_factory=list)
    digests: array = field(default_factory=lambda: array("Q"))

    def __len__(self) -> int:
        return len(self.ids)

    def identity(self, number: int) -> tuple[str, str, str]:
        return self.sources[number], self.abilities[number], self.ids[number]


class _Run:
    def __init__(self, suites: Mapping[str, Iterable[Item]], counters: Sequence[TokenCounter]):
        self.counters = counters
        self.rows: list[tuple] = []
        self.tallies: dict[tuple[str, str], Tally] = defaultdict(Tally)
        self.in_languages: dict[tuple[str, str], list[tuple[str, str, str, str]]] = defaultdict(list)
        self.known, self.shingles = _Known(), Shingles()
        self.suites = {name: sorted(items, key=lambda i: (i.ability, i.id)) for name, items in sorted(suites.items())}
        self.suite_texts = {name: [text_of(item) for item in items] for name, items in self.suites.items()}
        self.search = LeakSearch(self.suites, self.suite_texts)

    def finish(self, pools: Mapping[str, Iterable[Item]], licences: Mapping[str, str | None]) -> Audit:
        for name, items in self.suites.items():
            for item, text in zip(items, self.suite_texts[name], strict=True):
                self._look_at(name, item, text)
        sizes: dict[tuple[str, str], int] = defaultdict(int)
        for source in sorted(pools):
            number = 0
            for items in batches(pools[source]):
                self._batch(source, items)
                number += len(items)
                for item in items:
                    sizes[source, item.ability] += 1
            if source in licences:
                self._add("licence", source, "", number, detail=licences[source] or UNKNOWN_LICENCE)
        leaked, possible = self._leaks()
        self._suite_overlaps()
        repeated = self._repeats()
        self._counts()
        return Audit(self._table(), leaked, possible, repeated, dict(sizes))

    def _add(self, kind: str, source: str, ability: str, value: float, **more: Any) -> None:
        row = dict.fromkeys(COLUMNS, "") | {"ngram_13": None, "ngram_20": None} | more
        row |= {"kind": kind, "source": source, "ability": ability, "value": float(value)}
        self.rows.append(tuple(row[name] for name in COLUMNS))

    # --- items as they come ---

    def _batch(self, source: str, items: list[Item]) -> None:
        texts = [text_of(item) for item in items]
        made = streams([text.whole for text in texts])
        self.search.look_up(source, items, texts, made)
        self.shingles.add(made[0], len(items))
        known = self.known
        for item, text in zip(items, texts, strict=True):
            known.sources.append(source)
            known.abilities.append(item.ability)
            known.ids.append(item.id)
            known.origins.append(item.origin)
            known.excerpts.append(_beginning(text.prompt))
            known.digests.append(text.exact)
            self._look_at(source, item, text)
            for counter in self.counters:
                if (tokens := counter.overlong(item)) is not None:
                    what = {"id": item.id, "origin": item.origin, "other_source": counter.model}
                    detail = f"max_length is {counter.max_length}"
                    self._add("overlong", source, item.ability, tokens, detail=detail, **what)

    def _look_at(self, source: str, item: Item, text: Text) -> None:
        for kind, detail in faults(item):
            self._add(kind, source, item.ability, 1, id=item.id, origin=item.origin, detail=detail)
        code = language(text.whole)
        self.tallies[source, item.ability].add(item, code)
        if code != UNKNOWN:
            self.in_languages[source, code].append((item.ability, item.id, item.origin, _beginning(text.prompt)))

    # --- findings on all of them ---

    def _leaks(self) -> tuple[dict[tuple[str, str], list[str]], dict[tuple[str, str], list[str]]]:
        search, leaked, possible = self.search, defaultdict(set), defaultdict(set)
        numbers = {}
        pairs = search.pairs()
        wanted = {key[:3] for key in pairs}
        for number in range(len(self.known)):
            if (identity := self.known.identity(number)) in wanted:
                numbers[identity] = number
        for (source, ability, item, place), leak in pairs.items():
            suite, asked = search.places[place]
            (leaked if leak.sure else possible)[source, ability].add(item)
            same, number = leak.share == SAME_PROMPT, numbers[source, ability, item]
            self._add(
                "leak" if same else "partial_leak" if leak.sure else "possible_leak",
                source,
                ability,
                min(leak.share, 1),
                id=item,
                other_source=suite,
                other_id=asked.id,
                ngram_13=None if same else leak.ngram_13,
                ngram_20=None if same else leak.ngram_20,
                detail=self.known.excerpts[number],
                origin=self.known.origins[number],
                other_origin=asked.origin,
            )
        for source, place, shares in search.spread():
            suite, asked = search.places[place]
            self._add(
                "spread_leak",
                source,
                asked.ability,
                max(shares),
                other_source=suite,
                other_id=asked.id,
                ngram_13=shares[0],
                ngram_20=shares[1],
                detail=_beginning(search.texts[place].prompt),
                other_origin=asked.origin,
            )
        possible = {pool: ids - leaked.get(pool, set()) for pool, ids in possible.items()}
        return tuple({pool: sorted(ids) for pool, ids in sorted(found.items()) if ids} for found in (leaked, possible))

    def _suite_overlaps(self) -> None:
        prompts: dict[str, dict[str, Item]] = {}
        for name, items in self.suites.items():
            own: dict[str, Item] = {}
            for item, text in zip(items, self.suite_texts[name], strict=True):
                own.setdefault(text.prompt, item)
            prompts[name] = own
        for other, one in itertools.combinations(prompts, 2):
            for prompt, item in prompts[one].items():
                if (same := prompts[other].get(prompt)) is not None:
                    more = {"id": item.id, "origin": item.origin, "detail": _beginning(prompt)}
                    more |= {"other_source": other, "other_id": same.id, "other_origin": same.origin}
                    self._add("suite_overlap", one, item.ability, 1, **more)

    def _repeats(self) -> dict[tuple[str, str], list[str]]:
        known, repeated = self.known, defaultdict(list)
        order = sorted(range(len(known)), key=lambda n: (*known.identity(n), known.origins[n]))
        first = first_of_equals(np.frombuffer(known.digests, dtype=np.uint64)[order]) if order else []
        # The first of each source stands for its equals.
        stands: dict[int, dict[str, int]] = {}
        single: list[int] = []
        for number, group in zip(order, np.asarray(first).tolist(), strict=True):
            there, source = stands.setdefault(group, {}), known.sources[number]
            if source in there:
                self._pair("duplicate_within", number, there[source], 1)
                repeated[source, known.abilities[number]].append(known.ids[number])
                continue
            for other in there.values():
                self._pair("duplicate_between", number, other, 1)
            there[source] = number
            single.append(number)
        pairs, similarities = self.shingles.near(np.array(single, dtype=np.int64))
        numbers = {source: place for place, source in enumerate(dict.fromkeys(known.sources))}
        sources = np.fromiter((numbers[known.sources[n]] for n in single), dtype=np.int32, count=len(single))
        digests = np.frombuffer(known.digests, dtype=np.uint64)[single]
        same = sources[pairs[:, 0]] == sources[pairs[:, 1]]
        between = ~same & (digests[pairs[:, 0]] != digests[pairs[:, 1]])
        for item, (other, similarity) in kept_back(pairs[same], similarities[same]).items():
            number = single[item]
            self._pair("near_within", number, single[other], similarity)
            repeated[known.sources[number], known.abilities[number]].append(known.ids[number])
        for item, (other, similarity) in _most_similar(pairs[between], similarities[between]).items():
            self._pair("near_between", single[item], single[other], similarity)
        return {pool: sorted(ids) for pool, ids in sorted(repeated.items())}

    def _pair(self, kind: str, number: int, other: int, value: float) -> None:
        known = self.known
        more = {"id": known.ids[number], "origin": known.origins[number], "detail": known.excerpts[number]}
        more |= {"other_source": known.sources[other], "other_id": known.ids[other]}
        more["other_origin"] = known.origins[other]
        self._add(kind, known.sources[number], known.abilities[number], value, **more)

    def _counts(self) -> None:
        for (source, ability), tally in self.tallies.items():
            for kind, value, item, origin, detail in tally.findings():
                self._add(kind, source, ability, value, id=item, origin=origin, detail=detail)
        for (source, code), items in self.in_languages.items():
            for ability, item, origin, excerpt in items:
                main = self.tallies[source, ability].main_language
                if main not in (None, code):
                    detail = f"{code}, not {main}: {excerpt}"
                    self._add("language_odd", source, ability, 1, id=item, origin=origin, detail=detail)

    def _table(self) -> pa.Table:
        import pyarrow as pa

        order = {kind: place for place, kind in enumerate(KINDS)}
        self.rows.sort(key=lambda row: (order[row[0]], *row[1:6], *row[9:]))
        columns = zip(*self.rows, strict=True) if self.rows else [()] * len(COLUMNS)
        return pa.Table.from_arrays(
            [pa.array(column, type=kind) for column, kind in zip(columns, schema().types, strict=True)], schema=schema()
        )


def _beginning(text: str) -> str:
    return text if len(text) <= EXCERPT else text[: EXCERPT - 1] + "…"


def batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """The items, some at a time (`BATCH_ITEMS`, `BATCH_CHARACTERS`)."""
    found: list[Item] = []
    characters = 0
    for item in items:
        found.append(item)
        characters += sum(len(message.content) for message in item.messages)
        if len(found) >= BATCH_ITEMS or characters >= BATCH_CHARACTERS:
            yield found
            found, characters = [], 0
    if found:
        yield found


def _most_similar(pairs: np.ndarray, similarities: np.ndarray) -> dict[int, tuple[int, float]]:
    """{the later item of a pair: (the earlier one most similar to it, similarity)}."""
    found: dict[int, tuple[int, float]] = {}
    for (low, high), similarity in zip(pairs.tolist(), similarities.tolist(), strict=True):
        if high not in found or (similarity, -low) > (found[high][1], -found[high][0]):
            found[high] = (low, similarity)
    return found
