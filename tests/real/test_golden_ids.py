"""Golden ids: the encoder splits real Chinese text as the paper's own SentencePiece model does (invariant 2)."""

import json

import pytest

from growthpace.conversation import PAPER_TOKENS, Encoder
from growthpace.data.items import Message
from growthpace.models.tokenizer import decode, load_tokenizer

pytestmark = pytest.mark.real

TEXTS = 2000

GOLDEN = {
    "A": [319],
    "正确": [29871, 34369],
    "答案：李白": [29871, 32940, 30383, 30864, 30868],
    "Which?\nA. one\nB. two": [8449, 29973, 13, 29909, 29889, 697, 13, 29933, 29889, 1023],
    " 1,000 ": [29871, 33183, 29892, 33961, 29871],
    "": [],
}
"""Made with sentencepiece 0.2.3 and the published model. What transformers' own Llama tokenizer gives is not this."""


@pytest.fixture(scope="module")
def encoder(real_data):
    tokenizer = load_tokenizer(real_data / "chinese_llama_tokenizer")
    assert len(tokenizer) == 49_953
    tokenizer.add_special_tokens({"extra_special_tokens": list(PAPER_TOKENS)})
    return Encoder(tokenizer, "paper")


@pytest.fixture(scope="module")
def texts(real_data):
    files = sorted((real_data / "agieval_permissive/data/v1").glob("gaokao-*.jsonl"))
    rows = [json.loads(line) for file in files if "english" not in file.name for line in file.read_text().splitlines()]
    found = ["\n".join([row["passage"] or "", row["question"], *(row["options"] or [])]).strip() for row in rows]
    assert len(found) > 1700
    return found[:TEXTS]


@pytest.mark.parametrize("text", GOLDEN)
def test_pinned_ids(encoder, text):
    assert encoder.text(text) == GOLDEN[text]
    assert encoder.answer(text) == GOLDEN[text]


def test_every_question_is_split_as_by_sentencepiece(encoder, texts, real_data):
    import sentencepiece

    model = sentencepiece.SentencePieceProcessor(
        model_file=str(real_data / "chinese_llama_tokenizer" / "tokenizer.model")
    )
    assert [encoder.text(text) for text in texts] == [model.encode(text) for text in texts]


def test_decoding_gives_the_text_back(encoder, texts):
    for text in texts[::20]:
        assert decode(encoder.tokenizer, encoder.text(text)) == text


def test_a_whole_conversation(encoder):
    """The paper's form: <user> text <eot> <assistant> text <eot>, the three tokens behind the published vocabulary."""
    user, assistant, eot = 49_953, 49_954, 49_955
    encoded = encoder.encode([Message("user", "正确"), Message("assistant", "A")])
    assert encoded.ids == (user, 29871, 34369, eot, assistant, 319, eot)
    assert encoded.mask == (False, False, False, False, False, True, True)
    assert encoder.prompt([Message("user", "正确")]) == [user, 29871, 34369, eot, assistant]
