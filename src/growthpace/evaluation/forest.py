"""Scoring for models with plain attention: one row without padding, in which nothing that is shared is computed twice.

A row holds trees of segments: a beginning that several prompts share, after it the rest of each prompt, after that each
candidate. A segment attends to those it grows from and, causally, to itself; its positions go on where they end. So a
prompt is computed once for all its candidates, a beginning once for all its prompts, and what stands beside a question
in its row cannot reach it.

In half precision on a GPU, one kernel attends all segments of a row, each to its own copy of what it grows from; else
they are attended one after the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from growthpace.evaluation.questions import Question

IN_FOREST = "growthpace_in_forest"
"""The name under which transformers knows `attend_in_forest`."""
Span = tuple[int, int]
COPIED = 2**16
"""Tokens whose keys and values are copied for one call of the kernel; in a model of 7b a gigabyte."""
WIDEST, OLDEST = 256, (8, 0)
"""Width of a head up to which the kernel goes, and the compute capability from which on GPUs have it (Ampere)."""


@dataclass(frozen=True)
class Pack:
    """Segments that one call of the kernel attends: which of the row's tokens ask, and which are seen."""

    asking: slice
    seen: torch.Tensor
    """The row's places that the segments see, segment by segment."""
    cuts: torch.Tensor
    """[segments + 1] where each one's tokens begin among those that ask."""
    seen_cuts: torch.Tensor
    longest: int
    longest_seen: int


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
    packs: list[Pack] = field(default_factory=list)
    """Made by the first layer for all."""

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

    def packed(self, device: torch.device) -> list[Pack]:
        """The row's segments, in its order, for calls that copy COPIED tokens at most (or a single segment's)."""
        if not self.packs:
            part: list[tuple[Span, list[int]]] = []
            copied = 0
            for own, before in self.segments:
                seen = [place for span in (*before, own) for place in range(*span)]
                if part and copied + len(seen) > COPIED:
                    self.packs.append(_pack(part, device))
                    part, copied = [], 0
                part.append((own, seen))
                copied += len(seen)
            self.packs.append(_pack(part, device))
        return self.packs


def _pack(part: list[tuple[Span, list[int]]], device: torch.device) -> Pack:
    lengths, seen_lengths = [stop - start for (start, stop), _ in part], [len(seen) for _, seen in part]

    def cuts(sizes: list[int]) -> torch.Tensor:
        return torch.tensor([0, *itertools.accumulate(sizes)], dtype=torch.int32, device=device)

    seen = torch.tensor([place for _, places in part for place in places], device=device)
    asking = slice(part[0][0][0], part[-1][0][1])
    return Pack(asking, seen, cuts(lengths), cuts(seen_lengths), max(lengths), max(seen_lengths))


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
    if in_one_kernel(query):
        return _attend_packs(query, key, value, scaling, forest), None
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


def in_one_kernel(query: torch.Tensor) -> bool:
    """Whether torch's flash attention takes such queries: half precision, on a GPU that has it, heads of a width it
    knows."""
    if not query.is_cuda or query.dtype not in (torch.bfloat16, torch.float16):
        return False
    known = torch.backends.cuda.is_flash_attention_available()
    known = known and torch.cuda.get_device_capability(query.device) >= OLDEST
    return known and query.shape[3] % 8 == 0 and query.shape[3] <= WIDEST


def _attend_packs(query, key, value, scaling, forest: Forest) -> torch.Tensor:
    query, key, value = (x[0].transpose(0, 1) for x in (query, key, value))  # (tokens, heads, width)
    parts = [
        flash(query[pack.asking], key[pack.seen], value[pack.seen], pack, scaling)
        for pack in forest.packed(query.device)
    ]
    return torch.cat(parts)[None]


def flash(query, key, value, pack: Pack, scaling: float | None) -> torch.Tensor:
    """Each segment's queries see, causally, the keys of the same segment, of which they are the last.

    Shapes (tokens, heads, width); gives that of `query`. torch's public `varlen_attn` names its arguments otherwise in
    every version; the operator under it does not.
    """
    return torch.ops.aten._flash_attention_forward(
        query, key, value, pack.cuts, pack.seen_cuts, pack.longest, pack.longest_seen, 0.0, True, False, scale=scaling
    )[0]


AttentionInterface.register(IN_FOREST, attend_in_forest)
