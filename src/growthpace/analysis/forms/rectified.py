"""Rectified power law: score(v) = ceiling - (ceiling - untuned) * h^exponent / (h^exponent + v^exponent).

Four parameters: the score without tuning (v = 0), the ceiling (chance <= untuned <= ceiling <= 1), the pre-learned size
h in training items, searched three fourfold steps beyond the curve's volumes on either side, and the exponent, 0.02 to
4. Below h the curve is flat (what was learned before tuning outweighs the data), above it is a power law.

Source: Lin et al. 2024 (arXiv 2402.02314), L(D) = B / (D_l + D^beta) + E, written for a score: E is 1 - ceiling,
B / D_l is ceiling - untuned, and h = D_l^(1 / beta) has the pre-learned size in items. As a function of log volume this
is a logistic curve; the form `logistic` is the case where the untuned score is chance.
"""

import numpy as np
from scipy.special import expit, logit

from growthpace.analysis.forms.base import Form, Shape, exponent, far


def level(volumes, shape, _, __):
    """1 / (1 + (h / v)^exponent) for shape [G, 2]: h, exponent."""
    return expit(shape[:, 1:] * (np.log(volumes) - np.log(shape[:, :1])))


def solve(level, shape, _):
    """The volume at which `level` is reached; 0 for a level of 0 or less."""
    return shape[:, 0] * np.exp(logit(np.clip(level, 0, 1)) / shape[:, 1])


FORM = Form(
    "rectified", "ceiling - (ceiling - untuned) h^exponent / (h^exponent + v^exponent)", "saturating", level,
    (Shape("prelearned", far), Shape("exponent", exponent)), start="untuned", start_beyond=True, solve=solve,
)  # fmt: skip
