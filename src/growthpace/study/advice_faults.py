"""Faults of a mix whose numbers the study's own curves say: what would leave it without curves, or without a choice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from growthpace.study import Mix, Study

LEAST_VOLUMES = 3
"""Volumes that a curve needs (`analysis.curves` says why)."""


def advice_faults(study: Study, key: str, mix: Mix) -> Iterator[str]:
    """Every fault of `mix.advice`, given that its source is one of the study's labelled ones or told already."""
    advice, sources = mix.advice, [mix.source, *(mix.advice.sources or [])]
    labelled = [name for name, source in study.sources.items() if source.labelled]
    for name in advice.sources or []:
        others = ", ".join(other for other in labelled if other != mix.source) or "none"
        if name == mix.source:
            yield f"{key}.sources: {name!r} is the mix's own source (allowed: {others})"
        elif name not in labelled:
            yield f"{key}.sources: {name!r} is no labelled source of this study (allowed: {others})"
    models = mix.models or list(study.models)
    for name in sources:
        source = study.sources.get(name)
        if source is None or not source.labelled:
            continue
        if len(source.volumes) < LEAST_VOLUMES:
            yield (
                f"{key}: {name!r} is swept at {len(source.volumes)} volumes, too few for a curve "
                f"(allowed: sources with {LEAST_VOLUMES} or more)"
            )
        for model in models:
            if source.models is not None and model not in source.models:
                yield (
                    f"{key}: model {model!r} is not swept over {name!r}, so it has no curves there "
                    f"(allowed: models: [{', '.join(source.models)}])"
                )
    own = study.sources.get(mix.source)
    if own is not None and own.volumes and advice.budget < min(own.volumes):
        yield f"{key}.budget: {advice.budget} is below what was swept (allowed: {min(own.volumes)} or more)"
    for ability in advice.weights:
        if ability not in study.abilities:
            allowed = ", ".join(study.abilities)
            yield f"{key}.weights: {ability!r} is no ability of this study (allowed: {allowed})"
    if not any(advice.weights.get(ability, 1) for ability in study.abilities):
        yield f"{key}.weights: 0 for every ability, so that nothing would count (allowed: one above 0)"
    if len(study.abilities) < 2:
        yield f"{key}: the study has one ability, there is nothing to divide"
    yield from suite_faults(study, f"{key}.suite", advice.suite or study.selection.suite)


def suite_faults(study: Study, key: str, name: str) -> Iterator[str]:
    """Faults of the suite whose curves divide a budget."""
    if name not in study.suites:
        yield f"{key}: {name!r} is no suite of this study (allowed: {', '.join(study.suites)})"
        return
    suite = study.suites[name]
    lacking = [ability for ability in study.abilities if ability not in suite.measured(study.abilities)]
    if lacking:
        yield f"{key}: {name!r} does not measure {', '.join(lacking)} (allowed: suites that measure every ability)"
    if isinstance(suite.epochs, list):
        yield (
            f"{key}: {name!r} is evaluated at epochs {suite.epochs}, but curves are of the chosen epoch "
            "(allowed: suites with epochs selected, selectable or all)"
        )
