"""The growth laws of a whole study as two tables: what each curve's law says, and the law's course for drawing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from growthpace.analysis.curves import curves_of
from growthpace.analysis.fitting import FITTED, NAN, REFUSED, Fit, Interval, fit
from growthpace.analysis.forms import FORMS
from growthpace.analysis.laws import NOTHING, UNKNOWN, Choice, HeldOut, choose_all, held_out, reaching
from growthpace.analysis.matrix import Block, blocks
from growthpace.analysis.observed import Curve, curve_of

ALL_MODELS = "all models"
"""The model of a joint law's row."""
DRAWN = 40
"""Volumes at which a law's course is given."""
WORTH_A_PROCESS = 50
"""Curves that take longer to fit (some 80 ms each) than a process to start."""
Named = tuple[dict[str, Any], Curve, bool]
"""Key columns, curve, whether it is of several sizes."""
LAW_COLUMNS = [
    "suite", "ability", "in_domain", "model", "source", "form", "growth", "status", "reason", "points", "goodness",
    "ceiling", "ceiling_low", "ceiling_high", "prelearned", "prelearned_low", "prelearned_high",
    "volume_90", "volume_90_low", "volume_90_high", "volume_90_status",
    "slope_at_largest", "slope_at_largest_low", "slope_at_largest_high",
    "held_out_volume", "held_out_form", "held_out_score", "held_out_predicted", "held_out_predicted_low",
    "held_out_predicted_high", "held_out_error", "held_out_held", "held_out_reason", "parameters", "confidence",
]  # fmt: skip
CURVE_COLUMNS = ["suite", "ability", "model", "source", "form", "holds", "volume", "score", "low", "high"]


def laws(item_grades: pd.DataFrame | Sequence[Block], confidence: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The laws of all growth curves: `(laws, law_curves)`; `item_grades` as `scores.collect` gives them.

    laws: one row per suite, ability (and `overall`), model and source, with the form that `choose` prefers; then one
    per ability and source that models of two sizes or more share, in the joint form, where model is `all models`.
    Columns: form, growth (flat, growing, saturating; '' where the form does not hold or was chosen by its fit alone),
    status (`fitted`, `refused`), reason (why it was refused; of a fit, that it does not hold or was chosen by its fit
    alone, and which parameters the data do not tell), points, goodness (see `Fit`), ceiling (a fraction), prelearned
    (items): NaN where the form has none or the data do not tell it; volume_90 (items; NaN where `not identified`) with
    its status (see `laws.reaching`); slope_at_largest (points per fourfold data; of a joint law at the largest model);
    held_out_volume, _form, _score, _predicted (fractions), _error (points, predicted less observed), _held (None where
    there was no check, then _reason says why); each with _low and _high; parameters (JSON: all of them, with their
    intervals and what is unidentified); confidence.

    law_curves: 40 volumes, evenly spaced in logarithm from the smallest to the largest, with the fitted score and its
    interval (fractions), and whether the form holds: one that does not is no law to draw. Joint laws are not among
    them, since they are a curve for each model.
    """
    curves = list(_curves(blocks(item_grades)))
    workers = min(_cores(), len(curves) // WORTH_A_PROCESS)
    if workers > 1:  # curves know nothing of each other; every worker gets some of each kind, and one core
        with ProcessPoolExecutor(workers, initializer=threadpool_limits, initargs=(1,)) as pool:
            parts = list(pool.map(_fitted, [curves[own::workers] for own in range(workers)], repeat(confidence)))
        found = [parts[place % workers][place // workers] for place in range(len(curves))]
    else:
        found = _fitted(curves, confidence)
    drawn = [pd.DataFrame(course, columns=CURVE_COLUMNS) for _, course in found if course is not None]
    empty = pd.DataFrame(columns=CURVE_COLUMNS)
    courses = pd.concat(drawn, ignore_index=True) if drawn else empty
    rows = pd.DataFrame([row for row, _ in found], columns=LAW_COLUMNS)
    return rows.astype({"held_out_held": "boolean"}), courses


def _cores() -> int:
    """Those that this process may use: of a cluster's node, the job's own."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _fitted(curves: Sequence[Named], confidence: float) -> list[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Of each curve its row in the table, and its law's course where it has one.

    Without tables of pandas, whose texts are Arrow's: its threads do not survive in a forked process.
    """
    alone = [curve for _, curve, joint in curves if not joint]
    chosen = iter(choose_all(alone))
    foretold = iter(choose_all([curve.only(curve.volumes < curve.volumes.max()) for curve in alone]))
    found = []
    for key, curve, joint in curves:
        choice = None
        if joint:
            law, check = fit(curve, FORMS["joint"], confidence), HeldOut(REFUSED, "the check is of one model's curve")
        else:
            choice = next(chosen)
            law = _refused(curve, choice) if choice.form is None else fit(curve, choice.form, confidence)
            check = held_out(curve, confidence, next(foretold).form)
        row = {**key, **_row(law, choice, curve, check), "confidence": confidence}
        found.append((row, _course(key, law) if law.status == FITTED and not joint else None))
    return found


def _curves(found: Iterator[Block]) -> Iterator[Named]:
    """(key columns, curve, whether it is of several sizes) in the order of the table."""
    for block in found:
        key = {"suite": block.suite, "ability": block.ability, "in_domain": block.in_domain}
        several: dict[str, dict[str, int]] = {}
        for (model, source), runs in curves_of(block):
            yield {**key, "model": model, "source": source}, curve_of(block, source, [model]), False
            several.setdefault(source, {})[model] = int(runs["parameters"].iloc[0])
        for source, models in several.items():
            if len(set(models.values())) > 1:
                yield {**key, "model": ALL_MODELS, "source": source}, curve_of(block, source, list(models)), True


def _refused(curve: Curve, choice: Choice) -> Fit:
    """No form could be chosen: its reason is that of the simplest."""
    count = len(curve.volumes)
    reason = choice.candidates[0].reason
    if count < 3 or not reason:
        reason = f"{count} volume{'' if count == 1 else 's'}: too few to choose a form by leaving one out"
    return Fit(FORMS["constant"], REFUSED, reason)


def _three(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _row(law: Fit, choice: Choice | None, curve: Curve, check: HeldOut) -> dict[str, Any]:
    fitted = law.status == FITTED
    named = {own.name: own for own in law.parameters}
    told = {name: Interval(own.value, own.low, own.high) for name, own in named.items() if own.identified}
    found = reaching(law)
    slope = law.pace_at(curve.volumes.max(), curve.sizes.max()) if fitted else NOTHING
    predicted = choice is None or choice.by_prediction
    unknown = [f"{own.name}: {own.unidentified}" for own in law.parameters if not own.identified]
    if not law.holds:
        unknown.insert(0, f"{law.form.name} does not hold: points lie further from it than noise explains")
    elif fitted and not predicted:
        refuted = ", ".join(own.form.name for own in choice.candidates if not own.reason)
        unknown.insert(
            0,
            f"{law.form.name} was chosen by its fit alone: what could be left one out ({refuted}) does not hold",
        )
    parameters = {
        own.name: {"value": own.value, "low": own.low, "high": own.high, "unidentified": own.unidentified}
        for own in law.parameters
    }
    return {
        "form": law.form.name if fitted or law.form.joint else "",
        "growth": law.form.growth if fitted and law.holds and predicted else "",
        "status": law.status, "reason": "; ".join(unknown) if fitted else law.reason, "points": len(curve.volumes),
        "goodness": law.goodness,
        **_three("ceiling", told.get("ceiling", NOTHING) if law.form.has_ceiling else NOTHING),
        **_three("prelearned", told.get("prelearned", NOTHING)),
        **_three("volume_90", NOTHING if found.status == UNKNOWN else found.volume), "volume_90_status": found.status,
        **_three("slope_at_largest", slope),
        "held_out_volume": check.volume, "held_out_form": check.form, "held_out_score": check.observed,
        **_three("held_out_predicted", check.predicted),
        "held_out_error": check.error if check.status == FITTED else NAN, "held_out_held": check.held,
        "held_out_reason": check.reason, "parameters": json.dumps(parameters),
    }  # fmt: skip


def _course(key: dict[str, Any], law: Fit) -> dict[str, Any]:
    volumes = np.geomspace(law.curve.volumes.min(), law.curve.volumes.max(), DRAWN)
    found = law.at(volumes)
    named = {name: key[name] for name in ("suite", "ability", "model", "source")}
    ends = {"score": [own.value for own in found], "low": [own.low for own in found]}
    about = {**named, "form": law.form.name, "holds": law.holds}
    return {**about, "volume": volumes, **ends, "high": [own.high for own in found]}
