"""Generalised least squares of a form: the exact part for given shapes, and the search over shapes.

For given shape parameters the sum of squares is a quadratic in (start, ceiling):

    chi2 = (y - A start - B ceiling)' S^-1 (y - A start - B ceiling)        A = 1 - s, B = s

minimised exactly inside the convex region that the form allows, for a whole grid of shapes at once. The grid covers all
that is searched, so there are no starting values to get wrong; scipy's `least_squares` then polishes the best of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.linalg import solve_triangular

from growthpace.analysis.forms.base import Form
from growthpace.analysis.observed import Curve

STEPS = {0: 1, 1: 65, 2: 25}
"""Grid points on each axis, by the number of shape parameters."""
ANGLES = 32
"""Points on the ellipse of (start, ceiling) for each shape: its half axes are met within 0.5 %."""


@dataclass(frozen=True)
class Solved:
    """What the exact part gives for G shapes."""

    chi2: np.ndarray
    """[G] least sum of squares inside the allowed region."""
    best: np.ndarray
    """[G, 2] (start, ceiling) there."""


def _two_by_two(normal: np.ndarray, linear: np.ndarray) -> np.ndarray:
    """x [G, 2] with normal [G, 2, 2] x = linear [G, 2]; far quicker than a general solver for each."""
    (a, b), d = (normal[:, 0, 0], normal[:, 0, 1]), normal[:, 1, 1]
    found = np.stack([d * linear[:, 0] - b * linear[:, 1], a * linear[:, 1] - b * linear[:, 0]], axis=1)
    return found / (a * d - b * b)[:, None]


class Problem:
    """A form set to a curve of K points. Raises `numpy.linalg.LinAlgError` where its covariance is singular."""

    def __init__(self, curve: Curve, form: Form):
        self.curve, self.form = curve, form
        root = np.linalg.cholesky(curve.covariance)
        self.whitening = solve_triangular(root, np.eye(len(root)), lower=True)
        """[K, K] inverse of the covariance's Cholesky root."""
        self.observed = self._whiten(curve.scores[None])[0]
        corners = form.vertices(curve.chance)
        ends = list(pairwise(corners)) + ([(corners[-1], corners[0])] if len(corners) > 2 else [])
        self.corners, self.edges = corners, ends
        limits = [shape.limits(curve.volumes, curve.sizes) for shape in form.shapes]
        self.limits = np.log(np.array(limits, float).reshape(-1, 2))
        """[m, 2] logarithms of what is searched."""

    def _whiten(self, rows: np.ndarray) -> np.ndarray:
        return rows @ self.whitening.T

    def between(self, logs: np.ndarray, volumes=None, sizes=None) -> np.ndarray:
        """s [G, J] for the logarithms [G, m] of shape parameters, at the curve's own points where none are given."""
        curve = self.curve
        volumes, sizes = (curve.volumes, curve.sizes) if volumes is None else (volumes, sizes)
        return self.form.between(volumes, sizes, np.exp(logs), curve.volumes, curve.sizes)

    def _quadratic(self, logs: np.ndarray) -> tuple[np.ndarray, ...]:
        """(N [G, 2, 2], b [G, 2], c): chi2 = c - 2 b'x + x'N x with x = (start, ceiling)."""
        share = self.between(logs)
        up = self._whiten(share)
        basis = np.stack([self._whiten(np.ones((1, share.shape[1]))) - up, up], axis=1)
        normal = basis @ basis.transpose(0, 2, 1)
        ridge = 1e-12 * (normal[:, 0, 0] + normal[:, 1, 1])  # keeps shapes without any curve in the grid harmless
        normal[:, 0, 0] += ridge
        normal[:, 1, 1] += ridge
        return normal, basis @ self.observed, float(self.observed @ self.observed)

    @staticmethod
    def _value(quadratic, point: np.ndarray) -> np.ndarray:
        normal, linear, constant = quadratic
        start, ceiling = point[..., 0], point[..., 1]
        square = start**2 * normal[:, 0, 0] + 2 * start * ceiling * normal[:, 0, 1] + ceiling**2 * normal[:, 1, 1]
        return constant + square - 2 * (start * linear[:, 0] + ceiling * linear[:, 1])

    def _along(self, quadratic, edge) -> tuple[np.ndarray, ...]:
        """chi2 on an edge as (constant, slope, curvature) of u in [0, 1]."""
        normal, linear, _ = quadratic
        step = edge[1] - edge[0]
        turned = normal @ step
        return self._value(quadratic, edge[0]), 2 * (turned @ edge[0] - linear @ step), turned @ step

    def _inside(self, points: np.ndarray) -> np.ndarray:
        """Which of `points` [..., 2] lie in the allowed region."""
        sides = []
        for begin, end in self.edges:
            step = end - begin
            sides.append(step[0] * (points[..., 1] - begin[1]) - step[1] * (points[..., 0] - begin[0]))
        sides = np.array(sides)
        return (sides >= 0).all(axis=0) | (sides <= 0).all(axis=0)

    def solve(self, logs: np.ndarray) -> Solved:
        """The exact part for the logarithms [G, m] of G shapes."""
        quadratic = self._quadratic(logs)
        found, places = [], []
        for edge in self.edges:
            constant, slope, curvature = self._along(quadratic, edge)
            u = np.clip(-slope / (2 * curvature), 0, 1)
            found.append(constant + u * (slope + u * curvature))
            places.append(edge[0] + u[:, None] * (edge[1] - edge[0]))
        if len(self.corners) > 2:
            free = _two_by_two(*quadratic[:2])
            found.append(np.where(self._inside(free), self._value(quadratic, free), np.inf))
            places.append(free)
        found, places = np.array(found), np.array(places)
        least, every = found.argmin(axis=0), np.arange(len(logs))
        return Solved(np.maximum(found[least, every], 0), places[least, every])

    def region(self, logs: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
        """Where chi2 equals `level`, or the allowed region ends below it: ([M, 2] (start, ceiling), [M] row of `logs`).

        For each shape: points on the ellipse that are allowed, and where it cuts the region's edges (or a corner that
        lies in the ellipse). What is linear in (start, ceiling) has its extremes among them.
        """
        quadratic = self._quadratic(logs)
        points, rows = [], []
        every = np.arange(len(logs))
        for edge in self.edges:
            constant, slope, curvature = self._along(quadratic, edge)
            square = slope**2 - 4 * curvature * (constant - level)
            reach = np.sqrt(np.maximum(square, 0))
            ends = [(-slope - reach) / (2 * curvature), (-slope + reach) / (2 * curvature)]
            cut = (square >= 0) & (ends[0] <= 1) & (ends[1] >= 0)
            for u in ends:
                points.append((edge[0] + np.clip(u, 0, 1)[:, None] * (edge[1] - edge[0]))[cut])
                rows.append(every[cut])
        if len(self.corners) > 2:
            normal = quadratic[0]
            free = _two_by_two(*quadratic[:2])
            left = level - self._value(quadratic, free)
            own = np.flatnonzero(left >= 0)
            angles = 2 * np.pi * np.arange(ANGLES) / ANGLES
            first = np.sqrt(normal[own, 0, 0])
            lower = normal[own, 0, 1] / first
            second = np.sqrt(np.maximum(normal[own, 1, 1] - lower**2, 1e-300))
            radius = np.sqrt(left[own])[:, None]
            up = radius * np.sin(angles) / second[:, None]
            start = (radius * np.cos(angles) - lower[:, None] * up) / first[:, None]
            ring = free[own, None] + np.stack([start, up], axis=2)
            kept = self._inside(ring)
            points.append(ring[kept])
            rows.append(np.broadcast_to(own[:, None], kept.shape)[kept])
        return np.concatenate(points), np.concatenate(rows)

    def grid(self, box: np.ndarray) -> np.ndarray:
        """[G, m] an even grid over a box [m, 2] of logarithms."""
        steps = STEPS[len(box)]
        axes = [np.linspace(low, high, steps) for low, high in box]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(box)) if axes else np.zeros((1, 0))

    def around(self, box: np.ndarray, logs: np.ndarray) -> np.ndarray:
        """The box of `logs` [M, m] and one step of `box`'s grid on every side, within what is searched."""
        step = (box[:, 1] - box[:, 0]) / (STEPS[len(box)] - 1) if len(box) else np.zeros(0)
        inner = np.stack([logs.min(axis=0) - step, logs.max(axis=0) + step], axis=1)
        return np.clip(inner, self.limits[:, :1], self.limits[:, 1:])

    def quick(self) -> tuple[np.ndarray, np.ndarray, float]:
        """(start and ceiling [2], logarithms of the shape [m], chi2) of the best fit, to the grid's step after a zoom;
        enough for predictions."""
        box = self.limits
        for _ in range(2 if len(box) else 1):
            logs = self.grid(box)
            solved = self.solve(logs)
            least = int(solved.chi2.argmin())
            box = self.around(box, logs[least : least + 1])
        return solved.best[least], logs[least], float(solved.chi2[least])

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
