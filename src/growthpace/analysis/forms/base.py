"""What a form of growth curve is.

Every form is a start and a ceiling with a shape between them:

    score(v) = start * (1 - s(v)) + ceiling * s(v)        s(v) in [0, 1], given by zero to two shape parameters

so that for given shape parameters start and ceiling are a linear problem with an exact solution inside their bounds
(separable least squares: Golub and Pereyra 1973, SIAM Journal on Numerical Analysis 10), and only the shape has to be
searched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Shape:
    """One shape parameter, searched on its logarithm."""

    name: str
    limits: Callable[[np.ndarray, np.ndarray], tuple[float, float]]
    """(volumes [K], sizes [K]) -> (lowest, highest) value that is searched, both > 0. An interval that reaches either
    is unbounded: the data do not tell this parameter."""


@dataclass(frozen=True)
class Form:
    """A form; its module's docstring has the formula and its source."""

    name: str
    formula: str
    growth: str
    """The class of its growth: `flat`, `growing` (without an end) or `saturating`."""
    level: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    """s: (volumes [J], shape parameters [G, m], volumes of the curve [K], sizes [J] in units of the curve's least)
    -> [G, J]. Values outside of [0, 1] occur only outside of the curve's volumes."""
    shapes: tuple[Shape, ...] = ()
    start: str = "start"
    """Name of the start: a parameter in [chance, 1]; '' where the start is chance itself or there is none."""
    start_beyond: bool = False
    """True where the start lies beyond the curve's volumes, so that the data may not tell it."""
    ceiling: str = "ceiling"
    """Name of the other end, in [chance, 1]."""
    rises: bool = True
    """True where start <= ceiling is demanded."""
    has_ceiling: bool = True
    """True where the ceiling is what the curve tends to."""
    joint: bool = False
    """True for a form in size and volume, which needs two sizes or more."""
    solve: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray] | None = None
    """The inverse of s: (s [M], shape parameters [M, m], volumes of the curve [K]) -> volumes [M]; None without a
    ceiling or where it depends on the size."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of its parameters: start and ceiling where it has them, then the shape."""
        return (*([self.start] if self.start else []), self.ceiling, *(shape.name for shape in self.shapes))

    def vertices(self, chance: float) -> np.ndarray:
        """[V, 2] corners, in order, of the convex region of (start, ceiling), both in [chance, 1].

        Two corners where the start is not free.
        """
        if not self.start:
            return np.array([[chance, chance], [chance, 1.0]])
        corners = [[chance, chance], [1.0, 1.0], [chance, 1.0]]
        return np.array(corners if self.rises else [corners[0], [1.0, chance], *corners[1:]])

    def between(self, volumes, sizes, shape: np.ndarray, of_volumes: np.ndarray, of_sizes: np.ndarray) -> np.ndarray:
        """s [G, J] at `volumes` and `sizes` [J] for the shape parameters [G, m] of a curve's volumes and sizes [K]."""
        relative = np.broadcast_to(np.asarray(sizes, float), np.shape(volumes)) / of_sizes.min()
        return self.level(np.asarray(volumes, float), np.atleast_2d(shape), of_volumes, relative)


def far(volumes: np.ndarray, _: np.ndarray) -> tuple[float, float]:
    """Volumes from 1/64 of the smallest to 64 times the largest (three fourfold steps beyond either end)."""
    return float(volumes.min() / 64), float(volumes.max() * 64)


def exponent(*_: np.ndarray) -> tuple[float, float]:
    """Exponents from 0.02, which a straight line in log volume cannot be told from, to 4: a single fourfold step then
    covers 99.6 % of the way. Published ones lie between 0.03 and 1 (2402.17193, 2402.02314)."""
    return 0.02, 4.0
