"""The converted base model is the published one: it splits text as llama2.c does and decodes the same tale."""

import re
import struct
from itertools import pairwise

import pytest

pytestmark = pytest.mark.real

TEXTS = (
    "Once upon a time, there was a little girl named Lily.",
    "Lily's mom said, \"Let's go!\"",
    "  two spaces  and   three ",
    "line one\nline two\n\n\tindented",
    "def f(x):\n    return x ** 2  # 1,024",
    "中文 and naïve café — 10 €",
    "",
    " ",
    "A",
    "A. True\nB. False",
)


def llama2c_encode(text, pieces, scores):
    """llama2.c's run.c `encode`, in Python: character look-up with byte fallback, then the best-scoring merge, over
    and over; a space is put before any text that is not empty. Pieces are bytes, as in tok512.bin."""
    ids = {piece: number for number, piece in reversed(list(enumerate(pieces)))}
    tokens = [ids[b" "]] if text else []
    for character in text:
        raw = character.encode()
        tokens += [ids[raw]] if raw in ids else [byte + 3 for byte in raw]
    while True:
        best = max(
            (
                (scores[ids[pieces[a] + pieces[b]]], -n)
                for n, (a, b) in enumerate(pairwise(tokens))
                if pieces[a] + pieces[b] in ids
            ),
            default=None,
        )
        if best is None:
            return tokens
        n = -best[1]
        tokens[n : n + 2] = [ids[pieces[tokens[n]] + pieces[tokens[n + 1]]]]


@pytest.fixture(scope="module")
def published_tokens(real_data):
    raw = (real_data / "model_stories260k/tok512.bin").read_bytes()
    position, pieces, scores = 4, [], []
    while position < len(raw):
        score, length = struct.unpack_from("<fi", raw, position)
        position += 8
        pieces.append(raw[position : position + length])
        scores.append(score)
        position += length
    return pieces, scores


def test_tokenizer_splits_as_llama2c(stories260k, published_tokens):
    from growthpace.models.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(stories260k)
    for text in TEXTS:
        ids = tokenizer.encode(text, add_special_tokens=False)
        assert ids == llama2c_encode(text, *published_tokens), text
        assert tokenizer.sp_model.decode(ids) == text, text


def test_tokenizer_splits_real_items_as_llama2c(stories260k, published_tokens, real_items):
    import json

    from growthpace.models.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(stories260k)
    for path in sorted((real_items / "curated/valid").glob("*.json")):
        for line in path.read_text().splitlines()[:3]:
            for message in json.loads(line)["messages"]:
                text = message["content"]
                assert tokenizer.encode(text, add_special_tokens=False) == llama2c_encode(text, *published_tokens), text


def test_greedy_decode_is_the_documented_sample(stories260k, real_data):
    import torch
    from transformers import AutoModelForCausalLM

    from growthpace.models.tokenizer import load_tokenizer

    document = (real_data / "model_stories260k/stories260K.md").read_text()
    sample = re.search(r"-t 0\.0\n(.*?)\n```", document, re.DOTALL)[1]
    assert len(sample) == 565

    tokenizer = load_tokenizer(stories260k)
    model = AutoModelForCausalLM.from_pretrained(stories260k, dtype=torch.float32)
    assert sum(p.numel() for p in model.parameters()) == 260_032
    with torch.no_grad():
        # run.c begins with the beginning-of-sequence token and makes 256 steps
        ids = model.generate(
            torch.tensor([[tokenizer.bos_token_id]]), max_new_tokens=256, do_sample=False, use_cache=True
        )[0].tolist()
    # SentencePiece itself decodes: the tokenizer's own decode() leaves a line break as the text "<0x0A>"
    assert tokenizer.sp_model.decode(ids[1:]) == sample
