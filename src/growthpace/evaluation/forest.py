"""Scoring for models with plain attention: one row without padding, in which nothing that is shared is computed twice.

A row holds trees of segments: a beginning that several prompts share, after it the rest of each prompt, after that each
candidate. A segment attends to those it grows from and, causally, to itself; its positions go on where they end. So a
prompt is computed once for all its candidates, a beginning once for all its prompts, and what stands beside a question
in its row cannot reach it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from growthpace.evaluation.questions import Question

IN_FOREST = "growthpace_in_forest"
"""The name under which transformers knows `attend_in_forest`."""
Span = tuple[int, int]


@dataclass
class Forest:
    """A row of tokens, how they grow from each other, and what is asked of it."""

    ids: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    segments: list[tuple[Span, tuple[Span, ...]]] = field(default_factory=list)
    """(Where a segment stands in the row, where those stand that it grows from, from the root on)."""
    asked: list[list[list[tuple[int, int]]]] = field(default_factory=list)
    """By question, by candidate, by token: (place in the row that predicts it, the token)."""
    masks: dict[tuple[int, int], torch.Tensor] = field(default_factory=dict)
    """Masks by shape: those of one layer are those of all."""

    def grow(self, tokens: Sequence[int], before: tuple[Span, ...]) -> tuple[Span, ...]:
        """Adds a segment after others; gives itself and what it grows from."""
        if not tokens:
            return before
        start, depth = len(self.ids), sum(stop - begin for begin, stop in before)
        span = (start, start + len(tokens))
        self.ids += tokens
        self.positions += range(depth, depth + len(tokens))
        self.segments.append((span, before))
        return (*before, span)

    def mask(self, rows: int, columns: int, device: torch.device) -> torch.Tensor:
        """What the last `rows` of so many tokens see: all before them, and causally themselves."""
        if (rows, columns) not in self.masks:
            everything = torch.ones(rows, columns, dtype=torch.bool, device=device)
            self.masks[rows, columns] = everything.tril_(columns - rows)
        return self.masks[rows, columns]


def plant(questions: Sequence[Question], shared: Sequence[int]) -> Forest:
    """The row of some questions, the first `shared` tokens of whose prompts may be the same."""
    forest, roots = Forest(), {}
    for question, length in zip(questions, shared, strict=True):
        beginning = tuple(question.prompt[:length])
        if beginning not in roots:
            roots[beginning] = forest.grow(beginning, ())
        prompt = forest.grow(question.prompt[length:], roots[beginning])
        last = prompt[-1][1] - 1
        candidates = []
        for candidate in question.candidates:
            start = len(forest.ids)
            forest.grow(candidate[:-1], prompt)  # its last token predicts nothing that is asked
            candidates.append(list(zip([last, *range(start, len(forest.ids))], candidate, strict=True)))
        forest.asked.append(candidates)
    return forest


def attend_in_forest(module, query, key, value, attention_mask, dropout=0.0, scaling=None, forest=None, **_):
    """Attention of each segment to those it grows from and, causally, to itself.

    query: shape (1, heads, tokens, width of a head); key and value may have fewer heads. Returns shape (1, tokens,
    heads, width) and no weights, as transformers expects it.
    """
    grouped = query.shape[1] != key.shape[1]
    parts = []
    for (start, stop), before in forest.segments:
        seen = [*before, (start, stop)]
        k, v = (torch.cat([x[:, :, a:b] for a, b in seen], 2) if before else x[:, :, start:stop] for x in (key, value))
        mask = forest.mask(stop - start, k.shape[2], query.device) if before and stop - start > 1 else None
        parts.append(
            scaled_dot_product_attention(
                query[:, :, start:stop], k, v, attn_mask=mask, is_causal=not before, scale=scaling, enable_gqa=grouped
            )
        )
    return torch.cat(parts, dim=2).transpose(1, 2), None


AttentionInterface.register(IN_FOREST, attend_in_forest)
