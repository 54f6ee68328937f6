"""Curves with a known law: exact ones with a given covariance, and ones from simulated item grades."""

from __future__ import annotations

import numpy as np
from made_up import grades_of

from growthpace.analysis.forms import FORMS
from growthpace.analysis.observed import Curve, curve_from_arrays
from growthpace.analysis.uncertainty import Noise, make_sample, seed_noise

VOLUMES = 10 * 4.0 ** np.arange(8)
SIZES = np.array([1e9, 4e9, 16e9])
CHANCE = 0.25
LAWS = {
    "constant": (0.25, 0.45, ()),
    "linear": (0.30, 0.70, ()),
    "power": (0.30, 0.75, (0.4,)),
    "logistic": (0.25, 0.75, (640.0, 0.7)),
    "rectified": (0.40, 0.80, (640.0, 0.8)),
    "joint": (0.30, 0.85, (0.15, 0.25)),
}


def score(name: str, volumes, sizes, of_volumes=VOLUMES) -> np.ndarray:
    start, ceiling, shape = LAWS[name]
    own = SIZES if name == "joint" else SIZES[:1]
    share = FORMS[name].between(volumes, sizes, np.array([shape]), of_volumes, own)[0]
    return start * (1 - share) + ceiling * share


def exact(name: str, error: float = 0.005, shared: float = 0.02, volumes=VOLUMES, noise=None) -> Curve:
    """A curve that lies on its law; each point has a standard error of its own and one that all share."""
    sizes = SIZES if name == "joint" else SIZES[:1]
    every, by_size = np.tile(volumes, len(sizes)), np.repeat(sizes, len(volumes))
    scores = score(name, every, by_size, volumes)
    items = error**2 * np.eye(len(every)) + shared**2
    return Curve(every, by_size, scores, items, scores * (1 - scores), CHANCE, 5000, noise or Noise(1e-9, 0.0, 500))


def simulated(name: str, seed: int, items: int = 300, seeds: int = 3, volumes=VOLUMES, chance=CHANCE, shared=0.005):
    """(curve, sample, values, columns) of simulated item grades."""
    rng = np.random.default_rng(seed)
    difficulty = rng.normal(size=items)
    scores = score(name, volumes, SIZES[0], volumes)
    values = np.stack([grades_of(rng, own, difficulty, shared) for own in np.repeat(scores, seeds)], axis=1)
    columns = list(np.arange(len(volumes) * seeds).reshape(-1, seeds))
    sample = make_sample(np.zeros(items), np.full(items, "", dtype=object))
    return arrays_to_curve(sample, values, columns, volumes, chance), sample, values, columns


def arrays_to_curve(sample, values, columns, volumes, chance=CHANCE) -> Curve:
    noise = seed_noise(sample, values, columns)
    chances = np.full(len(values), chance)
    return curve_from_arrays(sample, values, columns, volumes, np.full(len(volumes), SIZES[0]), chances, noise)
