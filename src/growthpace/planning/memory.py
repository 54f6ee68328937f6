"""Memory of training, on each device and on a node, in bytes. What a formula rests on stands in its docstring.

`checkpointing` is what `training.gradient_checkpointing` was resolved to: `auto` itself says nothing about memory.
"""

from __future__ import annotations

from growthpace.planning import formulas
from growthpace.planning.formulas import CPU_PROCESS_BYTES, PROCESS_BYTES, weight_bytes
from growthpace.planning.shape import Shape
from growthpace.study import Model, Training

DEEPSPEED_COPY_BYTES = 4
"""A parameter of the fp32 copy that DeepSpeed makes of the weights which a process updates, though they are fp32
(measured in DeepSpeed 0.19.8, stages 1 to 3: 20 bytes a parameter on one process, where torch has 16)."""
OFFLOADED_BYTES = {"zero1": 20, "zero2": 20, "zero3": 24}
"""A trained parameter's bytes in host memory with offload: Adam 8, the copy above 4, gradients 4 (zero3: twice), and a
buffer (zero1, zero2) or the weight itself (zero3) 4 (measured in DeepSpeed 0.19.8)."""


def uses_deepspeed(training: Training, processes: int) -> bool:
    """As `training.zero.uses_deepspeed`, which imports torch; a test compares them."""
    return training.distribution != "ddp" and (processes > 1 or training.offload)


def model_states(parameters: float, processes: int = 1, distribution: str = "ddp", offload: bool = False) -> float:
    """Bytes on each device of trained weights 4, their gradients 4 and Adam 8, all fp32 (16 a parameter; Rajbhandari et
    al. 2020, arXiv 1910.02054, section 3.1), and of the copies of those that come with several processes.

    ddp has a second copy of the gradients, in which they are exchanged. DeepSpeed has one of the weights, divided over
    the processes with Adam (zero1), the gradients (zero2) and the weights (zero3). With offload Adam and that copy are
    in host memory, with zero3 the weights too. Without it one process uses no DeepSpeed.
    """
    if distribution == "ddp" or (processes == 1 and not offload):
        return parameters * (16 if processes == 1 else 20)
    weights = 4 / processes if distribution == "zero3" else 4
    gradients = 4 if distribution == "zero1" else 4 / processes
    optimiser = 0.0 if offload else (8 + DEEPSPEED_COPY_BYTES) / processes
    return parameters * (gradients + optimiser + (0 if offload and distribution == "zero3" else weights))


def layer_activations(shape: Shape, precision: str) -> float:
    """Bytes a token that a layer of transformers' Llama keeps for its backward pass, packed as training packs it.

    Two norms keep 16 hidden of the residual stream, which is fp32 on every path. In half precision the six matrices
    that read it or attention's output each keep a copy of their input, 12 hidden in all; queries and attention's output
    are 4 hidden, keys and values 4 times their width, and the feed-forward network keeps 8 times its own. In fp32 these
    are 12 hidden (shared), 8 hidden, 8 and 16. Counted from the tensors that torch saves (a test compares them); the
    attention matrix is never kept. Adapters keep less, but for their dropout on a CPU (half as much again, measured).
    """
    hidden, keys, inside = shape.hidden, shape.key_value_width, shape.inside
    if precision == "fp32":
        return 36 * hidden + 8 * keys + 16 * inside
    return 32 * hidden + 4 * keys + 8 * inside


def activations(shape: Shape, tokens: int, precision: str, checkpointing: bool) -> float:
    """Bytes of activations of a packed row, without its logits: those of every layer, or with checkpointing the fp32
    residual stream (4 hidden) before every layer and one layer in full; and 8 hidden for the last norm."""
    layer, hidden = layer_activations(shape, precision), shape.hidden
    kept = 4 * hidden * (shape.layers - 1) + layer if checkpointing else layer * shape.layers
    return tokens * (kept + 8 * hidden)


def training_memory(shape: Shape, model: Model, training: Training, checkpointing: bool) -> float:
    """Bytes that training needs on each device: the states of what is trained, frozen weights, and what a backward pass
    needs, which are activations, logits and, in half precision, the half copy of fp32 weights that autocast keeps.

    The optimiser needs nothing on top: torch's fused AdamW updates in place. Frozen weights are those of lora, in the
    precision of the arithmetic (fp32 under DeepSpeed, where zero3 divides them and with offload keeps them on the
    host), and of qlora, in four bits.
    """
    processes, distribution, precision = model.processes, training.distribution, training.precision
    deepspeed = uses_deepspeed(training, processes)
    divided = processes if deepspeed and distribution == "zero3" else 1
    adapters = formulas.adapters_of(shape, model)
    trained = shape.parameters if adapters is None else adapters
    frozen, copied = 0.0, trained
    if model.method == "qlora":
        frozen = formulas.quantised_weights(shape, precision)
    elif model.method == "lora":
        frozen = shape.parameters * (4 if deepspeed else weight_bytes(precision)) / divided
        if deepspeed:
            copied += shape.parameters
            frozen = 0.0 if training.offload and distribution == "zero3" else frozen
    half_copy = 0.0 if precision == "fp32" else 2 * copied / divided
    row = activations(shape, training.microbatch_tokens, precision, checkpointing)
    row += formulas.logits(training.microbatch_tokens, shape.vocabulary)
    return model_states(trained, processes, distribution, training.offload) + frozen + half_copy + row


def offloaded(shape: Shape, model: Model, training: Training) -> float:
    """Bytes of host memory in which each process keeps what offload takes from its device."""
    if not training.offload:
        return 0.0
    adapters, zero3 = formulas.adapters_of(shape, model), training.distribution == "zero3"
    trained = shape.parameters if adapters is None else adapters
    frozen = 4 * shape.parameters if model.method == "lora" and zero3 else 0
    return (OFFLOADED_BYTES[training.distribution] * trained + frozen) / model.processes


def saving(shape: Shape, model: Model, training: Training) -> float:
    """Bytes of host memory in which one process writes an epoch: a copy in the precision of the file, with zero3 the
    whole fp32 weights brought together, and for a merged model those of its base."""
    adapters = formulas.adapters_of(shape, model)
    gathered = uses_deepspeed(training, model.processes) and training.distribution == "zero3"
    copy = shape.parameters * weight_bytes(training.precision) if adapters is None else 4 * adapters
    whole = 4 * shape.parameters if gathered or (model.lora and model.lora.merged) else 0
    return whole + copy


def cpu_memory(shape: Shape, model: Model, training: Training, checkpointing: bool) -> float:
    """Bytes that each process needs which trains without a GPU, apart from itself and from writing an epoch."""
    return training_memory(shape, model, training, checkpointing) + offloaded(shape, model, training)


def host_memory(
    shape: Shape, model: Model, training: Training, checkpointing: bool, processes: int, gpus: bool
) -> float:
    """Bytes of host memory of a node with so many of a model's processes, which train on GPUs or without.

    On GPUs it is the most of: loading, where each process has the weights before they go to its GPU (one of them at a
    time for zero3), in fp32 or, frozen ones, the precision of the training; resuming on one process, which loads Adam;
    and writing an epoch. On top comes what is kept there all the time.
    """
    if not gpus:
        each = cpu_memory(shape, model, training, checkpointing) + CPU_PROCESS_BYTES
        return processes * each + saving(shape, model, training)
    adapters, deepspeed = formulas.adapters_of(shape, model), uses_deepspeed(training, model.processes)
    trained = shape.parameters if adapters is None else adapters
    frozen = model.method == "qlora" or (model.method == "lora" and not deepspeed)
    loading = shape.parameters * (weight_bytes(training.precision) if frozen else 4)
    loading *= 1 if deepspeed and training.distribution == "zero3" else processes
    resuming = 8 * trained if model.processes == 1 else 0
    most = max(loading, resuming, saving(shape, model, training))
    return most + processes * (offloaded(shape, model, training) + PROCESS_BYTES)
