"""The registry of scorers: one short module each, named as an item's `scorer` names it.

Adding a scorer is one module with NAME, VERSION, NEEDS, END_OF_TURN and `grade` (see `base.Scorer`) and its name in
the tuple below. Importing this package is light (no pyarrow, no sympy): it happens when a Snakefile is parsed.
"""

from growthpace.evaluation.scorers import (
    cloze,
    code,
    exact_match,
    judge,
    letter,
    letters,
    math,
    perplexity,
    token_f1,
    true_false,
)
from growthpace.evaluation.scorers.base import Grade, Scorer

SCORERS: dict[str, Scorer] = {
    scorer.NAME: scorer
    for scorer in (letter, true_false, letters, cloze, math, perplexity, exact_match, token_f1, code, judge)
}
"""Scorers by name. The `none` of items that only train is no scorer."""

VERSIONS: dict[str, int] = {name: scorer.VERSION for name, scorer in SCORERS.items()}
"""What makes a suite's grades out of date."""

__all__ = ["SCORERS", "VERSIONS", "Grade", "Scorer"]
