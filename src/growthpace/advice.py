"""A budget of items divided by a study's own growth curves: for a mix that the study trains itself, or by hand.

    growthpace advise CONFIG --budget 10000 > mix.yaml      # a mix to paste under `mixes:`
    growthpace allocate CONFIG MIX                          # the job of a mix with `advice`

Files at the edge; the division itself is `growthpace.analysis.allocation`, whether it held `analysis.held`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from growthpace.advice_inputs import AdviceInputs
from growthpace.errors import InputError
from growthpace.files import read_json, write_json, write_text
from growthpace.grid import SELECTED, Grid, Run
from growthpace.paths import Paths
from growthpace.study import Mix, MixAdvice, Study
from growthpace.study.advice_faults import advice_faults
from growthpace.versions import VERSIONS

ASSUMPTION = (
    "an ability's score follows its own items: in the grid they and everybody else's grow together, so that what the "
    "others' items do is counted as the own items'"
)


def asked_for(
    study: Study, budget: int, source: str | None, weights: dict[str, float], suite: str | None, others: list[str]
) -> Mix:
    """The mix with `advice` that a user asks for by hand; `InputError` for what the study cannot answer."""
    labelled = [name for name, own in study.sources.items() if own.labelled]
    if source is None and not labelled:
        raise InputError("advise: no source of this study is labelled by ability, there is nothing to divide")
    if source is not None and source not in labelled:
        raise InputError(f"--source {source!r} is no labelled source of this study (allowed: {', '.join(labelled)})")
    advice = MixAdvice(budget=budget, weights=weights, sources=others or None, suite=suite)
    mix = Mix(source=source or labelled[0], advice=advice)
    faults = [fault.removeprefix("advice.") for fault in advice_faults(study, "advice", mix)]
    if faults:
        raise InputError("\n".join(f"advise: {fault}" for fault in faults))
    return mix


def weights_of(text: str) -> dict[str, float]:
    """The weights written as `math=2,code=0.5`; `InputError` naming what is no weight."""
    found: dict[str, float] = {}
    for part in filter(None, text.split(",")):
        ability, _, number = part.strip().partition("=")
        try:
            weight = float(number)
        except ValueError:
            weight = -1.0
        if not 0 <= weight < float("inf") or ability in found:
            raise InputError(
                f"--weights: {part.strip()!r} (allowed: ABILITY=NUMBER, each ability once, from 0, such as math=2)"
            )
        found[ability] = weight
    return found


def advised(study: Study, paths: Paths, mix: Mix, runs: list[Run]) -> dict[str, Any]:
    """What `analysis.allocation.allocate` finds for a mix with `advice`, as plain values; `runs` of the grid are used
    as far as they are graded. See docs/advise.md for the keys."""
    from growthpace.analysis.allocation import REFUSED, Allocation, allocate
    from growthpace.analysis.matrix import blocks
    from growthpace.analysis.responses import own_curve
    from growthpace.data.pools import pool_sizes

    advice, sources = mix.advice, [mix.source, *(mix.advice.sources or [])]
    suite = Grid(study).advice_suite(mix)
    pools = pool_sizes(study, sources, paths)
    held = sum(size for (source, _), size in pools.items() if source == mix.source)
    if held < advice.budget:
        raise InputError(
            f"budget: {advice.budget}, but the pools of {mix.source!r} hold {held} items (allowed: up to {held})"
        )
    found = {block.ability: block for block in blocks(_graded(study, paths, suite, runs)) if block.suite == suite}
    responses: dict[str, list] = {}
    reason = ""
    for ability in study.abilities:
        for source in sources:
            if ability not in found:
                response, why = None, f"{ability} has no grades on {suite!r} yet"
            else:
                models = mix.models and list(mix.models)
                response, why = own_curve(found[ability], source, len(study.abilities), models)
            if response is None:
                reason = reason or f"{ability}: {why}"
            else:
                responses.setdefault(ability, []).append(response)
    if reason:
        from growthpace.data.datasets import equally

        equal = equally(study, "advice", mix, lambda *pool: pools[pool])
        division = Allocation(REFUSED, reason, advice.budget, equal, equal)
    else:
        division = allocate(responses, pools, advice.budget, advice.weights, study.analysis.confidence)
    first = [own[0] for own in responses.values()]
    return {
        "status": division.status, "reason": division.reason, "budget": advice.budget, "source": mix.source,
        "suite": suite, "confidence": study.analysis.confidence, "assumption": ASSUMPTION,
        "weights": {ability: float(advice.weights.get(ability, 1)) for ability in study.abilities},
        "models": list(first[0].models) if first else [],
        "own_items": [int(v) for v in first[0].curve.volumes] if first else [],
        "seeds_known": all(own.seeds for own in first),
        "counts": _by_source(division.counts), "equal": _by_source(division.equal),
        "gain": _rounded(division.gain), "low": _rounded(division.low), "high": _rounded(division.high),
        "apparent_gain": _rounded(division.apparent), "kept": _rounded(division.kept), "draws": division.draws,
        "beyond": list(division.beyond),
    }  # fmt: skip


def _graded(study: Study, paths: Paths, suite: str, runs: Iterable[Run]):
    """Item grades of the runs' chosen epochs on a suite, of those that are graded."""
    from growthpace.analysis.scores import collect

    files = [path for run in runs if (path := _grades(study, paths, suite, run)) is not None]
    if not files:
        raise InputError(f"advise: no run of the grid has been graded on {suite!r} yet; run the study first")
    grades = collect(files, study.analysis.confidence)[1]
    grades["selected"] = True
    return grades


def _grades(study: Study, paths: Paths, suite: str, run: Run) -> Path | None:
    if not paths.selected(run).exists():
        return None
    at = SELECTED if study.suites[suite].epochs == SELECTED else read_json(paths.selected(run))["epoch"]
    path = paths.grades(run, suite, at)
    return path if path.exists() else None


def _by_source(counts: dict[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (source, ability), number in counts.items():
        found.setdefault(source, {})[ability] = number
    return found


def _rounded(value: float) -> float | None:
    """Three decimals; None where there is no number, since YAML readers disagree about NaN."""
    return round(float(value), 3) if value == value else None


def write_allocation(study: Study, paths: Paths, name: str) -> dict[str, Any]:
    """Divides the budget of an advised mix, writes `analysis/allocation-{name}.yaml` and returns it. Where the data
    cannot tell, it says so and holds the equal division, which is then trained."""
    grid = Grid(study)
    if name not in grid.advised:
        known = ", ".join(grid.advised) or "none, no mix of this study has advice"
        raise InputError(f"{name!r} is no mix with advice (allowed: {known})")
    found = advised(study, paths, study.mixes[name], grid.swept(study.mixes[name]))
    content = {"study": study.study, "mix": name, "code_version": VERSIONS["allocate"], **found}
    write_text(paths.allocation(name), yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    return content


def read_allocation(study: Study, paths: Paths, name: str) -> dict[str, Any]:
    """What `write_allocation` wrote; `InputError` where it did not yet, or for another budget."""
    path = paths.allocation(name)
    if not path.exists():
        raise InputError(f"{path}: no such file; `growthpace allocate CONFIG {name}` makes it once the grid is graded")
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if content["budget"] != study.mixes[name].advice.budget:
        raise InputError(
            f"{path}: is of a budget of {content['budget']}, mixes.{name}.advice.budget is "
            f"{study.mixes[name].advice.budget} now; start the study again"
        )
    return content


def advised_counts(study: Study, paths: Paths, name: str) -> dict[tuple[str, str], int] | None:
    """{(source, ability): items} of a mix with advice; None for any other dataset."""
    if name not in study.mixes or study.mixes[name].advice is None:
        return None
    found = read_allocation(study, paths, name)["counts"]
    return {(source, ability): number for source, own in found.items() for ability, number in own.items()}


def check_advice(study: Study, paths: Paths) -> dict[str, Any]:
    """Sets every advised mix against the balanced dataset of its volume, writes `analysis/advice_check.json` and
    returns it: the first mix's check, with those of others under `others`."""
    from growthpace.analysis.held import check
    from growthpace.analysis.scores import read_frame

    item_grades = read_frame(paths.root / "analysis" / "item_grades.parquet")
    settings, inputs = study.analysis, AdviceInputs(study, paths)
    checks = []
    for name in Grid(study).advised:
        allocation, stale = read_allocation(study, paths, name), bool(inputs.stale(name))
        checks.append(check(item_grades, allocation, name, settings.suite, settings.confidence, stale))
    found = {"study": study.study, "code_version": VERSIONS["check_advice"], **checks[0], "others": checks[1:]}
    write_json(paths.advice_check, found)
    return found


def fragment(found: dict[str, Any], name: str = "advised") -> str:
    """The division as YAML to paste under `mixes:`, with what it rests on as comments."""
    level = f"{100 * found['confidence']:g} %"
    span = f"{level} interval {found['low']:+.2f} to {found['high']:+.2f}"
    lines = [
        f"# {found['budget']} items, divided by growthpace advise.",
        f"# Curves of {', '.join(found['models'])} on the suite {found['suite']}.",
        f"# Expected gain of the mean score over an equal division: {found['gain']:+.2f} points ({span}).",
        f"# The curves themselves show {found['apparent_gain']:+.2f}; {found['draws']} draws, on each of which the "
        "whole choice was made again, say",
        "# how much of that is the luck of having chosen.",
        f"# Assumed: {found['assumption']}.",
        "# Train the mix beside the balanced dataset of its volume to see whether that holds.",
    ]
    if any(weight != 1 for weight in found["weights"].values()):
        given = ", ".join(f"{ability} {weight:g}" for ability, weight in found["weights"].items() if weight != 1)
        lines.append(f"# Weights in the mean score: {given}, the others 1.")
    if not found["seeds_known"]:
        lines.append("# With one seed, what seeds do is taken from how points lie about a straight line.")
    if found["beyond"]:
        lines.append(
            f"# Beyond what was swept ({max(found['own_items'])} items of each ability), where curves are a guess: "
            f"{', '.join(found['beyond'])}."
        )
    counts = {source: {a: n for a, n in own.items() if n} for source, own in found["counts"].items()}
    own = counts.pop(found["source"], {})
    mix = {"source": found["source"], "rest": "none", **({"shares": own} if own else {})}
    mix |= {"also": counts} if counts else {}
    return "\n".join(lines) + "\n" + yaml.safe_dump({name: mix}, sort_keys=False, allow_unicode=True)
