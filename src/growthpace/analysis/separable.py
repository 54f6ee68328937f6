"""Generalised least squares of a form: the exact part for given shapes, and the search over shapes.

For given shape parameters the sum of squares is a quadratic in (start, ceiling):

    chi2 = (y - A start - B ceiling)' S^-1 (y - A start - B ceiling)        A = 1 - s, B = s

minimised exactly inside the convex region that the form allows, for a whole grid of shapes at once. The grid covers all
that is searched, so there are no starting values to get wrong; scipy's `least_squares` then polishes the best of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.linalg import solve_triangular

from growthpace.analysis.forms.base import Form
from growthpace.analysis.observed import Curve

STEPS = {0: 1, 1: 65, 2: 25}
"""Grid points on each axis, by the number of shape parameters."""
ZOOMED = {0: 1, 1: 17, 2: 13}
"""The same for the second grid of a quick fit, which covers two steps of the first."""
ANGLES = 32
"""Points on the ellipse of (start, ceiling) for each shape: its half axes are met within 0.5 %."""


@dataclass(frozen=True)
class Quadratic:
    """chi2 as a function of (start, ceiling), for G shapes and any number of curves before them."""

    first: np.ndarray
    """[..., G] coefficient of start^2."""
    both: np.ndarray
    """[..., G] half the coefficient of start * ceiling."""
    second: np.ndarray
    """[..., G] coefficient of ceiling^2."""
    pull_first: np.ndarray
    """[..., G] minus half the coefficient of start."""
    pull_second: np.ndarray
    """[..., G] minus half the coefficient of ceiling."""
    constant: np.ndarray
    """[..., 1]"""

    def at(self, start, ceiling) -> np.ndarray:
        """chi2 there."""
        square = start**2 * self.first + 2 * start * ceiling * self.both + ceiling**2 * self.second
        return self.constant + square - 2 * (start * self.pull_first + ceiling * self.pull_second)

    def along(self, begin, end) -> tuple[np.ndarray, ...]:
        """chi2 on an edge as (constant, slope, curvature) of u in [0, 1]; the ends are pairs (start, ceiling)."""
        step = [last - first for first, last in zip(begin, end, strict=True)]
        turned = self.first * step[0] + self.both * step[1], self.both * step[0] + self.second * step[1]
        pulled = self.pull_first * step[0] + self.pull_second * step[1]
        slope = 2 * (turned[0] * begin[0] + turned[1] * begin[1] - pulled)
        return self.at(*begin), slope, turned[0] * step[0] + turned[1] * step[1]

    def free(self) -> tuple[np.ndarray, np.ndarray]:
        """(start, ceiling) of the least chi2 without any bound."""
        determinant = self.first * self.second - self.both**2
        start = self.second * self.pull_first - self.both * self.pull_second
        ceiling = self.first * self.pull_second - self.both * self.pull_first
        return start / determinant, ceiling / determinant


def quadratic(share: np.ndarray, precision: np.ndarray, scores: np.ndarray) -> Quadratic:
    """From s [..., G, K] at the points, the inverse of their covariance [..., K, K] and the scores [..., K]."""
    rest = 1 - share
    weighted = share @ precision
    pulled = precision @ scores[..., None]  # [..., K, 1]
    first = ((rest @ precision) * rest).sum(axis=-1)
    second = (weighted * share).sum(axis=-1)
    ridge = 1e-12 * (first + second)  # keeps shapes without any curve in the grid harmless
    return Quadratic(
        first + ridge, (weighted * rest).sum(axis=-1), second + ridge,
        (rest @ pulled)[..., 0], (share @ pulled)[..., 0], (scores * pulled[..., 0]).sum(axis=-1, keepdims=True),
    )  # fmt: skip


def edges_of(corners: np.ndarray) -> list[tuple[tuple[np.ndarray, np.ndarray], ...]]:
    """The edges of a region with `corners` [..., V, 2]: pairs of ends, each (start, ceiling) of shape [..., 1]."""
    ends = [(corners[..., v, :1], corners[..., v, 1:]) for v in range(corners.shape[-2])]
    return list(pairwise(ends)) + ([(ends[-1], ends[0])] if len(ends) > 2 else [])


def inside(edges, start, ceiling) -> np.ndarray:
    """Which points lie in the convex region within `edges`."""
    sides = [
        (end[0] - begin[0]) * (ceiling - begin[1]) - (end[1] - begin[1]) * (start - begin[0]) for begin, end in edges
    ]
    return np.all([side >= 0 for side in sides], axis=0) | np.all([side <= 0 for side in sides], axis=0)


def least(of: Quadratic, edges) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(chi2, start, ceiling), each [..., G]: the least inside the region."""
    chi2 = np.full(of.first.shape, np.inf)
    start, ceiling = np.zeros_like(chi2), np.zeros_like(chi2)

    def offer(value, one, other):
        better = value < chi2
        np.copyto(chi2, value, where=better)
        np.copyto(start, one, where=better)
        np.copyto(ceiling, other, where=better)

    for begin, end in edges:
        constant, slope, curvature = of.along(begin, end)
        u = np.clip(-slope / (2 * curvature), 0, 1)
        value = constant + u * (slope + u * curvature)
        offer(value, *(first + u * (last - first) for first, last in zip(begin, end, strict=True)))
    if len(edges) > 2:
        free = of.free()
        offer(np.where(inside(edges, *free), of.at(*free), np.inf), *free)
    return np.maximum(chi2, 0), start, ceiling


def searched(curve: Curve, form: Form) -> np.ndarray:
    """[m, 2] logarithms of the shape parameters that are searched."""
    limits = [shape.limits(curve.volumes, curve.sizes) for shape in form.shapes]
    return np.log(np.array(limits, float).reshape(-1, 2))


def grid_of(box: np.ndarray, steps: dict[int, int] = STEPS) -> np.ndarray:
    """[..., G, m] an even grid over a box [..., m, 2] of logarithms."""
    count = box.shape[-2]
    axes = [np.linspace(0, 1, steps[count])] * count
    unit = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, count) if count else np.zeros((1, 0))
    low, high = box[..., None, :, 0], box[..., None, :, 1]
    return low + unit * (high - low)


TOGETHER = 32
"""Curves that are fitted at once: more no longer fit into a processor's cache."""


def quick(curves: Sequence[Curve], form: Form) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The best fit of `form` to each of B curves of the same volumes and sizes, to the grid's step after a zoom.

    Returns (start and ceiling [B, 2], logarithms of the shape [B, m], chi2 [B]); enough for predictions.
    """
    parts = [_quick(curves[first : first + TOGETHER], form) for first in range(0, len(curves), TOGETHER)]
    return tuple(np.concatenate(own) for own in zip(*parts, strict=True))


def _quick(curves: Sequence[Curve], form: Form) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    volumes, sizes = curves[0].volumes, curves[0].sizes
    precision = np.linalg.inv(np.stack([curve.covariance for curve in curves]))
    scores = np.stack([curve.scores for curve in curves])
    edges = edges_of(np.stack([form.vertices(curve.chance) for curve in curves]))
    limits = searched(curves[0], form)
    every, box = np.arange(len(curves)), limits[None]  # the first grid is the same for all curves
    for again in (True, False) if len(limits) else (False,):
        logs = grid_of(box)
        share = form.between(
            volumes, sizes, np.exp(logs.reshape(logs.shape[0] * logs.shape[1], len(limits))), volumes, sizes
        )
        chi2, start, ceiling = least(quadratic(share.reshape(*logs.shape[:2], -1), precision, scores), edges)
        place = chi2.argmin(axis=-1)
        best = np.broadcast_to(logs, (len(curves), *logs.shape[1:]))[every, place]
        if again:
            step = (box[..., 1] - box[..., 0]) / (STEPS[len(limits)] - 1)
            box = np.clip(np.stack([best - step, best + step], axis=-1), limits[:, :1], limits[:, 1:])
    return np.stack([start[every, place], ceiling[every, place]], axis=1), best, chi2[every, place]


@dataclass(frozen=True)
class Solved:
    """What the exact part gives for G shapes."""

    chi2: np.ndarray
    """[G] least sum of squares inside the allowed region."""
    best: np.ndarray
    """[G, 2] (start, ceiling) there."""


class Problem:
    """A form set to a curve of K points. Raises `numpy.linalg.LinAlgError` where its covariance is singular."""

    def __init__(self, curve: Curve, form: Form):
        self.curve, self.form = curve, form
        root = np.linalg.cholesky(curve.covariance)
        self.whitening = solve_triangular(root, np.eye(len(root)), lower=True)
        """[K, K] inverse of the covariance's Cholesky root."""
        self.observed = self._whiten(curve.scores[None])[0]
        self.precision = self.whitening.T @ self.whitening
        """[K, K] inverse of the covariance."""
        self.edges = edges_of(form.vertices(curve.chance))
        self.limits = searched(curve, form)
        """[m, 2] logarithms of what is searched."""

    def _whiten(self, rows: np.ndarray) -> np.ndarray:
        return rows @ self.whitening.T

    def between(self, logs: np.ndarray, volumes=None, sizes=None) -> np.ndarray:
        """s [G, J] for the logarithms [G, m] of shape parameters, at the curve's own points where none are given."""
        curve = self.curve
        volumes, sizes = (curve.volumes, curve.sizes) if volumes is None else (volumes, sizes)
        return self.form.between(volumes, sizes, np.exp(logs), curve.volumes, curve.sizes)

    def _quadratic(self, logs: np.ndarray) -> Quadratic:
        return quadratic(self.between(logs), self.precision, self.curve.scores)

    def solve(self, logs: np.ndarray) -> Solved:
        """The exact part for the logarithms [G, m] of G shapes."""
        chi2, start, ceiling = least(self._quadratic(logs), self.edges)
        return Solved(chi2, np.stack([start, ceiling], axis=1))

    def region(self, logs: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
        """Where chi2 equals `level`, or the allowed region ends below it: ([M, 2] (start, ceiling), [M] row of `logs`).

        For each shape: points on the ellipse that are allowed, and where it cuts the region's edges (or a corner that
        lies in the ellipse). What is linear in (start, ceiling) has its extremes among them.
        """
        of = self._quadratic(logs)
        points, rows = [], []
        every = np.arange(len(logs))
        for begin, end in self.edges:
            constant, slope, curvature = of.along(begin, end)
            square = slope**2 - 4 * curvature * (constant - level)
            reach = np.sqrt(np.maximum(square, 0))
            ends = [(-slope - reach) / (2 * curvature), (-slope + reach) / (2 * curvature)]
            cut = (square >= 0) & (ends[0] <= 1) & (ends[1] >= 0)
            for u in ends:
                u = np.clip(u[cut], 0, 1)
                places = [first + u * (last - first) for first, last in zip(begin, end, strict=True)]
                points.append(np.stack(places, axis=1))
                rows.append(every[cut])
        if len(self.edges) > 2:
            free = of.free()
            left = level - of.at(*free)
            own = np.flatnonzero(left >= 0)
            angles = 2 * np.pi * np.arange(ANGLES) / ANGLES
            first = np.sqrt(of.first[own])
            lower = of.both[own] / first
            second = np.sqrt(np.maximum(of.second[own] - lower**2, 1e-300))
            radius = np.sqrt(left[own])[:, None]
            up = radius * np.sin(angles) / second[:, None]
            start = free[0][own, None] + (radius * np.cos(angles) - lower[:, None] * up) / first[:, None]
            ceiling = free[1][own, None] + up
            kept = inside(self.edges, start, ceiling)
            points.append(np.stack([start[kept], ceiling[kept]], axis=1))
            rows.append(np.broadcast_to(own[:, None], kept.shape)[kept])
        return np.concatenate(points), np.concatenate(rows)

    def grid(self, box: np.ndarray) -> np.ndarray:
        """[G, m] an even grid over a box [m, 2] of logarithms."""
        return grid_of(box)

    def around(self, box: np.ndarray, logs: np.ndarray) -> np.ndarray:
        """The box of `logs` [M, m] and one step of `box`'s grid on every side, within what is searched."""
        step = (box[:, 1] - box[:, 0]) / (STEPS[len(box)] - 1) if len(box) else np.zeros(0)
        inner = np.stack([logs.min(axis=0) - step, logs.max(axis=0) + step], axis=1)
        return np.clip(inner, self.limits[:, :1], self.limits[:, 1:])

    def quick(self) -> tuple[np.ndarray, np.ndarray, float]:
        """(start and ceiling [2], logarithms of the shape [m], chi2) of the best fit, as `quick` gives it."""
        best, logs, chi2 = quick([self.curve], self.form)
        return best[0], logs[0], float(chi2[0])

    def polished(self) -> tuple[np.ndarray, np.ndarray, float]:
        """As `quick`, with the shape polished by scipy's `least_squares` on the whitened residuals."""
        from scipy.optimize import least_squares

        best, logs, chi2 = self.quick()
        if not len(logs):
            return best, logs, chi2

        def residuals(shape):
            shape = shape[None]
            ends, share = self.solve(shape).best[0], self.between(shape)[0]
            return self.observed - self._whiten((ends[0] * (1 - share) + ends[1] * share)[None])[0]

        done = least_squares(residuals, logs, bounds=self.limits.T, xtol=1e-9, ftol=1e-10, gtol=1e-9)
        if 2 * done.cost < chi2:
            logs = done.x
            solved = self.solve(logs[None])
            best, chi2 = solved.best[0], float(solved.chi2[0])
        return best, logs, chi2
