"""DeepSpeed's settings, all from the study: nothing in a file of its own can silently win over the recipe.

DeepSpeed divides what training keeps (ZeRO, arXiv 1910.02054). The optimiser, its betas and the schedule stay torch's
and ours, and half precision is torch's autocast, as without DeepSpeed, so that weights are fp32 on every path.
"""

from __future__ import annotations

from typing import Any

import torch

from growthpace.study import Training

STAGES = {"ddp": None, "zero1": 1, "zero2": 2, "zero3": 3}


def uses_deepspeed(recipe: Training, processes: int) -> bool:
    """Whether so many processes train with DeepSpeed; one does only to keep its optimiser in the host's memory."""
    return recipe.distribution != "ddp" and (processes > 1 or recipe.offload)


def deepspeed_config(recipe: Training, processes: int) -> dict[str, Any] | None:
    """DeepSpeed's settings for the recipe; None where it is not used."""
    if not uses_deepspeed(recipe, processes):
        return None
    stage = STAGES[recipe.distribution]
    zero: dict[str, Any] = {
        "stage": stage,
        "reduce_bucket_size": "auto",  # transformers derives these from the model's width
        "stage3_prefetch_bucket_size": "auto",
        "stage3_param_persistence_threshold": "auto",
        "stage3_gather_16bit_weights_on_model_save": True,  # fp32 as well, despite its name
    }
    if recipe.offload:
        host = {"device": "cpu", "pin_memory": torch.cuda.is_available()}
        zero["offload_optimizer"] = host
        if stage == 3:
            zero["offload_param"] = host
    config = {
        "train_micro_batch_size_per_gpu": 1,  # one row: DeepSpeed sees every row as a step of its own ...
        "gradient_accumulation_steps": 1,  # ... and is told which is the last of an optimiser step
        "train_batch_size": processes,
        "gradient_clipping": recipe.max_grad_norm,
        "data_types": {"grad_accum_dtype": "fp32"},
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "zero_optimization": zero,
    }
    if recipe.precision != "fp32":  # `bf16` and `fp16` would round the weights once before training
        dtype = {"bf16": "bfloat16", "fp16": "float16"}[recipe.precision]
        config["torch_autocast"] = {"enabled": True, "dtype": dtype}
    return config
