"""How fast growthpace trains, and in how much memory, beside the paper's way and beside TRL: one run, side by side.

    python benchmarks/training.py [--shape 30m] [--sides paper trl ours] [--steps 4] [--table benchmarks/training.md]
    python benchmarks/training.py gpu [--table benchmarks/training.md]

The same items (real ones, ../shared/data), tokenised alike, the same random weights, device, precision and AdamW. Each
side has a process of its own, and they take turns, an optimiser step each, so that whatever else the machine does
hits all of them alike. A step's seconds are all it takes: collating, forward, backward, clipping, AdamW. Useful tokens
are those of items; padding is none. Ratios are medians over the steps, of ours over theirs in the same round.

- paper: as the paper's released code trains. transformers' Trainer, batches of 8 left-padded to the longest (a multiple
  of 8), 8 of them a step, attention mask, the model's own loss over all logits. Without recomputing activations, which
  the paper did: that favours this side.
- trl: SFTTrainer(packing=True) with its defaults for all that is not the recipe, but batches of one packed row, since
  its default of 8 rows would be one row eight times as long, whose attention costs the square; and no recomputing.
  Loss on completions only, as it does for pretokenised items with a completion_mask.
- ours: `growthpace.training.run.train` on a study. Variants after commas, in any number: `ours,compile`, `ours,masked`
  (attention through a mask), `ours,4096` (tokens of a row).

gpu: tokens per second and model FLOP utilisation of models of the paper's sizes with random weights made in memory, on
random items of exactly 2,048 learned tokens, through the same `train` (`--shape tiny` tries it out without a GPU).

The last line is JSON: ratio_vs_paper, ratio_vs_trl, memory_ratio_vs_paper (ours over theirs, each process's peak).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from training_items import BATCH, MICROBATCH, POINTS, SHAPES, llama_config, make_items, prepare, save_tokenizer
from training_tables import GPU, SIDES, circumstances, gpu_table, side_table, write_section


class Side:
    """A side's process, seen from the parent."""

    def __init__(self, folder: Path, task: dict[str, Any], device: str):
        self.name, self.steps = task["side"], []
        self.log = folder / f"{self.name}.log"
        environment = {**os.environ, "OMP_NUM_THREADS": str(task["threads"]), "TOKENIZERS_PARALLELISM": "false"}
        if device == "cpu":
            environment["CUDA_VISIBLE_DEVICES"] = ""
        command = [sys.executable, str(Path(__file__).resolve().with_name("training_sides.py")), json.dumps(task)]
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                text=True,
            )  # fmt: skip
        self.loaded = self.hear()["loaded"]

    def hear(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            raise RuntimeError(f"{self.name} ended early:\n{self.log.read_text()[-3000:]}")
        return json.loads(line)

    def turn(self) -> None:
        """One optimiser step."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.steps.append(self.hear())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()

    def speeds(self, warmup: int, clock: str = "seconds") -> list[float]:
        """Useful tokens per second of every step after the warm-up."""
        return [step["tokens"] / step[clock] for step in self.steps[warmup:]]

    def numbers(self, warmup: int) -> dict[str, Any]:
        peak = max(step["peak"] for step in self.steps)
        return {
            "tokens_per_second": round(statistics.median(self.speeds(warmup)), 1),
            "tokens_per_processor_second": round(statistics.median(self.speeds(warmup, "worked")), 1),
            "seconds": [round(step["seconds"], 2) for step in self.steps],
            "tokens": [step["tokens"] for step in self.steps],
            "loss": [round(step["loss"], 5) for step in self.steps],
            "peak_mb": round(peak / 1e6),
            "training_mb": round((peak - self.loaded) / 1e6),
        }


def task_of(options: argparse.Namespace, shape: str, name: str) -> dict[str, Any]:
    """What a side's process is told."""
    variants = name.split(",")[1:]
    sizes = [int(v) for v in variants if v.isdigit()]
    return {
        "side": name,
        "shape": shape,
        "method": "full",
        "items": options.batch * options.steps,
        "steps": options.steps,
        "batch": options.batch,
        "threads": options.threads,
        "precision": options.precision,
        "max_length": options.max_length,
        "row": sizes[0] if sizes else options.row or options.max_length,
        "compile": "compile" in variants,
        "masked": "masked" in variants,
        "checkpointing": False,
        "in_memory": False,
    }


def side_by_side(options: argparse.Namespace, shape: str) -> dict[str, Any]:
    """Measures all sides on one shape."""
    with tempfile.TemporaryDirectory() as name:
        folder, sides = Path(name), []
        made = prepare(folder, shape, options.batch * options.steps, options.max_length)
        print(
            f"{shape}: {made['parameters'] / 1e6:.1f} M parameters, {options.batch * options.steps} items of "
            f"{made['mean_tokens']} tokens on average (longest {made['longest']}), {made['answer_share']:.0%} answers",
            flush=True,
        )
        try:
            for each in options.sides:
                sides.append(Side(folder, task_of(options, shape, each), options.device))
            for step in range(options.steps):
                for place in range(len(sides)):  # another side goes first in every round
                    sides[(place + step) % len(sides)].turn()
                lasts = [(each.name, each.steps[-1]) for each in sides]
                told = "; ".join(f"{name} {last['seconds']:.1f} s, loss {last['loss']:.4f}" for name, last in lasts)
                print(f"  step {step + 1}: {told}", flush=True)
        finally:
            for each in sides:
                each.close()
    return compared(made, sides, options.warmup)


def compared(made: dict[str, Any], sides: list[Side], warmup: int) -> dict[str, Any]:
    """The sides' numbers, and the ratios of every side that is ours to the others."""
    found: dict[str, Any] = {**made, "sides": {s.name: s.numbers(warmup) for s in sides}}
    named = {s.name: s for s in sides}

    def ratio(a: Side, b: Side, clock: str) -> float:
        pairs = zip(a.speeds(warmup, clock), b.speeds(warmup, clock), strict=True)
        return round(statistics.median(x / y for x, y in pairs), 2)

    for ours in (s for s in sides if s.name.startswith("ours")):
        mine = found["sides"][ours.name]
        for other in (name for name in named if name != ours.name):
            theirs = found["sides"][other]
            mine[f"ratio_vs_{other}"] = ratio(ours, named[other], "seconds")
            mine[f"processor_ratio_vs_{other}"] = ratio(ours, named[other], "worked")
            mine[f"memory_ratio_vs_{other}"] = round(mine["peak_mb"] / theirs["peak_mb"], 2)
            mine[f"training_memory_ratio_vs_{other}"] = round(mine["training_mb"] / theirs["training_mb"], 2)
    if {"paper", "ours"} <= named.keys():
        a, b = (found["sides"][name]["loss"][0] for name in ("paper", "ours"))
        found["loss_difference_at_step_1"] = abs(a - b)
        print(f"  loss of the same items at step 1: paper {a:.5f}, ours {b:.5f}")
    return found


def measure_point(options: argparse.Namespace, shape: str, method: str) -> dict[str, Any]:
    """One model by itself: tokens per second, model FLOP utilisation, memory; or why it could not be trained."""
    from growthpace.data.items import write_items
    from growthpace.planning.formulas import model_operations
    from growthpace.planning.shape import of_folder
    from growthpace.training.devices import device_name, peak_of

    task = task_of(options, shape, "ours") | {"method": method, "checkpointing": "auto", "in_memory": True}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokens = len(save_tokenizer(folder / "base"))
        config = llama_config(shape, tokens)
        config.vocab_size = tokens  # adapters train the rows of the format's tokens, which a folded vocabulary lacks
        config.save_pretrained(folder / "base")
        write_items(folder / "items.parquet", make_items(3), {})  # never learned: random ones take their place
        size = of_folder(folder / "base")
        try:
            point = Side(folder, task, options.device)
            for _ in range(options.steps):
                point.turn()
            point.close()
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1].removeprefix("growthpace.errors.InputError: ")
            print(f"{shape} {method}: not measured: {reason}", flush=True)
            return {"shape": shape, "method": method, "not_measured": reason}
    steps = point.steps[options.warmup :]
    tokens, seconds = (sum(step[key] for step in steps) for key in ("tokens", "seconds"))
    peak = peak_of(device_name(options.threads), options.precision)
    work = model_operations(size, tokens, tokens * options.max_length, method)
    found = {
        "shape": shape,
        "method": method,
        "parameters": size.parameters,
        "tokens_per_second": round(tokens / seconds, 1),
        "model_flop_utilisation": round(work / seconds / peak.tflops / 1e12, 4) if peak else None,
        "tflops": round(work / seconds / 1e12, 4),
        "peak_gb": round(point.steps[-1]["peak"] / 2**30, 2),
        "recomputed": point.steps[-1]["recomputed"],
        "losses": [round(step["loss"], 4) for step in point.steps],
    }
    print(f"{shape} {method}: {json.dumps(found)}", flush=True)
    return found


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", nargs="?", choices=("compare", "gpu"), default="compare")
    parser.add_argument("--shape", nargs="+", choices=SHAPES, help="default: 30m share-of-7b; for gpu all its points")
    parser.add_argument("--sides", nargs="+", default=["paper", "trl", "ours"])
    parser.add_argument("--steps", type=int, default=5, help="optimiser steps, with those of the warm-up")
    parser.add_argument("--warmup", type=int, default=1, help="steps that are not counted")
    parser.add_argument("--batch", type=int, help=f"items of a step (default {BATCH}; for gpu 16)")
    parser.add_argument("--max-length", type=int, default=2048)
    parser.add_argument("--row", type=int, help="tokens of our packed rows (default: max-length)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--precision", choices=("fp32", "bf16"), help="default: fp32; for gpu bf16")
    parser.add_argument("--table", type=Path, help="Markdown file to write the results to")
    options = parser.parse_args(arguments)
    measured_alone = options.mode == "gpu"
    options.batch = options.batch or (16 if measured_alone else BATCH)
    options.precision = options.precision or ("bf16" if measured_alone else "fp32")
    if options.device == "auto":
        import torch

        options.device = "cuda" if torch.cuda.is_available() else "cpu"
    if options.batch % MICROBATCH or options.steps <= options.warmup:
        parser.error(f"--batch must be a multiple of {MICROBATCH}, and --steps more than --warmup")
    return options


def main(options: argparse.Namespace) -> None:
    around = circumstances(options)
    if options.mode == "gpu":
        wanted = [(shape, method) for shape in options.shape or () for method in ("full", "lora")] or POINTS
        points = [measure_point(options, *point) for point in wanted]
        if options.table:
            write_section(options.table, GPU, gpu_table(points, around))
        print(json.dumps({**around, "points": points}))
        return
    found = {shape: side_by_side(options, shape) for shape in options.shape or ("30m", "share-of-7b")}
    if options.table:
        write_section(options.table, SIDES, side_table(found, around))
    first = next(iter(found.values()))["sides"].get("ours", {})
    ratios = {key: first.get(key) for key in ("ratio_vs_paper", "ratio_vs_trl", "memory_ratio_vs_paper")}
    print(json.dumps({**ratios, **around, "shapes": found}))


if __name__ == "__main__":
    main(parse(sys.argv[1:]))
