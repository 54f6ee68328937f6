"""Packing holds every example once, and a packed row computes what its examples compute alone (invariant 4)."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny
from growthpace.conversation import Encoded
from growthpace.training.packing import IGNORED, best_fit, pack
from growthpace.training.trainer import _tensors, answer_loss

MAXIMUM = 24
fuzz = settings(max_examples=60, deadline=None)


@pytest.fixture(scope="module", params=["sdpa", "eager"])
def model(request):
    return tiny.make_model(tiny.make_tokenizer(), attn_implementation=request.param)


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
    for row in _tensors([rows])["rows"]:
        loss = answer_loss(model, row)
        loss.backward()
        total += float(loss.detach())
    return total, {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def assert_same(ours, theirs):
    """Losses and every gradient agree to 1e-5 of their own size (where that is not itself but rounding)."""
    assert ours[0] == pytest.approx(theirs[0], rel=1e-5)
    whole = torch.stack([gradient.norm() for gradient in theirs[1].values()]).norm()
    for name, gradient in theirs[1].items():
        assert (ours[1][name] - gradient).norm() <= 1e-5 * gradient.norm() + 1e-6 * whole, name


def naive(model, examples) -> tuple[float, dict[str, torch.Tensor]]:
    """The same from one plain forward pass for each example: all logits, a loop over learned tokens."""
    model.zero_grad()
    total = 0.0
    for one in examples:
        logs = torch.log_softmax(model(input_ids=torch.tensor([one.ids])).logits[0].float(), dim=-1)
        places = [place for place in range(1, len(one.ids)) if one.mask[place]]
        loss = -sum(logs[place - 1, one.ids[place]] for place in places)
        loss.backward()
        total += float(loss.detach())
    return total, {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


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


def test_recomputing_activations_changes_nothing():
    """`gradient_checkpointing` runs each layer again with the same packed mask."""
    examples = [example(length, length) for length in (5, 9, 2, 17)]
    model = tiny.make_model(tiny.make_tokenizer()).train()
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
        (row,) = _tensors([pack(examples, sum(lengths))])["rows"]
        with torch.inference_mode():
            # Without use_cache=False transformers would see one sequence here: packing must always pass it.
            inputs = {key: row[key] for key in ("input_ids", "position_ids")}
            logits.append(model(**inputs, use_cache=False).logits[0])
    start = sum(lengths[:changed])  # longest first, ties in the given order: as given here
    own = slice(start, start + lengths[changed])
    others = [place for place in range(sum(lengths)) if not own.start <= place < own.stop]
    assert torch.equal(logits[0][others], logits[1][others])
    assert (logits[0][own] - logits[1][own]).abs().max() > 0.1
