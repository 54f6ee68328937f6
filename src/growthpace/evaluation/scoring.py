"""One forward pass that scores several questions: in a forest for models with plain attention, else through a mask.

Only positions that predict a candidate's tokens meet the vocabulary matrix (and whatever an architecture does to logits
after it), each once and a chunk at a time, and their log-softmax is fp32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch.nn.functional import linear

from growthpace.evaluation.forest import plant
from growthpace.evaluation.questions import Question

WHOLE_LOGITS = 2**26
"""Logits that are there at once (256 MB in fp32)."""
CAST = 2**24
"""Numbers of the vocabulary matrix that are turned into fp32 at once on a CPU."""
Scores = list[tuple[float, ...]]
"""By question, by candidate: summed natural-log probability of its tokens."""


def score_in_forest(model, questions: Sequence[Question], shared: Sequence[int]) -> Scores:
    """For a model whose attention is `forest.IN_FOREST`; shared: see `forest.plant`."""
    forest = plant(questions, shared)
    device = next(model.parameters()).device
    places = sorted({place for candidates in forest.asked for tokens in candidates for place, _ in tokens})
    rows = {place: row for row, place in enumerate(places)}
    inner = model.get_base_model() if hasattr(model, "peft_config") else model
    hidden = inner.base_model(
        input_ids=torch.tensor([forest.ids], device=device),
        position_ids=torch.tensor([forest.positions], device=device),
        use_cache=False,
        forest=forest,
    ).last_hidden_state[0, torch.tensor(places, device=device)]
    head = inner.get_output_embeddings()
    wanted = [(rows[place], token) for candidates in forest.asked for tokens in candidates for place, token in tokens]
    values = _chosen(lambda chunk: in_fp32(head, hidden[chunk]), len(places), wanted, device, inner.config)
    return _summed(values, questions)


def score_through_mask(model, questions: Sequence[Question]) -> Scores:
    """For any model: prompt and candidates stand in one padded row, and a mask lets every candidate see the prompt and
    itself, never another candidate."""
    rows, width = len(questions), max(question.length for question in questions)
    ids = torch.zeros(rows, width, dtype=torch.long)
    positions = torch.zeros(rows, width, dtype=torch.long)
    visible = torch.eye(width, dtype=torch.bool).repeat(rows, 1, 1)  # padding sees itself, else its softmax is NaN
    causal = torch.ones(width, width, dtype=torch.bool).tril()
    asked: list[tuple[tuple[int, int], int]] = []  # ((row, position) that predicts, the token)
    for row, question in enumerate(questions):
        start = len(question.prompt)
        ids[row, :start] = torch.tensor(question.prompt)
        positions[row, :start] = torch.arange(start)
        visible[row, :start, :start] = causal[:start, :start]
        at = start
        for candidate in question.candidates:
            fed = len(candidate) - 1
            stop = at + fed
            ids[row, at:stop] = torch.tensor(candidate[:-1], dtype=torch.long)
            positions[row, at:stop] = torch.arange(start, start + fed)
            visible[row, at:stop, :start] = True
            visible[row, at:stop, at:stop] = causal[:fed, :fed]
            places = [(row, start - 1), *((row, place) for place in range(at, stop))]
            asked += zip(places, candidate, strict=True)
            at = stop
    device = next(model.parameters()).device
    lowest = torch.finfo(model.dtype).min
    mask = torch.zeros(rows, 1, width, width, dtype=model.dtype).masked_fill_(~visible[:, None], lowest)
    inputs = {
        "input_ids": ids.to(device),
        "position_ids": positions.to(device),
        "attention_mask": mask.to(device),
    }
    places = sorted({place for place, _ in asked})
    number = {place: row for row, place in enumerate(places)}
    logits = _logits_at(model, inputs, places)
    wanted = [(number[place], token) for place, token in asked]
    values = _chosen(lambda chunk: logits[chunk], len(places), wanted, device, model.config)
    return _summed(values, questions)


def _logits_at(model, inputs, places: list[tuple[int, int]]) -> torch.Tensor:
    """Logits at (row, position) pairs, shape (pairs, vocabulary), without those of all other positions."""
    rows, positions = (torch.tensor(x, device=inputs["input_ids"].device) for x in zip(*places, strict=True))

    def wanted_only(head, arguments):
        return (arguments[0][rows, positions][None],)

    def exactly(head, arguments, rounded):
        return in_fp32(head, arguments[0][0])[None]

    # Picked where the vocabulary matrix is applied, not after: what an architecture does to logits afterwards (Cohere
    # and Granite scale them, Gemma caps them) then happens to these too.
    head = model.get_output_embeddings()
    hooks = [head.register_forward_pre_hook(wanted_only), head.register_forward_hook(exactly)]
    try:
        return model(**inputs, use_cache=False).logits[0]
    finally:
        for hook in hooks:
            hook.remove()


def in_fp32(head: torch.nn.Module, hidden: torch.Tensor) -> torch.Tensor:
    """The vocabulary matrix times hidden states, shape (rows, vocabulary), in fp32 whatever precision both have: a bf16
    logit near 16 is rounded to a sixteenth."""
    if not isinstance(head, torch.nn.Linear):  # peft's, of which some rows were trained: adapters on four bits
        return head(hidden).float()
    weight = head.weight
    if weight.dtype == torch.float32:
        return linear(hidden, weight, head.bias)
    if hidden.is_cuda:
        logits = torch.mm(hidden, weight.T, out_dtype=torch.float32)
    else:
        parts = weight.split(max(1, CAST // weight.shape[1]))
        logits = torch.cat([hidden.float() @ part.float().T for part in parts], dim=1)
    return logits if head.bias is None else logits + head.bias.float()


def _chosen(logits, places: int, wanted: list[tuple[int, int]], device, config) -> Iterator[float]:
    """Log-probabilities of the wanted (place, token) pairs; `logits` gives those of a slice of the places."""
    chunk = max(1, WHOLE_LOGITS // config.get_text_config().vocab_size)
    by_place = sorted(range(len(wanted)), key=lambda index: wanted[index][0])
    found, done = [], 0
    for start in range(0, places, chunk):
        stop = done
        while stop < len(by_place) and wanted[by_place[stop]][0] < start + chunk:
            stop += 1
        pairs = [wanted[index] for index in by_place[done:stop]]
        rows, tokens = (torch.tensor(x, device=device) for x in zip(*pairs, strict=True))
        scaled = torch.log_softmax(logits(slice(start, start + chunk)).float(), dim=-1)
        found.append(scaled[rows - start, tokens])
        done = stop
    values = torch.cat(found).double().tolist()
    in_order = dict(zip(by_place, values, strict=True))
    return iter([in_order[index] for index in range(len(wanted))])


def _summed(values: Iterator[float], questions: Sequence[Question]) -> Scores:
    return [tuple(sum(next(values) for _ in candidate) for candidate in question.candidates) for question in questions]
