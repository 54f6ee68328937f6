"""Pages of a made-up study, with every further table that the page knows."""

from __future__ import annotations

import numpy as np
import pandas as pd
from made_up import item_grades

from growthpace.analysis.advise import advise
from growthpace.analysis.compare import compare
from growthpace.analysis.curves import pace, points
from growthpace.figures.drawing import svg
from growthpace.figures.examples import choose
from growthpace.figures.registry import FIGURES
from growthpace.figures.report import render
from growthpace.figures.tables import Tables
from growthpace.study import Figures

SETTINGS = Figures(palette="colorblind", style="whitegrid", panel_width=2.6, columns=3)
GROWTH = ("abilities", "overall", "pace", "sizes")
"""The figures that a made-up page shows."""
MISSING = (("tiny", "synthetic-160", 0), ("tiny", "synthetic-160", 1), ("small", "curated-640", 1))


def page(
    notice="A made-up world.",
    missing=MISSING,
    drawn=True,
    change=None,
    hashes=None,
    unbalanced=(),
    further=None,
    **study,
):
    grades = item_grades(**{"items": 20, "missing": missing, "outside": ("physics",), **study}).assign(**(change or {}))
    dots, slopes = points(grades, 0.95), pace(grades, 0.95, 1.0)
    tables = Tables("test", {"points": dots, "pace": slopes})
    runs = [
        {"model": m, "dataset": f"{s}-{v}", "seed": n, "complete": (m, f"{s}-{v}", n) not in missing,
         "missing": "training"}
        for s in ("curated", "synthetic") for v in (40, 160, 640, 2560) for m in ("tiny", "small") for n in (0, 1)
    ]  # fmt: skip
    costs = [
        {"model": "tiny", "dataset": "curated-40", "seed": 0, "wall_seconds": 100, "tokens_per_second": 12345.6,
         "device": "cpu"},
        {"model": "tiny", "dataset": "curated-40", "seed": 1, "wall_seconds": None, "tokens_per_second": None,
         "device": None},
    ]  # fmt: skip
    return render(
        name="made-up", description="Two models & two sources.", notice=notice, suite="test", confidence=0.95,
        margin=1.0, points=dots, pace=slopes, comparisons=compare(grades, 0.95),
        advice=[advise(grades, "curated", "test", 0.95, 1.0)], completeness=runs,
        figures={name: svg(FIGURES[name].draw(tables, SETTINGS, "")) for name in GROWTH if drawn}, costs=costs,
        provenance={"config": "study: made-up\n# <b>not bold</b>", "versions": {"growthpace": "0.1"},
                    "hashes": hashes or {"scores.parquet": "abc"}},
        unbalanced=unbalanced, **(further or {}),
    )  # fmt: skip


NAN = float("nan")
EVIL = "</script><script>window.hurt = 1</script><b onclick=x>"
"""What a study's text must never do."""


def tables(abilities=("overall", "biology", "code"), models=("tiny", "small"), sources=("curated", "synthetic")):
    """A few rows of every further table, as the stages would write them; some laws refused, some ceilings not known."""
    curves = [(a, m, s) for a in abilities for m in models for s in sources]
    keys = ["ability", "model", "source"]
    base = pd.DataFrame(curves, columns=keys).assign(suite="test")
    fitted = [n % 5 != 4 for n in range(len(base))]
    laws = base.assign(
        in_domain=True, form=["power" if f else "" for f in fitted], growth=["saturating" if f else "" for f in fitted],
        status=["fitted" if f else "refused" for f in fitted],
        reason=["" if f else "fewer than five items for each point" for f in fitted],
        ceiling=[0.7 if n % 2 and f else NAN for n, f in enumerate(fitted)], ceiling_low=0.6, ceiling_high=0.8,
        volume_90=[1234.0 if n % 2 and f else NAN for n, f in enumerate(fitted)], volume_90_low=300.0,
        volume_90_high=float("inf"),
        volume_90_status=["reached in range" if n % 2 else "not identified" for n in range(len(base))],
        slope_at_largest=[2.5 if f else NAN for f in fitted], slope_at_largest_low=-0.5, slope_at_largest_high=5.0,
        held_out_volume=2560, held_out_score=0.55, held_out_predicted=0.53, held_out_predicted_low=0.48,
        held_out_predicted_high=0.58, held_out_error=-2.0,
        held_out_held=pd.Series([(n % 3 != 0) if f else None for n, f in enumerate(fitted)], dtype=object),
    )  # fmt: skip
    at = np.geomspace(40, 2560, 40)
    law_curves = pd.concat(
        pd.DataFrame({"suite": "test", "ability": a, "model": m, "source": s, "form": "power", "holds": True,
                      "volume": at,
                      "score": 0.6 - 0.3 * (at / 40) ** -0.4, "low": 0.56 - 0.3 * (at / 40) ** -0.4,
                      "high": 0.64 - 0.3 * (at / 40) ** -0.4})
        for (a, m, s), f in zip(curves, fitted, strict=True) if f
    )  # fmt: skip
    pairs = base[base["source"] == "curated"].drop(columns="source").assign(first="curated", second="synthetic")
    return {
        "laws": laws, "law_curves": law_curves,
        "sizes": base.drop(columns="model").drop_duplicates().assign(
            in_domain=True, volume=640, models=2, size_gain=1.5, low=0.5, high=2.5, status="fitted"),
        "selection_bias": base.drop(columns="ability").drop_duplicates().assign(
            level="mean", suite="valid", dataset="", volume=NAN, seed=NAN, epoch=NAN, epochs=3, optimism=0.4, low=0.1,
            high=0.7, loss=0.2, other_epoch=0.3, status="given"),
        "equivalence": pairs.assign(
            volume=640, status=["in range", "never in range", "undecided"] * 2, equivalent=[320.0, NAN, NAN] * 2,
            low=[200.0, NAN, NAN] * 2, high=[500.0, NAN, NAN] * 2, worth=[2.0, NAN, NAN] * 2,
            worth_low=[1.3, NAN, NAN] * 2, worth_high=[3.2, NAN, NAN] * 2),
        "crossings": pairs.assign(status="none in range", volume=NAN, low=NAN, high=NAN),
        "last_steps": base.assign(from_volume=640, to_volume=2560, gain=1.5, low=-0.5, high=3.5, verdict="cannot tell"),
        "generalisation": pd.DataFrame({
            "suite": ["test", "mmlu"], "ability": "physics", "model": ["tiny", ""], "source": ["curated", ""],
            "in_domain_score": [0.5, NAN], "out_of_domain_score": [0.4, NAN],
            "statistic": ["scores", "rank agreement of scores"],
            "value": [NAN, 0.8], "low": [NAN, 0.4], "high": [NAN, 0.95]}),
        "transfer": pd.DataFrame({
            "suite": "test", "model": "tiny", "seeds": 2, "trained": ["biology", "code"], "tested": ["code", "biology"],
            "kind": ["alone", "all_but"], "effect": [3.0, -1.0], "low": [1.0, -3.0], "high": [5.0, 1.0],
            "standard_error": 1.0}),
        "features": pd.DataFrame({"ability": ["biology"], "feature": ["complexity"], "value": [0.123]}),
        "feature_prediction": {"features": ["complexity"], "error": 1.25, "p_value": 0.04, "abilities": 4},
        "allocation": {"budget": 10_000, "abilities": [{"ability": "biology", "items": 4000, "share": 0.4}],
                       "gain": {"points": 1.5, "interval": [0.2, 2.8]}},
        "advice_check": {"sentence": "The advice held.", "predicted": 1.2, "predicted_low": 0.5, "predicted_high": 2.0},
    }  # fmt: skip


def record(number, ability="biology", grade=1.0, question="What is it?", **change):
    """What `evaluation.item_log` says of one answer."""
    return {
        "item_id": f"{ability}-{number}", "ability": ability, "scorer": "letter", "answer": "A", "parsed": "A",
        "grade": grade, "text": "A.", "candidates": [], "question": question, **change,
    }  # fmt: skip


def examples():
    records = [record(n, a, float(n % 3 == 0)) for a in ("biology", "code") for n in range(20)]
    records += [record(n, "math", 0.0, f"{EVIL} " + "long " * 200, text=EVIL) for n in range(3)]
    about = {"model": "small", "dataset": "curated-2560", "seed": 0, "epoch": 3, "suite": "test"}
    return {**about, "abilities": choose(records)}


def many_points(abilities=10, models=10, sources=10, volumes=10):
    """A point for each of everything, as `curves.points` gives them: scores that rise with noise."""
    rng = np.random.default_rng(0)
    rows = [
        (f"ability_{a}", f"model-{m}", 10**6 * (m + 1), f"source-{s}", 40 * 2**v)
        for a in range(abilities) for m in range(models) for s in range(sources) for v in range(volumes)
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["ability", "model", "parameters", "source", "volume"])
    score = np.clip(0.3 + 0.04 * np.log2(table["volume"] / 40) + 0.05 * rng.normal(size=len(table)), 0.01, 0.99)
    return table.assign(
        suite="test", in_domain=True, kind="grid", dataset=table["source"] + "-" + table["volume"].astype(str),
        seeds=2, items=200, clusters=200, score=score, standard_error=0.03, item_error=0.03, seed_error=0.01, df=100.0,
        low=score - 0.06, high=score + 0.06, chance=0.25, seed_variance_df=10, uncertainty="items and seeds",
    )  # fmt: skip


def page_of_points(table):
    """A page with these points and nothing else."""
    grades = item_grades(items=4, sources=())
    return render(
        name="many points", description="", notice="", suite="test", confidence=0.95, margin=1.0, points=table,
        pace=pace(grades, 0.95, 1.0), comparisons=compare(grades, 0.95), advice=[], completeness=[], figures={},
        costs=[], provenance={"config": "", "versions": {}, "hashes": {}}, downloads=[],
    )  # fmt: skip
