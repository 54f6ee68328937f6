"""Tiny random models, a word tokenizer and whole studies of them, made on the fly, for tests that need torch.

A study is made in the current folder: `monkeypatch.chdir(tmp_path)`, then `make_study(...)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from growthpace.conversation import PAPER_TOKENS
from growthpace.data.items import Item, Message, write_items
from growthpace.files import fingerprint, write_json
from growthpace.grid import Run
from growthpace.models.base import make_ready
from growthpace.paths import Paths
from growthpace.study import Study

torch.set_num_threads(1)  # the tests run side by side, and sums must not depend on how many cores there are

WORDS = [f"w{number}" for number in range(40)]
CONTEXT = 64


def silent(line: str) -> None:
    """A report that nobody reads."""


def make_tokenizer(extra: Sequence[str] = PAPER_TOKENS, chat_template: str | None = None) -> PreTrainedTokenizerFast:
    """A token for every word, `<unk>` 0, and the extra special tokens after them."""
    vocabulary = {word: number for number, word in enumerate(["<unk>", "<pad>", "<eos>", *WORDS])}
    inner = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="<unk>", pad_token="<pad>", eos_token="<eos>", chat_template=chat_template
    )
    if extra:
        tokenizer.add_special_tokens({"extra_special_tokens": list(extra)})
    return tokenizer


CHAT_TEMPLATE = (
    "{% for m in messages %}{{ '<user> ' if m.role == 'user' else '<assistant> ' }}{{ m.content }}{{ ' <eos> ' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<assistant> ' }}{% endif %}"
)


def make_config(vocabulary: int, **changes: Any) -> LlamaConfig:
    """A Llama of two layers with grouped queries; weights large enough for answers to differ clearly."""
    settings = {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": CONTEXT,
        "initializer_range": 0.3,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": 2,
        "pad_token_id": 1,
        **changes,
    }
    return LlamaConfig(**settings)


def make_model(tokenizer: PreTrainedTokenizerFast, seed: int = 0, **changes: Any) -> LlamaForCausalLM:
    """A random Llama for the tokenizer, in evaluation mode, always the same for a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(make_config(len(tokenizer), **changes)).eval()


def save_model(
    folder: Path, extra: Sequence[str] = PAPER_TOKENS, dtype: torch.dtype = torch.float32, **changes: Any
) -> Path:
    """A Hugging Face folder of a tiny model and its tokenizer."""
    tokenizer = make_tokenizer(extra, CHAT_TEMPLATE)
    make_model(tokenizer, **changes).to(dtype).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_item(identity: str, asked: str, reply: str, **settings: Any) -> Item:
    """An item of one turn; settings: the item's other fields."""
    messages = (Message("user", asked), Message("assistant", reply))
    return Item(identity, "history", messages, **{"scorer": "none", "origin": f"tiny:{identity}", **settings})


def make_items(number: int) -> list[Item]:
    """Items to train on, of many lengths: questions of 1 to 9 words, answers of 1 to 4."""
    items = []
    for index in range(number):
        question = " ".join(WORDS[(index * 7 + word) % 40] for word in range(1 + index * 5 % 9))
        answer = " ".join(WORDS[(index * 3 + word * word) % 40] for word in range(1 + index % 4))
        items.append(make_item(f"item-{index}", question, answer))
    return items


RECIPE: dict[str, Any] = {
    "epochs": 3,
    "batch_size": 4,
    "learning_rate": 1e-2,
    "learning_rate_floor": 1e-3,
    "warmup_steps": 2,
    "betas": (0.9, 0.95),
    "epsilon": 1e-8,
    "weight_decay": 0.1,
    "max_grad_norm": 1.0,
    "max_length": 32,
    "overlong": "refuse",
    "precision": "fp32",
    "microbatch_tokens": 40,
}
VOLUME = 18
"""Training items: five steps an epoch, of which the last has only two items."""


def describe_study(base: Path, recipe: dict[str, Any] | None = None, **changes: Any) -> Study:
    """A study of one model, dataset and seed; nothing of it is written."""
    files = {"importer": "alpaca", "folder": ".", "files": "{ability}.json"}
    return Study.model_validate(
        {
            "study": "tiny",
            "description": "a study for tests",
            "abilities": ["history"],
            "seeds": [1],
            "format": "paper",
            "models": {"small": {"folder": base}},
            "sources": {"curated": {"items": files, "volumes": [VOLUME]}},
            "untuned": True,
            "training": {**RECIPE, **(recipe or {})},
            "suites": {
                "valid": {"items": files, "epochs": "all", "max_new_tokens": 4},
                "test": {"items": files, "epochs": "selected", "max_new_tokens": 4},
            },
            "selection": {"suite": "valid", "first_epoch": 1, "rule": "best_mean"},
            "analysis": {"suite": "test", "confidence": 0.95, "margin": 2},
            "figures": {"palette": "colorblind", "style": "white", "panel_width": 3, "columns": 4},
            "keep_checkpoints": "all",
            **changes,
        }
    )


RUN = Run("small", f"curated-{VOLUME}", 1)


def make_study(
    recipe: dict[str, Any] | None = None, model: dict[str, Any] | None = None, **changes: Any
) -> tuple[Study, Paths]:
    """A study whose base model and dataset lie ready in the current folder; `RUN` is its one run.

    Attention has dropout, so that resuming must restore random numbers too.
    """
    base = save_model(Path("base"), **{"attention_dropout": 0.1, **(model or {})})
    study = describe_study(base, recipe, **changes)
    paths = Paths(study)
    make_ready(study, "small", paths.model("small"), silent)
    write_dataset(paths, make_items(VOLUME))
    return study, paths


def write_dataset(paths: Paths, items: list[Item]) -> None:
    """Puts the items in the place of the run's dataset."""
    write_items(paths.dataset(RUN.dataset, RUN.seed), items, {})
    write_json(paths.manifest(RUN.dataset, RUN.seed), {"items_sha256": fingerprint([str(item) for item in items])})
