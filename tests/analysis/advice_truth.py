"""Growth curves whose truth is known, and advice on what noise makes of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from growthpace.analysis.allocation import Allocation, allocate
from growthpace.analysis.observed import Curve
from growthpace.analysis.responses import Response
from growthpace.analysis.uncertainty import Noise

OWN = np.array([1.0, 4.0, 16.0, 64.0])
SHARED = 0.02
"""Standard error that all points of a curve share."""
KINDS = ("flat", "straight", "ending", "late")


def response(ability, observed, error=0.004, source="curated", own=OWN, df=200, chance=0.25):
    """A curve whose points have a standard error of their own and one that all share."""
    observed = np.asarray(observed, float)
    items = error**2 * np.eye(len(own)) + 0.02**2
    curve = Curve(own, np.ones(len(own)), observed, items, np.full(len(own), 1e-12), chance, df, Noise(0.0, 0.0, 50))
    return Response(ability, source, curve, ("m",), True)


def truths(kind: str, abilities: int, rng: np.random.Generator) -> list[Callable[[np.ndarray], np.ndarray]]:
    """True curves: `flat`, `straight` lines in log volume of 0 to 7 points per fourfold data, `ending` (saturating
    power laws) or `late` (logistic in log volume, from chance)."""
    if kind == "flat":
        return [lambda n, level=level: level + 0 * n for level in np.linspace(0.3, 0.7, abilities)]
    if kind == "straight":
        return [lambda n, s=s: 0.3 + s * np.log(n) / np.log(4) for s in rng.uniform(0, 0.07, abilities)]
    ends = rng.uniform(0.35, 0.9, abilities)
    if kind == "ending":
        speeds = rng.uniform(0.1, 1.5, abilities)
        return [lambda n, c=c, e=e: c - (c - 0.3) * n**-e for c, e in zip(ends, speeds, strict=True)]
    middles = np.exp(rng.uniform(0, np.log(200), abilities))
    return [lambda n, c=c, m=m: 0.25 + (c - 0.25) / (1 + (m / n) ** 1.5) for c, m in zip(ends, middles, strict=True)]


def simulate(
    kind: str, abilities: int, own: np.ndarray, error: float, seed: int, draws: int
) -> tuple[Allocation, float]:
    """(advice on scores with noise, its true gain in points): a budget of a quarter of the largest swept volume, pools
    of that volume's size. `error`: of each point, besides what all points share."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    true = truths(kind, abilities, rng)
    root = np.linalg.cholesky(error**2 * np.eye(len(own)) + SHARED**2)
    responses = {}
    for n, truth in enumerate(true):
        seen = np.clip(truth(own) + root @ rng.standard_normal(len(own)), 0, 1)
        responses[f"a{n}"] = [response(f"a{n}", seen, error, own=own)]
    pools = {("curated", name): int(own.max()) for name in responses}
    found = allocate(responses, pools, abilities * int(own.max()) // 4, {}, 0.95, draws=draws)
    numbers = zip(true, found.counts.values(), found.equal.values(), strict=True)
    return found, 100 * float(np.mean([truth(float(n)) - truth(float(m)) for truth, n, m in numbers]))
