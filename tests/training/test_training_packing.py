"""Packing holds every example once, and a packed row computes what its examples compute alone (invariant 4)."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForCausalLM

import tiny
from growthpace.conversation import Encoded
from growthpace.models.plain import PLAIN, is_plain
from growthpace.training import loss as losses
from growthpace.training.attention import BY_EXAMPLE
from growthpace.training.loss import learn_answers
from growthpace.training.packing import IGNORED, best_fit, even_fit, pack
from growthpace.training.trainer import row_tensors

MAXIMUM = 24
fuzz = settings(max_examples=60, deadline=None)


@pytest.fixture(scope="module", params=[BY_EXAMPLE, "sdpa", "eager"])
def model(request):
    """A model that answers as usual under `plain`, and learns packed rows otherwise."""
    return learning(tiny.make_model(tiny.make_tokenizer()), request.param)


def learning(model, attention: str = BY_EXAMPLE):
    object.__setattr__(model, "plain", copy.deepcopy(model))  # beside the model, no part of it
    model.set_attn_implementation(attention)
    learn_answers(model)
    return model


def example(length: int, seed: int, learned: str = "some") -> Encoded:
    """Random ids; learned: `some` (always the last), `all`, or `last` alone."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, 40, (length,), generator=generator).tolist()
    mask = torch.randint(0, 2, (length,), generator=generator).bool().tolist()
    mask = {"some": mask, "all": [True] * length, "last": [False] * length}[learned]
    return Encoded(tuple(ids), (*mask[:-1], True))


def summed(model, rows) -> tuple[float, dict[str, torch.Tensor]]:
    """Summed loss of the rows, and the gradients of all parameters."""
    model.zero_grad()
    total = 0.0
    for row in rows:
        loss = model(**row_tensors(row))
        loss.backward()
        total += float(loss.detach())
    return total, gradients(model)


def gradients(model) -> dict[str, torch.Tensor]:
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def assert_same(ours, theirs):
    """Losses and every gradient agree to 1e-5 of their own size (where that is not itself but rounding)."""
    assert ours[0] == pytest.approx(theirs[0], rel=1e-5)
    whole = torch.stack([gradient.norm() for gradient in theirs[1].values()]).norm()
    for name, gradient in theirs[1].items():
        assert (ours[1][name] - gradient).norm() <= 1e-5 * gradient.norm() + 1e-6 * whole, name


def naive(model, examples) -> tuple[float, dict[str, torch.Tensor]]:
    """The same from one plain forward pass for each example: all logits, a loop over learned tokens."""
    plain = model.plain
    plain.zero_grad()
    total = 0.0
    for one in examples:
        logs = torch.log_softmax(plain(input_ids=torch.tensor([one.ids])).logits[0].float(), dim=-1)
        places = [place for place in range(1, len(one.ids)) if one.mask[place]]
        loss = -sum(logs[place - 1, one.ids[place]] for place in places)
        loss.backward()
        total += float(loss.detach())
    return total, gradients(plain)


@fuzz
@given(st.lists(st.integers(1, 50), max_size=40), st.integers(50, 120))
def test_best_fit_holds_every_example_once(lengths, capacity):
    bins = best_fit(lengths, capacity)
    assert sorted(index for members in bins for index in members) == list(range(len(lengths)))
    assert all(0 < sum(lengths[index] for index in members) <= capacity for members in bins)


def test_best_fit_chooses_the_tightest_bin():
    assert best_fit([6, 5, 3, 4], 10) == [[0, 3], [1, 2]]


def test_best_fit_refuses_what_fits_nowhere():
    with pytest.raises(ValueError, match="example 1 has 11 tokens, a row holds 10"):
        best_fit([3, 11], 10)


@fuzz
@given(st.lists(st.integers(2, MAXIMUM), min_size=1, max_size=12))
def test_rows_hold_the_examples_whole(lengths):
    examples = [example(length, seed) for seed, length in enumerate(lengths)]
    found = []
    for row in pack(examples, 40):
        assert len(row.input_ids) == len(row.position_ids) == len(row.labels) <= 40
        starts = [place for place, position in enumerate(row.position_ids) if position == 0]
        for start, stop in zip(starts, [*starts[1:], len(row.input_ids)], strict=True):
            assert row.position_ids[start:stop] == list(range(stop - start))
            ids, labels = row.input_ids[start:stop], row.labels[start:stop]
            assert labels[0] == IGNORED
            assert all(label in (IGNORED, token) for label, token in zip(labels, ids, strict=True))
            found.append((tuple(ids), tuple(label != IGNORED for label in labels)))
    assert sorted(found) == sorted((one.ids, (False, *one.mask[1:])) for one in examples)


@pytest.mark.parametrize("learned", ["some", "all", "last"])
@pytest.mark.parametrize(
    "lengths", [[2], [MAXIMUM], [2, 2, 2], [2, MAXIMUM, 3], [5, 7, 11, 2, 24, 9], [MAXIMUM] * 3, [3] * 20]
)
def test_packed_equals_unpacked(model, lengths, learned):
    examples = [example(length, seed, learned) for seed, length in enumerate(lengths)]
    expected = naive(model, examples)
    everything_in_one_row = pack(examples, sum(lengths))
    assert len(everything_in_one_row) == 1
    assert_same(summed(model, everything_in_one_row), expected)
    assert_same(summed(model, pack(examples, MAXIMUM)), expected)
    assert_same(summed(model, [row for one in examples for row in pack([one], MAXIMUM)]), expected)


@fuzz
@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.integers(50, 120), st.integers(1, 8))
def test_rows_for_several_processes(lengths, capacity, processes):
    """None is longer than it must be, and no process has a row more than another where there are enough items."""
    bins, fewest = even_fit(lengths, capacity, processes), best_fit(lengths, capacity)
    assert sorted(index for members in bins for index in members) == list(range(len(lengths)))
    passes = -(-len(fewest) // processes)
    assert len(bins) <= min(passes * processes, len(lengths)) or processes == 1
    assert -(-len(bins) // processes) == passes, "never more passes than fewer rows would take"
    longest = [max(sum(lengths[index] for index in members) for members in found) for found in (bins, fewest)]
    assert longest[0] <= longest[1]


@pytest.mark.parametrize("length", [3, 4, 17, 64, 255, 1000, 2048])
def test_packed_equals_unpacked_from_3_to_2048_tokens(length):
    """Beside examples of other lengths, in rows as long as they may be in training."""
    model = learning(tiny.make_model(tiny.make_tokenizer(), max_position_embeddings=2048))
    examples = [example(size, seed) for seed, size in enumerate([length, 3, max(3, length // 2), 40, length])]
    expected = naive(model, examples)
    rows = pack(examples, 4096)
    assert len(rows) < len(examples)
    assert_same(summed(model, rows), expected)


def test_logits_in_chunks_are_the_same(monkeypatch):
    """Where a row's answer tokens are many, their logits exist a few at a time; no more than that ever does."""
    examples = [example(length, length, "all") for length in (5, 9, 2, 17)]
    model = learning(tiny.make_model(tiny.make_tokenizer()))
    expected = summed(model, pack(examples, 40))
    assert expected[0] == pytest.approx(naive(model, examples)[0], rel=1e-5)
    seen = []
    monkeypatch.setattr(losses, "WHOLE_LOGITS", 4 * model.config.vocab_size)
    model.get_output_embeddings().register_forward_hook(lambda layer, given, made: seen.append(len(made)))
    assert_same(summed(model, pack(examples, 40)), expected)
    assert max(seen) == 4
    assert sum(seen) >= 33 - 4


@pytest.mark.parametrize("kind", [*sorted(PLAIN), "gemma2", "cohere", "granite", "mistral-sliding"])
def test_architectures_pack_exactly(kind):
    """Those whose attention is cut by example, and those that do more: their own mask and forward are used."""
    changes = {"sliding_window": 6 if kind.endswith("-sliding") else None} if "mistral" in kind else {}
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    ids = {"bos_token_id": 3, "eos_token_id": 2, "pad_token_id": 1}
    config = AutoConfig.for_model(
        kind.partition("-")[0], vocab_size=46, num_key_value_heads=2, head_dim=8, **sizes, **ids, **changes
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    plain = is_plain(model.config)
    assert plain == (kind in PLAIN)
    learning(model, BY_EXAMPLE if plain else "eager")
    examples = [example(length, seed) for seed, length in enumerate([9, 14, 2, 11])]
    assert_same(summed(model, pack(examples, 64)), naive(model, examples))


def test_recomputing_activations_changes_nothing():
    """`gradient_checkpointing` runs each layer again with the same packed mask."""
    examples = [example(length, length) for length in (5, 9, 2, 17)]
    model = learning(tiny.make_model(tiny.make_tokenizer())).train()
    expected = summed(model, pack(examples, 40))
    model.activation_checkpointing_enable()
    assert_same(summed(model, pack(examples, 40)), expected)


@pytest.mark.parametrize("changed", [0, 1, 2, 3])
def test_no_example_sees_its_neighbour(model, changed):
    lengths = [9, 6, 6, 2]
    before = [example(length, seed) for seed, length in enumerate(lengths)]
    after = [example(length, seed + 100 * (seed == changed)) for seed, length in enumerate(lengths)]
    logits = []
    for examples in (before, after):
        (row,) = pack(examples, sum(lengths))
        inputs = {key: row_tensors(row)[key] for key in ("input_ids", "position_ids", "lengths")}
        with torch.inference_mode():
            # Without use_cache=False transformers would see one sequence here: packing must always pass it.
            hidden = model.base_model(**inputs, use_cache=False).last_hidden_state[0]
            logits.append(model.get_output_embeddings()(hidden))
    start = sum(lengths[:changed])  # longest first, ties in the given order: as given here
    own = slice(start, start + lengths[changed])
    others = [place for place in range(sum(lengths)) if not own.start <= place < own.stop]
    assert torch.equal(logits[0][others], logits[1][others])
    assert (logits[0][own] - logits[1][own]).abs().max() > 0.1
