"""Do the intervals that set sources side by side hold as often as they say? Simulated item by item.

    python benchmarks/sources.py [--simulations 1000] [--only shift] [--table benchmarks/sources.md]

Every simulation draws items with difficulties of their own, lets the runs of two sources answer them at each volume and
seed, and asks for the tables that `growthpace compare` writes. In `shift` cases the second source's curve is the
first's with FACTOR times the data, so the truth is known at every volume: one item of the first is worth FACTOR. The
last line is JSON.

held: the truth lies between low and high, over all rows (open ends included). told: `in range`, of the rows whose truth
lies inside the first's range. wrong: `in range` or `never in range` where the truth says otherwise. crosses: a
crossing is claimed; crossing_held: its interval holds it. still, no_longer: verdicts on the first's last step.
ranks_held: the interval of the rank agreement holds the mean agreement of all simulations; ranks_told: it is not
refused.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small matrices: threads only get in each other's way

import argparse
import json
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import ndtri

from growthpace.analysis.crossing import CROSSES, crossings
from growthpace.analysis.equivalence import IN_RANGE, NEVER, UNDECIDED, equivalence
from growthpace.analysis.generalisation import GIVEN, RANKS, generalisation
from growthpace.analysis.last_step import NO_LONGER, STILL, last_steps
from growthpace.analysis.matrix import Block
from growthpace.analysis.scores import OVERALL

CONFIDENCE, MARGIN, CHANCE = 0.95, 1.0, 0.25
VOLUMES = 10 * 4 ** np.arange(6)
FIRST, SECOND = "first", "second"
CHUNK = 20


def linear(volume):
    """0.30 at 10 items, 8 points for each fourfold."""
    return 0.30 + 0.08 * np.log(volume / 10) / np.log(4)


def saturating(volume):
    """A power law from 0.30 to a ceiling of 0.70: bent between its volumes, where equivalence takes it as straight."""
    return 0.70 - 0.40 * (volume / 10) ** -0.4


@dataclass(frozen=True)
class Cell:
    """A case: two true curves, and how much is seen of them."""

    name: str
    first: object
    second: object
    items: int
    seeds: int
    factor: float | None = None
    """second(v) = first(v / factor)."""
    crossing: float | None = None
    """The volume at which the true curves cross; None where they do not."""
    shared: float = 0.01
    """Standard deviation between seeds of a score of one half."""


def cells() -> list[Cell]:
    """All cases, in the order of the table."""
    found = []
    for items, seeds in ((100, 2), (1000, 3)):
        size = f"{items}_{seeds}"
        for name, law, factor in (("linear", linear, 4), ("saturating", saturating, 4), ("bent", saturating, 2)):
            found.append(Cell(f"shift_{name}_{size}", law, _shifted(law, factor), items, seeds, factor))
        found.append(Cell(f"equal_{size}", linear, linear, items, seeds, 1))
        found.append(Cell(f"flat_{size}", _line(0.45, 0.0), _line(0.45, 0.0), items, seeds))
        found.append(Cell(f"crossing_{size}", linear, _line(0.46, 0.0), items, seeds, None, 160.0))
        near = _line(0.30, 0.01)
        found.append(Cell(f"margin_{size}", near, near, items, seeds, 1))
    return found


def _line(first: float, pace: float):
    """A straight line in log volume: `first` at 10 items, `pace` (a fraction) more for each fourfold."""
    return lambda volume: first + pace * np.log(volume / 10) / np.log(4)


def _shifted(law, factor):
    return lambda volume: law(volume / factor)


def simulate(cell: Cell, rng: np.random.Generator, ability: str, in_domain: bool) -> Block:
    """What a study would have graded."""
    expected = np.concatenate([np.repeat(law(VOLUMES.astype(float)), cell.seeds) for law in (cell.first, cell.second)])
    moved = cell.shared * np.sqrt(2) * np.sqrt(2 * np.pi)
    latent = rng.normal(size=(cell.items, 1)) + rng.normal(size=(cell.items, len(expected)))
    latent += ndtri(expected) * np.sqrt(2 + moved**2) + moved * rng.normal(size=len(expected))
    volumes = np.tile(np.repeat(VOLUMES, cell.seeds), 2)
    sources = np.repeat([FIRST, SECOND], len(expected) // 2)
    runs = pd.DataFrame(
        {
            "model": "m", "parameters": 1, "dataset": [f"{s}-{v}" for s, v in zip(sources, volumes, strict=True)],
            "kind": "grid", "source": sources, "volume": volumes,
            "seed": np.tile(np.arange(cell.seeds), 2 * len(VOLUMES)),
        }
    )  # fmt: skip
    items = pd.DataFrame(
        {
            "ability": ability, "item_id": np.arange(cell.items).astype(str), "group": "", "chance": CHANCE,
            "in_domain": in_domain,
        }
    )  # fmt: skip
    return Block("test", ability, in_domain, items, runs, (latent > 0).astype(float))


def judge(cell: Cell, block: Block) -> list[tuple[str, bool]]:
    """What one simulation says: (quantity, yes or no)."""
    said = []
    if cell.factor is not None:
        table = equivalence([block], CONFIDENCE)
        for row in table[table["first"] == FIRST].itertuples():
            true = row.volume / cell.factor
            said.append(("held", row.low <= true <= row.high))
            inside = VOLUMES[0] <= true <= VOLUMES[-1]
            if VOLUMES[0] < true < VOLUMES[-1]:
                said.append(("told", row.status == IN_RANGE))
            if row.status != UNDECIDED:
                said.append(("wrong", row.status != (IN_RANGE if inside else NEVER)))
            else:
                said.append(("wrong", False))
    turns = crossings([block], CONFIDENCE)
    said.append(("crosses", (turns["status"] == CROSSES).any()))
    if cell.crossing is not None and said[-1][1]:
        said.append(("crossing_held", ((turns["low"] <= cell.crossing) & (cell.crossing <= turns["high"])).any()))
    verdict = last_steps([block], CONFIDENCE, MARGIN).set_index("source")["verdict"][FIRST]
    said += [("still", verdict == STILL), ("no_longer", verdict == NO_LONGER)]
    return said


def run_chunk(task: tuple[int, int, int, int]) -> tuple[str, dict[str, list[int]], list[tuple[float, float, float]]]:
    """Simulations [first, last) of a cell: its name, (yes, asked) by quantity, and rank agreements (value, low, high;
    NaN where refused)."""
    index, first, last, replicates = task
    cell = cells()[index]
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    agreements = []
    for number in range(first, last):
        rng = np.random.default_rng([index, number])
        block = simulate(cell, rng, OVERALL, True)
        for name, yes in judge(cell, block):
            counts[name][0] += bool(yes)
            counts[name][1] += 1
        outside = simulate(cell, rng, "elsewhere", False)
        table = generalisation([block, outside], "test", CONFIDENCE, replicates, seed=number)
        row = table[table["statistic"] == RANKS].iloc[0]
        agreements.append((row["value"], row["low"], row["high"]))
        counts["ranks_told"][0] += row["status"] == GIVEN
        counts["ranks_told"][1] += 1
    return cell.name, dict(counts), agreements


SHOWN = ("held", "told", "wrong", "crosses", "crossing_held", "still", "no_longer", "ranks_held", "ranks_told")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--replicates", type=int, default=500, help="draws of each rank agreement")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=0, help="stop after so long, with fewer simulations")
    parser.add_argument("--only", default="", help="cells whose name begins so")
    parser.add_argument("--table", type=Path)
    options = parser.parse_args()
    tasks = [
        (index, first, min(first + CHUNK, options.simulations), options.replicates)
        for first in range(0, options.simulations, CHUNK)
        for index, cell in enumerate(cells()) if cell.name.startswith(options.only)
    ]  # fmt: skip
    names = [cell.name for cell in cells() if cell.name.startswith(options.only)]
    counts = {name: defaultdict(lambda: np.zeros(2, int)) for name in names}
    agreements: dict[str, list] = {name: [] for name in names}
    began = time.perf_counter()
    with ProcessPoolExecutor(options.workers) as pool:
        for name, found, ranks in pool.map(run_chunk, tasks):
            for quantity, pair in found.items():
                counts[name][quantity] += pair
            agreements[name] += ranks
            if options.minutes and time.perf_counter() - began > 60 * options.minutes:
                pool.shutdown(wait=False, cancel_futures=True)
                break
    took = time.perf_counter() - began
    for name, ranks in agreements.items():
        given = np.array([rank for rank in ranks if not np.isnan(rank[0])]).reshape(-1, 3)
        if len(given) * 2 > len(ranks):  # a mean over the few that pass the refusal says nothing about them
            mean = given[:, 0].mean()
            counts[name]["ranks_held"] += [int(((given[:, 1] <= mean) & (mean <= given[:, 2])).sum()), len(given)]
    text = table(counts, options, took)
    print(text)
    if options.table:
        options.table.write_text(text + "\n", encoding="utf-8")
    shares = {
        f"{quantity}_{name}": round(float(pair[0] / pair[1]), 4)
        for name, own in counts.items() for quantity, pair in own.items() if pair[1]
    }  # fmt: skip
    done = min(int(own["ranks_told"][1]) for own in counts.values())
    print(json.dumps(shares | {"simulations": done, "seconds": round(took, 1)}))


def table(counts, options, took: float) -> str:
    """The table for the documentation, in Markdown."""
    done = min(int(own["ranks_told"][1]) for own in counts.values())
    stop = f" --replicates {options.replicates} --workers {options.workers}"
    stop += f" --minutes {options.minutes:g}" if options.minutes else ""
    lines = [
        "# How often statements about sources hold", "",
        f"`python benchmarks/sources.py --simulations {options.simulations}{stop}`: {done} simulations a row; "
        f"{took:.0f} s on {os.cpu_count()} cores, other work beside. "
        f"Six volumes, 10 to {VOLUMES[-1]:,}; 95 % intervals. In %:", "",
        "| case | " + " | ".join(name.replace("_", " ") for name in SHOWN) + " |",
        "| --- " * (len(SHOWN) + 1) + "|",
    ]  # fmt: skip
    for name, own in counts.items():
        shares = [f"{100 * own[q][0] / own[q][1]:.1f}" if own[q][1] else "" for q in SHOWN]
        lines.append(f"| {name} | " + " | ".join(shares) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
