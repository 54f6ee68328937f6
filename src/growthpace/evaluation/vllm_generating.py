"""Greedy answers by vLLM, where a suite says `generation: vllm`.

vLLM wants another torch and transformers than growthpace's own, so it lives in an environment of its own
(docs/evaluation.md). It is asked by token ids, made by the one encoder, and keeps beginnings that prompts share itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import torch

from growthpace.errors import InputError
from growthpace.evaluation.generating import Answer
from growthpace.evaluation.questions import Ids
from growthpace.models.checkpoints import ADAPTER
from growthpace.models.export import MERGED


class Vllm:
    """A checkpoint in vLLM, on all GPUs that this job has."""

    def __init__(self, folder: Path):
        """folder: a Hugging Face folder; of adapters, one with the whole model in `merged/`.

        Raises `InputError` without vLLM, and for adapters that were not merged.
        """
        if find_spec("vllm") is None:
            raise InputError(
                "generation: vllm needs vLLM, in an environment of its own (docs/evaluation.md); allowed without it: "
                "generation: transformers"
            )
        if (folder / ADAPTER).exists():
            folder = folder / MERGED
            if not folder.is_dir():
                raise InputError(
                    f"generation: vllm answers with whole models, and {folder} is not there; set lora.merged: true for "
                    "this model, or generation: transformers"
                )
        from vllm import LLM

        self._model = LLM(
            model=str(folder),
            skip_tokenizer_init=True,
            enable_prefix_caching=True,
            tensor_parallel_size=max(torch.cuda.device_count(), 1),
            seed=0,
        )

    def generate(self, prompts: Sequence[Ids], max_new_tokens: int, end: int) -> list[Answer]:
        """Greedy answers of prompts (token ids), which end with the token `end`."""
        from vllm import SamplingParams, TokensPrompt

        settings = SamplingParams(
            temperature=0.0,
            max_tokens=max_new_tokens,
            stop_token_ids=[end],
            ignore_eos=True,  # a base model's own end is no end of a turn
            detokenize=False,
        )
        asked = [TokensPrompt(prompt_token_ids=list(prompt)) for prompt in prompts]
        found = []
        for output in self._model.generate(asked, settings, use_tqdm=False):
            (said,) = output.outputs
            tokens = list(said.token_ids)
            found.append((tokens[: tokens.index(end)], True) if end in tokens else (tokens, False))
        return found
