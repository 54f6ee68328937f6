"""What all sides of benchmarks/training.py train on: items, models, their studies."""

from __future__ import annotations

import csv
import itertools
import json
import os
import random
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
BATCH, MICROBATCH = 64, 8
"""Items of an optimiser step, and of one forward pass of the paper's side."""
ABILITIES = ("math", "knowledge", "tales")
SHAPES: dict[str, dict[str, int]] = {
    # hidden_size, intermediate_size, num_hidden_layers, num_attention_heads; `fold`: ids are taken modulo this, for a
    # vocabulary that is as small a share of a small model as the paper's 49,957 tokens are of a large one
    "tiny": {"hidden": 32, "intermediate": 64, "layers": 2, "heads": 2, "fold": 512},
    "30m": {"hidden": 256, "intermediate": 688, "layers": 8, "heads": 8, "fold": 0},
    "share-of-7b": {"hidden": 384, "intermediate": 1024, "layers": 8, "heads": 6, "fold": 1024},
    "1.3b": {"hidden": 2048, "intermediate": 5504, "layers": 24, "heads": 16, "fold": 0},
    "7b": {"hidden": 4096, "intermediate": 11008, "layers": 32, "heads": 32, "fold": 0},
    "13b": {"hidden": 5120, "intermediate": 13824, "layers": 40, "heads": 40, "fold": 0},
}
POINTS = (("1.3b", "full"), ("7b", "full"), ("7b", "lora"), ("13b", "full"), ("13b", "lora"))
PAPER_VOCABULARY = 49_953 + 3
RECIPE: dict[str, Any] = {
    "epochs": 1,
    "batch_size": BATCH,
    "learning_rate": 1e-5,
    "learning_rate_floor": 1e-5,  # constant, so that all sides learn alike
    "warmup_steps": 0,
    "betas": (0.9, 0.95),
    "epsilon": 1e-8,
    "weight_decay": 0.1,
    "max_grad_norm": 1.0,
    "overlong": "drop",
}


def data_folder() -> Path:
    """The folder of public data: GROWTHPACE_REAL_DATA, or `../shared/data` beside the project."""
    given = os.environ.get("GROWTHPACE_REAL_DATA")
    return Path(given) if given else PROJECT.parent / "shared" / "data"


def texts(data: Path) -> dict[str, list[tuple[str, str]]]:
    """Prompt and answer of every item, by ability."""
    with open(data / "gsm8k/train.jsonl", encoding="utf-8") as handle:
        math = [(row["question"], row["answer"]) for row in map(json.loads, handle)]
    knowledge, tales = [], []
    for path in sorted((data / "mmlu/data/test").glob("*.csv")):
        with open(path, encoding="utf-8", newline="") as handle:
            for question, *choices, answer in csv.reader(handle):
                lines = [question, *(f"{letter}. {text}" for letter, text in zip("ABCD", choices, strict=True))]
                knowledge.append(("\n".join([*lines, "Answer:"]), answer))
    for path in sorted((data / "fairytaleqa/data-by-train-split/section-stories/train").glob("*.csv")):
        with open(path, encoding="utf-8", newline="") as handle:
            sections = [row["text"] for row in csv.DictReader(handle)]
        tales += [(f"Continue the tale.\n{a}", b) for a, b in itertools.pairwise(sections)]
    return dict(zip(ABILITIES, (math, knowledge, tales), strict=True))


def make_items(number: int) -> list:
    """Items in equal parts of the three kinds, always the same."""
    from growthpace.data.items import Item, Message

    chosen = []
    for place, (ability, pairs) in enumerate(texts(data_folder()).items()):
        share = number // 3 + (place < number % 3)
        for index in random.Random(0).sample(range(len(pairs)), share):
            asked, reply = pairs[index]
            messages = (Message("user", asked), Message("assistant", reply))
            chosen.append(Item(f"{ability}-{index}", ability, messages, "none", origin=f"{ability}:{index}"))
    return chosen


def llama_config(shape: str, vocabulary: int):
    """A Llama's config; `vocabulary`: of its tokenizer."""
    from transformers import LlamaConfig

    size = SHAPES[shape]
    return LlamaConfig(
        vocab_size=size["fold"] or vocabulary,
        hidden_size=size["hidden"],
        intermediate_size=size["intermediate"],
        num_hidden_layers=size["layers"],
        num_attention_heads=size["heads"],
        num_key_value_heads=size["heads"],
        max_position_embeddings=2048,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=2,
        pad_token_id=0,
    )


def save_tokenizer(folder: Path):
    """Writes the paper's SentencePiece model with the format's tokens, and gives it."""
    from growthpace.conversation import PAPER_TOKENS
    from growthpace.models.tokenizer import load_tokenizer

    with tempfile.TemporaryDirectory() as name:
        shutil.copy(data_folder() / "chinese_llama_tokenizer/tokenizer.model", name)
        tokenizer = load_tokenizer(name)
        tokenizer.add_special_tokens({"extra_special_tokens": list(PAPER_TOKENS)})
        tokenizer.save_pretrained(folder)
    return load_tokenizer(folder)


def make_study(task: dict[str, Any]):
    """The study of one run: its model, its dataset's size and its recipe as the task has them."""
    from growthpace.study import Study

    files = {"importer": "alpaca", "folder": ".", "files": "{ability}.json"}
    pool = {**files, "files": "all.json"}
    suite = {"items": files, "epochs": "all", "max_new_tokens": 4}
    lora = {"rank": 16, "alpha": 32, "targets": "all-linear", "dropout": 0.0}
    method = {"method": "full"} if task["method"] == "full" else {"method": "lora", "lora": lora}
    return Study.model_validate(
        {
            "study": "benchmark",
            "description": "a study to measure training with",
            "abilities": list(ABILITIES),
            "seeds": [1],
            "format": "paper",
            "threads": task["threads"],
            "models": {"model": {"folder": Path("base").absolute(), **method}},
            "sources": {"curated": {"items": pool, "labelled": False, "volumes": [task["items"]]}},
            "untuned": False,
            "training": {
                **RECIPE,
                "batch_size": task["batch"],
                "max_length": task["max_length"],
                "microbatch_tokens": task["row"],
                "precision": task["precision"],
                "gradient_checkpointing": task["checkpointing"],
                "compile": task["compile"],
            },
            "suites": {"valid": suite, "test": suite},
            "selection": {"suite": "valid", "rule": "last"},
            "analysis": {"suite": "test", "confidence": 0.95, "margin": 2},
            "figures": {"palette": "colorblind", "style": "white", "panel_width": 3, "columns": 4},
            "keep_checkpoints": "selected",
        }
    )


def fold(examples: list, shape: str) -> list:
    """The examples with ids that the model of this shape has."""
    from dataclasses import replace

    size = SHAPES[shape]["fold"]
    return [replace(e, ids=tuple(i % size for i in e.ids)) for e in examples] if size else examples


def prepare(folder: Path, shape: str, number: int, max_length: int, seed: int = 1) -> dict[str, Any]:
    """Writes what all sides read into a folder: `base/`, a model and its tokenizer; `items.parquet`; and
    `examples.json`, the items' ids and masks in the order in which they are learned. Gives what there is of them."""
    import torch
    from transformers import LlamaForCausalLM

    from growthpace.conversation import Encoder
    from growthpace.data.items import write_items
    from growthpace.training.batches import Steps, encode_items

    tokenizer = save_tokenizer(folder / "base")
    torch.manual_seed(0)
    model = LlamaForCausalLM(llama_config(shape, len(tokenizer)))
    model.save_pretrained(folder / "base")
    encoder = Encoder(tokenizer, "paper")
    kept = [i for i in make_items(number + number // 4) if len(encoder.encode(i.messages).ids) <= max_length]
    items = random.Random(seed).sample(kept, number)
    write_items(folder / "items.parquet", items, {})
    examples, _ = encode_items(items, encoder, max_length, "refuse")
    order = Steps(examples, seed, 1, BATCH, max_length).order(0)
    ordered = [fold(examples, shape)[index] for index in order]
    rows = [{"ids": example.ids, "mask": example.mask} for example in ordered]
    (folder / "examples.json").write_text(json.dumps(rows))
    parameters = sum(weights.numel() for weights in model.parameters())
    head = model.lm_head.weight.numel()
    lengths = [len(example.ids) for example in ordered]
    return {
        "parameters": parameters,
        "vocabulary_share": round(head / (parameters - head), 3),
        "mean_tokens": round(statistics.mean(lengths), 1),
        "longest": max(lengths),
        "answer_share": round(sum(sum(e.mask) for e in ordered) / sum(lengths), 3),
    }
