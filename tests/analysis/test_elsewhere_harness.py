"""What result files of lm-evaluation-harness become, with samples and without; every fault in words."""

from __future__ import annotations

import json
import re

import harness_files as made
import numpy as np
import pytest

from growthpace.analysis.compare import compare
from growthpace.analysis.curves import pace, points
from growthpace.analysis.elsewhere.harness import read_results
from growthpace.analysis.elsewhere.score_map import load_map
from growthpace.analysis.elsewhere.stage import analysed
from growthpace.errors import InputError

VOLUMES = (40, 160, 640)


def sweep(folder, items=60, **changes):
    """Three volumes, two seeds and the untuned model; easy items stay easy in all runs."""
    rng, grades = np.random.default_rng(3), {}
    hardness = rng.random(items)
    for place, volume in enumerate((0, *VOLUMES)):
        for seed in (1, 2) if volume else (1,):
            name = f"out/tiny/{'curated' if volume else 'untuned'}-{volume}/seed-{seed}"
            skill = 0.3 + 0.1 * place + 0.1 * rng.normal(size=items)
            grades[volume, seed] = [float(right) for right in hardness < skill]
            made.write_results(folder, name, {"arc": grades[volume, seed]}, **changes)
    return grades


def test_samples_are_item_grades(tmp_path):
    grades = sweep(tmp_path)
    found = analysed(tmp_path, load_map(made.write_map(tmp_path)))
    items = found.item_grades
    assert len(items) == 7 * 60
    own = items[(items["volume"] == 160) & (items["seed"] == 2)].sort_values(
        "item_id", key=lambda n: n.str[4:].astype(int)
    )
    assert list(own["grade"]) == grades[160, 2]
    assert set(items["dataset"]) == {"untuned", "curated-40", "curated-160", "curated-640"}
    # The same numbers as a study's would have, with errors that take that items are the same.
    for name, table in (("points", points(items, 0.95)), ("pace", pace(items, 0.95, 2.0))):
        assert found.tables[name].equals(table)
    row = found.tables["pace"].iloc[0]
    assert row["uncertainty"] == "items and seeds"
    means = [np.mean([grades[volume, 1], grades[volume, 2]]) for volume in VOLUMES]
    assert row["pace"] == pytest.approx(100 * np.polyfit([0, 1, 2], means, 1)[0])
    assert found.advice[0]["source"] == "curated"


def test_scores_alone_are_wider(tmp_path):
    sweep(tmp_path)
    paired = analysed(tmp_path, load_map(made.write_map(tmp_path)))
    alone = analysed(tmp_path, load_map(made.write_map(tmp_path, samples=False)))
    assert alone.item_grades is None
    both = [one.tables["pace"].iloc[0] for one in (paired, alone)]
    assert both[0]["pace"] == pytest.approx(both[1]["pace"])
    assert both[0]["standard_error"] < both[1]["standard_error"]
    assert both[1]["uncertainty"].startswith("items and seeds, binomial, unpaired")
    assert list(paired.scores["score"]) == pytest.approx(list(alone.scores["score"]))
    assert alone.advice[0]["status"] == "refused"


def test_a_group_is_its_tasks(tmp_path):
    grades = {"mmlu_a": [1.0] * 30, "mmlu_b": [0.0] * 10, "other": [1.0]}
    made.write_results(tmp_path, "tiny/curated-40/seed-1", grades, groups={"mmlu": ["mmlu_a", "mmlu_b"]})
    for samples in (True, False):
        task = {"mmlu": made.TASK}
        found = read_results(tmp_path, load_map(made.write_map(tmp_path, task, samples)))
        cell = found.cells.iloc[0]
        assert (cell["score"], cell["items"]) == (0.75, 40)
        assert found.left_out == ["other"]
    found = read_results(tmp_path, load_map(made.write_map(tmp_path, {"mmlu": made.TASK})))
    assert found.item_grades.groupby("subject").size().to_dict() == {"mmlu_a": 30, "mmlu_b": 10}


@pytest.mark.parametrize("options", [2, 3, 5])
def test_options_are_counted(tmp_path, options):
    made.write_results(tmp_path, "tiny/curated-40/seed-1", {"arc": [1.0, 0.0]}, options=options)
    task = {key: value for key, value in made.TASK.items() if key != "chance"}
    found = read_results(tmp_path, load_map(made.write_map(tmp_path, {"arc": task})))
    assert found.cells["chance"].iloc[0] == pytest.approx(1 / options)
    with pytest.raises(InputError, match=r"harness: tasks.arc.chance: missing \(only with samples: true"):
        load_map(made.write_map(tmp_path, {"arc": task}, samples=False))
    configs = {"arc": {"output_type": "generate_until"}}
    made.write_results(tmp_path, "tiny/curated-40/seed-1", {"arc": [1.0, 0.0]}, configs=configs)
    with pytest.raises(
        InputError, match=r"jsonl:1: the chance of arc cannot be counted \(output_type 'generate_until'\)"
    ):
        read_results(tmp_path, load_map(made.write_map(tmp_path, {"arc": task})))


def test_the_metrics_filter_is_used(tmp_path):
    metric = "exact_match,strict-match"
    path = made.write_results(tmp_path, "tiny/curated-40/seed-1", {"arc": [1.0, 0.0]}, metric=metric)
    samples = next(path.parent.glob("samples_*"))
    loose = (
        samples.read_text()
        .replace("strict-match", "flexible-extract")
        .replace('"exact_match": 0.0', '"exact_match": 1.0')
    )
    samples.write_text(samples.read_text() + "\n" + loose)
    found = read_results(tmp_path, load_map(made.write_map(tmp_path, {"arc": {**made.TASK, "metric": metric}})))
    assert found.cells["score"].iloc[0] == 0.5
    with pytest.raises(InputError, match="no sample has the filter 'none'"):
        read_results(tmp_path, load_map(made.write_map(tmp_path, {"arc": {**made.TASK, "metric": "exact_match,none"}})))


def test_an_older_file_names_its_model_in_the_arguments(tmp_path):
    config = {"model_args": "pretrained=tiny/curated-40/seed-1,dtype=float32"}
    made.write_results(tmp_path, "x", {"arc": [1.0, 0.0]}, model_name=None, config=config)
    assert read_results(tmp_path, load_map(made.write_map(tmp_path))).cells["volume"].iloc[0] == 40


def test_runs_of_other_documents_are_refused(tmp_path):
    made.write_results(tmp_path, "tiny/curated-40/seed-1", {"arc": [1.0, 0.0]})
    path = made.write_results(tmp_path, "tiny/curated-160/seed-1", {"arc": [1.0, 0.0]})
    samples = next(path.parent.glob("samples_*"))
    samples.write_text(samples.read_text().replace('"doc_hash": "arc-1"', '"doc_hash": "changed"'))
    with pytest.raises(InputError, match="arc/1: tiny on curated-40 was asked another document than an earlier run"):
        read_results(tmp_path, load_map(made.write_map(tmp_path)))


def test_a_result_twice_is_refused(tmp_path):
    for date in ("2026-01-01", "2026-01-02"):
        made.write_results(tmp_path, "tiny/curated-40/seed-1", {"arc": [1.0, 0.0]}, date=date)
    with pytest.raises(
        InputError, match=r"results_2026-01-02.json: arc: a second score for model tiny, source curated"
    ):
        read_results(tmp_path, load_map(made.write_map(tmp_path)))


@pytest.mark.parametrize(("given", "message"), [
    ({"model": "big/a-40/seed-1"}, "harness.runs: no pattern is found in the model's name 'big/a-40/seed-1'"),
    ({"task": "hella"}, "harness.tasks.arc is in no result file (found there: hella)"),
    ({"metric": "f1,none"}, "arc has no metric 'acc,none' (it has: f1,none)"),
    ({"grades": [2.0]}, "arc, acc,none is 2.0 (allowed: 0 to 1)"),
    ({"model_name": None}, "names no model (model_name, or pretrained in config.model_args)"),
    ({"results": []}, "not a result file of lm-evaluation-harness, it has no results"),
    ({"n-samples": {}}, "n-samples.arc.effective is None (allowed: from 1)"),
])  # fmt: skip
def test_faults_of_result_files(tmp_path, given, message):
    changes = {key: value for key, value in given.items() if key in ("metric", "model_name", "results", "n-samples")}
    grades = {given.get("task", "arc"): given.get("grades", [1.0, 0.0])}
    made.write_results(tmp_path, given.get("model", "tiny/curated-40/seed-1"), grades, **changes)
    with pytest.raises(InputError, match=re.escape(message)):
        read_results(tmp_path, load_map(made.write_map(tmp_path, samples=False)))


def test_faults_of_samples(tmp_path):
    score_map = load_map(made.write_map(tmp_path))
    with pytest.raises(InputError, match="no results_"):
        read_results(tmp_path, score_map)
    path = made.write_results(tmp_path, "tiny/curated-40/seed-1", {"arc": [1.0, 0.0]}, samples=False)
    with pytest.raises(InputError, match=r"samples_arc_.*: no such file; run the harness with --log_samples"):
        read_results(path, score_map)
    made.write_results(tmp_path, "tiny/curated-40/seed-1", {"arc": [1.0, float("nan")]})
    with pytest.raises(InputError, match=r"jsonl:2: acc is nan \(allowed: 0 to 1\)|not a JSON"):
        read_results(path, score_map)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="not JSON"):
        read_results(path, score_map)


@pytest.mark.parametrize(("run", "message"), [
    ({"match": "("}, "match: '(' is no regular expression"),
    ({"match": "(?P<size>x)"}, "match: a group is called 'size' (allowed: model, source, volume, seed, epoch)"),
    ({"match": "x"}, "model: missing (allowed: a key, or a group (?P<model>...) of the pattern)"),
    ({"seed": 3}, "seed: given twice, in the pattern and beside it"),
])  # fmt: skip
def test_faults_of_patterns(tmp_path, run, message):
    with pytest.raises(InputError) as caught:
        load_map(made.write_map(tmp_path, runs=[{**made.RUN, **run}]))
    assert f"harness.runs[1]: {message}" in str(caught.value)


def test_pairs_of_items_are_paired(tmp_path):
    """A mix that differs in two items of 40: found on item grades, lost among unpaired ones."""
    base = [1.0] * 20 + [0.0] * 20
    made.write_results(tmp_path, "tiny/curated-40/seed-1", {"arc": base})
    better = [1.0] * 28 + [0.0] * 12
    made.write_results(tmp_path, "tiny/other-40/seed-1", {"arc": better})
    run = {**made.RUN, "match": made.RUN["match"].replace("untuned", "other")}
    paired, alone = (
        analysed(tmp_path, load_map(made.write_map(tmp_path, runs=[run], samples=samples)))
        .tables["comparisons"]
        .iloc[0]
        for samples in (True, False)
    )
    assert paired["difference"] == pytest.approx(alone["difference"])
    assert abs(paired["difference"]) == pytest.approx(20)
    assert paired["stands"]
    assert not alone["stands"]
    assert 0 < alone["correlation_needed"] < 1


def test_comparisons_of_all_pairs_of_item_grades(tmp_path):
    sweep(tmp_path)
    found = analysed(tmp_path, load_map(made.write_map(tmp_path, comparisons="all")))
    table = found.tables["comparisons"]
    assert set(table.loc[table["ability"] == "science", "first"]) == {"curated-160", "curated-640"}
    assert (table["kind"] == "pair").all()
    assert compare(found.item_grades, 0.95).empty


def test_a_file_is_json_on_the_way_in(tmp_path):
    path = made.write_results(tmp_path, "tiny/curated-40/seed-1", {"arc": [1.0, 0.0]})
    content = json.loads(path.read_text())
    assert read_results(path, load_map(made.write_map(tmp_path))).files == [path]
    assert content["results"]["arc"]["acc,none"] == 0.5
