"""The tables that benchmarks/training.py writes."""

from __future__ import annotations

import argparse
import datetime
import sys
from pathlib import Path
from typing import Any

from tables import NO_GPU, installed, processor, replace_section
from training_items import POINTS

LIBRARIES = ("torch", "transformers", "trl", "accelerate", "peft")


def circumstances(options: argparse.Namespace) -> dict[str, Any]:
    """Device, versions and date."""
    from growthpace.training.devices import device_name

    device = device_name(options.threads)
    if options.device == "cpu":
        device = processor(options.threads)
    versions = installed(LIBRARIES)
    date = datetime.date.today().isoformat()
    return {"device": device, "precision": options.precision, "versions": versions, "date": date}


TITLE = "# Training: speed and memory\n\nWritten by `benchmarks/training.py`; its docstring says what each side is.\n"
SIDES, GPU = "## Side by side", "## Models of the paper's sizes on a GPU"
GPU_HEADER = (
    "| model | trained | tokens/s | model FLOP utilisation | peak memory, GB | activations recomputed |\n"
    "|---|---|---|---|---|---|\n"
)


def write_section(path: Path, title: str, body: str) -> None:
    """Replaces one section of the table's file; the other one stays."""
    empty = "".join(f"| {shape} | {method} | | | | |\n" for shape, method in POINTS)
    sections = {SIDES: "", GPU: f"{NO_GPU} `python benchmarks/training.py gpu` measures them.\n\n{GPU_HEADER}{empty}"}
    replace_section(path, TITLE, sections, title, body)


def said(around: dict[str, Any]) -> str:
    """Device, versions, date and command in words."""
    versions = ", ".join(f"{name} {number}" for name, number in around["versions"].items())
    command = " ".join(["python", "benchmarks/training.py", *sys.argv[1:]])
    return f"{around['date']}, {around['device']}, {around['precision']}; {versions}.\n\n    {command}\n"


def side_table(found: dict[str, dict[str, Any]], around: dict[str, Any]) -> str:
    """The section of sides in Markdown."""
    lines = [said(around)]
    for shape, one in found.items():
        lines.append(
            f"### {shape}\n\n{one['parameters'] / 1e6:.1f} M parameters; the vocabulary matrix is "
            f"{one['vocabulary_share']:.0%} as large as all layers together. Items of {one['mean_tokens']} tokens on "
            f"average, the longest {one['longest']}; {one['answer_share']:.0%} of the tokens are answers.\n".replace(
                "%", " %"
            )
        )
        others = [name for name in one["sides"] if not name.startswith("ours")]
        heads = ["side", "tokens/s", "peak memory, MB", "of it training, MB", "loss at step 1 and last"]
        heads += [f"speed over {name}" for name in others]
        lines += [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
        for name, side in one["sides"].items():
            cells = [name, f"{side['tokens_per_second']:,.0f}", f"{side['peak_mb']:,}", f"{side['training_mb']:,}"]
            cells.append(f"{side['loss'][0]:.4f}, {side['loss'][-1]:.4f}")
            cells += [f"{side[key]:.2f}" if (key := f"ratio_vs_{other}") in side else "" for other in others]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    lines.append(
        "Tokens/s: median over the steps. Speed over another: median over the steps of the ratio in the same round. "
        "Peak memory is each process's own (the most it ever held, libraries included); what is training's is the peak "
        "less what it had held before the model was loaded. paper's and ours's losses are of the same items at every "
        "step; trl packs the whole dataset before it divides it into steps, so that its steps hold others."
    )
    return "\n".join(lines) + "\n"


def gpu_table(points: list[dict[str, Any]], around: dict[str, Any]) -> str:
    """The section of models in Markdown."""
    rows = []
    for point in points:
        if reason := point.get("not_measured"):
            rows.append(f"| {point['shape']} | {point['method']} | not measured: {reason} | | | |")
            continue
        share = point["model_flop_utilisation"]
        cells = [point["shape"], point["method"], f"{point['tokens_per_second']:,.0f}"]
        cells += ["" if share is None else f"{100 * share:.1f} %", f"{point['peak_gb']:.1f}"]
        rows.append(f"| {' | '.join([*cells, 'yes' if point['recomputed'] else 'no'])} |")
    return said(around) + "\n" + GPU_HEADER + "\n".join(rows) + "\n"
