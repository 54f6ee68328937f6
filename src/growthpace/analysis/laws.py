"""Which form a growth curve has, whether it foretells the largest volume, and what follows from it.

`choose` by leave-one-out prediction, `held_out` for the check, `reaching` for the volume at a share of the ceiling.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from growthpace.analysis.fitting import FITTED, HOLDS, NAN, REFUSED, Fit, Interval, fit, goodness, inflation, refusal
from growthpace.analysis.forms import FORMS, Form
from growthpace.analysis.observed import Curve
from growthpace.analysis.separable import quick
from growthpace.analysis.uncertainty import POINTS, quantile

MARGIN = 1.0
"""Standard errors by which a form must predict better than a simpler one to be preferred (the one-standard-error rule
of Breiman, Friedman, Olshen and Stone 1984, Classification and Regression Trees, section 3.4.3)."""
NOTHING = Interval(NAN, NAN, NAN)
SHARE = 0.9
"""The share of the ceiling whose volume is told."""
FAR = 64.0
"""A volume more than this many times the largest is no statement any more: three fourfold steps beyond the data."""
IN_RANGE, BEYOND, OPEN, UNKNOWN = "reached in range", "not reached in range", "undecided", "not identified"


@dataclass(frozen=True)
class Candidate:
    """How well a form foretells volumes that it was not fitted to."""

    form: Form
    reason: str
    """Why it was not tried; '' where it was."""
    errors: np.ndarray
    """[K] predicted less observed score, in points; empty where it was not tried."""
    goodness: float = NAN
    """Of the form fitted to all points; NaN where it cannot be, or what seeds do is unknown."""
    excess: float = NAN
    """That fit's sum of squares per degree of freedom; NaN where it cannot be fitted."""

    @property
    def rms(self) -> float:
        """Root mean square of `errors`, in points."""
        return float(np.sqrt((self.errors**2).mean())) if len(self.errors) else NAN


@dataclass(frozen=True)
class Choice:
    """The form that was chosen, None where none could be tried, beside all that were."""

    form: Form | None
    candidates: tuple[Candidate, ...]
    by_prediction: bool = True
    """False where the points refute all forms that could be left one out, so that fits decided."""


def leave_one_out(
    curves: Sequence[Curve], form: Form, without: dict[float, list[Curve]] | None = None
) -> list[Candidate]:
    """Each volume in turn predicted by `form` fitted to the others (all sizes of a volume are left out together).

    For each of `curves`, which must all have the same volumes and sizes (`choose_all` sorts them so): they are fitted
    together. Refused where a form has as many parameters as the points that are left, or more. `without` holds for
    each volume the curves without it, where they are made already.
    """
    without = _without(curves) if without is None else without
    volumes, sizes = curves[0].volumes, curves[0].sizes
    whole = [refusal(curve, form) for curve in curves]
    errors, reasons = np.zeros((len(curves), len(volumes))), list(whole)
    for volume, rest in without.items() if not all(reasons) else ():
        out = volumes == volume
        reasons = [reason or refusal(own, form) for reason, own in zip(reasons, rest, strict=True)]
        tried = [place for place, reason in enumerate(reasons) if not reason]
        if not tried:
            break
        ends, logs, _ = quick([rest[place] for place in tried], form)
        share = form.between(volumes[out], sizes[out], np.exp(logs), volumes[~out], sizes[~out])
        predicted = np.clip(ends[:, :1] * (1 - share) + ends[:, 1:] * share, 0, 1)
        observed = np.stack([curves[place].scores[out] for place in tried])
        errors[np.ix_(tried, out)] = POINTS * (predicted - observed)
    fitted = [curve for curve, reason in zip(curves, whole, strict=True) if not reason]
    sums = iter(quick(fitted, form)[2] if fitted else ())
    found = []
    for curve, refused, reason, own in zip(curves, whole, reasons, errors, strict=True):
        chi2 = NAN if refused else float(next(sums))
        plausible = NAN if refused else goodness(curve, form, chi2)
        excess = chi2 / max(len(volumes) - len(form.parameters), 1)
        reason, own = (f"without one volume: {reason}", np.zeros(0)) if reason else ("", own)
        found.append(Candidate(form, reason, own, plausible, excess))
    return found


def _without(curves: Sequence[Curve]) -> dict[float, list[Curve]]:
    volumes = curves[0].volumes
    return {volume: [curve.only(volumes != volume) for curve in curves] for volume in np.unique(volumes)}


def choose(curve: Curve, forms: Iterable[Form] = tuple(FORMS.values())) -> Choice:
    """The form that predicts left-out volumes best, by this rule:

    Of the forms that can be left one out and hold (`fitting.HOLDS`), in the order of their number of parameters, one
    replaces the choice so far if its squared errors, over the points, are smaller on average by more than `MARGIN`
    standard errors of that difference (the standard deviation of the K differences over sqrt(K)); among forms with
    equally many parameters, if they are smaller at all.

    Where the points refute all of those, fits decide: the form with the fewest parameters that holds (of several the
    one with the highest goodness), or else the one with the least sum of squares per degree of freedom. None where a
    single form could be left one out and seeds are unknown: there was nothing to choose from, and nothing to refute it.
    """
    return choose_all([curve], forms)[0]


def choose_all(curves: Sequence[Curve], forms: Iterable[Form] = tuple(FORMS.values())) -> list[Choice]:
    """`choose` for each of `curves`; those with the same volumes and sizes are fitted together."""
    forms, alike = tuple(forms), defaultdict(list)
    for place, curve in enumerate(curves):
        alike[curve.volumes.tobytes(), curve.sizes.tobytes()].append(place)
    found: dict[int, Choice] = {}
    for places in alike.values():
        own = [curves[place] for place in places]
        without = _without(own)
        by_form = [leave_one_out(own, form, without) for form in forms]
        for place, *candidates in zip(places, *by_form, strict=True):
            found[place] = _choice(tuple(candidates))
    return [found[place] for place in range(len(curves))]


def _choice(candidates: tuple[Candidate, ...]) -> Choice:
    tried = [own for own in candidates if not own.reason]
    holding = sorted((own for own in tried if not own.goodness < HOLDS), key=lambda own: len(own.form.parameters))
    if not holding:
        return _by_fit(candidates)
    if len(tried) == 1 and np.isnan(tried[0].goodness):
        return Choice(None, candidates)
    chosen: Candidate | None = None
    beaten: Candidate | None = None  # what the choice so far had to beat by the margin
    for own in holding:
        if chosen is None:
            chosen = own
        elif len(own.form.parameters) > len(chosen.form.parameters):
            if _better(own, chosen):
                beaten, chosen = chosen, own
        elif own.rms < chosen.rms and (beaten is None or _better(own, beaten)):
            chosen = own
    return Choice(chosen.form, candidates)


def _by_fit(candidates: tuple[Candidate, ...]) -> Choice:
    fitted = [own for own in candidates if not np.isnan(own.excess)]
    if not any(not own.reason for own in candidates):
        return Choice(None, candidates)
    holding = [own for own in fitted if own.goodness >= HOLDS]
    if holding:
        chosen = min(holding, key=lambda own: (len(own.form.parameters), -own.goodness))
    else:
        chosen = min(fitted, key=lambda own: own.excess)
    return Choice(chosen.form, candidates, by_prediction=False)


def _better(one: Candidate, other: Candidate) -> bool:
    gain = other.errors**2 - one.errors**2
    return bool(gain.mean() > MARGIN * gain.std(ddof=1) / np.sqrt(len(gain)))


@dataclass(frozen=True)
class HeldOut:
    """The largest volume foretold from the smaller ones."""

    status: str
    reason: str
    volume: float = NAN
    form: str = ""
    """The form, chosen without the largest volume."""
    observed: float = NAN
    """Score there."""
    predicted: Interval = NOTHING
    """Score with its prediction interval."""

    @property
    def error(self) -> float:
        """Predicted less observed, in points."""
        return POINTS * (self.predicted.value - self.observed)

    @property
    def held(self) -> bool | None:
        """Whether the observed score lies in the prediction interval; None where there is none."""
        return self.predicted.low <= self.observed <= self.predicted.high if self.status == FITTED else None


def held_out(curve: Curve, confidence: float, form: Form | None = None) -> HeldOut:
    """A check on one model's curve: `form` (chosen by `choose` where None) is fitted without the largest volume.

    The prediction is the fitted curve, continued. The observed score shares its items with those that were fitted, so
    its interval is that of a conditional mean: with r the residuals of the fitted points, S their covariance and k its
    part between them and the largest volume,

        m = f(parameters) + k' S^-1 r        observed ~ m, variance S_vv - k' S^-1 k

    m's profile likelihood interval and that variance (times t^2 and the factor of an estimated covariance) are joined
    by Zou and Donner 2008 (Statistics in Medicine 27): each half is the root of the sum of both halves' squares.
    """
    if len(np.unique(curve.sizes)) > 1:
        return HeldOut(REFUSED, "the check is of one model's curve")
    last = curve.volumes == curve.volumes.max()
    rest = curve.only(~last)
    form = form or choose(rest).form
    if form is None:
        return HeldOut(REFUSED, f"{int((~last).sum())} volumes without the largest are too few to choose a form")
    law = fit(rest, form, confidence)
    if law.status == REFUSED:
        return HeldOut(REFUSED, f"without the largest volume: {law.reason}")
    if law.scatter and law.curve.noise.df:
        curve = replace(curve, noise=law.curve.noise)
    covariance = curve.covariance
    across = np.linalg.solve(law.curve.covariance, covariance[np.ix_(~last, last)])[:, 0]
    own = float(covariance[last, last][0] - across @ covariance[np.ix_(~last, last)][:, 0])

    def conditional(ends, shapes):
        scores = law._scores(ends, shapes, curve.volumes, curve.sizes)
        return scores[:, last] + ((rest.scores - scores[:, ~last]) @ across)[:, None]

    middle = law._range(conditional)[0]
    t = quantile((1 + confidence) / 2, law.curve.df)
    noise = t**2 * max(own, 0.0) * inflation(curve, len(rest.volumes))
    low = middle.value - np.sqrt((middle.value - middle.low) ** 2 + noise)
    high = middle.value + np.sqrt((middle.high - middle.value) ** 2 + noise)
    predicted = Interval(middle.value, max(0.0, float(low)), min(1.0, float(high)))
    return HeldOut(FITTED, "", float(curve.volumes.max()), form.name, float(curve.scores[last][0]), predicted)


@dataclass(frozen=True)
class Reaching:
    """The volume at which the fitted curve reaches a share of its ceiling."""

    status: str
    """`reached in range` (interval within the curve's volumes), `not reached in range` (wholly above them), `undecided`
    (it holds the largest volume), or `not identified`."""
    reason: str
    volume: Interval = NOTHING
    """Training items. A low end at the smallest volume means `there or below`."""


def reaching(law: Fit, share: float = SHARE) -> Reaching:
    """The volume v with score(v) = `share` * ceiling, for a fitted form in volume with a ceiling.

    Not identified where the form has no ceiling, or where the interval runs past `FAR` times the largest volume.
    """
    if law.status == REFUSED:
        return Reaching(UNKNOWN, law.reason)
    form, curve = law.form, law.curve
    if form.solve is None:
        why = "depends on the size of the model" if form.joint else "has no ceiling"
        return Reaching(UNKNOWN, f"{form.name} {why}")

    def volume(ends, shapes):
        start = ends[:, 0] if form.start else np.full(len(ends), curve.chance)
        rise = ends[:, 1] - start
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            level = np.where(rise > 0, (share * ends[:, 1] - start) / rise, 0.0)
            found = form.solve(np.maximum(level, 0.0), shapes, curve.volumes)
        return np.maximum(found, curve.volumes.min())[:, None]

    found = law._range(volume)[0]
    largest = curve.volumes.max()
    if not found.high <= FAR * largest:
        return Reaching(UNKNOWN, f"nothing excludes volumes above {FAR:g} times the largest", found)
    if found.high <= largest:
        return Reaching(IN_RANGE, "", found)
    return Reaching(BEYOND if found.low > largest else OPEN, "", found)
