"""The report stage gathers what there is: further tables, examples of the best run, downloads."""

import json
import re

import pytest
import yaml
from made_up import item_grades
from made_up_pages import tables

from growthpace.analysis.compare import compare
from growthpace.analysis.curves import pace, points
from growthpace.analysis.scores import write_frame
from growthpace.data.items import Item, Message, write_items
from growthpace.evaluation.grading import grade_file
from growthpace.evaluation.predictions import Prediction, write_predictions
from growthpace.figures.registry import FIGURES
from growthpace.figures.stage import write_report
from growthpace.files import write_json, write_text
from growthpace.grid import Run
from growthpace.paths import Paths
from small_study import load_small

QUESTION = "Which organ pumps blood?\nA. heart\nB. liver\nC. lung\nD. skin"


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """A study whose analysis is there, and its paths."""
    monkeypatch.chdir(tmp_path)
    study = load_small(tmp_path)
    paths = Paths(study)
    grades = item_grades(
        abilities={"biology": 8.0, "history": 4.0}, models=(("s", 10), ("m", 20)), sources=("curated",),
        volumes=(4, 16), seeds=(1, 2), items=12,
    )  # fmt: skip
    dots = points(grades, 0.95)
    frames = {"points": dots, "pace": pace(grades, 0.95, 2.0), "comparisons": compare(grades, 0.95)}
    for name, frame in frames.items():
        write_frame(paths.root / "analysis" / f"{name}.parquet", frame, {})
    write_frame(paths.root / "scores.parquet", grades.head(5), {})
    write_text(
        paths.root / "analysis" / "advice.yaml",
        yaml.safe_dump({"advice": [], "allocation": [{"mix": "advised", "budget": 99}]}),
    )
    for name in FIGURES:
        write_text(paths.root / "figures" / f"{name}.svg", '<svg viewBox="0 0 10 10"></svg>')
    return study, paths


def answer_suite(study, paths, run, epoch, right):
    """The run's answers to the suite `test`, as prediction and grading write them."""
    letters = tuple("ABCD")
    items = [
        Item(f"{ability}-{n}", ability, (Message("user", f"{n}: {QUESTION}"), Message("assistant", "A")), "letter", "A",
             letters, 0.25)
        for ability in study.abilities for n in range(6)
    ]  # fmt: skip
    write_items(paths.suite("test"), items, {})
    found = [
        Prediction(item.id, "A" if n % 6 < right else "It is B.", True, (), (), 9, 1, 0, "0" * 16)
        for n, item in enumerate(items)
    ]
    write_predictions(paths.prediction(run, "test", "selected"), found, {"epoch": epoch})
    grade_file(
        paths.suite("test"), paths.prediction(run, "test", "selected"), paths.grades(run, "test", "selected"),
        {"epoch": epoch},
    )  # fmt: skip
    write_json(paths.selected(run), {"epoch": epoch})


def test_a_study_with_the_least_still_reports(finished, tmp_path):
    study, paths = finished
    html = write_report(study, paths, tmp_path / "study.yaml").read_text()
    assert 'id="examples"' not in html
    assert 'id="table-laws"' not in html
    assert 'id="table-allocation"' in html
    assert "scores.parquet" in html


def test_what_is_there_is_shown(finished, tmp_path):
    study, paths = finished
    for name, table in tables(("overall", "biology", "history"), ("s", "m")).items():
        target = paths.root / "analysis" / name
        if isinstance(table, dict):
            write_json(target.with_suffix(".json"), table)
        else:
            write_frame(target.with_suffix(".parquet"), table, {})
    html = write_report(study, paths, tmp_path / "study.yaml").read_text()
    for key in ("laws", "sizes", "equivalence", "feature_prediction", "allocation"):
        assert f'id="table-{key}"' in html
    for key in ("transfer", "advice_check"):  # the study asks for neither: they are left from before
        assert f'id="table-{key}"' not in html
    curves = json.loads(re.search(r'id="chart-data">(.*?)</script>', html).group(1))
    assert len(curves["laws"]["score"]) > 100
    for name in ("points", "laws", "law_curves", "scores"):
        assert f'data-download="{name}.csv"' in html
        assert f'data-download="{name}.parquet"' in html


def test_examples_are_of_the_best_run_that_is_there(finished, tmp_path):
    study, paths = finished
    for seed in (2, 1):  # the first seed that is there is shown
        for model in ("s", "m"):
            for source in ("curated", "synthetic"):
                answer_suite(study, paths, Run(model, f"{source}-16", seed), 3 + seed, right=seed)
        html = write_report(study, paths, tmp_path / "study.yaml").read_text()
        section = html[html.index('<section id="examples"') : html.index('<section id="costs"')]
        assert re.search(rf"Answers of model \w+ tuned on curated-16 \(seed {seed}, epoch {3 + seed}\)", section)
        assert section.count("✓ right") == 2 * min(seed, 2)
        assert section.count("✕ wrong") == 4
        assert "Which organ pumps blood?" in section
        assert "It is B." in section
        assert f"{100 * seed / 6:.1f} % of 6 items" in section
