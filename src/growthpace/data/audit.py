"""What is wrong, or worth knowing, about a study's items before anything is trained on them.

`audit(pools, suites)` gives one tidy table of findings and `audit_html` a page of it. Kinds of finding:

| kind | id, in source | other_id, in other_source | value |
|---|---|---|---|
| `leak` | training item | evaluated item with the same prompt | 1 |
| `partial_leak` | training item | evaluated item most of whose n-grams it contains | that share, 0.5 to 1 |
| `suite_overlap` | evaluated item | item of another suite with the same prompt | 1 |
| `duplicate_within` | item | equal item of the same pool | 1 |
| `duplicate_between` | item | equal item of another pool | 1 |
| `label_imbalance` | none | none | share of the most frequent answer, far above an even one |
| `label_share` | none | none | share of an answer (in detail) among an ability's items |
| `length_median`, `length_longest` | none; the longest item | none | characters of all messages |

Texts are equal when they are after Unicode's NFKC, case folding and joining of white space. An n-gram is 13 tokens in
a row, a token being a word or, in Chinese, Japanese and Korean, a character. Of an evaluated item, the prompt and the
prompt with its reference are each looked for in all turns of the training items, and the larger share counts. N-grams
in more than `TEMPLATE` items of a suite are taken for a template (an instruction, few-shot examples) and not counted.
An item of fewer than 13 tokens is compared whole only.

The same items give the same bytes in any order. Time grows with the amount of text: no two items are compared that do
not share a rare n-gram.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from growthpace.data.items import Item, Message

NGRAM = 13
"""Tokens of an n-gram, as in GPT-3's contamination study (arXiv 2005.14165, appendix C)."""
PARTIAL = 0.5
"""Share of an evaluated item's n-grams in one training item from which on it is a leak."""
TEMPLATE = 20
"""N-grams that more items of one suite share are a template, not a content."""
IMBALANCED = 1.5
"""An answer this many times as frequent as an even share is a finding..."""
DEVIATIONS = 3
"""...if it is also this many standard deviations (binomial) above it: in few items chance alone does that."""

KINDS = (
    "leak",
    "partial_leak",
    "suite_overlap",
    "duplicate_within",
    "duplicate_between",
    "label_imbalance",
    "label_share",
    "length_median",
    "length_longest",
)

SCHEMA = pa.schema(
    [
        ("kind", pa.string()),
        ("source", pa.string()),  # a pool or a suite
        ("ability", pa.string()),
        ("id", pa.string()),
        ("other_source", pa.string()),
        ("other_id", pa.string()),
        ("value", pa.float64()),
        ("detail", pa.string()),
    ]
)

_EAST_ASIAN = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_EAST_ASIAN}]|[^\W_{_EAST_ASIAN}]+")
_WHITE_SPACE = re.compile(r"\s+")


def audit(pools: Mapping[str, Sequence[Item]], suites: Mapping[str, Sequence[Item]]) -> pa.Table:
    """Findings on the items of all pools and suites, by name; columns as in `SCHEMA`, most serious kinds first."""
    pools = {name: sorted(items, key=_identity) for name, items in sorted(pools.items())}
    suites = {name: sorted(items, key=_identity) for name, items in sorted(suites.items())}
    findings = [
        *_leaks(pools, suites),
        *_suite_overlaps(suites),
        *_duplicates(pools),
        *_labels({**pools, **suites}),
        *_lengths({**pools, **suites}),
    ]
    columns = SCHEMA.names
    order = {kind: place for place, kind in enumerate(KINDS)}
    findings.sort(
        key=lambda finding: (order[finding["kind"]], *(finding[key] for key in columns[1:6]), finding["detail"])
    )
    return pa.Table.from_pylist(findings, schema=SCHEMA)


def _identity(item: Item) -> tuple[str, str, str]:
    return item.ability, item.id, item.origin


def _finding(
    kind: str,
    source: str,
    ability: str,
    value: float,
    item: str = "",
    other: str = "",
    other_id: str = "",
    detail: str = "",
) -> dict[str, Any]:
    values = (kind, source, ability, item, other, other_id, float(value), detail)
    return dict(zip(SCHEMA.names, values, strict=True))


# --- texts -----------------------------------------------------------------------------------------------------------


def normalised(text: str) -> str:
    """Text as it is compared: NFKC, case folded, white space joined."""
    return _WHITE_SPACE.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


def _prompt(item: Item) -> str:
    return "\n".join(normalised(message.content) for message in item.messages[:-1])


def _whole(item: Item) -> str:
    return "\n".join(f"{message.role}:{normalised(message.content)}" for message in item.messages)


class _NGrams:
    """64-bit hashes of n-grams: a polynomial over the hashes of their tokens, the same in every process."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._powers = [np.uint64(pow(0x9E3779B97F4A7C15, power, 2**64)) for power in range(NGRAM)]

    def of(self, messages: Iterable[Message]) -> np.ndarray:
        """The distinct n-grams of messages, sorted; empty for fewer than `NGRAM` tokens."""
        tokens = [self._token(t) for message in messages for t in _TOKEN.findall(normalised(message.content))]
        count = len(tokens) - NGRAM + 1
        if count < 1:
            return np.empty(0, dtype=np.uint64)
        numbers = np.array(tokens, dtype=np.uint64)
        total = np.zeros(count, dtype=np.uint64)
        for place, power in enumerate(self._powers):
            total += numbers[place : place + count] * power  # modulo 2^64
        return np.unique(total)

    def _token(self, token: str) -> int:
        if token not in self._known:
            self._known[token] = int.from_bytes(hashlib.blake2b(token.encode(), digest_size=8).digest(), "little")
        return self._known[token]


# --- findings --------------------------------------------------------------------------------------------------------


def _leaks(pools: Mapping[str, list[Item]], suites: Mapping[str, list[Item]]) -> Iterable[dict[str, Any]]:
    """Evaluated items that are in a pool: whole, or for the most part. At most one finding an item, suite and pool."""
    ngrams = _NGrams()
    indexes = {name: _SuiteIndex(items, ngrams) for name, items in suites.items()}
    for pool, items in pools.items():
        best: dict[tuple[str, int], tuple[float, Item]] = {}
        for item in items:
            prompt, grams = _prompt(item), ngrams.of(item.messages)
            for suite, index in indexes.items():
                for place, share in index.contained_in(prompt, grams):
                    known = best.get((suite, place))
                    if known is None or share > known[0]:
                        best[suite, place] = (share, item)
        for (suite, place), (share, item) in best.items():
            kind = "leak" if share == _SAME_PROMPT else "partial_leak"
            other = suites[suite][place].id
            yield _finding(kind, pool, item.ability, min(share, 1), item.id, suite, other)


_SAME_PROMPT = 2.0
"""Above every share: an equal prompt counts for more than equal n-grams."""


class _SuiteIndex:
    """Where each prompt and each n-gram of a suite occurs."""

    def __init__(self, items: list[Item], ngrams: _NGrams):
        self.prompts: dict[str, list[int]] = defaultdict(list)
        for place, item in enumerate(items):
            self.prompts[_prompt(item)].append(place)
        # Unit 2 n is the prompt of item n, unit 2 n + 1 its prompt and reference.
        units = [ngrams.of(messages) for item in items for messages in (item.messages[:-1], item.messages)]
        if not units:
            units = [np.empty(0, dtype=np.uint64)]
        grams = np.concatenate(units)
        unit = np.repeat(np.arange(len(units)), [len(u) for u in units])
        distinct, items_with = np.unique(grams[unit % 2 == 1], return_counts=True)
        own = ~np.isin(grams, distinct[items_with > TEMPLATE])
        order = np.argsort(grams[own], kind="stable")
        self._grams, self._units = grams[own][order], unit[own][order]
        self._sizes = np.bincount(unit[own], minlength=len(units))

    def contained_in(self, prompt: str, grams: np.ndarray) -> Iterable[tuple[int, float]]:
        """(place, share) of the suite's items that a training item with this prompt and these n-grams contains."""
        same = self.prompts.get(prompt, ())
        for place in same:
            yield place, _SAME_PROMPT
        first = np.searchsorted(self._grams, grams, side="left")
        last = np.searchsorted(self._grams, grams, side="right")
        hits = [self._units[a:b] for a, b in zip(first[last > first], last[last > first], strict=True)]
        if hits:
            found, counts = np.unique(np.concatenate(hits), return_counts=True)
            for unit, share in zip(found.tolist(), (counts / self._sizes[found]).tolist(), strict=True):
                if share >= PARTIAL and unit // 2 not in same:
                    yield unit // 2, share


def _suite_overlaps(suites: Mapping[str, list[Item]]) -> Iterable[dict[str, Any]]:
    """Prompts that are in more than one suite: a choice on the one has seen the other."""
    first: dict[str, tuple[str, Item]] = {}
    for suite, items in suites.items():
        for item in items:
            name, known = first.setdefault(_prompt(item), (suite, item))
            if name != suite:
                yield _finding("suite_overlap", suite, item.ability, 1, item.id, name, known.id)


def _duplicates(pools: Mapping[str, list[Item]]) -> Iterable[dict[str, Any]]:
    """Each repeat of an item, with the first one by id: in its own pool, and in the pools before."""
    seen: dict[str, dict[str, Item]] = defaultdict(dict)
    for pool, items in pools.items():
        for item in items:
            places = seen[_whole(item)]
            if pool in places:
                yield _finding("duplicate_within", pool, item.ability, 1, item.id, pool, places[pool].id)
                continue
            for other, known in places.items():
                yield _finding("duplicate_between", pool, item.ability, 1, item.id, other, known.id)
            places[pool] = item


def _by_ability(sets: Mapping[str, list[Item]]) -> Iterable[tuple[str, str, list[Item]]]:
    for name, items in sets.items():
        abilities: dict[str, list[Item]] = defaultdict(list)
        for item in items:
            abilities[item.ability].append(item)
        for ability in sorted(abilities):
            yield name, ability, abilities[ability]


def _labels(sets: Mapping[str, list[Item]]) -> Iterable[dict[str, Any]]:
    """How answers are spread where there are few to choose from. An even share is the mean of 1 / choices over the
    items that offer the answer."""
    for name, ability, items in _by_ability(sets):
        chosen = [item for item in items if item.scorer in ("letter", "true_false")]
        answers = Counter(item.answer for item in chosen)
        for answer, count in sorted(answers.items()):
            share = count / len(chosen)
            detail = f"{answer}: {count} of {len(chosen)}"
            yield _finding("label_share", name, ability, share, detail=detail)
            even = sum(1 / len(item.candidates) for item in chosen if answer in item.candidates) / len(chosen)
            deviation = (len(chosen) * even * (1 - even)) ** 0.5
            if share > IMBALANCED * even and count - len(chosen) * even > DEVIATIONS * deviation:
                yield _finding("label_imbalance", name, ability, share, detail=f"{detail}, an even share is {even:.2f}")


def _lengths(sets: Mapping[str, list[Item]]) -> Iterable[dict[str, Any]]:
    for name, ability, items in _by_ability(sets):
        lengths = [sum(len(message.content) for message in item.messages) for item in items]
        longest = max(range(len(items)), key=lambda place: lengths[place])
        detail = f"{len(items)} items"
        yield _finding("length_median", name, ability, float(np.median(lengths)), detail=detail)
        yield _finding("length_longest", name, ability, lengths[longest], items[longest].id, detail=detail)


# --- the page --------------------------------------------------------------------------------------------------------

_EXPLAINED = {
    "leak": "Training items whose prompt is evaluated: scores on them measure memory.",
    "partial_leak": f"Training items that hold half or more of the {NGRAM}-grams of an evaluated item.",
    "suite_overlap": "Prompts that are in two suites.",
    "duplicate_within": "Items that occur again in their pool: they weigh more than others in training.",
    "duplicate_between": "Items that occur in two pools: the sources are not independent.",
    "label_imbalance": f"Answers more than {IMBALANCED} times as frequent as an even share: a fixed guess does well.",
    "label_share": "How answers are spread.",
    "length_median": "Median length in characters.",
    "length_longest": "Longest items in characters.",
}
ROWS_SHOWN = 200
"""Findings of a kind on the page; the table has them all."""

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Data audit: {{ title }}</title>
<style>
 body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #222; }
 table { border-collapse: collapse; margin: .5rem 0 1.5rem; }
 th, td { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #ddd; vertical-align: top; }
 td.number { text-align: right; font-variant-numeric: tabular-nums; }
 td { overflow-wrap: anywhere; }
 .none { color: #555; }
</style>
<h1>Data audit: {{ title }}</h1>
<table>
<tr><th>finding</th><th>number</th><th></th></tr>
{% for kind in kinds %}<tr>\
<td>{% if kind.rows %}<a href="#{{ kind.name }}">{{ kind.name }}</a>{% else %}{{ kind.name }}{% endif %}</td>\
<td class="number">{{ kind.count }}</td><td>{{ kind.explained }}</td></tr>
{% endfor %}</table>
{% for kind in kinds if kind.rows %}<h2 id="{{ kind.name }}">{{ kind.name }}</h2>
<p>{{ kind.explained }}{% if kind.count > kind.rows | length %} The first {{ kind.rows | length }} of {{ kind.count }}.\
{% endif %}</p>
<table>
<tr>{% for column in columns %}<th>{{ column }}</th>{% endfor %}</tr>
{% for row in kind.rows %}<tr>{% for column in columns %}<td{% if column == "value" %} class="number"{% endif %}>\
{{ row[column] }}</td>{% endfor %}</tr>
{% endfor %}</table>
{% endfor %}{% if not serious %}<p class="none">No leak, no overlap and no duplicate was found.</p>{% endif %}
</html>
"""


def audit_html(table: pa.Table, title: str) -> str:
    """A self-contained page of the findings: their number by kind, then up to `ROWS_SHOWN` of each kind."""
    import jinja2

    findings: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    for finding in table.to_pylist():
        findings[finding["kind"]].append({**finding, "value": f"{finding['value']:.4g}"})
    kinds = [
        {"name": kind, "count": len(rows), "explained": _EXPLAINED[kind], "rows": rows[:ROWS_SHOWN]}
        for kind, rows in findings.items()
    ]
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(_PAGE).render(
        title=title,
        kinds=kinds,
        columns=[name for name in SCHEMA.names if name != "kind"],
        serious=any(findings[kind] for kind in KINDS[:5]),
    )
