"""The pieces of benchmarks/training.py: what its sides are given, what it computes of them, and what it writes."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "training.py"
sys.path.insert(0, str(SCRIPT.parent))
spec = importlib.util.spec_from_file_location("benchmark_training", SCRIPT)
benchmark = importlib.util.module_from_spec(spec)
spec.loader.exec_module(benchmark)
training_items, training_sides, training_tables = map(
    importlib.import_module, ("training_items", "training_sides", "training_tables")
)


def test_the_papers_batches():
    batch = training_sides.left_padded(
        [{"ids": [5, 6, 7], "mask": [False, False, True]}, {"ids": list(range(1, 10)), "mask": [False] + [True] * 8}]
    )
    assert batch["input_ids"].shape == (2, 16), "the longest, up to a multiple of 8"
    assert batch["input_ids"][0].tolist() == [0] * 13 + [5, 6, 7]
    assert batch["attention_mask"].sum(1).tolist() == [3, 9]
    assert batch["labels"][0].tolist() == [-100] * 15 + [7]
    assert batch["labels"][1].tolist() == [-100] * 8 + list(range(2, 10))


def side_of(name: str, seconds: list[float], tokens: int, peak: float, loaded: float):
    side = object.__new__(benchmark.Side)
    side.name, side.loaded = name, loaded * 1e6
    side.steps = [{"seconds": s, "worked": 2 * s, "tokens": tokens, "loss": 3.0, "peak": peak * 1e6} for s in seconds]
    return side


def test_ratios_are_of_pairs():
    sides = [side_of("paper", [99, 8, 2, 4], 100, 300, 100), side_of("ours", [1, 1, 1, 2], 100, 150, 100)]
    found = benchmark.compared({}, sides, warmup=1)
    ours = found["sides"]["ours"]
    assert ours["ratio_vs_paper"] == 2.0, "the median of 8, 2 and 2; the first step does not count"
    assert ours["memory_ratio_vs_paper"] == 0.5
    assert ours["training_memory_ratio_vs_paper"] == 0.25
    assert found["loss_difference_at_step_1"] == 0


def test_sections_replace_only_themselves(tmp_path):
    table = tmp_path / "training.md"
    training_tables.write_section(table, training_tables.SIDES, "first\n")
    text = table.read_text()
    assert training_tables.NO_GPU in text
    for shape, method in benchmark.POINTS:
        assert f"| {shape} | {method} | | | | |" in text, "nothing stands where nothing was measured"
    training_tables.write_section(table, training_tables.GPU, "measured\n")
    training_tables.write_section(table, training_tables.SIDES, "second\n")
    text = table.read_text()
    assert "second" in text
    assert "measured" in text
    assert "first" not in text
    assert training_tables.NO_GPU not in text


def test_variants():
    options = SimpleNamespace(batch=64, steps=3, threads=1, precision="fp32", max_length=512, row=None)
    task = benchmark.task_of(options, "tiny", "ours,masked,1024")
    assert (task["row"], task["masked"], task["compile"]) == (1024, True, False)
    assert benchmark.task_of(options, "tiny", "ours")["row"] == 512


@pytest.mark.real
@pytest.mark.parametrize("mode", ["compare", "gpu"])
def test_a_whole_run_of_a_tiny_model(tmp_path, mode):
    if not training_items.data_folder().is_dir() and not os.environ.get("CI"):
        pytest.skip(f"no public data in {training_items.data_folder()}")
    settings = ["--batch", "8", "--max-length", "512"] if mode == "compare" else ["--batch", "8", "--max-length", "64"]
    arguments = [mode, "--shape", "tiny", "--steps", "2", "--threads", "1", "--device", "cpu", *settings]
    table = tmp_path / "table.md"
    done = subprocess.run(
        [sys.executable, SCRIPT, *arguments, "--table", table], capture_output=True, text=True, timeout=550
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    if mode == "compare":
        sides = found["shapes"]["tiny"]["sides"]
        assert set(sides) == {"paper", "trl", "ours"}
        assert found["ratio_vs_paper"] > 0
        assert found["ratio_vs_trl"] > 0
        assert found["shapes"]["tiny"]["loss_difference_at_step_1"] < 1e-4
        assert sides["paper"]["tokens"] == sides["ours"]["tokens"], "the same items in the same order"
    else:
        assert [(p["shape"], p["method"]) for p in found["points"]] == [("tiny", "full"), ("tiny", "lora")]
        for point in found["points"]:
            assert point["tokens_per_second"] > 0
            assert point["model_flop_utilisation"] is None, "a CPU has no stated peak"
    assert "tiny" in table.read_text()
