"""Logistic in log volume, from chance: score(v) = chance + (ceiling - chance) / (1 + (midpoint / v)^steepness).

Three parameters: the ceiling in [chance, 1], the volume at which half of it is reached (three fourfold steps beyond the
curve's volumes on either side) and the steepness, the slope of the log odds over log volume, 0.02 to 4.

Source: the sigmoid of benchmark accuracy against log scale, from chance to a ceiling, as in Ruan et al. 2024
(arXiv 2405.10938). It is `rectified` with an untuned score of chance, one parameter less.
"""

from growthpace.analysis.forms.base import Form, Shape, exponent, far
from growthpace.analysis.forms.rectified import level, solve

FORM = Form(
    "logistic", "chance + (ceiling - chance) / (1 + (midpoint/v)^steepness)", "saturating", level,
    (Shape("midpoint", far), Shape("steepness", exponent)), start="", solve=solve,
)  # fmt: skip
