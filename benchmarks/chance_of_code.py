"""How often is a program right that knows nothing of the question? The chance of `code`, by simulation.

    python benchmarks/chance_of_code.py [--guesses 20000]

Nobody can draw uniformly from all programs, so the guesser draws from those that people wrote: it answers a problem of
MBPP with the reference of another one, drawn uniformly among the other 973, its function renamed to what the tests
call. Every guess runs in the sandbox. The last line is JSON: guesses, how many passed, and the largest chance that so
few passes leave possible (95 %, Clopper and Pearson).
"""

from __future__ import annotations

import argparse
import json
import random
import re
from concurrent.futures import ThreadPoolExecutor

from scipy.stats import beta
from training_items import data_folder

from growthpace.data.importers import read_items_of
from growthpace.evaluation.sandbox import Limits, try_out
from growthpace.study import BenchmarkItems

DEFINED = re.compile(r"^def[ \t]+(\w+)", re.MULTILINE)
LIMITS = Limits(cpu_seconds=2, wall_seconds=20)
"""A guess that runs for longer counts as wrong."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--guesses", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    settings = BenchmarkItems(importer="benchmark", name="mbpp", folder=data_folder() / "mbpp")
    items = list(read_items_of(settings, ["mbpp"]))
    generator = random.Random(0)
    pairs = []
    while len(pairs) < options.guesses:
        item, other = generator.sample(items, 2)
        called = [name for name in DEFINED.findall(item.answer) if re.search(rf"\b{name}\b", item.tests)]
        defined = DEFINED.findall(other.answer)
        if called and defined:
            program = re.sub(rf"\b{defined[-1]}\b", called[-1], other.answer)
            pairs.append((item, other, program))

    def passes(pair) -> bool:
        item, other, program = pair
        passed = try_out([program], "", item.tests, LIMITS).passed
        if passed:
            print(f"{other.id} solves {item.id}: {item.messages[0].content.splitlines()[0][:100]}", flush=True)
        return passed

    with ThreadPoolExecutor(options.workers) as pool:
        passed = sum(pool.map(passes, pairs))
    most = float(beta.ppf(0.975, passed + 1, options.guesses - passed))
    print(json.dumps({"guesses": options.guesses, "passed": passed, "chance_below": most}))


if __name__ == "__main__":
    main()
