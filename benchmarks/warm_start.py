"""How much of a small job's time the warm start saves: the same prediction job by itself and in the warm process.

    python benchmarks/warm_start.py [repetitions]

Makes a very small study in a temporary folder, then times one prediction job both ways in turn, in one run. The last
line is JSON; `warm_start_ratio` is the median time of a job by itself divided by that of the same job started warm.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from growthpace.warm import WarmServer

ROOT = Path(__file__).resolve().parents[1]
JOB = ["predict", "study.yaml", "s/untuned/seed-0", "test", "0"]


def run(folder: Path, environment: dict[str, str], *arguments: str) -> float:
    """Seconds of one `growthpace` call."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "growthpace", *arguments]
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main(repetitions: int) -> None:
    with tempfile.TemporaryDirectory() as name, WarmServer() as warm:
        folder, alone = Path(name), dict(os.environ)
        shutil.copy(ROOT / "tests" / "workflow" / "mini.yaml", folder / "study.yaml")
        helped = {**alone, **warm.environment}
        for stage in (["suite", "study.yaml", "test"], ["base-model", "study.yaml", "s"], JOB):
            run(folder, helped, *stage)
        pairs = [(run(folder, alone, *JOB), run(folder, helped, *JOB)) for _ in range(repetitions)]
    by_itself, started_warm = (statistics.median(times) for times in zip(*pairs, strict=True))
    print(f"a prediction job of 16 items: {by_itself:.2f} s by itself, {started_warm:.2f} s started warm")
    print(json.dumps({"warm_start_ratio": round(by_itself / started_warm, 1), "repetitions": repetitions}))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
