"""`growthpace review report`: how much passed, how well the reviewers agree, what was revised, what is left."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from growthpace.analysis.agreement import Kappa, kappa, told
from growthpace.analysis.uncertainty import quantile, wilson
from growthpace.data.items import Item
from growthpace.data.reviewed.decisions import CONFLICT, KEPT, REJECTED, UNDECIDED, Outcome
from growthpace.review.source import Source

Row = dict[str, Any]
ALL = "all"


def proportion(count: int, total: int, confidence: float) -> Row:
    """{count, of, share, low, high} with Wilson's interval; share and interval are None where `total` is 0."""
    if not total:
        return {"count": count, "of": 0, "share": None, "low": None, "high": None}
    low, high = wilson(count / total, total, quantile((1 + confidence) / 2, float("inf")))
    return {"count": count, "of": total, "share": count / total, "low": low, "high": high}


def passing(ability: str, items: Iterable[Item], found: dict[str, Outcome], confidence: float) -> Row:
    """One ability's numbers: how many items are offered and stand where, and two pass rates.

    passed_at_once: of the items that two reviewers have judged as the source has them, those that both passed.
    kept: of those kept or rejected for good, the kept ones, revised or not. `outdated`: verdicts that were given on
    another text than the source now has.
    """
    own = [found[item.id] for item in items]
    judged = [outcome for outcome in own if outcome.reviewers or outcome.adjudicator]
    count = {
        state: sum(outcome.state == state for outcome in judged) for state in (KEPT, REJECTED, CONFLICT, UNDECIDED)
    }
    twice = [outcome.first for outcome in own if len(outcome.first) == 2]
    return {
        "ability": ability,
        "offered": len(own),
        "judged": len(judged),
        **count,
        "revised": sum(outcome.state == KEPT and not outcome.revision.empty for outcome in judged),
        "adjudicated": sum(bool(outcome.adjudicator) for outcome in judged),
        "outdated": sum(outcome.outdated for outcome in own),
        "passed_at_once": proportion(sum(set(f.values()) == {"pass"} for f in twice), len(twice), confidence),
        "kept_of_decided": proportion(count[KEPT], count[KEPT] + count[REJECTED], confidence),
    }


def agreements(items: dict[str, list[Item]], found: dict[str, Outcome], confidence: float) -> list[Row]:
    """How well each pair of reviewers agrees, over all abilities and (where there are several) in each.

    Compared are first verdicts on the source's version, which both gave without knowing the other's. Items of one
    group (a dialogue, a passage) are one cluster.
    """
    given: dict[tuple[str, str], list[tuple[Item, tuple[str, str]]]] = {}
    for own in items.values():
        for item in own:
            first = found[item.id].first
            if len(first) == 2:
                pair = tuple(sorted(first))
                given.setdefault(pair, []).append((item, tuple(first[name] for name in pair)))
    rows = []
    for pair, both in sorted(given.items()):
        abilities = dict.fromkeys(item.ability for item, _ in both)
        for ability in [ALL, *(abilities if len(abilities) > 1 else ())]:
            own = [(item, verdicts) for item, verdicts in both if ability in (ALL, item.ability)]
            verdicts = [verdict for _, verdict in own]
            groups = [(item.ability, item.group) if item.group else item.id for item, _ in own]
            rows.append(
                {
                    "reviewers": list(pair),
                    "ability": ability,
                    "items": len(own),
                    "groups": len(set(groups)),
                    "same": proportion(sum(a == b for a, b in verdicts), len(own), confidence),
                    "kappa": asdict(kappa(verdicts, confidence, groups)),
                }
            )
    return rows


def summary(source: Source, confidence: float) -> Row:
    """All that is told of a review: by ability, over all, agreement, and verdicts on items that are gone."""
    found = source.outcomes()
    everything = [item for items in source.items.values() for item in items]
    abilities = [passing(ability, items, found, confidence) for ability, items in source.items.items()]
    return {
        "study": source.study.study,
        "source": source.name,
        "confidence": confidence,
        "verdicts": len(source.history),
        "abilities": abilities,
        "all": passing(ALL, everything, found, confidence),
        "agreement": agreements(source.items, found, confidence),
        "gone": sum(entry.item_id not in source.by_id for entry in source.history),
    }


def table(found: Row) -> list[str]:
    """The numbers by ability, as aligned lines."""
    heads = ("ability", "offered", "judged", "kept", "revised", "rejected", "conflict", "undecided",
             "passed at once", "kept of decided")  # fmt: skip
    rows = [heads]
    for row in [*found["abilities"], *([found["all"]] if len(found["abilities"]) > 1 else [])]:
        counts = [f"{row[key]:,}" for key in heads[1:8]]
        rows.append((row["ability"], *counts, _percent(row["passed_at_once"]), _percent(row["kept_of_decided"])))
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]


def lines(found: Row) -> list[str]:
    """A summary in words, after its table."""
    said = table(found)
    for row in found["agreement"]:
        where = "" if row["ability"] == ALL else f" on {row['ability']}"
        grouped = f" in {row['groups']:,} groups" if row["groups"] < row["items"] else ""
        said.append(
            f"{' and '.join(row['reviewers'])}{where}: the same verdict on {_percent(row['same'])} of {row['items']:,} "
            f"items{grouped}, kappa {told(Kappa(**row['kappa']))}"
        )
    if not found["agreement"]:
        said.append("no item has been judged by two reviewers yet, so there is no agreement to tell")
    if found["all"]["adjudicated"]:
        said.append(f"{found['all']['adjudicated']:,} items were decided by an adjudicator")
    if found["all"]["outdated"]:
        said.append(f"{found['all']['outdated']:,} verdicts are on items that have changed since; they do not count")
    if found["gone"]:
        said.append(f"{found['gone']:,} verdicts are on items that the source no longer has; they do not count")
    return said


def _percent(found: Row) -> str:
    if found["share"] is None:
        return "-"
    return f"{100 * found['share']:.1f} % ({100 * found['low']:.1f} to {100 * found['high']:.1f})"
