"""The studies that come with growthpace: they load, plan, and are what they say."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from growthpace.checks import check_study
from growthpace.cli import app
from growthpace.data.importers import public
from growthpace.errors import InputError
from growthpace.grid import Grid
from growthpace.study import load_study

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / "config"


@pytest.mark.parametrize(("name", "runs"), [("english", 135), ("qwen", 54)])
def test_a_study_on_the_hub_is_checked_without_a_network(name, runs):
    study = load_study(CONFIGS / f"{name}.yaml")
    assert len(Grid(study).runs) == runs
    found = check_study(study)
    written = set(study.sources) & {"generated"}  # so many items will be written
    assert found["items"] == {f"sources.{source}/{ability}": 256 for source in written for ability in study.abilities}
    fetched = set(study.sources) - written
    assert set(found["unchecked"]) == {*(f"sources.{s}" for s in fetched), *(f"suites.{s}" for s in study.suites)}


def test_qwen_is_the_papers_study_on_other_models():
    papers, qwen = (load_study(CONFIGS / f"{name}.yaml") for name in ("doit", "qwen"))
    for section in ("abilities", "seeds", "mixes", "training", "suites", "selection", "analysis"):
        assert getattr(qwen, section) == getattr(papers, section)
    for name, source in papers.sources.items():
        assert (qwen.sources[name].items, qwen.sources[name].volumes) == (source.items, source.volumes)
    assert all(model.hub.startswith("Qwen/Qwen2.5-") and model.parameters for model in qwen.models.values())


def test_english_trains_on_nothing_that_its_benchmarks_ask():
    study = load_study(CONFIGS / "english.yaml")
    trained = {
        part for name, parts in public.tested_by(study.sources["curated"].items) if name == "mmlu" for part in parts
    }
    assert len(trained) == 6
    assert not trained & set(study.suites["mmlu"].items.subjects)
    assert set(study.sources["curated"].items.sets) == set(study.abilities)
    asked = {each.name for each in study.suites["test"].items.all_sets}
    assert "human_eval" in asked
    assert asked <= set(public.SETS)


def test_a_benchmark_of_subjects_that_are_trained_on_is_refused(tmp_path):
    text = (CONFIGS / "english.yaml").read_text().replace("        - anatomy\n", "        - college_biology\n")
    (tmp_path / "leaking.yaml").write_text(text)
    with pytest.raises(
        InputError, match=r"suites.mmlu.items.subjects: college_biology of mmlu are trained on by sources"
    ):
        check_study(load_study(tmp_path / "leaking.yaml"))


def test_a_set_that_is_divided_in_two_ways_is_refused(tmp_path):
    text = (CONFIGS / "english.yaml").read_text()
    place = text.index("sets: {<<: *sets, code:") + len("sets: {<<: *sets, ")
    text = f"{text[:place]}math: {{name: gsm8k, shares: {{valid: 0.2}}}}, {text[place:]}"
    (tmp_path / "uneven.yaml").write_text(text)
    with pytest.raises(
        InputError, match=r"suites.test.items.sets.math: gsm8k is divided otherwise than in sources.cur"
    ):
        load_study(tmp_path / "uneven.yaml")


# --- growthpace import -----------------------------------------------------------------------------------------------


def imported(*arguments):
    done = CliRunner().invoke(app, ["import", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


@pytest.fixture
def alpaca(tmp_path):
    rows = [{"instruction": f"Say {n}.", "input": "", "output": "x" * (n + 1)} for n in range(10)]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_file_is_shown_before_a_study_uses_it(alpaca):
    found = json.loads(imported("--importer", "alpaca", alpaca, "--json", "--samples", "2"))
    told = found["abilities"]["general"]
    assert (found["items"], told["items"], told["scorers"]) == (10, 10, {"none": 10})
    assert told["reference_characters"] == {"shortest": 1, "median": 5, "p95": 10, "longest": 10}
    assert len(told["samples"]) == 2
    assert told["samples"][0]["messages"][0]["content"].startswith("Say ")
    found = json.loads(imported("--importer", "alpaca", alpaca, "--json", "--ability", "math", "--samples", "0"))
    assert found["abilities"]["math"]["scorers"] == {"cloze": 10}
    shown = imported("--importer", "alpaca", alpaca)
    assert "10 items" in shown
    assert "[assistant] x" in shown


def test_a_study_section_is_shown_with_its_splits(tmp_path):
    lines = [{"question": f"What is {n} + {n}?", "answer": f"{n} + {n} = {2 * n}\n#### {2 * n}"} for n in range(50)]
    for split in ("train", "test"):
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    text = (CONFIGS / "demo.yaml").read_text()
    section = (
        f"items: {{importer: public, split: train, sets: {{{{general: {{{{name: gsm8k, folder: {tmp_path}}}}}}}}}}}"
    )
    text = text.replace("items: {importer: microworld, kind: synthetic}", section.replace("{{", "{").replace("}}", "}"))
    (tmp_path / "study.yaml").write_text(text)
    found = json.loads(imported(tmp_path / "study.yaml", "sources.synthetic", "--json"))
    assert found["splits"]["general"]["train"] == found["splits"]["general"]["test"] == 50
    assert "it has no items for valid" in found["splits"]["general"]["valid"]
    assert "it has no items for valid" in " ".join(imported(tmp_path / "study.yaml", "sources.synthetic").split())
    found = json.loads(imported(tmp_path / "study.yaml", "suites.valid", "--json"))
    assert len(found["abilities"]) == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--importer", "csv", "{file}"], "--importer csv: unknown (allowed: doit, alpaca, chat, ethics,"),
        (["{file}"], "say what to look at: CONFIG sources.NAME"),
        (
            ["config/demo.yaml", "sources.x"],
            "'sources.x' is no source or suite of this study (allowed: sources.curated",
        ),
        (["--importer", "gsm8k", "--split", "valid", "{file}"], "--split valid: gsm8k has no such split of its own"),
        (["--importer", "alpaca", "--part", "x", "{file}"], "--part x: would have no effect"),
    ],
)
def test_what_cannot_be_shown_is_said(alpaca, arguments, message):
    command = [sys.executable, "-m", "growthpace", "import", *(a.format(file=alpaca) for a in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
