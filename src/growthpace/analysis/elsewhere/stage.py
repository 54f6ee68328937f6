"""`growthpace analyse`: scores from elsewhere in, the tables of a study out.

    found = analyse(Path("scores.csv"), Path("map.yaml"), Path("folder"))

Writes scores, points, pace, sizes, comparisons, equivalence, crossings, last_steps, laws and law_curves (.parquet, and
a .csv of each), with samples of the harness item_grades.parquet and advice.yaml too. The figures and the page are
`figures.elsewhere`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from growthpace.analysis.elsewhere.binomial import score_blocks
from growthpace.analysis.elsewhere.chosen import choose, datasets, graded
from growthpace.analysis.elsewhere.score_map import ScoreMap, load_map
from growthpace.analysis.scores import ordered, write_frame
from growthpace.errors import InputError
from growthpace.files import sha256, write_text

ITEMS_NEEDED = "only scores are known, and advice needs the grades of items"


@dataclass(frozen=True)
class Analysis:
    """Everything that was found, before anything is written."""

    score_map: ScoreMap
    scores: pd.DataFrame
    tables: dict[str, pd.DataFrame]
    """points, pace, sizes, comparisons, laws, law_curves."""
    item_grades: pd.DataFrame | None
    advice: list[dict[str, Any]]
    hashes: dict[str, str]
    """Of the files that the scores came from, by name."""
    left_out: list[str]
    """Tasks of the harness that the map does not name."""

    def of_suite(self, name: str) -> pd.DataFrame:
        """The rows of a table that the page is about."""
        table = self.tables[name]
        return table[table["suite"] == self.score_map.suite].reset_index(drop=True)


def analysed(scores: Path, score_map: ScoreMap) -> Analysis:
    """Reads and analyses scores: a table where the map has `columns`, results of the harness where it has `harness`.

    Raises `InputError` for every fault of the map, the files and what they say (see `reading` and `harness`).
    """
    items, files, left_out = None, [scores], []
    if score_map.harness is None:
        from growthpace.analysis.elsewhere.reading import read_scores

        cells = read_scores(scores, score_map)
    else:
        from growthpace.analysis.elsewhere.harness import read_results

        found = read_results(scores, score_map)
        cells, items, files, left_out = found.cells, found.item_grades, found.files, found.left_out
    chosen = choose(datasets(cells, score_map.mixes), score_map)
    _known(chosen, score_map)
    chosen = ordered(chosen, score_map.in_domain, [])
    grades = None if items is None else graded(items, chosen, score_map.in_domain)
    tables = _of_scores(chosen, score_map) if grades is None else _of_items(grades, score_map)
    advice = _advice(chosen, grades, score_map)
    hashes = {path.name: sha256(path) for path in files}
    kept = chosen.drop(columns=["read_as", "flagged"]).assign(in_domain=chosen["ability"].isin(score_map.in_domain))
    return Analysis(score_map, kept, tables, grades, advice, hashes, left_out)


def _known(chosen: pd.DataFrame, score_map: ScoreMap) -> None:
    """`InputError` for a suite or an ability of the map that has no scores."""
    for key, wanted, column in (("suite", [score_map.suite], "suite"), ("in_domain", score_map.in_domain, "ability")):
        for name in wanted:
            if name not in set(chosen[column]):
                found = ", ".join(chosen[column].unique())
                raise InputError(f"{key}: {name!r} has no scores (found: {found})")


def _of_scores(chosen: pd.DataFrame, score_map: ScoreMap) -> dict[str, pd.DataFrame]:
    from growthpace.analysis.elsewhere.tables import of_scores
    from growthpace.analysis.law_tables import laws

    confidence = score_map.confidence
    blocks = score_blocks(chosen, score_map.in_domain, score_map.item_correlation)
    found = of_scores(blocks, confidence, score_map.margin, score_map.comparisons == "all")
    found["laws"], found["law_curves"] = laws(blocks, confidence)
    return found


def _of_items(grades: pd.DataFrame, score_map: ScoreMap) -> dict[str, pd.DataFrame]:
    from growthpace.analysis.crossing import crossings
    from growthpace.analysis.curves import pace, points
    from growthpace.analysis.elsewhere.tables import compared
    from growthpace.analysis.equivalence import equivalence
    from growthpace.analysis.last_step import last_steps
    from growthpace.analysis.law_tables import laws
    from growthpace.analysis.matrix import blocks
    from growthpace.analysis.sizes import size_gains

    confidence, own = score_map.confidence, list(blocks(grades))
    found, courses = laws(own, confidence)
    return {
        "points": points(own, confidence), "pace": pace(own, confidence, score_map.margin),
        "sizes": size_gains(own, confidence), "comparisons": compared(own, confidence, score_map.comparisons == "all"),
        "equivalence": equivalence(own, confidence), "crossings": crossings(own, confidence),
        "last_steps": last_steps(own, confidence, score_map.margin), "laws": found, "law_curves": courses,
    }  # fmt: skip


def _advice(chosen: pd.DataFrame, grades: pd.DataFrame | None, score_map: ScoreMap) -> list[dict[str, Any]]:
    """Advice for each source of a growth curve; refused where there are no item grades."""
    sources = list(chosen.loc[chosen["kind"] == "grid", "source"].unique())
    if grades is None:
        about = {"suite": score_map.suite, "confidence": score_map.confidence, "margin": score_map.margin, "rule": ""}
        return [
            {"source": source, **about, "status": "refused", "reason": ITEMS_NEEDED, "abilities": []}
            for source in sources
        ]
    from growthpace.analysis.advise import advise

    given = (score_map.suite, score_map.confidence, score_map.margin)
    return [advise(grades, source, *given) for source in sources] if score_map.in_domain else []


def analyse(scores: Path, map_file: Path, out: Path) -> Analysis:
    """Analyses scores and writes the tables to the folder `out`, each file in one piece."""
    from growthpace.versions import VERSIONS

    score_map = load_map(map_file)
    found = analysed(scores, score_map)
    metadata = {
        "study": score_map.name, "stage": "analyse", "code_version": VERSIONS["analyse"], "map": sha256(map_file),
        "scores": found.hashes,
    }  # fmt: skip
    for name, table in {"scores": found.scores, **found.tables}.items():
        write_frame(out / f"{name}.parquet", table, metadata)
        write_text(out / f"{name}.csv", table.to_csv(index=False))
    if found.item_grades is not None:
        write_frame(out / "item_grades.parquet", found.item_grades, metadata)
        content = {"study": score_map.name, "code_version": VERSIONS["analyse"], "advice": found.advice}
        write_text(out / "advice.yaml", yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    return found
