"""Arithmetic of time, memory and disk, with every constant and its source. Bytes, seconds and operations throughout."""

from __future__ import annotations

from growthpace.planning.shape import Shape
from growthpace.study import Training

GB = 1e9
GPU_GB = 2.0**30
"""What makers of GPUs and nvidia-smi call a GB of a GPU's memory: an 80 GB GPU has 80 times this."""

TRAINING_UTILISATION = 0.40
"""Share of a GPU's bf16 peak that training reaches: 38 to 46 % published for models of 7b to 30b on H100s (the tables
of MosaicML's llm-foundry), 46 % for PaLM (arXiv 2204.02311, table 3). Reached by good training, so a lower bound of
the time rather than a promise."""
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
STATE_BYTES = 12
"""A parameter's bytes in a resumable state: fp32 weight 4, Adam 8 (Rajbhandari et al. 2020, arXiv 1910.02054)."""
STATES_AT_ONCE = 3
"""States on disk while one is written: the two that are kept and the new one."""
BYTES_PER_TOKEN = 3.0
"""UTF-8 bytes of text taken for one token where no finished run tells; English has about 4, Chinese 2 to 5."""
MARKERS = 2
"""Tokens that the format adds to a message: its role and its end."""
PREDICTION_TOKENS = 8192
"""Padded tokens of one forward pass of the evaluation engine (`Engine.batch_tokens`; a test compares them)."""
PREDICTION_BYTES = 1000
"""Assumed for one item's prediction on disk."""
LOGIT_BYTES = 12
"""An fp32 logit, its log-softmax and its gradient."""


def weight_bytes(precision: str) -> int:
    """Bytes of a parameter of a saved epoch."""
    return {"fp32": 4, "bf16": 2}[precision]


def training_operations(shape: Shape | int, tokens: float, length: float, checkpointing: bool) -> float:
    """Operations of training on so many tokens: 6 N a token (Kaplan et al. 2020, arXiv 2001.08361, section 2.1) and 12
    layers hidden length for attention (Chowdhery et al. 2022, arXiv 2204.02311, appendix B), length being the mean of
    what attends to each other; a third more where activations are computed again.

    shape: only a number of parameters where no more is known, then without the second term.
    """
    if isinstance(shape, int):
        each = 6.0 * shape
    else:
        each = 6.0 * shape.parameters + 12.0 * shape.layers * shape.hidden * length
    return each * tokens * (4 / 3 if checkpointing else 1)


def model_states(parameters: float, processes: int = 1, distribution: str = "ddp") -> float:
    """Bytes on each device of fp32 weights 4, gradients 4 and Adam 8 (16 a parameter; Rajbhandari et al. 2020).

    zero2 shards gradients and Adam over the processes, zero3 the weights too; ddp has a second copy of the gradients,
    in which they are exchanged, as soon as there are two processes.
    """
    if distribution == "zero3":
        return 16 * parameters / processes
    if distribution == "zero2":
        return parameters * (4 + 12 / processes)
    return parameters * (16 if processes == 1 else 20)


def activations(shape: Shape, tokens: int, precision: str, checkpointing: bool) -> float:
    """Bytes of activations of one packed row: 34 hidden a token and layer in half precision (Korthikanti et al. 2022,
    arXiv 2205.05198, equation 1, without the attention matrix, which is never kept here); with checkpointing 2 hidden
    a token and layer, and one layer in full; twice that in fp32. And the logits, were every token learned."""
    whole, kept = (34.0, 2.0) if precision == "bf16" else (68.0, 4.0)
    per_token = kept * shape.layers + whole if checkpointing else whole * shape.layers
    return tokens * (per_token * shape.hidden + LOGIT_BYTES * shape.vocabulary)


def training_memory(shape: Shape, training: Training, processes: int, distribution: str) -> float:
    """Bytes that training needs on each device: its states, and the larger of what a backward pass needs (activations
    and, in bf16, the half copy of the weights that autocast keeps) and what an optimiser step needs (torch's AdamW
    works on all parameters at once, with one more copy of them)."""
    shards = processes if distribution in ("zero2", "zero3") else 1
    backward = activations(shape, training.microbatch_tokens, training.precision, training.gradient_checkpointing)
    if training.precision == "bf16":
        backward += 2 * shape.parameters / (processes if distribution == "zero3" else 1)
    step = 4 * shape.parameters / shards
    return model_states(shape.parameters, processes, distribution) + max(backward, step)


def host_memory(shape: Shape, processes: int, distribution: str) -> float:
    """Bytes of host memory of a node's `processes` that train on GPUs: each loads the fp32 weights there before they
    go to its GPU (one of them for zero3), and resuming on one process loads Adam there."""
    copies = 8 if processes == 1 else 4 if distribution == "zero3" else 4 * processes
    return copies * shape.parameters + processes * PROCESS_BYTES


def prediction_memory(shape: Shape, bytes_per_weight: float) -> float:
    """Bytes of a device that predicts: weights, and the larger of what generating keeps (keys and values of one pass)
    and what scoring needs (that pass's logits, were all of them wanted)."""
    keys_and_values = 2 * shape.layers * shape.key_value_width * bytes_per_weight
    each = max(keys_and_values, LOGIT_BYTES * shape.vocabulary)
    return shape.parameters * bytes_per_weight + PREDICTION_TOKENS * each


def training_disk(parameters: float, epochs: int, precision: str) -> float:
    """Bytes on disk of a run in training: the weights of so many epochs, and its states."""
    return parameters * (epochs * weight_bytes(precision) + STATES_AT_ONCE * STATE_BYTES)
