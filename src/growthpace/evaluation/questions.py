"""What the engine is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Ids = Sequence[int]


@dataclass(frozen=True)
class Question:
    """A prompt with the candidates to score after it; no candidates means that an answer is generated."""

    prompt: Ids
    candidates: tuple[Ids, ...] = ()

    @property
    def length(self) -> int:
        """Tokens that scoring it computes: a candidate's last token predicts nothing and is left out."""
        return len(self.prompt) + sum(len(candidate) - 1 for candidate in self.candidates)


class NotFiniteError(FloatingPointError):
    """A model's logits for a prompt are NaN; the greedy choice among them would look like an answer."""

    def __init__(self, index: int):
        super().__init__(f"the logits of prompt {index} are NaN")
        self.index = index
