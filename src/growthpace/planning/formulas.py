"""Arithmetic of time, disk and predictions, with every constant and its source; memory of training is in `memory`.

Bytes, seconds and operations throughout.
"""

from __future__ import annotations

from growthpace.planning.shape import Shape
from growthpace.study import Lora, Model

GB = 1e9
GPU_GB = 2.0**30
"""What makers of GPUs and nvidia-smi call a GB of a GPU's memory: an 80 GB GPU has 80 times this."""

TRAINING_UTILISATION = 0.40
"""Share of a GPU's half-precision peak that training reaches: 38 to 46 % published for models of 7b to 30b on H100s
(the tables of MosaicML's llm-foundry), 46 % for PaLM (arXiv 2204.02311, table 3). Reached by good training, so a lower
bound of the time rather than a promise."""
SCORING_UTILISATION = 0.20
"""Assumed for forward passes over prompts and candidates, which are padded and masked."""
GENERATION_UTILISATION = 0.01
"""Assumed for answers of about ten rows at a time: each token reads all weights, so that memory is the limit."""
START_SECONDS = 10.0
"""From the start of a process to its first work, weights apart: importing takes about 6 s (measured)."""
DISK_BYTES_PER_SECOND = 1e9
"""Assumed of a cluster's file system, for loading weights and for saving weights and states."""
CPU_PROCESS_BYTES = 1e9
"""Host memory of a process with torch and transformers, apart from what grows with the model (measured: 0.6e9)."""
PROCESS_BYTES = 3e9
"""The same with CUDA (assumed)."""
GPU_OVERHEAD_BYTES = 1.5e9
"""Assumed for the CUDA context, its libraries and what the allocator cannot use."""
GPU_TAKEN_BYTES = 1e9
"""Of these what a process that has begun finds taken already, and what a GPU has less than its name says (assumed)."""
STATE_BYTES = 12
"""A parameter's bytes in a resumable state: fp32 weight 4, Adam 8 (Rajbhandari et al. 2020, arXiv 1910.02054)."""
STATES_AT_ONCE = 3
"""States on disk while one is written: the two that are kept and the new one."""
BYTES_PER_TOKEN = 3.0
"""UTF-8 bytes of text taken for one token where no finished run tells; English has about 4, Chinese 2 to 5."""
MARKERS = 2
"""Tokens that the format adds to a message: its role and its end."""
PREDICTION_TOKENS = 2**14
"""Most tokens of one forward pass that scores (`evaluation.memory.MOST_SCORED`; a test compares them)."""
PREDICTION_BYTES = 1000
"""Assumed for one item's prediction on disk."""
LOGIT_BYTES = 12
"""An fp32 logit, its log-softmax and its gradient."""
WHOLE_LOGITS = 2**26
"""Logits that training's loss computes at once, a chunk of them at a time where there are more
(`training.loss.WHOLE_LOGITS`; a test compares them)."""
QUANTISED_BYTES = (4 + 8 / 64 + 32 / (64 * 256)) / 8
"""A parameter in four bits with its share of two levels of scales, 0.127 bits: an 8-bit scale for 64 parameters, and
an fp32 one for 256 of those (Dettmers et al. 2023, QLoRA, arXiv 2305.14314, section 3)."""


def weight_bytes(precision: str) -> int:
    """Bytes of a parameter in the precision of the training, as in a saved epoch."""
    return {"fp32": 4, "bf16": 2, "fp16": 2}[precision]


def adapter_parameters(shape: Shape, lora: Lora) -> int:
    """Number of parameters of low-rank adapters: rank x (in + out) for each targeted matrix of each layer (Hu et al.
    2021, LoRA, arXiv 2106.09685, section 4.1).

    The matrices are a Llama's. Where the width of the feed-forward network is not known it is taken to be 4 hidden
    (`Shape.inside`), and a matrix with a name of another architecture to be as wide as the widest there are.
    """
    hidden, keys, inside = shape.hidden, shape.key_value_width, shape.inside
    widths = {  # in + out
        "q_proj": 2 * hidden,
        "k_proj": hidden + keys,
        "v_proj": hidden + keys,
        "o_proj": 2 * hidden,
        "gate_proj": hidden + inside,
        "up_proj": hidden + inside,
        "down_proj": inside + hidden,
    }
    targets = widths if lora.targets == "all-linear" else lora.targets
    return lora.rank * shape.layers * sum(widths.get(target, hidden + 2 * inside) for target in targets)


def adapters_of(shape: Shape, model: Model) -> int | None:
    """Number of parameters of a model's adapters; None where all its weights are trained."""
    return None if model.method == "full" else adapter_parameters(shape, model.lora)


def quantised_weights(shape: Shape, precision: str) -> float:
    """Bytes of a base model in four bits, of which embeddings and the vocabulary matrix (2 vocabulary hidden) stay in
    the precision of the training."""
    whole = min(shape.parameters, 2 * shape.vocabulary * shape.hidden)
    return QUANTISED_BYTES * (shape.parameters - whole) + weight_bytes(precision) * whole


def model_operations(shape: Shape, tokens: float, attended: float, method: str = "full") -> float:
    """Operations of training on so many tokens, without what is computed again: 6 N a token (Kaplan et al. 2020, arXiv
    2001.08361, section 2.1) and 12 layers hidden length for attention (Chowdhery et al. 2022, arXiv 2204.02311,
    appendix B). Two of the six are gradients of weights, which frozen weights (lora, qlora) have none of.

    attended: sum over tokens of the length of the example that each is in, so sum of squared lengths.
    """
    each = 6.0 if method == "full" else 4.0
    return each * shape.parameters * tokens + 12.0 * shape.layers * shape.hidden * attended


def training_operations(
    shape: Shape | int, tokens: float, length: float, checkpointing: bool, method: str = "full"
) -> float:
    """Operations that training on so many tokens takes, a forward pass more where activations are computed again.

    shape: only a number of parameters where no more is known, then without attention; length: mean tokens of what
    attends to each other.
    """
    if isinstance(shape, int):
        shape = Shape(shape, 0, 0, 0, 0, 4.0)
    work = model_operations(shape, tokens, tokens * length, method)
    forward = model_operations(shape, tokens, tokens * length) / 3
    return work + (forward if checkpointing else 0)


def logits(tokens: int, vocabulary: int) -> float:
    """Bytes of training's logits, were every token of a row learned: those of `WHOLE_LOGITS` and one chunk at most."""
    chunk = vocabulary * max(1, WHOLE_LOGITS // max(1, vocabulary))
    return LOGIT_BYTES * min(tokens * vocabulary, WHOLE_LOGITS + chunk)


def prediction_weights(shape: Shape, model: Model, precision: str, untuned: bool) -> float:
    """Bytes on its device of the model that predicts: a checkpoint's weights, in the precision of its training (with
    `lora` merged into its base model's); with `qlora` fp32 adapters beside weights in four bits; as the base model's
    files have them where that itself is asked (untuned)."""
    if untuned:
        return shape.parameters * shape.stored_bytes
    if model.method == "qlora":
        return quantised_weights(shape, precision) + 4 * adapter_parameters(shape, model.lora)
    return shape.parameters * weight_bytes(precision)


def prediction_loading(shape: Shape, model: Model, precision: str, untuned: bool) -> float:
    """Bytes of host memory that the model takes which predicts before it goes to its device; adapters are merged in
    fp32."""
    if untuned:
        return shape.parameters * shape.stored_bytes
    return shape.parameters * (4 if model.method == "lora" else weight_bytes(precision))


def prediction_memory(shape: Shape, weights: float, value_bytes: float) -> float:
    """Bytes of a device that predicts: `weights` in bytes, and for a pass of PREDICTION_TOKENS its keys and values and
    the widest moment of a layer (values of `value_bytes`, as `evaluation.memory` counts them), with a chunk of logits.

    The engine makes do with less, by smaller passes.
    """
    keys_and_values = 2 * shape.layers * shape.key_value_width * value_bytes
    widest_moment = value_bytes * (8 * shape.hidden + 3 * shape.inside)
    return weights + PREDICTION_TOKENS * (keys_and_values + widest_moment) + LOGIT_BYTES * WHOLE_LOGITS


def epoch_bytes(parameters: float, precision: str, adapters: float | None = None, merged: bool = False) -> float:
    """Bytes on disk of an epoch's weights: all parameters in the precision of the training, or only so many of
    adapters in fp32; with them the whole model where the study wants it `merged` too."""
    whole = parameters * weight_bytes(precision)
    return whole if adapters is None else 4 * adapters + merged * whole


def state_bytes(parameters: float, adapters: float | None = None) -> float:
    """Bytes on disk of a resumable state, which holds what is trained: all parameters, or only so many of adapters."""
    return STATE_BYTES * (parameters if adapters is None else adapters)


def training_disk(
    parameters: float, epochs: int, precision: str, adapters: float | None = None, merged: bool = False
) -> float:
    """Bytes on disk of a run in training: the weights of so many epochs, and its states."""
    weights = epochs * epoch_bytes(parameters, precision, adapters, merged)
    return weights + STATES_AT_ONCE * state_bytes(parameters, adapters)
