"""Greedy answers of several prompts in one batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import DynamicCache, LogitsProcessor

from growthpace.evaluation.prefixes import LEAST, common
from growthpace.evaluation.questions import Ids, NotFiniteError

Answer = tuple[list[int], bool]
"""Token ids without the end-of-turn token, and whether the answer ended by itself."""


def generate_with_cache(model, prompts: Sequence[Ids], max_new_tokens: int, end: int) -> list[Answer]:
    """For models whose keys and values are kept in a `DynamicCache`: what all prompts begin with is computed once, and
    an answer that has ended leaves the batch.

    Raises `NotFiniteError` with the index of the first prompt for which the model's logits are NaN.
    """
    device = next(model.parameters()).device
    shared = _shared(prompts)
    cache = DynamicCache(config=model.config.get_text_config())
    if shared:
        beginning = torch.tensor([list(prompts[0][:shared])], device=device)
        model(input_ids=beginning, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache.batch_repeat_interleave(len(prompts))
    ids, mask = _left_padded([prompt[shared:] for prompt in prompts], end)
    mask = torch.cat([torch.ones(len(prompts), shared, dtype=torch.long), mask], 1).to(device)
    positions = (mask.cumsum(1) - 1).clamp(min=0)[:, shared:]
    ids = ids.to(device)
    answers: list[list[int]] = [[] for _ in prompts]
    ended = [False] * len(prompts)
    live = list(range(len(prompts)))
    for step in range(max_new_tokens):
        logits = model(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]  # fmt: skip
        if (nan := logits.isnan().any(-1)).any():
            raise NotFiniteError(min(index for index, bad in zip(live, nan.tolist(), strict=True) if bad))
        tokens = logits.argmax(-1)
        going = []
        for row, (index, token) in enumerate(zip(live, tokens.tolist(), strict=True)):
            if token == end:
                ended[index] = True
            else:
                answers[index].append(token)
                going.append(row)
        if not going or step == max_new_tokens - 1:
            break
        positions = positions[:, -1:] + 1
        if len(going) < len(live):
            kept = torch.tensor(going, device=device)
            cache.batch_select_indices(kept)
            tokens, mask, positions = tokens[kept], mask[kept], positions[kept]
            live = [live[row] for row in going]
        ids = tokens[:, None]
        mask = torch.cat([mask, mask.new_ones(len(live), 1)], 1)
    return list(zip(answers, ended, strict=True))


def generate_with_transformers(model, prompts: Sequence[Ids], max_new_tokens: int, end: int) -> list[Answer]:
    """For any model, by transformers' own loop. Raises as `generate_with_cache`."""
    device = next(model.parameters()).device
    ids, mask = _left_padded(prompts, end)
    broken = _FindNan(len(prompts), device)
    answered = model.generate(
        input_ids=ids.to(device),
        attention_mask=mask.to(device),
        max_new_tokens=max_new_tokens,
        do_sample=False,
        num_beams=1,
        eos_token_id=end,
        pad_token_id=end,
        use_cache=True,
        logits_processor=[broken],
    )[:, ids.shape[1] :].tolist()
    if broken.found.any():
        raise NotFiniteError(broken.found.tolist().index(True))
    return [(tokens[: tokens.index(end)], True) if end in tokens else (tokens, False) for tokens in answered]


def _shared(prompts: Sequence[Ids]) -> int:
    """Tokens that all of several prompts begin with, but for the last of each; 0 where it is not worth it."""
    if len(prompts) < 2:
        return 0
    least = min(min(common(prompts[0], prompt), len(prompt) - 1) for prompt in prompts)
    return least if least >= LEAST else 0


def _left_padded(prompts: Sequence[Ids], padding: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask, shape (prompts, longest)."""
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), padding)
    mask = torch.zeros(len(prompts), width, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    return ids, mask


class _FindNan(LogitsProcessor):
    """Changes nothing, and remembers the rows whose logits were NaN at any step."""

    def __init__(self, rows: int, device: torch.device):
        self.found = torch.zeros(rows, dtype=torch.bool, device=device)

    def __call__(self, input_ids, scores):
        self.found |= scores.isnan().any(dim=-1)
        return scores
