"""A source under review: its items as they are offered, its folder, its history, and where each item stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from growthpace.data.items import Item
from growthpace.data.pools import offered_items
from growthpace.data.reviewed import decision_file, decisions_of
from growthpace.data.reviewed.decisions import Outcome, outcomes
from growthpace.data.reviewed.history import Entry, append, read_history
from growthpace.errors import InputError
from growthpace.files import write_text
from growthpace.grid import Grid
from growthpace.study import Study


@dataclass
class Source:
    """One source of a study under review."""

    study: Study
    name: str
    folder: Path
    """Where its history and decisions lie: `sources.X.reviewed`, or `reviews/X` beside the config file."""
    demanded: bool
    """Whether the source's pools take reviewed items only."""
    items: dict[str, list[Item]]
    """What it offers, by ability."""
    history: list[Entry] = field(default_factory=list)

    @cached_property
    def by_id(self) -> dict[str, Item]:
        """All items by id. `InputError` where two abilities have the same id."""
        found: dict[str, Item] = {}
        for items in self.items.values():
            for item in items:
                if item.id in found:
                    raise InputError(
                        f"sources.{self.name}: the item id {item.id!r} occurs in {found[item.id].ability} and in "
                        f"{item.ability}; a review needs ids that are unique in the source"
                    )
                found[item.id] = item
        return found

    def outcomes(self) -> dict[str, Outcome]:
        """Where each item stands, by id."""
        return outcomes(self.by_id.values(), self.history)

    def add(self, entries: list[Entry]) -> None:
        """Appends verdicts to the history."""
        append(self.folder, entries)
        self.history = [*self.history, *entries]

    def changed_decisions(self) -> dict[Path, str]:
        """Files of decisions that do not say what the history comes to, with what they must say."""
        found, changed = self.outcomes(), {}
        for ability, items in self.items.items():
            path, text = decision_file(self.folder, ability), decisions_of(items, found)
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                changed[path] = text
        return changed

    def decide(self) -> list[str]:
        """Writes the files of decisions that have changed (a pool depends on its own), and returns their names."""
        changed = self.changed_decisions()
        for path, text in changed.items():
            write_text(path, text)
        return [path.name for path in changed]


def open_source(study: Study, name: str, config: Path) -> Source:
    """The source as it is now, with its history. Raises `InputError` for a name that the study does not have and for
    items that cannot be read."""
    Grid(study).require(source=name)
    given = study.sources[name].reviewed
    folder = given or config.resolve().parent / "reviews" / name
    items = {ability: list(offered_items(study, name, ability)) for ability in Grid(study).pools(name)}
    return Source(study, name, folder, given is not None, items, read_history(folder))


def numbers(found: Iterable[Outcome]) -> Counter[str]:
    """How many items that anybody has judged stand where."""
    return Counter(outcome.state for outcome in found if outcome.reviewers or outcome.adjudicator)
