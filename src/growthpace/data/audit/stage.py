"""The audit of a study's files: reads pools and suites, writes the table, the page and what a policy may leave out
(`data.policy`), and tells it all in a few lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from growthpace.data.audit import FAULTS, UNKNOWN_LICENCE, Audit, TokenCounter, audit
from growthpace.data.audit.page import ADVICE, EXPLAINED, audit_html, by_kind
from growthpace.data.items import Item, read_items, stream_items
from growthpace.data.policy import LISTS, AuditInputs
from growthpace.errors import InputError
from growthpace.files import write_json, write_table, write_text
from growthpace.grid import Grid
from growthpace.paths import Paths
from growthpace.study import Study


def audit_study(
    study: Study, paths: Paths, counters: Sequence[TokenCounter] = (), others: Sequence[TokenCounter] = ()
) -> Audit:
    """Audits the study's pools and suites and writes the three files.

    counters: of tokenizers that are part of the study's inputs. others: of tokenizers that happen to be at hand; what
    they find is returned and not written, so that the same study gives the same files.
    Raises `InputError` where pools or suites are not there, with the command that makes them.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    grid = Grid(study)
    files = [paths.pool(source, ability) for source in study.sources for ability in grid.pools(source)]
    files += map(paths.suite, study.suites)
    if missing := [path for path in files if not path.exists()]:
        page = paths.audit.with_suffix(".html")
        raise InputError(
            f"{len(missing)} of {len(files)} pools and suites are not there yet, such as {missing[0]}; make them, "
            f"and the audit, with `snakemake --cores 2 {page} --configfile CONFIG`"
        )

    def pool_items(source: str) -> Iterator[Item]:
        for ability in grid.pools(source):
            yield from stream_items(paths.pool(source, ability))

    found = audit(
        {source: pool_items(source) for source in study.sources},
        {suite: read_items(paths.suite(suite)) for suite in study.suites},
        {source: settings.licence for source, settings in study.sources.items()},
        [*counters, *others],
    )
    elsewhere = [counter.model for counter in others]
    written = found.findings.filter(
        pc.invert(pc.is_in(found.findings["other_source"], pa.array(elsewhere, pa.string())))
    )
    notes = [_on_tokens(study, counters)]
    metadata = {"study": study.study, "stage": "audit", "settings": grid.audit_settings()}
    write_table(paths.audit, written, metadata)
    write_text(paths.audit.with_suffix(".html"), audit_html(written, study.study, notes))
    write_json(paths.audit_items, {"study": study.study, **_listed(found)})
    return found


def _on_tokens(study: Study, counters: Sequence[TokenCounter]) -> str:
    """Whose tokenizers lengths were counted with."""
    counted = [name for counter in counters for name in counter.model.split(", ")]
    rest = [name for name in study.models if name not in counted]
    told = f"Tokens were counted for {', '.join(counted)}. " if counted else ""
    if rest:
        told += (
            f"Tokens were not counted for {', '.join(rest)}, whose tokenizers are no local folder of the study: "
            "growthpace audit prints that once a model is made ready."
        )
    return told.strip()


def _listed(found: Audit) -> dict[str, Any]:
    """{list: {source: {ability: ids}}}."""
    listed: dict[str, dict[str, dict[str, list[str]]]] = {name: {} for name in LISTS}
    for name, pools in _lists(found):
        for (source, ability), ids in pools.items():
            listed[name].setdefault(source, {})[ability] = ids
    return listed


def _lists(found: Audit) -> Iterator[tuple[str, dict[tuple[str, str], list[str]]]]:
    """(list, {(source, ability): ids})."""
    yield from zip(LISTS, (found.leaked, found.possible, found.repeated), strict=True)


# --- what is told ----------------------------------------------------------------------------------------------------


def summary(study: Study, found: Audit, paths: Paths, counted: Iterable[str] = ()) -> Iterator[str]:
    """What is wrong, how much of it, the worst of each kind and what to do: a line each. counted: models whose tokens
    were counted."""
    kinds = by_kind(found.findings)
    items = Counter()
    for (source, _), number in found.sizes.items():
        items[source] += number
    told = ", ".join(f"{source} {number:,}" for source, number in items.items())
    yield f"audit: {sum(items.values()):,} training items ({told}) against {len(study.suites)} suites"
    wrong = [kind for kind in FAULTS if kinds[kind].num_rows]
    for kind in wrong:
        rows = kinds[kind]
        yield f"  {kind}: {_amount(kind, rows)}. {EXPLAINED[kind]}"
        yield f"    such as {_told(rows.slice(0, 1).to_pylist()[0])}"
        if kind in ADVICE:
            yield f"    what to do: {_advice(study, kind)}"
    if not wrong:
        yield "  nothing is wrong with them"
    unknown = [row["source"] for row in kinds["licence"].to_pylist() if row["detail"] == UNKNOWN_LICENCE]
    if unknown:
        keys = ", ".join(f"sources.{source}.licence" for source in unknown)
        yield f"  licence unknown: {', '.join(unknown)}. State it ({keys}) before you pass on data or models"
    if rest := [name for name in study.models if name not in set(counted)]:
        yield (
            f"  tokens not counted for {', '.join(rest)}: no tokenizer on this machine yet. Training says what it "
            f"{_OVERLONG[study.training.overlong]}; audit again once the model is made ready"
        )
    yield from _policies(study, found)
    for dataset, seed in AuditInputs(study, paths).stale():
        yield f"  dataset {dataset}, seed {seed}: other items are left out now; the next start draws it again"
    yield f"  all findings: {paths.audit}; a page of them: {paths.audit.with_suffix('.html')}"


_OVERLONG = {"refuse": "refuses", "truncate": "truncates", "drop": "drops"}


def _amount(kind: str, rows: Any) -> str:
    """How many findings there are and where."""
    sources = Counter(rows["source"].to_pylist())
    where = ", ".join(f"{source} {number:,}" for source, number in sources.most_common(4))
    more = f" and {len(sources) - 4} more" if len(sources) > 4 else ""
    if kind in ("leak", "partial_leak", "possible_leak"):
        pairs = set(zip(rows["other_source"].to_pylist(), rows["other_id"].to_pylist(), strict=True))
        items = set(zip(rows["source"].to_pylist(), rows["ability"].to_pylist(), rows["id"].to_pylist(), strict=True))
        suites = ", ".join(f"{s} {n:,}" for s, n in sorted(Counter(suite for suite, _ in pairs).items()))
        return f"{len(items):,} training items give away {len(pairs):,} evaluated ones ({suites})"
    return f"{rows.num_rows:,} ({where}{more})"


def _told(row: dict[str, Any]) -> str:
    """One finding in words."""
    one = " ".join(part for part in (row["source"], row["ability"], row["id"]) if part)
    other = " ".join(part for part in (row["other_source"], row["other_id"]) if part)
    shares = "" if row["ngram_13"] is None else f", 13-grams {row['ngram_13']:.0%}, 20-grams {row['ngram_20']:.0%}"
    value = f", {row['value']:,.3g}" if row["kind"] in ("near_within", "near_between") else ""
    value = f", {row['value']:,.0f} tokens" if row["kind"] == "overlong" else value
    detail = f": {row['detail']}" if row["detail"] else ""
    origin = f" at {row['origin']}" if row["origin"] else ""
    return f"{one}{origin}{f' and {other}' if other else ''}{shares}{value}{detail}"


def _advice(study: Study, kind: str) -> str:
    dropped = study.audit.dropped if study.audit else {}
    listed = _LISTED.get(kind)
    if listed not in dropped:
        return ADVICE[kind]
    who = "all but one" if listed == "duplicates" else "they"
    return f"nothing, {who} are left out of the datasets (audit.{dropped[listed]})"


_LISTED = {
    "leak": "leaked",
    "partial_leak": "leaked",
    "possible_leak": "possible",
    "duplicate_within": "duplicates",
    "near_within": "duplicates",
}
"""Kinds of finding to the list that their items are on."""


def _policies(study: Study, found: Audit) -> Iterator[str]:
    """What the policy leaves out, and of how many."""
    dropped = study.audit.dropped if study.audit else {}
    for name, pools in _lists(found):
        if name in dropped and pools:
            told = ", ".join(f"{s}/{a} {len(ids):,} of {found.sizes[s, a]:,}" for (s, a), ids in pools.items())
            yield f"  left out of the datasets, {name} (audit.{dropped[name]}): {told}"
