"""Linear in log volume: score(v) = first + (last - first) * log(v / v_1) / log(v_K / v_1).

Two parameters, the scores at the smallest volume v_1 and at the largest v_K, both in [chance, 1]; it may fall. It has
no ceiling, and no claim beyond its volumes: there it leaves [0, 1] sooner or later.

Source: the straight lines over log volume of Dong et al. 2023 (arXiv 2310.05492) and of this package's `pace`.
"""

import numpy as np

from growthpace.analysis.forms.base import Form


def _level(volumes, shape, of_volumes, _):
    low, high = np.log(of_volumes.min()), np.log(of_volumes.max())
    along = (np.log(volumes) - low) / (high - low)
    return np.broadcast_to(along, (len(shape), len(volumes)))


FORM = Form(
    "linear", "first + (last - first) log(v/v_1) / log(v_K/v_1)", "growing", _level,
    start="first", ceiling="last", rises=False, has_ceiling=False,
)  # fmt: skip
