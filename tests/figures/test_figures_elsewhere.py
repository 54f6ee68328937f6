"""growthpace analyse, whole: the folder it writes, and what it says."""

from __future__ import annotations

import subprocess
import sys

import from_elsewhere as made
import pandas as pd
import pytest

from growthpace.analysis.elsewhere.stage import analyse
from growthpace.errors import InputError
from growthpace.figures.elsewhere import told, write_page
from growthpace.files import read_metadata

TABLES = (
    "scores",
    "points",
    "pace",
    "sizes",
    "comparisons",
    "equivalence",
    "crossings",
    "last_steps",
    "laws",
    "law_curves",
)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("elsewhere")
    table = made.rows(sources=("curated", "synthetic"), items=2_000)
    score_map = made.write_map(folder)
    found = analyse(made.write_csv(folder, table), score_map, folder / "out")
    write_page(found, score_map, folder / "out")
    return found, folder


def test_all_tables_in_both_forms(written):
    _, folder = written
    for name in TABLES:
        parquet = pd.read_parquet(folder / "out" / f"{name}.parquet")
        assert len(parquet) == len(pd.read_csv(folder / "out" / f"{name}.csv")) > 0
        assert set(read_metadata(folder / "out" / f"{name}.parquet")["scores"]) == {"scores.csv"}
    assert not (folder / "out" / "advice.yaml").exists()


def test_the_page_says_that_nothing_was_trained_here(written):
    _, folder = written
    page = (folder / "out" / "report.html").read_text(encoding="utf-8")
    assert "growthpace trained and evaluated nothing here" in page
    assert "two runs count as independent samples" in page
    assert (folder / "out" / "figures" / "abilities.png").stat().st_size > 1000


def test_the_summary_says_what_stands(written):
    lines = "\n".join(told(written[0]))
    assert lines.startswith("68 scores of 34 runs: 2 models, 9 datasets, 2 abilities, 1 suite\n")
    assert "- code, small on curated: +" in lines
    assert "points per fourfold data (" in lines
    assert "of 24 differences between datasets stand above noise" in lines
    assert "four times in five only from" in lines
    assert "second seed" not in lines


def test_the_same_bytes_again(written, tmp_path):
    _, folder = written
    analyse(folder / "scores.csv", folder / "map.yaml", tmp_path)
    for name in TABLES:
        for suffix in (".parquet", ".csv"):
            again = (tmp_path / f"{name}{suffix}").read_bytes()
            assert again == (folder / "out" / f"{name}{suffix}").read_bytes()


@pytest.mark.parametrize(("changes", "message"), [
    ({"suite": "valid"}, r"suite: 'valid' has no scores \(found: test\)"),
    ({"in_domain": ["code", "math"]}, r"in_domain: 'math' has no scores \(found: code, ethics\)"),
])  # fmt: skip
def test_a_map_of_what_is_not_there(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        analyse(made.write_csv(tmp_path, made.rows()), made.write_map(tmp_path, **changes), tmp_path / "out")
    assert not (tmp_path / "out").exists(), "nothing is written of a bad table"


def test_a_fault_on_the_command_line_is_one_line(tmp_path):
    path = made.write_csv(tmp_path, [{**row, "acc": 140} for row in made.rows()])
    called = subprocess.run(
        [sys.executable, "-m", "growthpace", "analyse", "--scores", path, "--map", made.write_map(tmp_path), "--out",
         tmp_path / "out"], capture_output=True, text=True,
    )  # fmt: skip
    assert called.stdout == ""
    expected = "row 1, column acc: found '140', allowed: 0 to 1 (the map's scale is fraction)"
    assert called.stderr == f"growthpace: {path}: {expected}\n"
