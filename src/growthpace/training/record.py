"""What is told of a training: while it runs, a line and figures for trackers; in the end, `training.json`."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from growthpace import __version__
from growthpace.interruptible import code_version
from growthpace.planning.formulas import GPU_GB, model_operations
from growthpace.planning.shape import Shape
from growthpace.training.devices import Peak

LIBRARIES = ("torch", "transformers", "accelerate", "tokenizers", "safetensors", "peft", "deepspeed", "bitsandbytes")


def operations(steps: list[dict[str, Any]], shape: Shape | None, method: str) -> float | None:
    """Model operations of these steps of a history, without what is computed again; None where the model's size is
    not known."""
    if shape is None:
        return None
    tokens, attended = (sum(step[key] for step in steps) for key in ("tokens", "attended"))
    return model_operations(shape, tokens, attended, method)


def figures(step: dict[str, Any], devices: int, work: float | None, peak: Peak | None) -> dict[str, float]:
    """What a step of the history says, for people and trackers; tokens per second are of one device."""
    seconds = max(step["seconds"], 1e-9)
    found = {
        "loss": step["loss"],
        "learning_rate": step["learning_rate"],
        "tokens_per_second": step["tokens"] / seconds / devices,
        "answer_tokens_per_second": step["answer_tokens"] / seconds / devices,
        "peak_memory_gb": step["memory"] / GPU_GB,
    }
    if peak and work:
        found["model_flop_utilisation"] = work / (seconds * devices * peak.tflops * 1e12)
    return found


def in_words(run: Any, step: int, steps: int, per_epoch: int, shown: dict[str, float]) -> str:
    """The line that tells how far a training is."""
    speed = f"{shown['tokens_per_second']:,.0f} tokens/s ({shown['answer_tokens_per_second']:,.0f} of answers)"
    if "model_flop_utilisation" in shown:
        speed += f", {shown['model_flop_utilisation']:.0%} MFU".replace("%", " %")
    return (
        f"train {run}: step {step} of {steps}, epoch {-(-step // per_epoch)}, loss {shown['loss']:.3f}, "
        f"learning rate {shown['learning_rate']:.2e}, {speed}, {shown['peak_memory_gb']:.1f} GB"
    )


def summary(
    steps: list[dict[str, Any]], device: str, devices: int, work: float | None, peak: Peak | None
) -> dict[str, Any]:
    """The part of `training.json` that the steps tell. Seconds, and GPU hours with them, are of steps alone: loading,
    saving and waiting are not in them. No number stands where nothing was measured: a CPU has no GPU hours."""
    seconds = sum(step["seconds"] for step in steps)
    tokens, answers = (sum(step[key] for step in steps) for key in ("tokens", "answer_tokens"))
    utilisation = work / (seconds * devices * peak.tflops * 1e12) if work and peak and seconds else None
    return {
        "steps": len(steps),
        "loss": [step["loss"] for step in steps],
        "learning_rate": [step["learning_rate"] for step in steps],
        "tokens": tokens,
        "answer_tokens": answers,
        "seconds": round(seconds, 3),
        "tokens_per_second": round(tokens / seconds, 1) if seconds else None,
        "answer_tokens_per_second": round(answers / seconds, 1) if seconds else None,
        "tokens_per_second_per_device": round(tokens / seconds / devices, 1) if seconds else None,
        "model_flop_utilisation": None if utilisation is None else round(utilisation, 4),
        "peak": None if peak is None else {"tflops": peak.tflops, "source": peak.source},
        "peak_memory_gb": round(max(step["memory"] for step in steps) / GPU_GB, 3),
        "gpu_hours": None if device.startswith("CPU") else round(seconds * devices / 3600, 4),
        "device": device,
        "devices": devices,
    }


def software(recipe: Any, method: str) -> dict[str, Any]:
    """The code that trained, and the libraries that it used."""
    unused = {"peft": method == "full", "bitsandbytes": method != "qlora", "deepspeed": recipe.distribution == "ddp"}
    versions = {"growthpace": __version__, "python": platform.python_version()}
    for library in LIBRARIES:
        if not unused.get(library):
            try:
                versions[library] = version(library)
            except PackageNotFoundError:
                continue
    if torch.version.cuda:
        versions["cuda"] = torch.version.cuda
    return {"code": code_version(), "versions": versions}
