"""The engine: log-probabilities of candidates and greedy answers, for many prompts at once.

    engine = Engine(folder, "paper", threads=2)
    engine.score([Question(prompt, candidates), ...])    # a tuple of log-probabilities for each
    engine.generate(prompts, max_new_tokens=64)          # (token ids, whether it ended by itself) for each

Prompts that begin alike are answered together, and what they share is computed once (`forest`, `generating`). How much
goes through the model at once is found from memory; where that was too much after all, half as much is tried. With
several GPUs there is a copy of the model on each, or one model divided over them where one is too small for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

import torch
from transformers import GenerationConfig

from growthpace.conversation import Encoder
from growthpace.errors import InputError
from growthpace.evaluation import memory
from growthpace.evaluation.forest import IN_FOREST
from growthpace.evaluation.generating import Answer, generate_with_cache, generate_with_transformers
from growthpace.evaluation.prefixes import shared_beginnings
from growthpace.evaluation.questions import Ids, NotFiniteError, Question
from growthpace.evaluation.scoring import Scores, score_in_forest, score_through_mask
from growthpace.models.base import quiet_libraries
from growthpace.models.checkpoints import load_checkpoint, weight_bytes
from growthpace.models.kernels import steady_kernels
from growthpace.models.plain import is_plain
from growthpace.models.tokenizer import load_tokenizer
from growthpace.study import Model

__all__ = ["Engine", "NotFiniteError", "Question"]

Found = TypeVar("Found")
FEW = 8
"""Fewer prompts that begin alike are generated with others: a small batch costs more than it saves."""
FITS = 1.3
"""A GPU with less than so many times a model's weights free does not hold it, with room to work in."""


class Engine:
    """A checkpoint ready to answer.

    folder: a Hugging Face folder with safetensors, or with the adapters of a checkpoint; form: the study's format;
    batch_tokens: most tokens of one forward pass, found from memory when None; base, settings, precision: for adapters,
    the folder of their base model, the study's settings of it and the precision of the training; devices: where copies
    of the model go, all GPUs or the CPU when None; generation: what generates answers, transformers or vllm.
    """

    def __init__(
        self,
        folder: Path,
        form: str,
        threads: int,
        batch_tokens: int | None = None,
        *,
        base: Path | None = None,
        settings: Model | None = None,
        precision: str = "fp32",
        devices: Sequence[str] | None = None,
        generation: str = "transformers",
    ):
        quiet_libraries()
        self.folder, self.generation, self._vllm = folder, generation, None
        settings = settings or Model(folder=folder)
        torch.set_num_threads(threads)
        steady_kernels()
        self.tokenizer = load_tokenizer(folder, settings.trust_remote_code)
        self.encoder = Encoder(self.tokenizer, form)
        devices = devices or [f"cuda:{number}" for number in range(torch.cuda.device_count())] or ["cpu"]
        places: list[Any] = list(map(torch.device, devices))
        weights = max(map(weight_bytes, (folder, base or folder)))
        if len(places) > 1 and places[0].type == "cuda" and memory.free_memory(places[0]) < FITS * weights:
            places = ["auto"]
        self.models = [self._load(place, folder, base or folder, settings, precision) for place in places]
        self.model = self.models[0]
        self._idle: SimpleQueue = SimpleQueue()
        for model in self.models:
            self._idle.put(model)
        self.plain = is_plain(self.model.config)
        self.context: int = getattr(self.model.config, "max_position_embeddings", None) or 2**31
        free = min(memory.free_memory(next(model.parameters()).device) for model in self.models)
        config, value_bytes = self.model.config, self.model.dtype.itemsize
        scored, cached = memory.score_bytes(config, value_bytes), memory.cache_bytes(config, value_bytes)
        self.score_tokens = batch_tokens or memory.tokens_within(free, scored, memory.MOST_SCORED)
        self.generate_tokens = batch_tokens or memory.tokens_within(free, scored + cached, memory.MOST_GENERATED)

    @staticmethod
    def _load(place, folder: Path, base: Path, settings: Model, precision: str):
        if place == "auto":
            model = load_checkpoint(folder, base, settings, precision, device_map="auto")
        else:
            model = load_checkpoint(folder, base, settings, precision)
            model = model if settings.method == "qlora" else model.to(place)
        # Greedy means greedy: a checkpoint's own settings (a repetition penalty, say) would change its answers.
        model.generation_config = GenerationConfig()
        return model.eval()

    # --- scoring ---

    def score(self, questions: Sequence[Question], report: Callable[[int], None] = lambda done: None) -> Scores:
        """Summed natural-log probability of each candidate of each question, as a list of tuples in their order.

        A prompt plus its longest candidate must fit the context (ValueError otherwise). Raises `InputError` for a
        model with sliding attention whose window is shorter than a question.
        """
        found: list[tuple[float, ...]] = [()] * len(questions)
        done = 0
        batches = self.scored_together(questions)
        for batch, scores in self.answered(batches, lambda batch: self.score_batch([questions[i] for i in batch])):
            for index, score in zip(batch, scores, strict=True):
                found[index] = score
            done += len(batch)
            report(done)
        return found

    def scored_together(self, questions: Sequence[Question]) -> list[list[int]]:
        """Indices of the questions in batches, those that begin alike beside each other, the longest of them first (so
        that memory runs out at once or never). A batch's tokens, what is shared counted once, are at most
        `score_tokens`; the questions of one batch alone make the same batch again."""
        if not self.plain:
            return self._padded_together([question.length for question in questions], self.score_tokens)
        batches: list[list[int]] = []
        tokens = self.score_tokens
        for shared, indices in shared_beginnings([question.prompt for question in questions]):
            new = True
            for index in sorted(indices, key=lambda index: (-questions[index].length, index)):
                own = questions[index].length - shared
                if not batches or tokens + own + shared * new > self.score_tokens:
                    batches.append([])
                    tokens, new = 0, True
                batches[-1].append(index)
                tokens += own + shared * new
                new = False
        return batches

    def score_batch(self, questions: Sequence[Question]) -> Scores:
        """The same as `score` for questions that fit one forward pass, or parts of it where memory ran out."""
        self._check(questions)
        return self._within_memory(questions, self._score, self.scored_together, "score_tokens")

    def _check(self, questions: Sequence[Question]) -> None:
        window = getattr(self.model.config, "sliding_window", None)
        for question in questions:
            # transformers takes our mask for every layer as it is
            if window is not None and not self.plain and question.length > window:
                raise InputError(
                    f"a question has {question.length} tokens with its candidates, but {type(self.model).__name__} "
                    f"attends to windows of {window}; growthpace cannot score that yet"
                )
            if not question.prompt:
                raise ValueError("an empty prompt predicts nothing")
            if not all(question.candidates):
                raise ValueError("an empty candidate has no log-probability")
            if len(question.prompt) + max(map(len, question.candidates)) - 1 > self.context:
                raise ValueError("a question is longer than the model's context")

    def _score(self, model, questions: Sequence[Question]) -> Scores:
        if not self.plain:
            return score_through_mask(model, questions)
        shared = [0] * len(questions)
        for length, indices in shared_beginnings([question.prompt for question in questions]):
            for index in indices:
                shared[index] = length
        _attend(model, IN_FOREST)
        return score_in_forest(model, questions, shared)

    # --- generation ---

    def generate(
        self, prompts: Sequence[Ids], max_new_tokens: int, report: Callable[[int], None] = lambda done: None
    ) -> list[Answer]:
        """Greedy answers: a list of (token ids without the end-of-turn token, whether it ended by itself).

        Raises `NotFiniteError` with the index of the first prompt for which the model's logits are NaN.
        """
        found: list[Answer] = [([], False)] * len(prompts)
        done = 0
        batches = self.generated_together(prompts, max_new_tokens)

        def answer(batch: list[int]) -> list[Answer]:
            try:
                return self.generate_batch([prompts[index] for index in batch], max_new_tokens)
            except NotFiniteError as error:
                raise NotFiniteError(batch[error.index]) from None

        for batch, answers in self.answered(batches, answer):
            for index, one in zip(batch, answers, strict=True):
                found[index] = one
            done += len(batch)
            report(done)
        return found

    def generated_together(self, prompts: Sequence[Ids], max_new_tokens: int) -> list[list[int]]:
        """Indices of the prompts in batches within `generate_tokens` after padding, those that begin alike beside each
        other. The prompts of one batch alone make the same batch again."""
        groups = [indices for _, indices in shared_beginnings(prompts)]
        few = [index for indices in groups if len(indices) < FEW for index in indices]
        batches = []
        for indices in [*(indices for indices in groups if len(indices) >= FEW), few]:
            lengths = [len(prompts[index]) + max_new_tokens for index in indices]
            for batch in self._padded_together(lengths, self.generate_tokens):
                batches.append([indices[place] for place in batch])
        return batches

    def generate_batch(self, prompts: Sequence[Ids], max_new_tokens: int) -> list[Answer]:
        """The same as `generate` for prompts that fit one batch, or parts of it where memory ran out."""
        if self.generation == "vllm":
            return self._by_vllm(prompts, max_new_tokens)
        generate = generate_with_cache if self.plain else generate_with_transformers

        def run(model, part: Sequence[Ids]) -> list[Answer]:
            if self.plain:
                _attend(model, "sdpa")
            return generate(model, part, max_new_tokens, self.encoder.end_of_turn)

        def together(prompts: Sequence[Ids]) -> list[list[int]]:
            return self.generated_together(prompts, max_new_tokens)

        return self._within_memory(prompts, run, together, "generate_tokens")

    def _by_vllm(self, prompts: Sequence[Ids], max_new_tokens: int) -> list[Answer]:
        if self._vllm is None:
            from growthpace.evaluation.vllm_generating import Vllm

            # vLLM takes the memory that these copies have; nothing is scored any more.
            self._idle = SimpleQueue()
            self.models, self.model = [], None
            memory.release()
            self._vllm = Vllm(self.folder)
        return self._vllm.generate(prompts, max_new_tokens, self.encoder.end_of_turn)

    # --- what both need ---

    @staticmethod
    def _padded_together(lengths: Sequence[int], most: int) -> list[list[int]]:
        """Indices by falling length, each batch within `most` tokens after padding."""
        batches: list[list[int]] = []
        for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
            if batches and lengths[batches[-1][0]] * (len(batches[-1]) + 1) <= most:
                batches[-1].append(index)
            else:
                batches.append([index])
        return batches

    def answered(
        self, batches: Sequence[list[int]], answer: Callable[[list[int]], Found]
    ) -> Iterator[tuple[list[int], Found]]:
        """(batch, its answers) in the order of the batches; as many at once as there are copies of the model."""
        if len(self.models) < 2:
            yield from ((batch, answer(batch)) for batch in batches)
            return
        with ThreadPoolExecutor(len(self.models)) as pool:
            waiting: deque = deque()
            try:
                for batch in batches:
                    waiting.append((batch, pool.submit(answer, batch)))
                    if len(waiting) > len(self.models):
                        first, future = waiting.popleft()
                        yield first, future.result()
                while waiting:
                    first, future = waiting.popleft()
                    yield first, future.result()
            finally:
                for _, future in waiting:
                    future.cancel()

    def _within_memory(
        self,
        asked: Sequence,
        run: Callable[[Any, Sequence], list],
        together: Callable[[Sequence], list[list[int]]],
        limit: str,
    ) -> list:
        """What `run(model, asked)` gives; where memory runs out, in halves, and later batches are smaller too.

        together: divides what is asked into batches, of which there is one unless memory has run out since it was
        planned; limit: the attribute that says how many tokens a batch may have.
        """
        parts, found = deque(together(asked)), [None] * len(asked)
        while parts:
            part = parts.popleft()
            try:
                answered, reason = self._attempt([asked[index] for index in part], run)
            except NotFiniteError as error:
                raise NotFiniteError(part[error.index]) from None
            if answered is not None:
                for index, answer in zip(part, answered, strict=True):
                    found[index] = answer
            elif len(part) == 1:
                raise InputError(
                    f"one item alone does not fit in memory beside the model ({reason}); give the job more memory or a "
                    "larger GPU"
                )
            else:
                half = len(part) // 2
                parts.extendleft([part[half:], part[:half]])
                setattr(self, limit, max(getattr(self, limit) // 2, memory.LEAST))
        return found

    def _attempt(self, asked: Sequence, run: Callable[[Any, Sequence], list]) -> tuple[list | None, str]:
        """What one copy of the model says, or None and why memory ran out."""
        model = self._idle.get()
        try:
            with torch.inference_mode():
                return run(model, asked), ""
        except (MemoryError, RuntimeError) as error:  # torch's error for a GPU is a RuntimeError too
            if not memory.ran_out(error):
                raise
            reason = (str(error).splitlines() or ["out of memory"])[0]
        finally:
            self._idle.put(model)
        memory.release()  # here, where no traceback keeps the attempt's tensors any more
        return None, reason


def _attend(model, how: str) -> None:
    if model.config._attn_implementation != how:
        model.set_attn_implementation(how)
