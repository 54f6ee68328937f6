"""How many tokens items have in the study's format, with the tokenizers that are on this machine.

Only items that may be too long are encoded: a token is of one byte at least, so that an item of few bytes cannot be.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from growthpace.conversation import PAPER_TOKENS, Encoder
from growthpace.data.items import Item, Message
from growthpace.files import sha256
from growthpace.paths import Paths
from growthpace.study import Study

_FILES = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "chat_template.jinja")


class Counter:
    """Counts with one tokenizer; satisfies `data.audit.TokenCounter`."""

    def __init__(self, model: str, encoder: Encoder, max_length: int):
        self.model, self.max_length, self._encoder = model, max_length, encoder
        empty = encoder.encode([Message("user", "a"), Message("assistant", "a")])
        self._around = len(empty.ids)
        """What the format writes around two turns, or more."""

    def overlong(self, item: Item) -> int | None:
        """The item's tokens if they are more than max_length, else None."""
        size = sum(len(message.content.encode()) for message in item.messages)
        if size + self._around * len(item.messages) <= self.max_length:
            return None
        tokens = len(self._encoder.encode(item.messages).ids)
        return tokens if tokens > self.max_length else None


def tokenizer_folders(study: Study, paths: Paths) -> dict[str, Path]:
    """{model: folder} of tokenizers on this machine: of models given by `folder`, which are always there, and of models
    that were made ready before."""
    found = {}
    for name, model in study.models.items():
        for folder in (model.folder, paths.model(name)):
            if folder is not None and any((folder / file).is_file() for file in _FILES[:2]):
                found[name] = folder
                break
    return found


def counters(study: Study, folders: dict[str, Path]) -> Iterator[Counter]:
    """A counter for each tokenizer in the folders of models; models that share one are named together."""
    from growthpace.models.tokenizer import load_tokenizer

    same: dict[tuple[str, ...], list[str]] = {}
    for name, folder in folders.items():
        key = tuple(sha256(folder / file) if (folder / file).is_file() else "" for file in _FILES)
        same.setdefault(key, []).append(name)
    for names in same.values():
        tokenizer = load_tokenizer(folders[names[0]], study.models[names[0]].trust_remote_code)
        if study.format == "paper":  # a model of the publisher's lacks these until it is made ready
            missing = [t for t in PAPER_TOKENS if tokenizer.convert_tokens_to_ids(t) in (None, tokenizer.unk_token_id)]
            tokenizer.add_special_tokens({"extra_special_tokens": missing}, replace_extra_special_tokens=False)
        yield Counter(", ".join(names), Encoder(tokenizer, study.format), study.training.max_length)
