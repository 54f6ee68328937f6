"""Small tokenizers for tests, made on the spot without torch: words, bytes, SentencePiece, and chat templates."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from growthpace.conversation import PAPER_TOKENS

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>NEWLINE"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CHATML_TOKENS = ("<|im_start|>", "<|im_end|>")

TEMPLATES = {
    "newline": CHATML.replace("NEWLINE", "\n"),
    "no_newline": CHATML.replace("NEWLINE", ""),
    "newline_before": CHATML.replace("NEWLINE", "")
    .replace("<|im_start|>{{", "{{ '' if loop.first else '\n' }}<|im_start|>{{")
    .replace("<|im_start|>assistant\n", "{{ '\n<|im_start|>assistant\n' }}"),
    "trims": CHATML.replace("NEWLINE", "\n").replace("message['content']", "message['content'] | trim"),
}  # fmt: skip
"""Templates that growthpace can learn with."""

REFUSED = {
    "thinks": CHATML.replace("NEWLINE", "\n").replace(
        "{{ message['content'] }}",
        "{{ '<think>\n\n</think>\n\n' if message['role'] == 'assistant' }}{{ message['content'] }}",
    ),
    "adds_a_space": CHATML.replace("NEWLINE", "\n").replace("{{ message['content'] }}", " {{ message['content'] }}"),
    "shouts": CHATML.replace("NEWLINE", "\n").replace("message['content']", "message['content'] | upper"),
}
"""Templates that do not put an answer as it is after the prompt: training and evaluation would differ."""


def words(vocabulary: Sequence[str], special: Sequence[str] = PAPER_TOKENS) -> Any:
    """A token for every word between white space."""
    from tokenizers import Tokenizer, pre_tokenizers
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(WordLevel({word: n for n, word in enumerate(["<unk>", *vocabulary])}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>")
    tokenizer.add_special_tokens({"extra_special_tokens": list(special)})
    return tokenizer


def byte_level(special: Sequence[str] = PAPER_TOKENS, chat_template: str | None = None) -> Any:
    """Byte-level BPE with some merges, which decodes every text to itself."""
    from tokenizers import Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE
    from tokenizers.trainers import BpeTrainer
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    inner.train_from_iterator(["the answer is A or B", "assistant user system the the", "答案是正确的"] * 3, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, clean_up_tokenization_spaces=False)
    tokenizer.add_special_tokens({"extra_special_tokens": list(special)})
    tokenizer.chat_template = chat_template
    return tokenizer


def write_sentencepiece(folder: Path) -> None:
    """A small SentencePiece model with byte fallback, as `tokenizer.model` in the folder."""
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the answer is A or B", "答案是正确的", "user and assistant"] * 20),
        model_writer=model,
        vocab_size=320,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",  # as Llama's: text comes back as it was, line breaks as byte pieces
        remove_extra_whitespaces=False,
        minloglevel=2,
        hard_vocab_limit=False,
    )
    (folder / "tokenizer.model").write_bytes(model.getvalue())
