"""No growth: score(v) = score. One parameter, the score, in [chance, 1]; its own ceiling.

Source: the null that every other form has to beat.
"""

import numpy as np

from growthpace.analysis.forms.base import Form


def _level(volumes, shape, _, __):
    return np.ones((len(shape), len(volumes)))


FORM = Form("constant", "score", "flat", _level, start="", ceiling="score", has_ceiling=False)
