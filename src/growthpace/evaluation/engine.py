"""The engine: log-probabilities of candidates and greedy answers, for many prompts at once.

A prompt that is shared by candidates is computed once: prompt and candidates stand in one row, and a mask lets every
candidate see the prompt and itself, never another candidate. Only the positions that predict a candidate's tokens
meet the vocabulary matrix (and whatever an architecture does to logits after it), and their log-softmax is fp32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import GenerationConfig, LogitsProcessor

from growthpace.conversation import Encoder
from growthpace.errors import InputError
from growthpace.models.base import quiet_libraries
from growthpace.models.checkpoints import load_checkpoint
from growthpace.models.tokenizer import load_tokenizer
from growthpace.study import Model

Ids = Sequence[int]


@dataclass(frozen=True)
class Question:
    """A prompt with the candidates to score after it; no candidates means that an answer is generated."""

    prompt: Ids
    candidates: tuple[Ids, ...] = ()

    @property
    def length(self) -> int:
        """Tokens of the row that scores it: a candidate's last token predicts nothing and is left out."""
        return len(self.prompt) + sum(len(candidate) - 1 for candidate in self.candidates)


class NotFiniteError(FloatingPointError):
    """A model's logits for a prompt are NaN; the greedy choice among them would look like an answer."""

    def __init__(self, index: int):
        super().__init__(f"the logits of prompt {index} are NaN")
        self.index = index


class _FindNan(LogitsProcessor):
    """Changes nothing, and remembers the rows whose logits were NaN at any step."""

    def __init__(self, rows: int, device: torch.device):
        self.found = torch.zeros(rows, dtype=torch.bool, device=device)

    def __call__(self, input_ids, scores):
        self.found |= scores.isnan().any(dim=-1)
        return scores


class Engine:
    """A checkpoint ready to answer.

    folder: a Hugging Face folder with safetensors, or with the adapters of a checkpoint; form: the study's format;
    batch_tokens: padded tokens of one forward pass, the measure of its memory; base, settings, precision: for adapters,
    the folder of their base model, the study's settings of it and the precision of the training.
    """

    def __init__(
        self,
        folder: Path,
        form: str,
        threads: int,
        batch_tokens: int = 8192,
        *,
        base: Path | None = None,
        settings: Model | None = None,
        precision: str = "fp32",
    ):
        quiet_libraries()
        settings = settings or Model(folder=folder)
        torch.set_num_threads(threads)
        self.batch_tokens = batch_tokens
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.tokenizer = load_tokenizer(folder, settings.trust_remote_code)
        self.encoder = Encoder(self.tokenizer, form)
        model = load_checkpoint(folder, base or folder, settings, precision)
        self.model = (model if settings.method == "qlora" else model.to(self.device)).eval()
        # Greedy means greedy: a checkpoint's own settings (a repetition penalty, say) would change its answers.
        self.model.generation_config = GenerationConfig()
        self.context: int = getattr(self.model.config, "max_position_embeddings", None) or 2**31

    @torch.inference_mode()
    def score(self, questions: Sequence[Question], report: Callable[[int], None] = lambda done: None):
        """Summed natural-log probability of each candidate of each question, as a list of tuples in their order.

        A prompt plus its longest candidate must fit the context (ValueError otherwise). Raises `InputError` for a
        model with sliding attention whose window is shorter than a question.
        """
        window = getattr(self.model.config, "sliding_window", None)
        for question in questions:
            if window is not None and question.length > window:  # transformers takes our mask for every layer as it is
                raise InputError(
                    f"a question has {question.length} tokens with its candidates, but {type(self.model).__name__} "
                    f"attends to windows of {window}; growthpace cannot score that yet"
                )
            if any(not candidate for candidate in question.candidates):
                raise ValueError("an empty candidate has no log-probability")
            if len(question.prompt) + max(map(len, question.candidates)) - 1 > self.context:
                raise ValueError("a question is longer than the model's context")
        found: list[tuple[float, ...]] = [()] * len(questions)
        done = 0
        for batch in self.batches([question.length for question in questions]):
            for index, scores in zip(batch, self._score_batch([questions[i] for i in batch]), strict=True):
                found[index] = scores
            done += len(batch)
            report(done)
        return found

    def _score_batch(self, questions: Sequence[Question]) -> list[tuple[float, ...]]:
        rows, width = len(questions), max(question.length for question in questions)
        ids = torch.zeros(rows, width, dtype=torch.long)
        positions = torch.zeros(rows, width, dtype=torch.long)
        visible = torch.eye(width, dtype=torch.bool).repeat(rows, 1, 1)  # padding sees itself, else its softmax is NaN
        causal = torch.ones(width, width, dtype=torch.bool).tril()
        where: list[tuple[int, int]] = []  # (row, position) that predicts ...
        targets: list[int] = []  # ... this token
        for row, question in enumerate(questions):
            start = len(question.prompt)
            ids[row, :start] = torch.tensor(question.prompt)
            positions[row, :start] = torch.arange(start)
            visible[row, :start, :start] = causal[:start, :start]
            at = start
            for candidate in question.candidates:
                fed = len(candidate) - 1
                stop = at + fed
                ids[row, at:stop] = torch.tensor(candidate[:-1], dtype=torch.long)
                positions[row, at:stop] = torch.arange(start, start + fed)
                visible[row, at:stop, :start] = True
                visible[row, at:stop, at:stop] = causal[:fed, :fed]
                where += [(row, start - 1), *((row, p) for p in range(at, stop))]
                targets += candidate
                at = stop
        lowest = torch.finfo(self.model.dtype).min
        mask = torch.zeros(rows, 1, width, width, dtype=self.model.dtype).masked_fill_(~visible[:, None], lowest)
        row_index, position_index = (torch.tensor(x, device=self.device) for x in zip(*where, strict=True))
        inputs = {
            "input_ids": ids.to(self.device),
            "position_ids": positions.to(self.device),
            "attention_mask": mask.to(self.device),
        }
        logits = self._logits(inputs, row_index, position_index)
        chosen = torch.log_softmax(logits.float(), dim=-1).gather(1, torch.tensor(targets, device=self.device)[:, None])
        values = iter(chosen.squeeze(1).double().tolist())
        return [
            tuple(sum(next(values) for _ in candidate) for candidate in question.candidates) for question in questions
        ]

    def _logits(self, inputs, rows: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Logits at (row, position) pairs, shape (pairs, vocabulary), without those of all other positions."""

        def wanted_only(layer, arguments):
            return (arguments[0][rows, positions][None],)

        # Picked where the vocabulary matrix is applied, not after: what an architecture does to logits afterwards
        # (Cohere and Granite scale them, Gemma caps them) then happens to these too.
        hook = self.model.get_output_embeddings().register_forward_pre_hook(wanted_only)
        try:
            return self.model(**inputs, use_cache=False).logits[0]
        finally:
            hook.remove()

    @torch.inference_mode()
    def generate(self, prompts: Sequence[Ids], max_new_tokens: int, report: Callable[[int], None] = lambda done: None):
        """Greedy answers: a list of (token ids without the end-of-turn token, whether it ended by itself).

        Raises `NotFiniteError` with the index of the first prompt for which the model's logits are NaN.
        """
        found: list[tuple[list[int], bool]] = [([], False)] * len(prompts)
        end = self.encoder.end_of_turn
        done = 0
        for batch in self.batches([len(prompt) + max_new_tokens for prompt in prompts]):
            width = max(len(prompts[i]) for i in batch)
            ids = torch.full((len(batch), width), end)
            mask = torch.zeros(len(batch), width, dtype=torch.long)
            for row, index in enumerate(batch):
                ids[row, width - len(prompts[index]) :] = torch.tensor(prompts[index])
                mask[row, width - len(prompts[index]) :] = 1
            broken = _FindNan(len(batch), self.device)
            answered = self.model.generate(
                input_ids=ids.to(self.device),
                attention_mask=mask.to(self.device),
                max_new_tokens=max_new_tokens,
                do_sample=False,
                num_beams=1,
                eos_token_id=end,
                pad_token_id=end,
                use_cache=True,
                logits_processor=[broken],
            )[:, width:].tolist()
            if broken.found.any():
                raise NotFiniteError(min(index for index, nan in zip(batch, broken.found.tolist(), strict=True) if nan))
            for index, tokens in zip(batch, answered, strict=True):
                ended = end in tokens
                found[index] = (tokens[: tokens.index(end)] if ended else tokens, ended)
            done += len(batch)
            report(done)
        return found

    def batches(self, lengths: Sequence[int]) -> list[list[int]]:
        """Indices by falling length (the largest batch first, so that memory runs out at once or never), each batch
        within `batch_tokens` after padding. The indices of one batch alone make the same batch again."""
        batches: list[list[int]] = []
        for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
            if batches and lengths[batches[-1][0]] * (len(batches[-1]) + 1) <= self.batch_tokens:
                batches[-1].append(index)
            else:
                batches.append([index])
        return batches
