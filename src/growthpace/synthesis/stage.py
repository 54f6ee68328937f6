"""The stage's files: `data/synthetic/{source}.jsonl`, and beside it what was dropped (`.json`, and `.md` to read).

Prints what it will cost before it asks anything. Paid answers lie in `asked/teachers/{source}/`, so that a job that is
killed, or run again for more items, pays for nothing twice. `given_up.json` there names requests that had no answer:
they are not asked again, or the items after them would change. Remove it to have them asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from growthpace.data.importers.synthetic import line_of
from growthpace.data.items import Item, check_unique, read_items
from growthpace.data.pools import pool_items
from growthpace.endpoint.client import Client, as_text
from growthpace.endpoint.opening import endpoint_settings, limits_told
from growthpace.endpoint.requests import Check, Estimate, Request, Result
from growthpace.errors import InputError
from growthpace.files import read_json, read_metadata, write_json, write_text
from growthpace.grid import Grid
from growthpace.paths import Paths
from growthpace.study import GENERAL, Study, SyntheticItems
from growthpace.synthesis.foresight import chosen_seeds, left
from growthpace.synthesis.prompts import read_drafts
from growthpace.synthesis.settings import share, synthesis_settings
from growthpace.synthesis.summary import readable, spoken
from growthpace.synthesis.validation import require_sandbox
from growthpace.synthesis.writing import UnansweredError, Writing, work
from growthpace.versions import VERSIONS

FAILED_IN_A_ROW = 20
"""Requests without any answer after which the endpoint counts as down."""


def drafts_of(request: Request, text: str) -> Any:
    """The check of a request for instructions."""
    return read_drafts(text)


class Asking:
    """The client, and what was given up."""

    def __init__(self, client: Client, folder: Path):
        self.client, self.path = client, folder / "given_up.json"
        self.given_up: dict[str, str] = read_json(self.path) if self.path.exists() else {}
        self.failed, self.answered = 0, 0

    def known(self, requests: Sequence[Request], check: Check) -> list[Result]:
        """The results, if all are known; else `UnansweredError`."""
        todo = [request for request in requests if self._key(request) not in self.given_up]
        results = self.client.known(todo, check)
        if None in results:
            raise UnansweredError
        return self._in_order(requests, todo, results)

    def ask(self, requests: Sequence[Request], check: Check, tell: Callable[[int], None]) -> list[Result]:
        """The results; a request that has had no answer after all attempts is given up for good.

        Raises `InputError` for an endpoint that answers nothing, and gives up none of its requests then.
        """
        todo = [request for request in requests if self._key(request) not in self.given_up]
        if not todo:
            return self._in_order(requests, todo, [])
        results = self.client.complete(todo, check, tell)
        lost = {
            self._key(request): result.missing
            for request, result in zip(todo, results, strict=True)
            if result.missing and self.client.cache.get(request, 1) is None
        }
        self.answered += len(todo) - len(lost)
        self.failed = self.failed + len(lost) if len(lost) == len(todo) else 0
        if self.failed and (self.failed >= FAILED_IN_A_ROW or not self.answered):
            last = results[-1]
            raise InputError(
                f"{self.client.settings.base_url}: not one of {self.failed:,} requests was answered ({last.missing}: "
                f"{last.detail}); see whether the endpoint works and run it again"
            )
        if lost:
            self.given_up |= lost
            write_json(self.path, self.given_up)
        return self._in_order(requests, todo, results)

    def _key(self, request: Request) -> str:
        return request.identity(self.client.settings.base_url, 1)

    def _in_order(self, requests: Sequence[Request], todo: list[Request], results: Sequence[Result]) -> list[Result]:
        found = {self._key(request): result for request, result in zip(todo, results, strict=True)}
        keys = map(self._key, requests)
        return [found.get(key) or Result(None, self.given_up[key], 0, key, "", 0, 0) for key in keys]


def seeds_of(study: Study, source: str, paths: Paths) -> dict[str, dict[str, Item]]:
    """Seed items by pool of the source and id: of the seeds' pools where they are up to date, else read anew."""
    grid, items = Grid(study), study.sources[source].items
    found: dict[str, list[Item]] = {}
    for ability in grid.pools(items.seeds):
        pool = paths.pool(items.seeds, ability)
        current = pool.exists() and read_metadata(pool).get("settings") == grid.pool_settings(items.seeds)
        found[ability] = read_items(pool) if current else list(pool_items(study, items.seeds, ability))
    if not study.sources[source].labelled:
        found = {GENERAL: [item for pool in found.values() for item in pool]}
    return {ability: chosen_seeds(items, pool) for ability, pool in found.items()}


def synthesise(
    study: Study,
    source: str,
    paths: Paths,
    report: Callable[[str], None],
    agreed: Callable[[], bool] = lambda: True,
    dry_run: bool = False,
) -> dict[str, Any] | None:
    """Has a source's items written; returns the summary, or None where nothing was to be done or agreed to.

    agreed: asked before the first request that costs. Raises `InputError` for a limit that would be passed (before
    anything is asked, or once it is reached; answers are kept), for an endpoint that answers nothing, and where too few
    items were kept: then nothing is written.
    """
    items: SyntheticItems = study.sources[source].items
    grid, section = Grid(study), f"sources.{source}.items.teacher"
    seeds = seeds_of(study, source, paths)
    require_sandbox([seed for pool in seeds.values() for seed in pool.values()], items.validation)
    settings = endpoint_settings(items.teacher, section, asks=not dry_run)
    # An answer that is none is dropped: repeating it would cost as much as another instruction.
    client = Client(replace(settings, again=False), paths.asked_teacher(source))
    asking = Asking(client, paths.asked_teacher(source))
    writings, estimate = _so_far(items, share(grid, source), seeds, asking)
    kept = sum(min(one.kept, one.wanted) for one in writings)
    report(f"synthesise {source}: {kept:,} of {items.volume:,} items are there; {estimate}{limits_told(items.teacher)}")
    if estimate.requests:
        report(f"synthesise {source}: more is asked for what is dropped, up to overdraw {items.overdraw:g} times all")
        client.refuse_beyond_limits(estimate)
    if dry_run or (estimate.requests and not agreed()):
        return None
    before = client.ledger.refresh()
    _work(source, writings, asking, report)
    spent = client.ledger.refresh() - before
    money = f", cost {spent.money:,.4f}" if client.settings.priced else ""
    report(f"synthesise {source}: spent {spent.prompt_tokens:,} + {spent.answer_tokens:,} tokens{money}")
    summary = _summary(study, source, writings)
    for line in spoken(summary):
        report(f"synthesise {source}: {line}")
    if any(one.kept < one.wanted for one in writings):
        raise InputError(_too_few(source, items, writings, summary))
    path = paths.synthetic(source)
    lines, found = [], []
    for one in writings:
        for outcome in one.settled():
            if outcome.item is not None:
                found.append(outcome.item)
                lines.append(line_of(outcome.item, outcome.provenance))
    check_unique(found, f"sources.{source}")
    write_json(path.with_suffix(".json"), summary)
    write_text(path.with_suffix(".md"), readable(summary))
    write_text(path, "".join(lines))
    report(f"synthesise {source}: {len(found):,} items in {path}, what was dropped in {path.with_suffix('.md')}")
    return summary


def _new(items: SyntheticItems, share: int, seeds: dict[str, dict[str, Item]]) -> list[Writing]:
    host = urlsplit(items.teacher.base_url).hostname or ""
    return [Writing(items, ability, share, pool, host) for ability, pool in seeds.items()]


def _so_far(
    items: SyntheticItems, share: int, seeds: dict[str, dict[str, Item]], asking: Asking
) -> tuple[list[Writing], Estimate]:
    """How far the known answers go, and what the rest would take."""
    writings = _new(items, share, seeds)
    for one in writings:
        with suppress(UnansweredError):
            one.replay(lambda asked: asking.known(asked, drafts_of), lambda asked: asking.known(asked, as_text))
    return writings, asking.client.estimate(left(items, writings))


def _work(source: str, writings: list[Writing], asking: Asking, report: Callable[[str], None]) -> None:
    def told(what: str, requests: Sequence[Request]) -> Callable[[int], None]:
        step = max(1, len(requests) // 10)

        def tell(done: int) -> None:
            if done and done % step == 0 and len(requests) >= 20:
                report(f"synthesise {source}: {what}, {done:,} of {len(requests):,} requests")

        return tell

    work(
        writings,
        lambda requests: asking.ask(requests, drafts_of, told("instructions", requests)),
        lambda requests: asking.ask(requests, as_text, told("answers", requests)),
        lambda line: report(f"synthesise {source}: {line}"),
    )


def _summary(study: Study, source: str, writings: list[Writing]) -> dict[str, Any]:
    return {
        "study": study.study,
        "source": source,
        "code_version": VERSIONS["synthesise"],
        "settings": synthesis_settings(Grid(study), source),
        "abilities": [one.summary() for one in writings],
    }


def _too_few(source: str, items: SyntheticItems, writings: list[Writing], summary: dict[str, Any]) -> str:
    lacking = [one for one in writings if one.kept < one.wanted]
    told = ", ".join(f"{one.kept:,} of {one.wanted:,} for {one.ability}" for one in lacking[:5])
    allowed = min(one.kept for one in writings) * len(writings)
    advice = f"or lower items.volume (allowed as it stands: up to {allowed:,})" if allowed else "or another teacher"
    reasons = {}
    for row in summary["abilities"]:
        for kind in ("requests_without_instructions", "dropped"):
            for reason, count in row[kind].items():
                reasons[reason] = reasons.get(reason, 0) + count
    most = ", ".join(f"{n:,} {reason}" for reason, n in sorted(reasons.items(), key=lambda pair: -pair[1])[:4])
    return (
        f"sources.{source}: the teacher's items were given up: {told} (dropped most: {most}). The answers are kept; "
        f"raise items.overdraw ({items.overdraw:g}) to ask for more, {advice}"
    )
