"""What two reviewers' verdicts come to for an item.

The rule (docs/review.md): a version that two reviewers passed is kept, one that both reject is rejected. `revise`
makes a new version, which its author has thereby passed and the other must pass too. Two that make the same revision
have both passed it. Anything else that both have spoken on is a conflict, which an adjudicator's verdict decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from growthpace.data.items import Item
from growthpace.data.reviewed.history import Entry
from growthpace.data.reviewed.revision import Revision, content_of, revised

KEPT, REJECTED, CONFLICT, UNDECIDED = "kept", "rejected", "conflict", "undecided"
STATES = (KEPT, REJECTED, CONFLICT, UNDECIDED)


@dataclass(frozen=True)
class Outcome:
    """Where an item stands."""

    state: str
    """One of STATES."""
    content: str
    """Hash of the version that is kept, rejected, in conflict, or waits for a verdict."""
    revision: Revision
    """That version."""
    reviewers: tuple[str, ...]
    """Who has given a verdict on any version, in order."""
    spoken: frozenset[str]
    """Who has spoken on that version, or made it."""
    adjudicator: str = ""
    """Who decided, where somebody did."""
    first: Mapping[str, str] = field(default_factory=dict)
    """The first verdict of each reviewer on the source's version: given before anybody saw a revision."""
    versions: Mapping[str, Revision] = field(default_factory=dict)
    """All versions by their hash, the source's first."""
    outdated: int = 0
    """Verdicts on something else than the source's item, or what became of it: it has changed since."""


def outcome(item: Item, entries: Iterable[Entry]) -> Outcome:
    """Where the source's item stands after these verdicts on it, given in their order. A reviewer's last verdict on a
    version counts."""
    root = content_of(item)
    versions: dict[str, Revision] = {root: Revision()}
    latest: dict[str, dict[str, Entry]] = {}
    makers: dict[str, dict[str, None]] = {}
    first: dict[str, str] = {}
    decided, outdated = None, 0
    for entry in entries:
        if entry.content not in versions or not _makes(item, entry, versions):
            outdated += 1
        elif entry.role == "adjudicator":
            decided = entry
        else:
            latest.setdefault(entry.content, {})[entry.reviewer] = entry
            if entry.content == root:
                first.setdefault(entry.reviewer, entry.verdict)
    reviewers = tuple(dict.fromkeys(r for spoken in latest.values() for r in spoken))
    for spoken in latest.values():
        for entry in spoken.values():
            if entry.verdict == "revise":
                makers.setdefault(entry.revised_content, {})[entry.reviewer] = None

    def found(state: str, content: str, spoken: Iterable[str], adjudicator: str = "") -> Outcome:
        return Outcome(
            state, content, versions[content], reviewers, frozenset(spoken), adjudicator, first, versions, outdated
        )

    if decided is not None:
        content = decided.revised_content if decided.verdict == "revise" else decided.content
        return found(REJECTED if decided.verdict == "reject" else KEPT, content, reviewers, decided.reviewer)
    content, seen = root, set()
    while True:
        seen.add(content)
        said = dict.fromkeys(makers.get(content, ()), "pass") if content != root else {}
        given = latest.get(content, {})
        said |= {reviewer: entry.verdict for reviewer, entry in given.items()}
        if len(said) < 2:
            return found(UNDECIDED, content, said)
        kinds = set(said.values())
        after = {given[reviewer].revised_content for reviewer, verdict in said.items() if verdict == "revise"}
        if kinds == {"pass"}:
            return found(KEPT, content, said)
        if kinds == {"reject"}:
            return found(REJECTED, content, said)
        if "reject" in kinds or len(after) > 1 or after <= seen:
            return found(CONFLICT, content, said)
        content = after.pop()


def _makes(item: Item, entry: Entry, versions: dict[str, Revision]) -> bool:
    """Notes the version that an entry makes; false where it cannot be made of the source's item as it is now."""
    if entry.verdict != "revise":
        return True
    revision = Revision(entry.revised_instruction, entry.revised_answer)
    if content_of(revised(item, revision)) != entry.revised_content:
        return False
    versions.setdefault(entry.revised_content, revision)
    return True


def outcomes(items: Iterable[Item], entries: Iterable[Entry]) -> dict[str, Outcome]:
    """Where each item stands, by id; verdicts on ids that are no item's are passed over."""
    given: dict[str, list[Entry]] = {}
    for entry in entries:
        given.setdefault(entry.item_id, []).append(entry)
    return {item.id: outcome(item, given.get(item.id, ())) for item in items}
