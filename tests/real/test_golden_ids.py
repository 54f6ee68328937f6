"""The one encoder splits the paper's texts as SentencePiece itself does, on real Chinese questions (invariant 2)."""

from __future__ import annotations

import json
import shutil

import pytest
import sentencepiece

from growthpace.conversation import PAPER_TOKENS, Encoder
from growthpace.data.items import Message
from growthpace.models.tokenizer import load_tokenizer

pytestmark = pytest.mark.real

PIECES = 49_953
"""Of Chinese-LLaMA-Plus; the tokens of the paper's format come after them."""


@pytest.fixture(scope="module")
def model_file(real_data):
    return real_data / "chinese_llama_tokenizer" / "tokenizer.model"


@pytest.fixture(scope="module")
def referee(model_file):
    return sentencepiece.SentencePieceProcessor(model_file=str(model_file))


@pytest.fixture(scope="module")
def encoder(model_file, tmp_path_factory):
    """As a study has it: loaded, given the format's tokens, saved beside the base model, loaded again."""
    folder = tmp_path_factory.mktemp("tokenizer")
    shutil.copyfile(model_file, folder / "tokenizer.model")
    tokenizer = load_tokenizer(folder)
    tokenizer.add_special_tokens({"extra_special_tokens": list(PAPER_TOKENS)}, replace_extra_special_tokens=False)
    tokenizer.save_pretrained(folder / "saved")
    return Encoder(load_tokenizer(folder / "saved"), "paper")


def agieval(real_data):
    """Every question of AGIEval's Chinese sets, its passage and options with it, and the answer's letter."""
    for path in sorted((real_data / "agieval_permissive" / "data" / "v1").glob("gaokao-*.jsonl")):
        if path.stem == "gaokao-english":
            continue
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            options = "\n".join(row["options"] or ())
            yield f"{row['passage'] or ''}{row['question']}\n{options}", str(row["label"] or row["answer"])


def gaokao_bench(real_data):
    """Every question of GAOKAO-Bench, with its analysis as the answer."""
    for path in sorted((real_data / "gaokao_bench").rglob("*.json")):
        for row in json.loads(path.read_text(encoding="utf-8"))["example"]:
            yield row["question"], row["analysis"] or "".join(row["answer"])


@pytest.mark.parametrize(("source", "least"), [(agieval, 1500), (gaokao_bench, 1000)])
def test_ids_are_sentencepieces(source, least, real_data, encoder, referee):
    user, assistant, end = range(PIECES, PIECES + 3)
    pairs = list(source(real_data))
    assert len(pairs) >= least
    for question, answer in pairs:
        asked, answered = referee.encode(question), referee.encode(answer)
        expected = [user, *asked, end, assistant, *answered, end]
        found = encoder.encode([Message("user", question), Message("assistant", answer)])
        assert list(found.ids) == expected, question
        assert [i for i, learned in enumerate(found.mask) if learned] == list(range(len(asked) + 3, len(expected)))
        assert encoder.prompt([Message("user", question)]) == expected[: len(asked) + 3]
        assert encoder.answer(answer) == answered


def test_what_a_golden_text_becomes(encoder, referee):
    """Ids read off SentencePiece once, so that a changed library cannot change both sides at once."""
    text = "下列说法正确的是"
    assert referee.encode(text) == GOLDEN
    assert encoder.text(text) == GOLDEN
    assert encoder.text("A") != encoder.text(" A")


GOLDEN = [29871, 38997, 35759, 36531, 30392]
