"""Tokenizers are loaded and decoded as their publishers'."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growthpace.conversation import PAPER_TOKENS, Encoder
from growthpace.models.tokenizer import decode, load_tokenizer
from small_tokenizers import byte_level, words, write_sentencepiece


@pytest.fixture(scope="module")
def sentencepiece(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sentencepiece")
    write_sentencepiece(folder)
    tokenizer = load_tokenizer(folder)
    tokenizer.add_special_tokens({"extra_special_tokens": list(PAPER_TOKENS)})
    return tokenizer


@given(text=st.text(st.characters(codec="utf-8"), max_size=30))
def test_text_is_split_as_sentencepiece_does(sentencepiece, text):
    assert Encoder(sentencepiece, "paper").text(text) == sentencepiece.sp_model.encode(text)


@pytest.mark.parametrize("text", [
    "the answer is A",
    "one\nline and\n\nanother\t",  # byte pieces: transformers writes "<0x0A>" for them
    "答案是正确的，🙂",
    "<eot> is spelt <0x0A> here",
])  # fmt: skip
def test_sentencepiece_decodes_to_the_same_text(sentencepiece, text):
    ids = Encoder(sentencepiece, "paper").text(text)
    assert decode(sentencepiece, ids) == text


def test_the_fault_is_still_in_transformers(sentencepiece):
    """When this fails, transformers is repaired and `decode` may go."""
    assert sentencepiece.decode(Encoder(sentencepiece, "paper").text("A\nA")) == "A<0x0A>A"


def test_special_tokens_are_no_text(sentencepiece):
    encoder = Encoder(sentencepiece, "paper")
    user, eot = sentencepiece.convert_tokens_to_ids(["<user>", "<eot>"])
    ids = [sentencepiece.sp_model.bos_id(), user, *encoder.text("A\nB"), eot, sentencepiece.sp_model.eos_id(), eot]
    assert decode(sentencepiece, ids) == "A\nB"
    assert decode(sentencepiece, []) == ""
    other = byte_level()
    assert decode(other, [*other.encode("A\nB"), other.convert_tokens_to_ids("<eot>")]) == "A\nB"
    plain = words(["yes", "no"])
    assert decode(plain, plain.encode("yes <eot> no")) == "yes no"


def test_a_saved_tokenizer_loads_as_the_same(sentencepiece, tmp_path):
    sentencepiece.save_pretrained(tmp_path)
    again = load_tokenizer(tmp_path)
    assert again.convert_tokens_to_ids(list(PAPER_TOKENS)) == sentencepiece.convert_tokens_to_ids(list(PAPER_TOKENS))
    for text in ("the answer", "a\nb 正确", "<user> A"):
        ids = Encoder(again, "paper").text(text)
        assert ids == Encoder(sentencepiece, "paper").text(text)
        assert decode(again, ids) == text


def test_no_torch_is_needed():
    command = "import sys, growthpace.conversation, growthpace.models.tokenizer; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", command], check=True)
