"""Do the intervals of fitted growth curves hold the truth as often as they say? Simulated item by item.

    python benchmarks/coverage.py [--simulations 1000] [--choices 100] [--only power] [--table benchmarks/coverage.md]

Every simulation draws items with difficulties of their own, answers them at each volume with each seed (so volumes are
correlated as real ones are), and goes the way of a study: covariance of items, noise of seeds, fit of the true form,
95 % intervals. A cell of the table is a law with a number of items and of seeds and a standard deviation between seeds.
The choice among all forms costs most, so it is made in the first `--choices` simulations of a cell. The last line is
JSON: `coverage_FORM_ITEMS_SEEDS_QUANTITY` (a share), `found_...` (the class of the form that was chosen), flat and
unidentifiable cases.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # matrices of eight points: threads only get in each other's way

import argparse
import json
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import ndtri

from growthpace.analysis.curves import RESPONSIVE, classify, slope_terms
from growthpace.analysis.fitting import FITTED, REFUSED, fit
from growthpace.analysis.forms import FORMS
from growthpace.analysis.laws import choose, held_out, reaching
from growthpace.analysis.observed import Curve, curve_from_arrays
from growthpace.analysis.uncertainty import contrast, make_sample, seed_noise

CONFIDENCE = 0.95
MARGIN = 1.0
CHANCE = 0.25
VOLUMES = 10 * 4.0 ** np.arange(8)
SIZES = (1e9, 4e9, 16e9)
CHUNK = 25
PEAK = 1 / np.sqrt(2 * np.pi)
"""Density of the standard normal at 0."""
LAWS: dict[str, tuple[tuple[float, float], tuple[float, ...]]] = {
    "constant": ((CHANCE, 0.45), ()),
    "linear": ((0.30, 0.70), ()),
    "power": ((0.30, 0.75), (0.4,)),
    "logistic": ((CHANCE, 0.75), (640.0, 0.7)),
    "rectified": ((0.40, 0.80), (640.0, 0.8)),
    "joint": ((0.30, 0.85), (0.15, 0.25)),
}
"""(start, ceiling) and shape parameters of each true law."""
NOISE = ((1, 0.005), (2, 0.01), (5, 0.02))
"""(seeds, standard deviation between seeds of the expected score)."""


@dataclass(frozen=True)
class Cell:
    """A case: what is true, how much is seen, and what is asked."""

    name: str
    law: str
    items: int
    seeds: int
    shared: float
    fitted: str
    """The form that is fitted."""
    level: float | None = None
    """For a constant law: its score."""
    volumes: int = len(VOLUMES)
    exponent: float | None = None
    """For a power law: another exponent."""
    step: int = 1
    """2: every second volume, so that three sizes do not make more points than 100 items can bear."""
    steady: bool = False
    """True: seeds move every score by the same standard deviation, also near 0 and 1, which the model of seeds denies.
    False: they move the items' latent scale."""


def cells() -> list[Cell]:
    """All cases, in the order of the table."""
    found = [
        Cell(f"{law}_{items}_{seeds}", law, items, seeds, shared, law, step=2 if law == "joint" and items < 500 else 1)
        for law in LAWS for items in (100, 1000) for seeds, shared in NOISE
    ]  # fmt: skip
    for items in (100, 1000):
        found.append(Cell(f"chance_{items}_2", "constant", items, 2, 0.01, "constant", CHANCE))
        found.append(Cell(f"flat_power_{items}_2", "constant", items, 2, 0.01, "power"))
        found.append(Cell(f"far_power_{items}_2", "power", items, 2, 0.01, "power", exponent=0.05))
    found.append(Cell("steady_rectified_1000_2", "rectified", 1000, 2, 0.01, "rectified", steady=True))
    found.append(Cell("small_power_48_2", "power", 48, 2, 0.01, "power"))
    found.append(Cell("crowded_joint_100_2", "joint", 100, 2, 0.01, "joint"))
    found.append(Cell("three_volumes_100_2", "power", 100, 2, 0.01, "power", volumes=3))
    return found


def truth(cell: Cell, volumes, sizes) -> np.ndarray:
    """The law's score at `volumes` and `sizes`."""
    (start, ceiling), shape = LAWS[cell.law]
    if cell.level is not None:
        ceiling = cell.level
    shape = (cell.exponent,) if cell.exponent else shape
    own_sizes = np.array(SIZES if FORMS[cell.law].joint else SIZES[:1])
    share = FORMS[cell.law].between(volumes, sizes, np.array([shape]), VOLUMES, own_sizes)[0]
    return start * (1 - share) + ceiling * share


def simulate(cell: Cell, rng: np.random.Generator) -> tuple[Curve, str]:
    """A curve as a study would measure it, and the class of its pace."""
    sizes = SIZES if FORMS[cell.law].joint else SIZES[:1]
    swept = VOLUMES[: cell.volumes][:: -cell.step][::-1]
    volumes, sizes = np.tile(swept, len(sizes)), np.repeat(sizes, len(swept))
    expected = truth(cell, volumes, sizes)
    runs = len(volumes) * cell.seeds
    reached = np.repeat(expected, cell.seeds)
    latent = rng.normal(size=(cell.items, 1)) + rng.normal(size=(cell.items, runs))
    shock = rng.normal(size=runs)
    if cell.steady:
        latent += ndtri(np.clip(reached + cell.shared * shock, 0.002, 0.998)) * np.sqrt(2)
    else:
        moved = cell.shared * np.sqrt(2) / PEAK  # a standard deviation of `shared` for a score of one half
        latent += ndtri(reached) * np.sqrt(2 + moved**2) + moved * shock
    values = (latent > 0).astype(float)
    columns = list(np.arange(runs).reshape(-1, cell.seeds))
    sample = make_sample(np.zeros(cell.items), np.full(cell.items, "", dtype=object))
    noise = seed_noise(sample, values, columns)
    curve = curve_from_arrays(sample, values, columns, volumes, sizes, np.full(cell.items, CHANCE), noise)
    kind = ""
    if len(set(sizes)) == 1:
        terms = slope_terms(dict(zip(volumes.astype(int).tolist(), columns, strict=True)))
        kind = classify(contrast(sample, values, terms, noise), CONFIDENCE, MARGIN)
    return curve, kind


def judge(cell: Cell, curve: Curve, kind: str, choice: bool) -> list[tuple[str, bool]]:
    """What one simulation says: (quantity, yes or no)."""
    said = [("responsive", kind == RESPONSIVE)] if cell.law == "constant" else []
    law = fit(curve, FORMS[cell.fitted], CONFIDENCE)
    said.append(("refused", law.status == REFUSED))
    if law.status == REFUSED:
        return said

    def held(name, interval, true):
        said.append((name, bool(interval.low <= true <= interval.high)))

    largest, between = VOLUMES[-1], VOLUMES[4] * 2.0
    size = SIZES[0]
    held("largest", law.at([largest], size)[0], truth(cell, np.array([largest]), size)[0])
    held("between", law.at([between], size)[0], truth(cell, np.array([between]), size)[0])
    near = truth(cell, largest * 4 ** np.array([-0.01, 0.01]), size)
    held("pace", law.pace_at(largest, size), 100 * (near[1] - near[0]) / 0.02)
    if law.form.solve is not None and cell.fitted == cell.law:
        found = reaching(law)
        said.append(("reaching_told", found.status != "not identified"))
        (start, ceiling), shape = LAWS[cell.law]
        shape = (cell.exponent,) if cell.exponent else shape
        level = np.array([(0.9 * ceiling - start) / (ceiling - start)])
        true = float(law.form.solve(level, np.array([shape]), VOLUMES)[0])
        if found.status != "not identified":
            held("reaching", found.volume, max(true, VOLUMES[0]))
    (start, ceiling), shape = LAWS[cell.law]
    if law.form.start == "first":  # the score at the smallest volume of this curve
        start = truth(cell, np.array([curve.volumes.min()]), size)[0]
    if cell.level is None and cell.exponent is None and cell.fitted == cell.law:
        values = [*([start] if law.form.start else []), ceiling, *shape]
        for own, true in zip(law.parameters, values, strict=True):
            said.append((f"told_{own.name}", own.identified))
            held(f"always_{own.name}", own, true)
            if own.identified:
                held(own.name, own, true)
    elif law.form.shapes:
        said.append(("told_exponent", law.parameter("exponent").identified))
        said.append(("told_ceiling", law.parameter("ceiling").identified))
    if not law.form.joint:
        check = held_out(curve, CONFIDENCE, FORMS[cell.fitted])
        if check.status == FITTED:
            said.append(("held_out", check.held))
        if choice:
            chosen = choose(curve).form
            said.append(("found", chosen.growth == FORMS[cell.law].growth))
            said.append(("found_form", chosen is FORMS[cell.law]))
    return said


def run_chunk(task: tuple[int, Cell, int, int, int]) -> tuple[str, dict[str, tuple[int, int]], float]:
    """Simulations [first, last) of a cell: its name, (yes, asked) by quantity, and the seconds that it took."""
    index, cell, first, last, choices = task
    began = time.perf_counter()
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for number in range(first, last):
        rng = np.random.default_rng([index, number])
        for name, yes in judge(cell, *simulate(cell, rng), number < choices):
            counts[name][0] += bool(yes)
            counts[name][1] += 1
    return cell.name, {name: tuple(pair) for name, pair in counts.items()}, time.perf_counter() - began


NOTES = "## What to take from it"
"""What stands in a table's file from here on was written by hand and stays."""
SHOWN = ("largest", "between", "pace", "held_out", "reaching")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--choices", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=0, help="stop after so long, with fewer simulations")
    parser.add_argument("--only", default="", help="cells whose name begins so")
    parser.add_argument("--table", type=Path)
    options = parser.parse_args()
    tasks = [
        (index, cell, first, min(first + CHUNK, options.simulations), options.choices)
        for first in range(0, options.simulations, CHUNK)
        for index, cell in enumerate(cells()) if cell.name.startswith(options.only)
    ]  # fmt: skip
    counts: dict[str, dict[str, np.ndarray]] = defaultdict(lambda: defaultdict(lambda: np.zeros(2, int)))
    began, spent = time.perf_counter(), 0.0
    for name in (cell.name for cell in cells() if cell.name.startswith(options.only)):
        counts[name]  # the order of the table
    with ProcessPoolExecutor(options.workers) as pool:
        for name, found, seconds in pool.map(run_chunk, tasks):
            spent += seconds
            for quantity, pair in found.items():
                counts[name][quantity] += pair
            if options.minutes and time.perf_counter() - began > 60 * options.minutes:
                pool.shutdown(wait=False, cancel_futures=True)
                break
    took = time.perf_counter() - began
    text = table(counts, options, took)
    print(text)
    if options.table:
        before = options.table.read_text(encoding="utf-8") if options.table.exists() else ""
        notes = "\n" + before[before.index(NOTES) :] if NOTES in before else ""
        options.table.write_text(text + "\n" + notes, encoding="utf-8")
    done = min(int(own["refused"][1]) for own in counts.values())
    print(json.dumps(summary(counts) | {"simulations": done, "seconds": round(took, 1)}))


def share(pair) -> float:
    return float(pair[0] / pair[1]) if pair[1] else float("nan")


def summary(counts) -> dict[str, float]:
    """The figures of the JSON line."""
    line = {}
    for name, own in counts.items():
        for quantity, pair in own.items():
            asked = quantity.startswith(("told_", "responsive", "refused", "found", "reaching_told"))
            line[f"{quantity}_{name}" if asked else f"coverage_{name}_{quantity}"] = round(share(pair), 4)
    return line


def table(counts, options, took: float) -> str:
    """The tables for the documentation, in Markdown."""
    known = {cell.name: cell for cell in cells()}

    def row(*columns):
        return "| " + " | ".join(columns) + " |"

    def percent(own, quantity):
        pair = own.get(quantity)
        return "" if pair is None or not pair[1] else f"{100 * share(pair):.1f}"

    done = min(int(own["refused"][1]) for own in counts.values())
    stop = f" --minutes {options.minutes:g}" if options.minutes else ""
    error = 100 * np.sqrt(0.95 * 0.05 / max(done, 1))
    lines = [
        "# Coverage of the intervals of fitted growth curves", "",
        f"`python benchmarks/coverage.py --simulations {options.simulations} --choices {options.choices}{stop}`: "
        f"{done} simulations a row, so a share of 95 % is known to +-{2 * error:.1f}; "
        f"{took:.0f} s with {options.workers} workers on {os.cpu_count()} cores, other work beside.", "",
        "95 % intervals, in % of simulations: the fitted curve at the largest volume and between two volumes, its",
        "slope at the largest volume, the prediction of the largest volume's score from the others, and the volume",
        "that reaches 90 % of the ceiling (where told). Parameters: coverage where identified (share of simulations in",
        f"which it was). Class: that of the chosen form, of {min(options.choices, done)} simulations; form: the very",
        "form.",
        "",
        row("law", "items", "seeds", "sd of seeds", *(quantity.replace("_", " ") for quantity in SHOWN),
            "parameters", "class", "form"),
        row(*["---"] * (4 + len(SHOWN) + 3)),
    ]  # fmt: skip
    for name, own in counts.items():
        cell = known[name]
        if name != f"{cell.law}_{cell.items}_{cell.seeds}":
            continue
        told = "; ".join(f"{q[5:]} {percent(own, q[5:])} ({percent(own, q)})" for q in own if q.startswith("told_"))
        lines.append(
            row(cell.law, str(cell.items), str(cell.seeds), f"{cell.shared:g}", *(percent(own, q) for q in SHOWN), told,
                percent(own, "found"), percent(own, "found_form"))
        )  # fmt: skip
    lines += ["", "Flat and unidentifiable cases, in %:", "",
              row("case", "items", "called responsive", "refused", "exponent told", "ceiling told", "largest", "pace",
                  "held out"),
              row(*["---"] * 9)]  # fmt: skip
    for name, own in counts.items():
        cell = known[name]
        if cell.law == "constant" or name != f"{cell.law}_{cell.items}_{cell.seeds}":
            asked = ("responsive", "refused", "told_exponent", "told_ceiling", "largest", "pace", "held_out")
            lines.append(row(name, str(cell.items), *(percent(own, q) for q in asked)))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
