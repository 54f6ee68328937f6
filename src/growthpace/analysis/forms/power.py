"""Saturating power law above chance: score(v) = ceiling - (ceiling - first) * (v / v_1)^-exponent.

Three parameters: the score at the smallest volume v_1, the ceiling (chance <= first <= ceiling <= 1) and the exponent,
searched from 0.02 to 4. The error below the ceiling falls as a power of the volume.

Source: the power law with an offset of Hestness et al. 2017 (arXiv 1712.00409), written for a score instead of a loss.
"""

import numpy as np

from growthpace.analysis.forms.base import Form, Shape, exponent


def _level(volumes, shape, of_volumes, _):
    return 1 - (volumes / of_volumes.min()) ** -shape[:, :1]


def _solve(level, shape, of_volumes):
    return of_volumes.min() * np.maximum(1 - level, 0) ** (-1 / shape[:, 0])


FORM = Form(
    "power", "ceiling - (ceiling - first) (v/v_1)^-exponent", "saturating", _level,
    (Shape("exponent", exponent),), start="first", solve=_solve,
)  # fmt: skip
