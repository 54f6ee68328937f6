"""Whether training fits, what `gradient_checkpointing: auto` comes to, and which settings would make it fit.

Pure functions of a study and a model's shape. A training asks them about the device that it finds itself on
(`decide_checkpointing`, `device_fault`), a plan about a site's partitions (`planning.costs`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import product

from growthpace.planning import memory
from growthpace.planning.formulas import GB, GPU_GB, GPU_OVERHEAD_BYTES, GPU_TAKEN_BYTES
from growthpace.planning.shape import Shape
from growthpace.study import Lora, Model, Study, Training

CPU = "CPU"
"""How a device's name begins that is none but the host's."""
MOST_PROCESSES = 64
"""As many as are thought of where it is not known how many GPUs there are."""
SUGGESTED_LORA = Lora(rank=16, alpha=32, targets="all-linear", dropout=0.0)
"""Adapters that are thought of for a model that has none."""

Recipe = tuple[Model, Training]


def options(training: Training) -> tuple[bool, ...]:
    """Whether activations may be recomputed, the preferred answer first: both for `auto`."""
    setting = training.gradient_checkpointing
    return (False, True) if setting == "auto" else (setting,)


def device_memory(shape: Shape, model: Model, training: Training, checkpointing: bool) -> float:
    """Bytes that training needs of each GPU, with all that it takes to use one."""
    return memory.training_memory(shape, model, training, checkpointing) + GPU_OVERHEAD_BYTES


def _needed_here(shape: Shape, model: Model, training: Training, checkpointing: bool, device: str) -> float:
    """Bytes of this process's device that training needs still, now that the process runs."""
    if device.startswith(CPU):
        return memory.cpu_memory(shape, model, training, checkpointing) + memory.saving(shape, model, training)
    return device_memory(shape, model, training, checkpointing) - GPU_TAKEN_BYTES


def decide_checkpointing(shape: Shape, study: Study, model: str, device_bytes: float, device: str = "") -> bool:
    """Whether a model's training recomputes activations on a device with so many bytes for each process: as the study
    says, and for `auto` whether it fits only so (also where it fits neither way).

    device: its name, which begins with CPU where it is none but the host's.
    """
    settings, training = study.models[model], study.training
    allowed = options(training)
    fitting = (o for o in allowed if _needed_here(shape, settings, training, o, device) <= device_bytes)
    return next(fitting, allowed[-1])


def device_fault(shape: Shape, study: Study, model: str, device_bytes: float, device: str) -> str | None:
    """Why a model cannot be trained on a device with so many free bytes for each process, naming the settings that
    would fit; None where it can. device: as above."""
    settings, training, on_cpu = study.models[model], study.training, device.startswith(CPU)

    def fits(settings: Model, training: Training) -> bool:
        allowed = options(training)
        return any(_needed_here(shape, settings, training, o, device) <= device_bytes for o in allowed)

    if fits(settings, training):
        return None
    needed = _needed_here(shape, settings, training, options(training)[-1], device)
    now, powers = settings.processes, [2**power for power in range(1, MOST_PROCESSES.bit_length())]
    # More processes on this machine would only share its memory, and what is offloaded stays in it.
    counts = [now, *(count for count in powers if count > now and not on_cpu)]
    way = way_out(model, settings, training, fits, counts, gpus=not on_cpu)
    if not on_cpu:
        needed, free = needed / GPU_GB, device_bytes / GPU_GB
        return f"models.{model}: training needs {needed:,.3g} GB on each GPU, {device} has {free:,.3g} GB free ({way})"
    each = "" if now == 1 else " for each process"
    return (
        f"models.{model}: training needs {needed / GB:,.3g} GB of this machine's memory{each}, it has "
        f"{device_bytes / GB:,.3g} GB free{each} ({way})"
    )


# --- ways out ---------------------------------------------------------------------------------------------------------


def way_out(
    name: str,
    model: Model,
    training: Training,
    fits: Callable[[Model, Training], bool],
    counts: Iterable[int],
    gpus: bool = True,
) -> str:
    """`would fit: ` and the first settings with which training would, or that none would.

    name: the model's; counts: numbers of processes to think of, in the order of preference (a step's items must go
    round); gpus: whether it is GPUs that are too small.
    """
    possible = [count for count in counts if count <= training.batch_size]
    for changed in _ways_out((model, training), possible, gpus):
        if fits(*changed):
            return f"would fit: {_difference(name, (model, training), changed)}"
    return "no other settings would fit"


def _ways_out(now: Recipe, counts: list[int], gpus: bool) -> Iterator[Recipe]:
    """Other settings, those first that cost least: recomputation and shorter rows, which change a result only by
    rounding; more GPUs; time, for state on the host; and last another method, which changes what is studied."""
    model, training = now
    rows = _rows(training)
    yield from ((model, row) for row in rows[1:])
    here = training.distribution
    zero = ("zero2",) if model.method == "qlora" else ("zero2", "zero3")  # which cannot divide weights in four bits
    for offload in dict.fromkeys((training.offload, True) if gpus else (training.offload,)):
        more = offload and not training.offload
        for count, row, way in product(counts, rows, dict.fromkeys((here, *zero))):
            # DeepSpeed does nothing for one process but offload, and nothing else offloads.
            if (offload and way == "ddp") or (count == 1 and not offload and way != here):
                continue
            if more or (count, way) != (model.processes, here):
                yield model.model_copy(update={"processes": count}), _with(row, distribution=way, offload=offload)
    methods = {"full": ("lora", "qlora"), "lora": ("qlora",)}.get(model.method, ())
    for method in methods if gpus else methods[:-1]:  # four bits need a GPU
        adapted = model.model_copy(update={"method": method, "lora": model.lora or SUGGESTED_LORA})
        for row, way in product(rows, dict.fromkeys((here, "ddp"))):
            if method == "lora" or way == "ddp":
                yield adapted, _with(row, distribution=way, offload=training.offload and way != "ddp")


def _rows(training: Training) -> list[Training]:
    """The recipe itself and with ever shorter rows, down to the longest item; each as it is, then recomputing."""
    lengths = [training.microbatch_tokens]
    while lengths[-1] > training.max_length:
        lengths.append(max(training.max_length, lengths[-1] // 2))
    settings = dict.fromkeys((training.gradient_checkpointing, training.gradient_checkpointing or True))
    return [
        _with(training, microbatch_tokens=length, gradient_checkpointing=setting)
        for length, setting in product(lengths, settings)
    ]


def _with(training: Training, **changes) -> Training:
    return training.model_copy(update=changes)


def _difference(name: str, before: Recipe, after: Recipe) -> str:
    """The settings that differ, as they would stand in the study's file."""
    (model, training), (other, recipe) = before, after
    found = [f"models.{name}.processes: {other.processes}"] * (other.processes != model.processes)
    for key in ("distribution", "offload", "gradient_checkpointing", "microbatch_tokens"):
        value = getattr(recipe, key)
        if value != getattr(training, key):
            found.append(f"training.{key}: {str(value).lower()}")
    if other.method != model.method:
        rank = "" if model.lora else f" with lora.rank: {other.lora.rank}"
        found.append(f"models.{name}.method: {other.method}{rank}, which changes what is studied")
    return ", ".join(found)
