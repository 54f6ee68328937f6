"""How long does the analysis of a large study take, and how much memory? One stage after the other, as rules call them.

    python benchmarks/analysis.py [--abilities 10] [--models 5] [--sources 3] [--volumes 8] [--seeds 5] [--epochs 15]
                                  [--items 100] [--stages fit,compare,advise] [--folder FOLDER]

Simulates the item grades of a study (by default 600 runs; 1,000 items of the selection suite at 15 epochs each, and
1,000 of the test suite at the chosen epoch: 9.6 million grades), writes them as `collect` does, and calls each stage's
verb in a process of its own with two threads. Seconds are from start to end, importing included, beside them those of
processor time (of both cores); memory is the largest resident set of the process. The last line is JSON. With
`--folder` the study is kept there, or used if it is there.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import yaml
from big_study import big_study
from scipy.special import ndtri

from growthpace.files import write_tables

CHANCE = 0.25
REPLICATES = 2000


def study_of(options: argparse.Namespace) -> dict:
    """The content of the study's config file."""
    content = big_study(1000)
    content["study"] = "simulated"
    content["abilities"] = [f"ability_{number}" for number in range(options.abilities)]
    content["seeds"] = list(range(1, options.seeds + 1))
    content["models"] = {f"model-{number}": {"hub": f"someone/model-{number}"} for number in range(options.models)}
    volumes = [options.abilities * 4**number for number in range(options.volumes)]
    curated = content["sources"]["curated"]
    content["sources"] = {f"source-{number}": {**curated, "volumes": volumes} for number in range(options.sources)}
    content["untuned"] = True
    content["selection"]["first_epoch"] = 1
    content["training"]["epochs"] = options.epochs
    content["suites"].pop("outside")
    content["analysis"]["replicates"] = REPLICATES
    return content


def expected(rng: np.random.Generator, content: dict) -> np.ndarray:
    """[models, sources, volumes, abilities] true scores: rectified power laws, a third of the abilities flat."""
    shape = len(content["models"]), len(content["sources"]), len(content["abilities"])
    start = CHANCE + 0.05 + 0.1 * rng.random(shape)
    rise = np.where(np.arange(shape[2]) % 3 == 2, 0.0, 0.1 + 0.3 * rng.random(shape))
    volumes = np.array(next(iter(content["sources"].values()))["volumes"], float)[:, None]
    half, exponent = 10 ** (1 + 4 * rng.random(shape)), 0.3 + 0.7 * rng.random(shape)
    share = 1 / (1 + (half[:, :, None] / volumes) ** exponent[:, :, None])
    return start[:, :, None] + rise[:, :, None] * share


def written(path: Path, content: dict, options: argparse.Namespace) -> int:
    """Writes `item_grades.parquet` and gives its number of rows."""
    rng = np.random.default_rng(0)
    truth, abilities = expected(rng, content), content["abilities"]
    epochs, items = options.epochs, options.items
    drift = 0.02 * (1 - np.exp(-np.arange(epochs) / 3))
    difficulty = {suite: rng.normal(size=len(abilities) * items) for suite in ("test", "valid")}
    total = 0

    def grades(scores: np.ndarray, suite: str, count: int) -> np.ndarray:
        """[count, n] of one run at `count` epochs; its answers change little from epoch to epoch."""
        own = difficulty[suite] + 0.9 * rng.normal(size=len(difficulty[suite]))
        latent = own + 0.45 * rng.normal(size=(count, len(own)))
        latent = latent + np.sqrt(2.0) * ndtri(np.clip(np.repeat(scores, items, axis=1), 0.01, 0.99))
        return (latent > 0).astype(float)

    def table(rows: list[tuple], suite: str, values: list[np.ndarray]) -> pa.Table:
        """`rows`: (model, parameters, dataset, kind, source, volume, seed, epoch, selected), each with its grades."""
        nonlocal total
        n = len(difficulty[suite])
        codes = np.repeat(np.arange(len(rows)), n)
        total += len(codes)

        def text(own, indices):
            return pa.DictionaryArray.from_arrays(pa.array(indices.astype(np.int32)), own).dictionary_decode()

        named = {}
        for place, name in enumerate(
            ("model", "parameters", "dataset", "kind", "source", "volume", "seed", "epoch", "selected")
        ):
            column = [row[place] for row in rows]
            named[name] = text(column, codes) if isinstance(column[0], str) else pa.array(np.array(column)[codes])
        place = np.tile(np.arange(n), len(rows))
        zero = np.zeros(len(codes), np.int32)
        named |= {
            "suite": text([suite], zero), "item_id": text([f"{suite}-{number:06d}" for number in range(n)], place),
            "ability": text(abilities, place // items), "group": text([""], zero), "subject": text([""], zero),
            "grade": pa.array(np.concatenate(values)), "chance": pa.array(np.full(len(codes), CHANCE)),
            "cut": pa.array(np.zeros(len(codes), bool)), "margin": pa.array(np.full(len(codes), 1.0)),
            "missing": pa.array(np.zeros(len(codes), bool)), "in_domain": pa.array(np.ones(len(codes), bool)),
            "abilities_in_study": pa.array(np.full(len(codes), len(abilities))),
        }  # fmt: skip
        return pa.table(named)

    chosen: dict[tuple, int] = {}
    valid = []
    for m, model in enumerate(content["models"]):
        rows, values = [], []
        for s, (source, settings) in enumerate(content["sources"].items()):
            for v, volume in enumerate(settings["volumes"]):
                for seed in content["seeds"]:
                    own = truth[m, s, v] + 0.01 * rng.normal() + drift[:, None]
                    found = grades(own, "valid", epochs)
                    best = int(found.mean(axis=1).argmax()) + 1
                    chosen[m, s, v, seed] = best
                    values.append(found.ravel())
                    rows += [
                        (model, 10**9 * 2**m, f"{source}-{volume}", "grid", source, volume, seed, epoch, epoch == best)
                        for epoch in range(1, epochs + 1)
                    ]
        valid.append(table(rows, "valid", values))
    rows, values = [], []
    for m, model in enumerate(content["models"]):
        for s, (source, settings) in enumerate(content["sources"].items()):
            for v, volume in enumerate(settings["volumes"]):
                for seed in content["seeds"]:
                    best = chosen[m, s, v, seed]
                    name = f"{source}-{volume}"
                    rows.append((model, 10**9 * 2**m, name, "grid", source, volume, seed, best, True))
                    values.append(grades(truth[m, s, v][None] + 0.01 * rng.normal(), "test", 1)[0])
        rows.append((model, 10**9 * 2**m, "untuned", "untuned", "untuned", 0, 0, 0, True))
        values.append(grades(truth[m, 0, 0][None] - 0.03, "test", 1)[0])
    test = table(rows, "test", values)
    write_tables(path, test.schema, [test, *valid], {"study": "simulated", "stage": "collect"})
    return total


def measured(verb: str, config: Path, folder: Path) -> tuple[float, float, float]:
    """(seconds, seconds of processor time, GB) of `growthpace VERB CONFIG` in `folder`; exits where it fails."""
    environment = os.environ | {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    began = time.perf_counter()
    with (folder / f"{verb}.log").open("wb") as log:
        command = [sys.executable, "-m", "growthpace", verb, str(config)]
        job = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(job.pid, 0)
    if status:
        sys.exit(f"growthpace {verb} failed:\n{(folder / f'{verb}.log').read_text()}")
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024**2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("abilities", 10), ("models", 5), ("sources", 3), ("volumes", 8), ("seeds", 5),
                          ("epochs", 15), ("items", 100)):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--stages", default="fit,compare,advise")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        config, content = folder / "config" / "simulated.yaml", study_of(options)
        path = folder / "results" / "simulated" / "analysis" / "item_grades.parquet"
        rows = None
        if not path.exists():
            for parent in (config.parent, path.parent):
                parent.mkdir(parents=True, exist_ok=True)
            config.write_text(yaml.safe_dump(content, sort_keys=False))
            rows = written(path, content, options)
            print(f"{rows:,} item grades, {path.stat().st_size / 1e6:.0f} MB")
        found = {}
        print("| stage | seconds | processor seconds | memory (GB) |\n| --- | --- | --- | --- |")
        for verb in options.stages.split(","):
            seconds, processor, memory = measured(verb, config, folder)
            found[verb] = {
                "seconds": round(seconds, 1), "processor_seconds": round(processor, 1), "gigabytes": round(memory, 2)
            }  # fmt: skip
            print(f"| {verb} | {seconds:.1f} | {processor:.1f} | {memory:.2f} |", flush=True)
    total, processor = (sum(stage[name] for stage in found.values()) for name in ("seconds", "processor_seconds"))
    most = max(stage["gigabytes"] for stage in found.values())
    print(f"| all | {total:.1f} | {processor:.1f} | {most:.2f} |")
    line = {"item_grades": rows, "replicates": REPLICATES, "seconds": round(total, 1), "gigabytes": most}
    line["processor_seconds"] = round(processor, 1)
    print(json.dumps(line | {"stages": found, "cores": os.cpu_count()}))


if __name__ == "__main__":
    main()
