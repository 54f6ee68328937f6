"""Models made from scratch: tokenizers that round-trip, pretraining that learns and repeats itself bit for bit."""

import hashlib
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer

from growthpace.errors import InputError
from growthpace.microworld import corpus, words
from growthpace.models.initialise import IGNORED, _batches, _learning_rate, _pieces, initialise, train_tokenizer
from growthpace.study import Initialise, Microworld

WORLD = Microworld(
    seed=3, entities=12, documents_per_entity=2, train_items=4, synthetic_items=4, synthetic_error_rate=0.1,
    valid_items=2, test_items=2,
)  # fmt: skip
DOCUMENTS, WORDS = corpus(WORLD), words(WORLD)
WORD_TOKENIZER = train_tokenizer("words", DOCUMENTS, WORDS, 300)
BYTE_TOKENIZER = train_tokenizer("bpe", DOCUMENTS, None, 320)


def settings(**changes) -> Initialise:
    pretraining = {"steps": 20, "batch_size": 8, "learning_rate": 0.03, "seed": 1}
    pretraining |= {key: changes.pop(key) for key in list(changes) if key in pretraining}
    fields = {
        "corpus": "microworld", "tokenizer": "words", "vocabulary_size": 300, "hidden_size": 16,
        "intermediate_size": 32, "layers": 2, "heads": 2, "key_value_heads": 1, "context": 64,
        "tie_embeddings": True, "pretraining": pretraining,
    }  # fmt: skip
    return Initialise(**{**fields, **changes})


def made(folder: Path, *, documents=DOCUMENTS, vocabulary=WORDS, **changes) -> dict:
    return initialise(settings(**changes), documents, vocabulary, folder, 1, lambda line: None)


def bytes_of(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@given(st.lists(st.sampled_from(WORDS), max_size=12), st.lists(st.sampled_from(WORDS), max_size=12))
def test_words_round_trip_and_join_at_word_boundaries(left, right):
    ids = WORD_TOKENIZER.encode(" ".join(left + right), add_special_tokens=False)
    assert WORD_TOKENIZER.decode(ids) == " ".join(left + right)
    assert WORD_TOKENIZER.encode(WORD_TOKENIZER.decode(ids), add_special_tokens=False) == ids
    parts = [WORD_TOKENIZER.encode(" ".join(part), add_special_tokens=False) for part in (left, right)]
    assert ids == parts[0] + parts[1]
    assert len(ids) == len(left) + len(right)


@given(st.text(max_size=40).filter(lambda text: not set("<>") & set(text)))
def test_bytes_round_trip_any_text(text):
    ids = BYTE_TOKENIZER.encode(text, add_special_tokens=False)
    assert BYTE_TOKENIZER.decode(ids) == text
    assert BYTE_TOKENIZER.unk_token_id not in ids


@pytest.mark.parametrize("tokenizer", [WORD_TOKENIZER, BYTE_TOKENIZER], ids=["words", "bpe"])
def test_tokenizers_survive_saving_and_take_new_tokens(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.get_vocab() == tokenizer.get_vocab()
    assert (loaded.pad_token, loaded.unk_token, loaded.eos_token, loaded.bos_token) == ("<pad>", "<unk>", "<eos>", None)
    text = DOCUMENTS[0]
    assert loaded.encode(text) == tokenizer.encode(text, add_special_tokens=False)
    loaded.add_special_tokens({"additional_special_tokens": ["<user>", "<eot>"]})
    ids = loaded.encode(f"<user>{text}<eot>", add_special_tokens=False)
    assert ids == [len(tokenizer), *tokenizer.encode(text, add_special_tokens=False), len(tokenizer) + 1]
    assert loaded.decode(ids, skip_special_tokens=True).strip() == text


def test_words_are_exactly_those_given_or_the_most_frequent():
    assert WORD_TOKENIZER.convert_ids_to_tokens(list(range(len(WORD_TOKENIZER)))) == ["<pad>", "<unk>", "<eos>", *WORDS]
    frequent = train_tokenizer("words", ["b a b c", "d b c"], None, 5)
    assert frequent.get_vocab() == {"<pad>": 0, "<unk>": 1, "<eos>": 2, "b": 3, "c": 4}
    assert frequent.encode("a b", add_special_tokens=False) == [1, 3]


def test_vocabularies_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="vocabulary_size: 20 is below"):
        train_tokenizer("words", DOCUMENTS, WORDS, 20)
    with pytest.raises(InputError, match="vocabulary_size: 200 is below 259"):
        train_tokenizer("bpe", DOCUMENTS, None, 200)
    assert len(BYTE_TOKENIZER) <= 320


def test_twenty_steps_lower_the_loss_and_repeat_bit_for_bit(tmp_path):
    lines: list[str] = []
    first = initialise(settings(), DOCUMENTS, WORDS, tmp_path / "a", 1, lines.append)
    torch.rand(5)  # what happened before must not matter
    again = made(tmp_path / "b")
    assert first["final_loss"] < 0.75 * math.log(first["vocabulary"])
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")
    assert {key: first[key] for key in ("parameters", "final_loss", "tokens")} == {
        key: again[key] for key in ("parameters", "final_loss", "tokens")
    }
    assert lines[-1].startswith("pretraining: step 20 of 20, loss ")
    made(tmp_path / "c", seed=2)
    assert bytes_of(tmp_path / "a")["model.safetensors"] != bytes_of(tmp_path / "c")["model.safetensors"]


@pytest.mark.parametrize("kind", ["words", "bpe"])
def test_the_folder_is_a_plain_hugging_face_model(kind, tmp_path):
    described = made(tmp_path, tokenizer=kind, vocabulary_size=300, steps=2, vocabulary=None, tie_embeddings=False)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    assert type(model).__name__ == "LlamaForCausalLM"
    assert model.dtype == torch.float32
    assert sum(parameter.numel() for parameter in model.parameters()) == described["parameters"]
    assert (model.config.vocab_size, model.config.max_position_embeddings) == (len(tokenizer), 64)
    assert (model.config.eos_token_id, model.config.pad_token_id) == (2, 0)
    assert (tmp_path / "model.safetensors").exists()


def test_random_numbers_and_threads_are_as_before(tmp_path):
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    made(tmp_path, steps=1)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_long_documents_are_cut_and_nothing_is_lost():
    pieces = _pieces(WORD_TOKENIZER, DOCUMENTS, context=8)
    whole = [[*WORD_TOKENIZER.encode(text, add_special_tokens=False), 2] for text in DOCUMENTS]
    assert max(map(len, pieces)) == 8
    assert min(map(len, pieces)) > 1
    assert sum(map(len, pieces)) == sum(len(ids) - (len(ids) % 8 == 1) for ids in whole)


def test_batches_go_round_the_corpus_without_a_short_one():
    pieces = [[number] * (number + 2) for number in range(5)]
    seen = [int(row[0]) for batch in _batches(pieces, 2, 5, seed=0) for row in batch]
    assert sorted(seen[:5]) == sorted(seen[5:]) == list(range(5))
    batch = next(_batches(pieces, 5, 1, seed=0))
    assert batch.shape == (5, 6)
    assert int((batch != IGNORED).sum()) == sum(map(len, pieces))
    larger = list(_batches(pieces, 12, 2, seed=0))
    assert [len(batch) for batch in larger] == [12, 12]


def test_the_learning_rate_rises_then_falls_to_nearly_nothing():
    rates = [_learning_rate(step, 100, 1.0) for step in range(100)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert 0 <= rates[-1] < 0.001
    assert _learning_rate(0, 1, 1.0) == 1.0


def test_padding_and_neighbours_change_nothing(tmp_path):
    made(tmp_path, steps=2)
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    short, long = torch.tensor([[3, 4, 5]]), torch.tensor([[6, 7, 8, 9, 10]])
    with torch.no_grad():
        alone = model(short).logits[0]
        together = model(torch.cat([torch.nn.functional.pad(short, (0, 2)), long])).logits[0, :3]
    assert torch.allclose(alone, together, atol=1e-6)


def test_an_empty_corpus_is_refused(tmp_path):
    with pytest.raises(InputError, match="no documents"):
        made(tmp_path, documents=["", "  "])
