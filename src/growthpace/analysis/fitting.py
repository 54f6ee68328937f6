"""A form fitted to a growth curve: parameters, intervals by profile likelihood, and what the data do not tell.

    law = fit(curve, FORMS["power"], confidence=0.95)
    law.status, law.reason, law.parameters, law.at([160, 640])

Interval: everything that a fit claims (a parameter, the curve at a volume, its slope there, the volume that reaches a
share of the ceiling) is a function g of the parameters, and its interval is the range of g over all parameters with

    chi2(parameters) - chi2(best) <= t^2 * f

which is the profile likelihood interval of g (Venzon and Moolgavkar 1988, Applied Statistics 37). No derivative and no
normality of estimates is used, bounds are kept, and where nothing stops g its interval runs to the end of what was
searched and is said to be unbounded. t is Student's quantile with the curve's degrees of freedom. f makes up for a
covariance that is itself estimated from items: with nu degrees of freedom, K points and p parameters, q = K - p,

    f = 1 + w * (nu / (nu - q) * (nu - 1) / (nu - 1 - q) - 1)

(Rao 1967, Proceedings of the 5th Berkeley Symposium 1; Williams 1967, Biometrika 54), w being the share of items in the
variance of the slope over log volume. lmfit's `conf_interval` profiles too, but parameters alone, without the bounds
above, and refits for every step.

Where no cell has two seeds, what seeds do is unknown, and intervals from items alone are too narrow. Then the scatter
of the points about the fitted curve tells it: the dispersion is raised until chi2 = K - p (Paule and Mandel 1982,
Journal of Research of the National Bureau of Standards 87), with K - p degrees of freedom. The same is done where seeds
are known and the form does not hold (`HOLDS`): a form that is wrong is thereby wide.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import fdtrc

from growthpace.analysis.forms import Form
from growthpace.analysis.observed import Curve
from growthpace.analysis.separable import STEPS, Problem
from growthpace.analysis.uncertainty import POINTS, Noise, quantile

FITTED, REFUSED = "fitted", "refused"
NAN = float("nan")
EDGE = 1e-6
"""How near to a bound counts as at it, in score and in logarithms of a shape."""
ITEMS_PER_POINT = 5
"""Clusters that a fit needs for each point: with 100 items and 24 points, 95 % intervals of a level covered 90 % (300
simulations of the joint form)."""
HOLDS = 0.01
"""A form whose goodness is below does not hold. Of true forms, 0.3 to 4 % came out below it (400 simulations each of
constant, linear and power; 4 and 8 volumes, 100 and 1,000 items, 2 and 5 seeds)."""
FOURFOLD_STEP = 0.01
"""Half the step, in fourfold data, of the slope's central difference."""


@dataclass(frozen=True)
class Interval:
    """A value with the ends of its interval; NaN where there is none."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Parameter:
    """A fitted parameter. `unidentified` says why the data do not tell it; '' where they do."""

    name: str
    value: float
    low: float
    high: float
    unidentified: str = ""

    @property
    def identified(self) -> bool:
        return not self.unidentified


@dataclass(frozen=True)
class Fit:
    """A form set to a curve, or the reason why it was refused (then everything else is empty or NaN)."""

    form: Form
    status: str
    reason: str = ""
    parameters: tuple[Parameter, ...] = ()
    chi2: float = NAN
    residual_df: int = 0
    """Points less parameters."""
    goodness: float = NAN
    """Probability of a scatter this large were the form true (see `goodness`); NaN where what seeds do is unknown."""
    scatter: bool = False
    """True where the dispersion between seeds was taken from the scatter about the curve: seeds unknown, or the form
    does not hold."""
    curve: Curve | None = None
    """The curve, with the noise that was used."""
    best: np.ndarray = field(default_factory=lambda: np.full((1, 2), NAN))
    """[1, 2] start and ceiling."""
    shape: np.ndarray = field(default_factory=lambda: np.zeros((1, 0)))
    """[1, m] shape parameters."""
    ends: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    """[M, 2] start and ceiling of the parameters on the border of the confidence region."""
    shapes: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    """[M, m] their shapes."""

    @property
    def holds(self) -> bool:
        """Whether the points may lie about the curve as they do; True where what seeds do is unknown."""
        return not self.goodness < HOLDS

    def parameter(self, name: str) -> Parameter:
        return next(own for own in self.parameters if own.name == name)

    def _scores(self, ends, shapes, volumes, sizes) -> np.ndarray:
        share = self.form.between(volumes, sizes, shapes, self.curve.volumes, self.curve.sizes)
        return ends[:, :1] * (1 - share) + ends[:, 1:] * share

    def _range(self, of) -> list[Interval]:
        best = of(self.best, self.shape)
        border = np.vstack([of(self.ends, self.shapes), best])
        ends = zip(best[0], border.min(axis=0), border.max(axis=0), strict=True)
        return [Interval(*map(float, three)) for three in ends]

    def at(self, volumes, size: float | None = None) -> list[Interval]:
        """The fitted score at each of `volumes`, cut to [0, 1]; at `size` parameters (the curve's least where None)."""
        volumes, size = np.asarray(volumes, float), self.curve.sizes.min() if size is None else size
        return self._range(lambda ends, shapes: np.clip(self._scores(ends, shapes, volumes, size), 0, 1))

    def pace_at(self, volume: float, size: float | None = None) -> Interval:
        """The slope of the fitted curve at `volume`, in points per fourfold data."""
        size = self.curve.sizes.min() if size is None else size
        near = np.array([volume * 4**-FOURFOLD_STEP, volume * 4**FOURFOLD_STEP])

        def slope(ends, shapes):
            scores = self._scores(ends, shapes, near, size)
            return POINTS * (scores[:, 1:] - scores[:, :1]) / (2 * FOURFOLD_STEP)

        return self._range(slope)[0]


def refusal(curve: Curve, form: Form) -> str:
    """Why `form` cannot be fitted to `curve`; '' where it can."""
    points, needed = len(curve.volumes), len(form.parameters)
    if points <= needed:
        return f"{form.name} has {needed} parameters and needs more points than that, there are {points}"
    several = (curve.sizes != curve.sizes[0]).any()
    if form.joint and not several:
        return f"{form.name} is a form in size and volume and needs models of two sizes"
    if not form.joint and several:
        return f"{form.name} is a form in volume alone, and the curve has {len(np.unique(curve.sizes))} sizes"
    if needed > 1 and (curve.volumes == curve.volumes[0]).all():
        return f"{form.name} needs two volumes"
    if not np.isfinite(curve.items).all():
        return "all items are one cluster, so that the error of the scores is unknown"
    if curve.item_df < ITEMS_PER_POINT * points:
        enough = ITEMS_PER_POINT * points + 1
        return (
            f"{curve.item_df + 1} independent items are too few to know how {points} points move together; "
            f"{enough} would do"
        )
    return ""


def fit(curve: Curve, form: Form, confidence: float) -> Fit:
    """`form` fitted to `curve` by generalised least squares, with intervals at level `confidence`.

    Refused, with a reason, where it has as many parameters as points or more, where sizes or volumes are too few, or
    where there are too few clusters to estimate the covariance of the points. Deterministic.
    """
    reason = refusal(curve, form)
    if reason:
        return Fit(form, REFUSED, reason)
    left = len(curve.volumes) - len(form.parameters)
    plausible = goodness(curve, form, Problem(curve, form).quick()[2])
    scatter = not plausible >= HOLDS
    curve = with_scatter(curve, form) if scatter else curve
    problem = Problem(curve, form)
    best, logs, chi2 = problem.polished()
    factor = inflation(curve, left)
    border = quantile((1 + confidence) / 2, curve.df) ** 2 * factor
    box, inside, chi2 = _searched(problem, logs, chi2, border)
    grid = np.vstack([problem.grid(box), logs])
    ends, rows = problem.region(grid, chi2 + border)
    step = (box[:, 1] - box[:, 0]) / (STEPS[len(box)] - 1) / 2 if len(box) else np.zeros(0)
    spans = np.stack([inside.min(axis=0) - step, inside.max(axis=0) + step], axis=1)
    spans = np.clip(spans, problem.limits[:, :1], problem.limits[:, 1:])
    return Fit(
        form, FITTED, "", _parameters(problem, best, logs, ends, spans), chi2, left, plausible, scatter, curve,
        best[None], np.exp(logs)[None], ends, np.exp(grid[rows]),
    )  # fmt: skip


def goodness(curve: Curve, form: Form, chi2: float) -> float:
    """The probability of a sum of squares of `chi2` or more were `form` true; NaN where what seeds do is unknown.

    chi2 / (K - p) / f has the F distribution with K - p and the curve's degrees of freedom: f as in the module's
    docstring, the second because the seeds' variance is estimated.
    """
    left = len(curve.volumes) - len(form.parameters)
    if curve.noise.df == 0:
        return NAN
    return float(fdtrc(left, curve.df, chi2 / left / inflation(curve, left)))


def inflation(curve: Curve, left: int) -> float:
    """f of the module's docstring for a fit with `left` points more than parameters."""
    nu = curve.item_df
    full = nu / (nu - left) * (nu - 1) / (nu - 1 - left)
    trace = np.trace(curve.items) - curve.items.mean() * len(curve.items)  # what volumes share is no matter of shape
    seeds = curve.seed_excess * curve.spread.sum() * (1 - 1 / len(curve.spread))
    return 1 + (full - 1) * trace / (trace + seeds)


def with_scatter(curve: Curve, form: Form) -> Curve:
    """The curve with the dispersion between seeds that makes chi2 equal to K - p; as it is where chi2 is less already.

    For curves whose noise is unknown, or too little to explain how far the points lie from the form.
    """
    from scipy.optimize import brentq

    left = len(curve.volumes) - len(form.parameters)

    def noisy(dispersion):
        return replace(curve, noise=Noise(dispersion, 0.0, left))

    def excess(dispersion):
        return Problem(noisy(dispersion), form).quick()[2] - left

    if excess(0.0) <= 0 or not (curve.spread > 0).all():
        return curve
    most = 1e-3
    while excess(most) > 0 and most < 1e4:
        most *= 4
    return noisy(brentq(excess, 0.0, most, xtol=1e-6, rtol=1e-2)) if most < 1e4 else noisy(most)


def _searched(problem: Problem, logs: np.ndarray, chi2: float, border: float):
    """The box of shapes in the confidence region, zoomed in until it fills its grid: (box, shapes inside, least chi2).

    A zoom that finds a better fit than the polished one lowers the least chi2 (its place differs by less than a step).
    """
    box, inside = problem.limits, logs[None]
    for _ in range(5 if len(box) else 0):
        grid = problem.grid(box)
        found = problem.solve(grid).chi2
        chi2 = min(chi2, float(found.min()))
        inside = np.vstack([grid[found <= chi2 + border], logs])
        inner = problem.around(box, inside)
        done = (inner[:, 1] - inner[:, 0] > 0.7 * (box[:, 1] - box[:, 0])).all()
        if done:
            break
        box = inner
    return box, inside, chi2


def _parameters(problem: Problem, best, logs, ends, spans) -> tuple[Parameter, ...]:
    form, chance = problem.form, problem.curve.chance
    border = np.vstack([ends, best])
    low, high = border.min(axis=0), border.max(axis=0)
    found = []
    if form.start:
        reason = "the data leave room for chance" if form.start_beyond and low[0] <= chance + EDGE else ""
        found.append(Parameter(form.start, float(best[0]), float(low[0]), float(high[0]), reason))
    reason = "a ceiling of 1 is not excluded" if form.has_ceiling and high[1] >= 1 - EDGE else ""
    found.append(Parameter(form.ceiling, float(best[1]), float(low[1]), float(high[1]), reason))
    for shape, value, span, limits in zip(form.shapes, logs, spans, problem.limits, strict=True):
        below, above = span[0] <= limits[0] + EDGE, span[1] >= limits[1] - EDGE
        least, most = np.exp(limits)
        reason = ""
        if below or above:
            where = f"below {least:.3g} or above {most:.3g}" if below and above else (
                f"below {least:.3g}" if below else f"above {most:.3g}")  # fmt: skip
            reason = f"nothing excludes a value {where}"
        found.append(Parameter(shape.name, float(np.exp(value)), *map(float, np.exp(span)), reason))
    return tuple(found)
