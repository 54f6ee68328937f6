"""Base models made from scratch: a tokenizer trained on a corpus, and a small Llama pretrained on it.

    growthpace base-model STUDY MODEL        (a model with `initialise` in its study)

Runs on the CPU. Equal settings, documents and thread count give equal bytes.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE, WordLevel
from tokenizers.trainers import BpeTrainer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from growthpace.errors import InputError
from growthpace.study import Initialise

PAD, UNKNOWN, END = "<pad>", "<unk>", "<eos>"
SPECIAL_TOKENS = (PAD, UNKNOWN, END)
"""Their ids are 0, 1 and 2. END closes a document."""

WARMUP_SHARE = 0.05
"""Share of the steps over which the learning rate rises; afterwards it falls to zero along a half cosine."""
BETAS = (0.9, 0.95)
WEIGHT_DECAY = 0.1
"""On matrices only, as in GPT-3 (arXiv 2005.14165, appendix B), which the betas are from too."""
MAX_GRAD_NORM = 1.0
REPORT_SECONDS = 5.0
IGNORED = -100
"""The label that torch's cross entropy leaves out."""


def train_tokenizer(
    kind: str, texts: Iterable[str], words: Iterable[str] | None, vocabulary_size: int
) -> PreTrainedTokenizerFast:
    """A tokenizer with `<pad>`, `<unk>`, `<eos>` and at most `vocabulary_size` tokens in all.

    `words`: a token for every word between white space. With `words` the vocabulary is exactly these, in their order,
    and `InputError` is raised if they are too many; without, the most frequent words of `texts` (the alphabet breaks
    ties) and `<unk>` for the others. Decoding puts single spaces between words.
    `bpe`: byte-level byte-pair encoding trained on `texts`; it has no unknown words and decodes to the very same text.
    `words` are then only more text to train on, and at least 256 tokens beside the special ones are needed.
    """
    if kind == "words":
        vocabulary = _vocabulary(texts, words, vocabulary_size - len(SPECIAL_TOKENS))
        ids = {token: id_ for id_, token in enumerate([*SPECIAL_TOKENS, *vocabulary])}
        tokenizer = Tokenizer(WordLevel(ids, unk_token=UNKNOWN))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    elif kind == "bpe":
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        if vocabulary_size < len(SPECIAL_TOKENS) + len(alphabet):
            raise InputError(
                f"vocabulary_size: {vocabulary_size} is below {len(SPECIAL_TOKENS) + len(alphabet)}, the bytes and "
                "special tokens of a bpe tokenizer"
            )
        tokenizer = Tokenizer(BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = BpeTrainer(
            vocab_size=vocabulary_size,
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=alphabet,
            show_progress=False,
        )
        tokenizer.train_from_iterator([*texts, *(words or ())], trainer)
    else:
        raise InputError(f"tokenizer: {kind!r} is unknown (allowed: words, bpe)")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNKNOWN,
        eos_token=END,
        clean_up_tokenization_spaces=False,
    )


def initialise(
    settings: Initialise,
    documents: list[str],
    words: list[str] | None,
    folder: Path,
    threads: int,
    report: Callable[[str], None],
) -> dict:
    """Makes a base model as the settings say and saves it to `folder` as a plain Hugging Face folder (safetensors).

    `words` is the vocabulary of a `words` tokenizer, or None to take it from the documents. `report` gets a line
    about every five seconds. Returns `parameters` (a count; tied embeddings once), `vocabulary`, `final_loss` (mean
    of the last tenth of the steps, nats per token), `tokens` (seen in pretraining) and `tokens_per_second`.

    Raises `InputError` when there is nothing to read.
    """
    documents = [document for document in documents if document.strip()]
    if not documents:
        raise InputError("initialise.corpus: it has no documents")
    tokenizer = train_tokenizer(settings.tokenizer, documents, words, settings.vocabulary_size)
    pieces = _pieces(tokenizer, documents, settings.context)
    with _seeded(settings.pretraining.seed, threads):
        model = LlamaForCausalLM(_config(settings, tokenizer))
        outcome = _pretrain(model, pieces, settings, report)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "vocabulary": len(tokenizer),
        **outcome,
    }


def _vocabulary(texts: Iterable[str], words: Iterable[str] | None, room: int) -> list[str]:
    if words is None:
        counts = Counter(word for text in texts for word in text.split())
        return sorted(counts, key=lambda word: (-counts[word], word))[:room]
    distinct = list(dict.fromkeys(words))
    if len(distinct) > room:
        needed = len(distinct) + len(SPECIAL_TOKENS)
        raise InputError(f"vocabulary_size: {room + len(SPECIAL_TOKENS)} is below {needed}, the words of the corpus")
    return distinct


def _config(settings: Initialise, tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.hidden_size,
        intermediate_size=settings.intermediate_size,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.key_value_heads,
        max_position_embeddings=settings.context,
        tie_word_embeddings=settings.tie_embeddings,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        dtype="float32",
    )


def _pieces(tokenizer: PreTrainedTokenizerFast, documents: list[str], context: int) -> list[list[int]]:
    """Token ids of every document with its end, cut into pieces of at most `context`; a piece of one token, from
    which nothing can be learned, is left out."""
    pieces = []
    for ids in tokenizer(documents, add_special_tokens=False)["input_ids"]:
        ids = [*ids, tokenizer.eos_token_id]
        pieces += [ids[start : start + context] for start in range(0, len(ids), context)]
    return [piece for piece in pieces if len(piece) > 1]


@contextmanager
def _seeded(seed: int, threads: int):
    """Torch's random numbers and thread count, as they were again afterwards."""
    threads_before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads_before)


def _batches(pieces: list[list[int]], batch_size: int, steps: int, seed: int) -> Iterator[torch.Tensor]:
    """Batches of ids of shape (batch_size, longest piece of the batch), IGNORED behind a piece's end.

    Each pass over the corpus has its own order, and is joined to the next without a short batch. A piece has a row to
    itself and attention looks back only, so no piece sees another one nor its own padding.
    """
    generator = torch.Generator().manual_seed(seed)
    queue: list[int] = []
    for _ in range(steps):
        while len(queue) < batch_size:
            queue += torch.randperm(len(pieces), generator=generator).tolist()
        rows = [torch.tensor(pieces[index]) for index in queue[:batch_size]]
        queue = queue[batch_size:]
        yield torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=IGNORED)


def _learning_rate(step: int, steps: int, peak: float) -> float:
    """The rate of step 0..steps-1: linear warm-up, then a half cosine to zero."""
    warmup = max(1, round(WARMUP_SHARE * steps))
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def _pretrain(
    model: LlamaForCausalLM, pieces: list[list[int]], settings: Initialise, report: Callable[[str], None]
) -> dict:
    """Trains the model in place; returns final_loss, tokens and tokens_per_second."""
    recipe = settings.pretraining
    matrices = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}],
        lr=recipe.learning_rate,
        betas=BETAS,
        fused=True,  # one pass over the weights: half the optimiser's time for models this small
    )
    model.train()
    losses: list[float] = []
    tokens = 0
    started = reported = time.monotonic()
    for step, labels in enumerate(_batches(pieces, recipe.batch_size, recipe.steps, recipe.seed)):
        for group in optimizer.param_groups:
            group["lr"] = _learning_rate(step, recipe.steps, recipe.learning_rate)
        ids = labels.clamp(min=0)  # what stands in padded places is never looked at
        logits = model(input_ids=ids, use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(
            logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_GRAD_NORM)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        tokens += int((labels != IGNORED).sum())
        now = time.monotonic()
        if now - reported >= REPORT_SECONDS or step + 1 == recipe.steps:
            left = (now - started) / (step + 1) * (recipe.steps - step - 1)
            report(f"pretraining: step {step + 1} of {recipe.steps}, loss {losses[-1]:.3f}, about {left:.0f} s left")
            reported = now
    model.eval()
    tail = losses[-max(1, len(losses) // 10) :]
    return {
        "final_loss": sum(tail) / len(tail),
        "tokens": tokens,
        "tokens_per_second": tokens / max(1e-9, time.monotonic() - started),
    }
