"""What the planned jobs will ask of judges and teachers, and what that costs at most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from growthpace.endpoint.foreseen import part_of, told

if TYPE_CHECKING:
    from growthpace.plan.making import Planned

UNKNOWN = {"requests": None, "prompt_tokens": None, "answer_tokens": None, "money": None}


def asking(planned: Planned) -> list[dict[str, Any]]:
    """A row for each suite and source that has planned jobs which ask: `key`, `who` (judge or teacher), `jobs`, and the
    most `requests`, `prompt_tokens`, `answer_tokens` and `money` of these jobs; None where nobody can tell yet (the
    items are elsewhere, or there are no prices). What was paid for already is in it too."""
    known, rows = planned.checked["asking"], []
    for source in planned.wiring.written_sources:
        if any(job.rule == "synthesise" and job.wildcards["source"] == source for job in planned.jobs):
            key = f"sources.{source}"
            rows.append({"key": key, "jobs": 1, **known.get(key, {"who": "teacher", **UNKNOWN})})
    evaluations = [suite for run in planned.wiring.runs.values() for suite, _ in planned.grid.evaluations(run)]
    for suite in planned.study.judged:
        jobs = sum(job.rule == "judge" and job.wildcards["suite"] == suite for job in planned.jobs)
        if jobs:
            key = f"suites.{suite}"
            whole = known.get(key)
            found = part_of(whole, jobs / evaluations.count(suite)) if whole else {"who": "judge", **UNKNOWN}
            rows.append({"key": key, "jobs": jobs, **found})
    return rows


def asking_lines(rows: list[dict[str, Any]]) -> list[str]:
    """The rows in words, and what they cost together."""
    lines = []
    for row in rows:
        unknown = f"requests to the {row['who']}, how many is known once its items are here"
        lines.append(f"{row['key']}: {unknown if row['requests'] is None else told(row)}")
    money = [row["money"] for row in rows]
    if len(rows) > 1 and any(value is not None for value in money):
        without = sum(value is None for value in money)
        more = f", and {without} of unknown cost" if without else ""
        lines.append(f"money for judges and teachers: at most {sum(filter(None, money)):,.2f}{more}")
    return lines
