"""Which epoch of a run is kept. Decided on the selection suite alone; the test never has a say."""

from __future__ import annotations

import math
from collections.abc import Mapping

from growthpace.errors import InputError

TIE = 1e-9
"""Means closer than this are equal: the order in which fractions were rounded is no merit of an epoch."""


def choose_epoch(scores_by_epoch: Mapping[int, Mapping[str, float]], rule: str, first_epoch: int) -> int:
    """The epoch that `rule` chooses among those from `first_epoch` on.

    `scores_by_epoch`: {epoch: {ability: score in [0, 1]}}, the same abilities at every epoch.
    `rule`: `best_mean`, the highest mean over abilities, the earlier epoch on a tie; or `last`.

    Raises `InputError` for an unknown rule, no candidate, an ability missing at an epoch, or a score that is none.
    """
    if rule not in ("best_mean", "last"):
        raise InputError(f"selection.rule: {rule!r} (allowed: best_mean, last)")
    candidates = sorted(epoch for epoch in scores_by_epoch if epoch >= first_epoch)
    if not candidates:
        found = ", ".join(map(str, sorted(scores_by_epoch))) or "none"
        raise InputError(f"selection.first_epoch: no epoch from {first_epoch} on has scores (found: {found})")
    abilities = {ability for epoch in candidates for ability in scores_by_epoch[epoch]}
    if not abilities:
        raise InputError("selection: no ability has a score")
    for epoch in candidates:
        missing = sorted(abilities - set(scores_by_epoch[epoch]))
        if missing:
            raise InputError(f"selection: epoch {epoch} has no score for {', '.join(missing)}")
        for ability, score in sorted(scores_by_epoch[epoch].items()):
            if not 0 <= score <= 1:  # a NaN is not
                raise InputError(f"selection: epoch {epoch}, {ability}: score is {score} (allowed: 0 to 1)")
    if rule == "last":
        return candidates[-1]
    # fsum rounds once, so the mean does not depend on the order of abilities.
    means = {epoch: math.fsum(scores_by_epoch[epoch].values()) / len(abilities) for epoch in candidates}
    best = max(means.values())
    return next(epoch for epoch in candidates if means[epoch] >= best - TIE)
