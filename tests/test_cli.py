"""The command line: one message and a documented exit code for bad input, light enough to be called for every job."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from small_study import CONTENT, changed, write_items, write_study

COMMAND = Path(sys.executable).with_name("growthpace")


def call(*arguments, folder):
    return subprocess.run(
        [sys.executable, "-m", "growthpace", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"NO_COLOR": "1"},
    )


def test_check_of_a_sound_study(tmp_path):
    write_items(tmp_path)
    found = call("check", write_study(tmp_path), folder=tmp_path)
    assert (found.returncode, found.stderr) == (0, "")
    assert "sources.curated/history: 20 items\n" in found.stdout
    assert found.stdout.endswith("study.yaml: fine; 14 runs, 68 evaluations\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["items", "study.yaml"]  # a check writes nothing


@pytest.mark.parametrize(("path", "value", "message"), [
    ("training.epochs", 0, "{config}: training.epochs: found 0, allowed: a whole number from 1"),
    ("sources.curated.volumes", [15], "{config}: sources.curated.volumes: 15 cannot be shared equally by 2 abilities "
     "(allowed: multiples of 2, nearest: 14, 16)"),
    ("sources.curated.volumes", [4, 16, 50], "sources.curated.volumes: 50 needs 25 items of 'biology' from 'curated', "
     "but its pool holds 20 (allowed: volumes up to 40, as far as the smallest pool goes)"),
])  # fmt: skip
def test_check_of_a_bad_study(tmp_path, path, value, message):
    write_items(tmp_path)
    content = changed(path, value)
    if value == [15]:
        content["mixes"]["baseline"]["same_as"] = "curated-15"
    config = write_study(tmp_path, content)
    found = call("check", config, folder=tmp_path)
    assert found.returncode == 2
    assert found.stderr == f"growthpace: {message.replace('{config}', str(config))}\n"
    assert found.stdout == ""


def test_a_file_that_is_not_there(tmp_path):
    found = call("check", "nothing.yaml", folder=tmp_path)
    assert (found.returncode, found.stderr) == (2, "growthpace: nothing.yaml: no such file\n")


@pytest.mark.parametrize(("arguments", "message"), [
    (("train", "s/curated-5/seed-1"), "'s/curated-5/seed-1' is no run of the study small"),
    (("predict", "s/curated-4/seed-1", "exam", "1"), "'exam' is no suite of the study small (allowed: valid, test)"),
    (("predict", "s/curated-4/seed-1", "test", "third"), "epoch: 'third' is neither a number nor 'selected'"),
    (("pool", "human", "biology"), "'human' is no source of the study small (allowed: curated, synthetic)"),
    (("pool", "curated", "art"), "source 'curated' has no pool 'art' (allowed: biology, history)"),
    (("suite", "exam"), "'exam' is no suite of the study small (allowed: valid, test)"),
    (("dataset", "baseline", "1"), "'baseline' is no dataset of the study small (allowed: curated-4, curated-16, "),
    (("base-model", "xl"), "'xl' is no model of the study small (allowed: s, m)"),
    (("spec", "exam"), "spec: unknown stage 'exam' (allowed: run, predict, judge, grade)"),
])  # fmt: skip
def test_a_name_that_the_study_does_not_have(tmp_path, arguments, message):
    write_items(tmp_path)
    verb, *names = arguments
    found = call(verb, write_study(tmp_path), *names, folder=tmp_path)
    assert found.returncode == 2, found.stderr
    assert found.stderr.startswith("growthpace: ")
    assert message in found.stderr
    assert "Traceback" not in found.stderr


def test_the_data_stage_by_hand(tmp_path):
    write_items(tmp_path)
    config = write_study(tmp_path)
    for ability in CONTENT["abilities"]:
        assert call("pool", config, "curated", ability, folder=tmp_path).returncode == 0
    found = call("dataset", config, "curated-4", "1", folder=tmp_path)
    assert found.stdout == "dataset curated-4, seed 1: 4 items\n"
    assert (tmp_path / "results/small/data/datasets/curated-4/seed-1.parquet").exists()


def test_help_is_light(tmp_path):
    """Under half a second and without what only stages need. Processor time, since other work may share the cores."""
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        found = subprocess.run([COMMAND, "--help"], capture_output=True, text=True, check=True, cwd=tmp_path)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert "check" in found.stdout
    assert min(seconds) < 0.5


def test_help_imports_nothing_heavy(tmp_path):
    command = """import sys
sys.argv = ["growthpace", "--help"]
from growthpace.cli import main
try:
    main()
except SystemExit:
    pass
heavy = {"torch", "pandas", "transformers", "pyarrow", "numpy", "snakemake", "scipy", "datasets"} & set(sys.modules)
assert not heavy, heavy"""
    subprocess.run([sys.executable, "-c", command], check=True, capture_output=True, cwd=tmp_path)
