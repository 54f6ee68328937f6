"""Loading a tokenizer so that it splits text as its publisher's does.

transformers 5 turns a SentencePiece model into a BPE of its own that splits Chinese text differently and silently
(measured on the paper's model: other ids for 39 to 96 % of texts). A folder with `tokenizer.model` and no
`tokenizer.json` is therefore read with SentencePiece itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_NAMES = ("bos_token", "eos_token", "unk_token", "pad_token", "extra_special_tokens", "chat_template")


def load_tokenizer(folder: str | Path, trust_remote_code: bool = False) -> Any:
    """The tokenizer in a local Hugging Face folder."""
    folder = Path(folder)
    described = folder / "tokenizer_config.json"
    settings = json.loads(described.read_text(encoding="utf-8")) if described.exists() else {}
    sentencepiece_only = (folder / "tokenizer.model").exists() and not (folder / "tokenizer.json").exists()
    if sentencepiece_only:
        from transformers.tokenization_utils_sentencepiece import SentencePieceBackend

        if settings.get("tokenizer_class") == "SentencePieceBackend":  # saved by growthpace, with its added tokens
            return SentencePieceBackend.from_pretrained(folder)
        names = {key: settings[key] for key in _NAMES if settings.get(key)}
        return SentencePieceBackend(vocab_file=str(folder / "tokenizer.model"), legacy=True, **names)
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)


def decode(tokenizer: Any, ids: Sequence[int]) -> str:
    """The text of ids, without special tokens.

    A tokenizer on SentencePiece decodes through SentencePiece itself: transformers 5.23 joins the pieces' names
    instead, which leaves a byte piece such as `<0x0A>` as these six characters. Tokens added to its vocabulary are no
    text and are left out, as control tokens are.
    """
    model = getattr(tokenizer, "sp_model", None)
    if model is None:
        return tokenizer.decode(list(ids), skip_special_tokens=True)
    added, pieces = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}, model.get_piece_size()
    return model.decode([int(token) for token in ids if token not in added and token < pieces])
