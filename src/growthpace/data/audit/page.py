"""The page of an audit's findings: their number by kind, then the worst of each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from growthpace.data.audit import FAULTS, KINDS, UNKNOWN_LICENCE
from growthpace.data.audit.duplicates import NEAR
from growthpace.data.audit.tallies import IMBALANCED

if TYPE_CHECKING:
    import pyarrow as pa

EXPLAINED = {
    "leak": "Training items whose prompt is evaluated: scores on them measure memory.",
    "partial_leak": "Training items that hold half or more of the 13-grams (tokens) of an evaluated item.",
    "possible_leak": "The same of its 20-grams (characters) alone, or of its question without the options: copies in "
    "another wording or notation, but also questions of one pattern.",
    "spread_leak": "Evaluated items whose n-grams are in a source, for the most part, but not in one item. Often "
    "chance phrases of short questions; no policy leaves anything out for them.",
    "suite_overlap": "Prompts that are in two suites.",
    "duplicate_within": "Items that occur again in their source: they weigh more than others in training.",
    "duplicate_between": "Items that occur in two sources: these are not independent.",
    "near_within": f"Items nearly the same as one of their source (similarity of {NEAR} or more).",
    "near_between": f"Items nearly the same as one of another source (similarity of {NEAR} or more).",
    "empty": "Messages that show nothing, and placeholders in place of an answer.",
    "broken": "Texts damaged on their way: wrong encodings, control characters.",
    "markup": "Remnants of HTML in items that are not about it.",
    "overlong": "Items of more tokens than the study's max_length; training.overlong says what happens to them.",
    "language_odd": "Items in another language than nearly all others of their ability.",
    "label_imbalance": f"Answers more than {IMBALANCED} times as frequent as an even share: a fixed guess does well.",
    "licence": f"Licence of each source (value: items), as the study states it; {UNKNOWN_LICENCE} where it does not.",
    "label_share": "How answers are spread.",
    "language_share": "How languages are spread; undetermined: too little text to tell.",
    "length_median": "Median length in characters.",
    "length_longest": "Longest items in characters.",
}
ADVICE = {
    "leak": "leave them out with audit.leaked: drop, or correct the split",
    "partial_leak": "look at the worst; audit.leaked: drop leaves them out",
    "possible_leak": "look at the worst; audit.leaked: drop_possible leaves them all out, copies or not",
    "suite_overlap": "remove them from one of the suites",
    "duplicate_within": "leave all but one out with audit.duplicates: drop",
    "near_within": "look at the worst; audit.duplicates: drop leaves out all but one",
    "empty": "correct or remove them in the source's files",
    "broken": "read the source's files with their right encoding, or remove these items",
    "markup": "strip it from the source's files",
    "overlong": "raise training.max_length, or shorten these items",
    "language_odd": "look whether they belong there",
    "label_imbalance": "shuffle the options of these items",
}
"""What to do about a kind of finding."""
ROWS_SHOWN = 100
"""Findings of a kind on the page; the table has them all."""

_WORST_FIRST = (
    "partial_leak",
    "possible_leak",
    "spread_leak",
    "near_within",
    "near_between",
    "overlong",
    "label_imbalance",
)

_HEADS = {
    "source": "source", "ability": "ability", "id": "item", "other": "other item, or model", "value": "value",
    "ngram_13": "13-grams", "ngram_20": "20-grams", "detail": "detail",
}  # fmt: skip

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Data audit: {{ title }}</title>
<style>
 body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; color: #222; }
 table { border-collapse: collapse; margin: .5rem 0 1.5rem; }
 th, td { text-align: left; padding: .2rem .9rem .2rem 0; border-bottom: 1px solid #ddd; vertical-align: top; }
 th { font-weight: 600; white-space: nowrap; }
 td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
 td.text { overflow-wrap: anywhere; min-width: 9rem; }
 small { color: #666; display: block; overflow-wrap: anywhere; }
 h2 { margin: 2rem 0 0; font-size: 1.15rem; }
 .none, .note { color: #555; }
 .fault td:first-child, .fault td.number { font-weight: 600; }
</style>
<h1>Data audit: {{ title }}</h1>
{% if not serious %}<p class="none">No leak, no overlap and no duplicate was found.</p>
{% endif %}{% for note in notes %}<p class="note">{{ note }}</p>
{% endfor %}<table>
<tr><th>finding</th><th>number</th><th></th></tr>
{% for kind in kinds %}<tr{% if kind.fault and kind.count %} class="fault"{% endif %}>\
<td>{% if kind.rows %}<a href="#{{ kind.name }}">{{ kind.name }}</a>{% else %}{{ kind.name }}{% endif %}</td>\
<td class="number">{{ "{:,}".format(kind.count) }}</td><td>{{ kind.explained }}{% if kind.fault and kind.count and \
kind.advice %} <small>What to do: {{ kind.advice }}.</small>{% endif %}</td></tr>
{% endfor %}</table>
{% for kind in kinds if kind.rows %}<h2 id="{{ kind.name }}">{{ kind.name }}</h2>
<p>{{ kind.explained }}{% if kind.count > kind.rows | length %} {{ kind.which }} {{ kind.rows | length }} of \
{{ "{:,}".format(kind.count) }}; audit.parquet has all.{% endif %}</p>
<table>
<tr>{% for column in kind.columns %}<th>{{ heads[column] }}</th>{% endfor %}</tr>
{% for row in kind.rows %}<tr>{% for column in kind.columns %}\
{% if column in ("value", "ngram_13", "ngram_20") %}<td class="number">{{ row[column] }}</td>\
{% elif column == "id" %}<td class="text">{{ row.id }}{% if row.origin %}<small>{{ row.origin }}</small>{% endif %}\
</td>\
{% elif column == "other" %}<td class="text">{{ row.other_source }}{% if row.other_id %} {{ row.other_id }}{% endif %}\
{% if row.other_origin %}<small>{{ row.other_origin }}</small>{% endif %}</td>\
{% else %}<td class="text">{{ row[column] }}</td>{% endif %}{% endfor %}</tr>
{% endfor %}</table>
{% endfor %}</html>
"""


def audit_html(findings: pa.Table, title: str, notes: list[str] | None = None) -> str:
    """A self-contained page of the findings: their number by kind, then up to `ROWS_SHOWN` of each kind, the worst
    first. notes: sentences at its head."""
    import jinja2

    kinds = [_kind(kind, rows) for kind, rows in by_kind(findings).items()]
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(_PAGE).render(
        title=title,
        notes=notes or [],
        kinds=kinds,
        heads=_HEADS,
        serious=any(kind["count"] for kind in kinds if kind["name"] in KINDS[: KINDS.index("empty")]),
    )


def by_kind(findings: pa.Table) -> dict[str, pa.Table]:
    """The findings of every kind, the worst first where findings differ in how bad they are."""
    import pyarrow.compute as pc

    found = {}
    for kind in KINDS:
        rows = findings.filter(pc.equal(findings["kind"], kind))
        if kind in _WORST_FIRST:  # a stable order: of equally bad ones as in the table
            place = pc.sort_indices(rows.append_column("place", [range(rows.num_rows)]),
                                    sort_keys=[("value", "descending"), ("place", "ascending")])  # fmt: skip
            rows = rows.take(place)
        found[kind] = rows
    return found


def _kind(kind: str, rows: pa.Table) -> dict[str, Any]:
    shown = rows.slice(0, ROWS_SHOWN).to_pylist()
    for row in shown:
        row["value"] = f"{row['value']:,.4g}" if row["value"] < 1000 else f"{row['value']:,.0f}"
        for size in ("ngram_13", "ngram_20"):
            row[size] = "" if row[size] is None else f"{row[size]:.2f}"
        row["other"] = row["other_source"]
    columns = [column for column in _HEADS if any(row[column] for row in shown)]
    if kind in ("leak", "suite_overlap", "duplicate_within", "duplicate_between", *_ALIKE):
        columns.remove("value") if "value" in columns else None
    return {
        "name": kind,
        "fault": kind in FAULTS,
        "count": rows.num_rows,
        "explained": EXPLAINED[kind],
        "advice": ADVICE.get(kind),
        "which": "The worst" if kind in _WORST_FIRST else "The first",
        "columns": columns,
        "rows": shown,
    }


_ALIKE = ("empty", "broken", "markup", "language_odd")
"""Kinds whose value says nothing."""
