"""The verbs `plan` and `why`: what would be done next, and why."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from growthpace.files import write_json, write_text


def plan(
    config: Path,
    json_path: Path | None,
    markdown_path: Path | None,
    html_path: Path | None,
    gpus: int | None,
    diff: Path | None,
    as_json: bool,
    report: Callable[[str], None],
    live: Mapping[str, Any] | None = None,
) -> int:
    """Shows and writes what a study would do next; returns the exit code 0.

    The three paths: `results/{study}/plan.json`, `.md`, `.html` when None. gpus: how many work at once, for the wall
    time. diff: another plan's JSON to compare with. as_json: shows the JSON instead of tables. live: {run: anything}
    of runs that have a job on the cluster now. Raises `InputError` for a bad study or `diff`.
    """
    from growthpace.plan.difference import difference, difference_lines, read_plan
    from growthpace.plan.making import Planned
    from growthpace.plan.pages import markdown, page
    from growthpace.plan.screen import shown

    other = read_plan(diff) if diff else None
    planned = Planned(config, live)
    content = planned.content(gpus)
    if other:
        content["difference"] = difference(other, content)
    root = planned.paths.root
    written = [json_path or root / "plan.json", markdown_path or root / "plan.md", html_path or root / "plan.html"]
    write_json(written[0], content)
    write_text(written[1], markdown(content))
    write_text(written[2], page(content))
    if as_json:
        report(json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True))
        return 0
    report(shown(content, sys.stdout.isatty()))
    if other:
        report(f"\nAgainst {diff}:")
        for line in difference_lines(content["difference"]):
            report(f"- {line}")
    report(f"\nwritten: {', '.join(map(str, written))}")
    return 0


def why(config: Path, cell: str, report: Callable[[str], None], live: Mapping[str, Any] | None = None) -> int:
    """Says how a cell stands and why; returns the exit code 0.

    cell: a run `model/dataset/seed-N`, a prediction `model/dataset/seed-N/suite/epoch`, or an output file. Raises
    `InputError` with the closest names for anything else.
    """
    from growthpace.plan.explaining import explanation
    from growthpace.plan.making import Planned

    for line in explanation(Planned(config, live), cell):
        report(line)
    return 0
