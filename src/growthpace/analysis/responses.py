"""How an ability's score answers to its own items, with draws of what the data leave open: what a budget is divided by.

    own = own_curve(block, "curated", abilities=10)        # averaged over models, volumes in items of this ability
    observed = own.draws(np.random.default_rng(0), 500)    # [R, K] scores that might have been seen
    scores(own.curve, observed, np.arange(1, 257))         # [R, L] fitted curves at so many own items

The assumption, in one place: an ability's score is a function of how many of its own items are trained on. In a sweep
of balanced datasets the items of an ability and those of all the others grow together, so that their effects are not
told apart: what the others' items do is counted as the own items' here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from growthpace.analysis.curves import LEAST_VOLUMES
from growthpace.analysis.fitting import with_scatter
from growthpace.analysis.forms import FORMS
from growthpace.analysis.forms.base import Form
from growthpace.analysis.matrix import Block
from growthpace.analysis.observed import Curve, curve_from_arrays
from growthpace.analysis.uncertainty import weighted_mean

BEYOND = 4
"""A curve is followed to this many times its largest volume, one fourfold step, and no further."""
SHAPES = {0: 1, 1: 33, 2: 13}
"""Points on each axis of the grid of a form's shape parameters."""


@dataclass(frozen=True)
class Response:
    """An ability's growth curve on one source, averaged over models, against the number of its own items."""

    ability: str
    source: str
    curve: Curve
    """Volumes are items of this ability: its share of a balanced dataset, volume / abilities."""
    models: tuple[str, ...]
    seeds: bool
    """Whether what seeds do is known; else the scatter about a straight line stands in for it."""

    @property
    def least(self) -> int:
        """The smallest number of own items that was swept."""
        return int(self.curve.volumes.min())

    @property
    def largest(self) -> int:
        return int(self.curve.volumes.max())

    def draws(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """[count, K] what was seen less its expectation, as the errors of items and seeds may have been: multivariate
        Student's t with the curve's covariance and degrees of freedom."""
        root = np.linalg.cholesky(self.curve.covariance)
        noise = rng.standard_normal((count, len(root))) @ root.T
        df = self.curve.df
        if np.isfinite(df):
            noise *= np.sqrt(df / rng.chisquare(df, (count, 1)))
        return noise


def own_curve(
    block: Block, source: str, abilities: int, models: list[str] | None = None
) -> tuple[Response | None, str]:
    """(the response of a block's ability to a labelled source, '') or (None, why there is none).

    A point is the mean over models of the mean over seeds, at volumes that every one of `models` (all that were swept
    over the source when None) has a run of.
    """
    runs = block.runs[(block.runs["kind"] == "grid") & (block.runs["source"] == source)]
    if models is not None:
        runs = runs[runs["model"].isin(models)]
    by_model = dict(list(runs.groupby("model", sort=False)))
    lacking = [model for model in models or [] if model not in by_model]
    if lacking or not by_model:
        return None, f"no runs of {', '.join(lacking) or 'any model'} on the grid's {source!r} yet"
    volumes = sorted(set.intersection(*(set(own["volume"]) for own in by_model.values())))
    if len(volumes) < LEAST_VOLUMES:
        return (
            None,
            f"{len(volumes)} volumes of {source!r} that all models have, a curve needs {LEAST_VOLUMES}",
        )
    if block.sample.clusters - block.sample.strata_count < 1:
        return None, f"all items of {block.ability} are one cluster, so that the error of its scores is unknown"
    means, spread = [], []
    for volume in volumes:
        cells = [own.index[own["volume"] == volume].to_numpy() for own in by_model.values()]
        of_models = np.stack([block.values[:, columns].mean(axis=1) for columns in cells], axis=1)
        level = weighted_mean(block.sample, of_models)
        runs_of = np.array([len(columns) for columns in cells])
        means.append(of_models.mean(axis=1))
        spread.append((level * (1 - level) / runs_of).sum() / len(cells) ** 2)
    columns = list(np.arange(len(volumes))[:, None])
    own_items, sizes = np.array(volumes) / abilities, np.ones(len(volumes))
    values = np.stack(means, axis=1)
    curve = curve_from_arrays(block.sample, values, columns, own_items, sizes, block.chances, block.noise)
    curve = replace(curve, spread=np.array(spread))
    seeds = bool(block.noise.df)
    curve = curve if seeds else with_scatter(curve, FORMS["linear"])
    return Response(block.ability, source, curve, tuple(by_model), seeds), ""


def scores(curve: Curve, observed: np.ndarray, volumes: np.ndarray) -> np.ndarray:
    """[R, L] fitted scores at `volumes` [L], for each row of `observed` [R, K] as the scores of `curve`'s points.

    Each row is fitted anew by every form of volume with fewer parameters than points, by generalised least squares over
    a grid of shapes, and takes the form with the least chi2 + 2 * parameters (Akaike 1974, IEEE Transactions on
    Automatic Control 19, for a known covariance). Fits whose start or ceiling leaves [0, 1], or that fall where their
    form demands growth, are passed over; a constant cut to [0, 1] never is, so that there is always one. Scores are cut
    to [0, 1].
    """
    observed, volumes = np.asarray(observed, float), np.asarray(volumes, float)
    whitening = np.linalg.inv(np.linalg.cholesky(curve.covariance))
    seen = observed @ whitening.T
    ones = whitening.sum(axis=1)
    level = np.clip(seen @ ones / (ones @ ones), 0, 1)[:, None]
    least = ((seen - level * ones) ** 2).sum(axis=1) + 2  # the constant
    found = np.repeat(level, len(volumes), axis=1)
    for form in FORMS.values():
        if form.joint or form.growth == "flat" or len(form.parameters) >= len(curve.volumes):
            continue
        criterion, fitted = _fitted(curve, form, whitening, seen, volumes)
        better = criterion < least
        found[better], least = fitted[better], np.minimum(least, criterion)
    return np.clip(found, 0, 1)


def through(curve: Curve, observed: np.ndarray, volumes: np.ndarray) -> np.ndarray:
    """[R, L] scores at `volumes` [L] straight through `observed` [R, K] over log volume, the last two points' line
    going on beyond them; cut to [0, 1]."""
    known, wanted = np.log(curve.volumes), np.log(np.asarray(volumes, float))
    left = np.clip(np.searchsorted(known, wanted, side="right") - 1, 0, len(known) - 2)
    along = (wanted - known[left]) / (known[left + 1] - known[left])
    return np.clip(observed[:, left] * (1 - along) + observed[:, left + 1] * along, 0, 1)


def _fitted(curve: Curve, form: Form, whitening, seen, volumes) -> tuple[np.ndarray, np.ndarray]:
    """(criterion [R], scores [R, L]) of one form."""
    limits = np.log([shape.limits(curve.volumes, curve.sizes) for shape in form.shapes]).reshape(-1, 2)
    axes = [np.linspace(low, high, SHAPES[len(limits)]) for low, high in limits]
    shapes = np.exp(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(limits))) if axes else (
        np.zeros((1, 0)))  # fmt: skip
    one = curve.sizes.min()

    def between(at):
        return form.between(at, np.full(len(at), one), shapes, curve.volumes, curve.sizes)

    share, ahead = between(curve.volumes), between(volumes)
    up = share @ whitening.T
    across = (1 - share) @ whitening.T
    if form.start:
        basis = np.stack([across, up], axis=1)
        fixed = np.zeros_like(up)
    else:  # it starts at chance
        basis, fixed = up[:, None], curve.chance * across
    normal = basis @ basis.transpose(0, 2, 1)
    size = basis.shape[1]
    normal += 1e-12 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(size)
    solver = np.linalg.solve(normal, basis)  # [G, size, K]
    # One matrix product for all shapes and rows: ends [G, size, R], and with basis alike for chi2.
    ends = (solver.reshape(-1, seen.shape[1]) @ seen.T).reshape(len(shapes), size, -1)
    ends -= np.einsum("gsk,gk->gs", solver, fixed)[..., None]
    linear = (basis.reshape(-1, seen.shape[1]) @ seen.T).reshape(len(shapes), size, -1)
    linear -= np.einsum("gsk,gk->gs", basis, fixed)[..., None]
    chi2 = (seen**2).sum(axis=1) - 2 * fixed @ seen.T + (fixed**2).sum(axis=1)[:, None] - (ends * linear).sum(axis=1)
    start = ends[:, 0] if form.start else np.full(chi2.shape, curve.chance)
    ceiling = ends[:, -1]
    allowed = (ceiling >= 0) & (ceiling <= 1) & (start >= 0) & (start <= 1)
    if form.rises:
        allowed &= ceiling >= start
    chi2 = np.where(allowed, chi2, np.inf)
    best, rows = chi2.argmin(axis=0), np.arange(len(seen))
    level = ahead[best]
    fitted = start[best, rows][:, None] * (1 - level) + ceiling[best, rows][:, None] * level
    return chi2[best, rows] + 2 * len(form.parameters), fitted
