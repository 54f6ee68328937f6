"""How often the interval of advice's gain holds, where the true curves are known, and how often noise is advised on.

    PYTHONPATH=src:tests/analysis python benchmarks/advice_coverage.py --simulations 200

Scores of ten abilities are made from known curves (`tests/analysis/advice_truth.py`) with noise; a budget is divided
by them and the division's true gain computed from the known curves. The last line is JSON, for each case: `coverage`
(share of divisions, refused or not, whose true gain lies in the interval), `advised` (share that is not refused) and,
of those alone, `advised_coverage`, `gained` (the true gain is above 0), `gain` and `true_gain` (means, points).
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "analysis"))

from advice_truth import KINDS, simulate

from growthpace.analysis import allocation

NOISES = {"30 items": 0.025, "300 items": 0.008}
"""Standard error of a point besides what all points of a curve share: three models of so many test items each."""
VOLUMES = {4: 4.0 ** np.arange(4), 6: 4.0 ** np.arange(6)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    arguments = parser.parse_args()
    least, allocation.LEAST_GAIN = allocation.LEAST_GAIN, -np.inf  # so that refused divisions are seen too
    result = {}
    print("| curves | volumes | noise | interval holds | advised | of these holds | gained | gain told | true gain |")
    print("|---|---|---|---|---|---|---|---|---|")
    for kind in arguments.kinds:
        for count, own in VOLUMES.items():
            for noise, error in NOISES.items():
                found = [simulate(kind, 10, own, error, n, arguments.draws) for n in range(arguments.simulations)]
                low, high, told = np.array([[one.low, one.high, one.gain] for one, _ in found]).T
                true = np.array([gain for _, gain in found])
                # A gain of nothing is told as an interval around 0 whose ends are rounding.
                inside = (low - least <= true) & (true <= high + least)
                row = {"coverage": inside.mean(), "advised": (kept := low >= least).mean()}
                if kept.any():
                    row["advised_coverage"], row["gained"] = inside[kept].mean(), (true[kept] > 0).mean()
                    row["gain"], row["true_gain"] = told[kept].mean(), true[kept].mean()
                result[f"{kind}_{count}_{noise}"] = {key: float(value) for key, value in row.items()}
                keys = ("coverage", "advised", "advised_coverage", "gained")
                shares = [f"{100 * row[key]:.0f} %" if key in row else "" for key in keys]
                points = [f"{row[key]:+.2f}" if key in row else "" for key in ("gain", "true_gain")]
                print("|", " | ".join([kind, str(count), noise, *shares, *points]), "|", flush=True)
    print(json.dumps({"simulations": arguments.simulations, "draws": arguments.draws, **result}))


if __name__ == "__main__":
    main()
