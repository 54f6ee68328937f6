"""Joint in size and volume: score(n, v) = ceiling - (ceiling - first) * (n / n_1)^-size_exponent * (v / v_1)^-exponent.

Four parameters: the score of the smallest model n_1 at the smallest volume v_1, the ceiling
(chance <= first <= ceiling <= 1), and two exponents, each 0.02 to 4. Needs two sizes or more.

Source: the multiplicative law of Zhang et al. 2024 (arXiv 2402.17193), L = A n^-alpha v^-beta + E, written for a score:
E is 1 - ceiling, A n_1^-alpha v_1^-beta is ceiling - first.
"""

from growthpace.analysis.forms.base import Form, Shape, exponent


def _level(volumes, shape, of_volumes, sizes):
    return 1 - sizes ** -shape[:, :1] * (volumes / of_volumes.min()) ** -shape[:, 1:]


FORM = Form(
    "joint", "ceiling - (ceiling - first) (n/n_1)^-size_exponent (v/v_1)^-exponent", "saturating", _level,
    (Shape("size_exponent", exponent), Shape("exponent", exponent)), start="first", joint=True,
)  # fmt: skip
