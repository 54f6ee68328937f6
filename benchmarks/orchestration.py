"""What running a study costs besides its work: planning, waiting, interruptions.

    python benchmarks/orchestration.py [plan] [makespan] [sweep]

plan: time and peak memory of `growthpace plan` beside plain `snakemake -n`, at 300, 3,000 and 10,000 jobs.
makespan: the demo on two cores beside the sum of its jobs' work over two (the wall time that no scheduler can beat).
sweep: a simulated sweep of 1,000 trainings on 64 GPUs with 5 % preemptions an hour: the share of GPU hours lost.
The last line is JSON.
"""

from __future__ import annotations

import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from big_study import big_study
from simulated_cluster import SimulatedCluster

from growthpace.cluster.ledger import Member, SlurmFolder
from growthpace.cluster.placement import Need
from growthpace.cluster.site import Site
from growthpace.cluster.sweep import Sweep, Task
from growthpace.warm import WarmServer

PROJECT = Path(__file__).resolve().parents[1]
CORES = 2


def copied_project(folder: Path) -> Path:
    """A copy of the project without results."""
    shutil.copy(PROJECT / "Snakefile", folder)
    for part in ("workflow", "profiles", "src", "config", "envs"):
        shutil.copytree(PROJECT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def measured(command: list[str], folder: Path) -> tuple[float, float, str]:
    """Wall seconds, peak memory in MB of the largest process, and output of a command."""
    started = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(folder / "src")}
    program = "import resource,subprocess,sys;c=subprocess.call(sys.argv[1:]);"
    program += "print('peak',resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss,file=sys.stderr);sys.exit(c)"
    done = subprocess.run(
        [sys.executable, "-c", program, *command], cwd=folder, env=environment, capture_output=True, text=True
    )
    seconds = time.monotonic() - started
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return seconds, int(re.findall(r"^peak (\d+)$", done.stderr, re.MULTILINE)[-1]) / 1000, done.stdout


def plan() -> dict[str, float]:
    """`growthpace plan` beside `snakemake -n`; the ratio is plan's time over Snakemake's."""
    found = {}
    for jobs in (300, 3000, 10000):
        with tempfile.TemporaryDirectory() as name:
            folder = copied_project(Path(name))
            (folder / "config" / "big.yaml").write_text(yaml.safe_dump(big_study(jobs), sort_keys=False))
            dry = [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules", "--configfile", "config/big.yaml"]
            measured(dry, folder)  # reads the data once, as any first plan does
            theirs, their_memory, _ = measured(dry, folder)
            ours, our_memory, text = measured(
                [sys.executable, "-m", "growthpace", "plan", "config/big.yaml", "--json"], folder
            )
            planned = json.loads(text)["totals"]["jobs"]
        print(
            f"{planned:,} jobs: growthpace plan {ours:.1f} s, {our_memory:.0f} MB; snakemake -n {theirs:.1f} s, "
            f"{their_memory:.0f} MB; ratio {ours / theirs:.2f}",
            flush=True,
        )
        found[f"plan_ratio_vs_snakemake_{jobs}"] = round(ours / theirs, 3)
        found[f"plan_seconds_{jobs}"], found[f"plan_memory_mb_{jobs}"] = round(ours, 1), round(our_memory)
    return found


def makespan() -> dict[str, float]:
    """The demo's wall time over its jobs' processor time shared over the cores."""
    with tempfile.TemporaryDirectory() as name, WarmServer() as warm:
        folder = copied_project(Path(name))
        environment = {**os.environ, **warm.environment, "PYTHONPATH": str(folder / "src")}
        command = [sys.executable, "-m", "snakemake", "--profile", "profiles/local"]
        command += ["--configfile", "config/demo.yaml", "--cores", str(CORES)]
        started = time.monotonic()
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
        wall = time.monotonic() - started
        # Every job is a child of the warm process, which has waited for it: its children's processor time is the work.
        fields = Path(f"/proc/{warm.pid}/stat").read_text().rpartition(")")[2].split()
        work = (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
    ratio = wall / (work / CORES)
    print(
        f"demo: {wall:.0f} s of wall time, {work:.0f} s of processor time in its jobs on {CORES} cores: "
        f"ratio {ratio:.2f}",
        flush=True,
    )
    return {"makespan_ratio": round(ratio, 3), "makespan_seconds": round(wall, 1)}


def sweep(cells: int = 1000, gpus: int = 64, preemptions_per_hour: float = 0.05, seed: int = 0) -> dict[str, float]:
    """GPU hours of a simulated sweep that were not work: redone steps and starting again."""
    numbers = random.Random(seed)
    # Hours of a training: from a quarter to twelve, two at the median, as a sweep over sizes and volumes has them.
    hours = [min(12.0, max(0.25, numbers.lognormvariate(math.log(2), 0.9))) for _ in range(cells)]
    site = Site.model_validate(
        {
            "partitions": [
                {"name": "gpu", "gpu": "h100", "gpu_memory_gb": 80.0, "gpu_tflops": 989.0, "gpus_per_node": 8}
                | {"cpus_per_node": 64, "memory_gb_per_node": 1000.0, "max_hours": 8.0}
            ]
        }
    )
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        work = {f"train 7b/curated-{k}/seed-1": 3600 * h for k, h in enumerate(hours)}
        folder = SlurmFolder(root)
        start = 120.0  # torch, and 7b's weights and optimiser state from a file system of 1 GB/s
        cluster = SimulatedCluster(folder, gpus, work, preemptions_per_hour, 1800.0, start, seed=seed)
        tasks = Sweep("simulated", folder, site, lambda t: "", lambda line: None, cluster, lambda: cluster.now)
        for k, cell in enumerate(work):
            member = Member(cell, "true", "true", [], "log", str(root / "states" / str(k)), "")
            need = Need(8, 64000, math.ceil(work[cell] * 1.5 / 60) + 10, gpus=1, flexible=True)
            tasks.add(Task(member, need, work[cell], False, "", k))
        ended = {}
        while len(ended) < cells:
            for task, cause, decision in tasks.tick():
                if decision.action != "done" or task.member.cell in ended:
                    sys.exit(f"{task.member.cell} ended by {cause}: {decision.message}")
                ended[task.member.cell] = cluster.now
            following = cluster.next_event()
            cluster.advance(min(cluster.now + 60, max(cluster.now + 10, following or 0)))
        useful = sum(work.values())
        first_starts = cells * start
        lost = (cluster.used - useful - first_starts) / cluster.used
        span = cluster.now / 3600
    print(
        f"{cells:,} trainings of {useful / 3600:,.0f} GPU hours on {gpus} GPUs: {cluster.preempted} preemptions, "
        f"{100 * lost:.2f} % of {cluster.used / 3600:,.0f} allocated GPU hours lost to them and to time limits; "
        f"{span:.1f} h from first to last, {useful / 3600 / gpus:.1f} h if nothing ever waited"
    )
    return {"gpu_hours_lost_share": round(lost, 5), "simulated_preemptions": cluster.preempted}


PARTS = {"plan": plan, "makespan": makespan, "sweep": sweep}

if __name__ == "__main__":
    found = {}
    for part in sys.argv[1:] or PARTS:
        found |= PARTS[part]()
    print(json.dumps(found))
