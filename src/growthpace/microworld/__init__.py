"""The embedded default: a small generated world that a laptop can study.

From a study's `microworld` settings it makes a corpus for base models to read (`corpus`), the words of both (`words`)
and items that ask about the world (`items`). Deterministic: equal settings give equal bytes, on any machine.
"""

from growthpace.microworld.item_sets import ABILITIES, OUT_OF_DOMAIN, items, synthetic_mistakes, words
from growthpace.microworld.statements import corpus

__all__ = ["ABILITIES", "OUT_OF_DOMAIN", "corpus", "items", "synthetic_mistakes", "words"]
