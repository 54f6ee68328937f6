"""Cleaning: only what nothing needs, listed first, and never while anything is at work."""

import json
from pathlib import Path

import pytest
from study_files import EVENING, Files, held, queued

from growthpace.cluster import clean as module
from growthpace.cluster import slurm, status
from growthpace.cluster.clean import clean, freeable, size
from growthpace.errors import InputError
from growthpace.interruptible import code_version

DONE, HALF = "s/curated-4/seed-1", "s/curated-4/seed-2"
TRAIN = f"train {DONE}"


@pytest.fixture
def files(tmp_path, monkeypatch):
    """One run is finished, one is at step 14 of its training."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(slurm, "available", lambda: True)
    monkeypatch.setattr(slurm, "queue", lambda study: [])
    files = Files()
    unsettled = {str(run) for run in files.grid.runs} - {DONE}
    monkeypatch.setattr(module, "_unsettled", lambda config: unsettled)
    files.finish(DONE, epoch=5)
    files.checkpoint(files.paths.root / "runs" / DONE / "state", 40)
    files.state(HALF, "", 20, saved=14)
    return files


def cleaned(files, **more) -> tuple[str, set[str]]:
    """What was said, and which files have gone."""
    before = there()
    said: list[str] = []
    options = {"yes": True, "as_json": False, "orphans": False, **more}
    assert clean(files.config, report=said.append, **options) == 0
    return "\n".join(said), before - there()


def there() -> set[str]:
    return {str(path) for path in Path("results").rglob("*") if path.is_file()}


def test_a_run_that_is_done_keeps_its_chosen_weights_and_an_unfinished_one_everything(files):
    said, gone = cleaned(files)
    root = f"results/small/runs/{DONE}"
    weights = {f"{root}/epoch-{epoch}/model.safetensors" for epoch in (1, 2, 3, 4, 6, 7)}
    answers = {f"results/small/predictions/{DONE}/epoch-{epoch}/valid.state/finished" for epoch in range(3, 8)}
    answers.add(f"results/small/predictions/{DONE}/epoch-selected/test.state/finished")
    state = {f"{root}/state/checkpoint-40/{name}" for name in ("weights", "complete.json")}
    assert gone == weights | answers | state
    assert "6 kB  weights of epochs that were not chosen (6 items)" in said
    assert said.endswith("freed")
    assert cleaned(files) == ("nothing of small can be freed", set())


def test_where_all_checkpoints_are_kept_no_weights_go(files):
    files.study = files.study.model_copy(update={"keep_checkpoints": "all"})
    groups = freeable(files.study, files.paths, set(), False)
    assert not any("weights" in group.name for group in groups)


def test_states_set_aside_and_torn_files_go(files):
    stale = [
        f"results/small/runs/{HALF}/state.stale/x",
        f"results/small/predictions/{HALF}/epoch-3/valid.state.stale/x",
        f"results/small/grades/{HALF}/.valid.parquet.77.partial",
    ]
    for path in map(Path, stale):
        path.parent.mkdir(parents=True)
        path.write_text("x")
    _, gone = cleaned(files)
    assert set(stale) <= gone
    assert not any(path.startswith(f"results/small/runs/{HALF}/state/") for path in gone)


def test_files_of_slurm_jobs_go_but_for_what_still_tells_something(files):
    failed, unseen = f"train {HALF}", "train m/curated-4/seed-1"
    for ticket, cell in (("aa", TRAIN), ("bb", failed), ("cc", unseen)):
        files.submitted(ticket, cell)
        files.part(ticket, 0, EVENING, EVENING + 3600)
    files.ended("aa", TRAIN, "done")
    files.ended("bb", failed, "defect", 1, "it failed by itself")
    old, new = files.folder.root / "code" / "0.0.1+old", files.folder.root / "code" / code_version()
    for copy in (old, new):
        copy.mkdir(parents=True)
        (copy / "x.py").write_text("x")
    before = status.gather(files.study, files.paths, files.config)
    _, gone = cleaned(files)
    slurm_files = {path for path in gone if "/slurm/" in path}
    root = "results/small/slurm"
    assert slurm_files == {f"{root}/tickets/aa.json", f"{root}/ends/aa.0.jsonl", f"{root}/code/0.0.1+old/x.py"}
    after = status.gather(files.study, files.paths, files.config)
    assert after["hours"] == before["hours"] != None  # noqa: E711 (a chain)
    assert after["failures"] == before["failures"] != []


def test_orphans_go_only_where_asked_for(files):
    orphans = {f"results/small/{place}" for place in ("runs/s/gone-4/seed-1/training.json", "models/old/base.json",
               "selected/s/gone-4/seed-1.json", "grades/s/curated-4/seed-9/x")}  # fmt: skip
    kept = "results/small/models/s/base.json"
    for path in map(Path, [*orphans, kept]):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"weights_sha256": "w"}))
    assert not orphans & cleaned(files)[1]
    assert cleaned(files, orphans=True)[1] == orphans


def test_without_a_yes_nothing_goes(files, monkeypatch):
    said, gone = cleaned(files, yes=False, ask=lambda *asked: False)
    assert (gone, said.endswith("nothing was freed")) == (set(), True)
    content, gone = cleaned(files, yes=False, as_json=True)
    found = json.loads(content)
    assert (gone, found["freed"], found["study"]) == (set(), False, "small")
    assert found["bytes"] == sum(group["bytes"] for group in found["groups"])
    assert {"name", "why", "bytes", "paths"} == set(found["groups"][0])


def refused(files, message: str):
    before = there()
    with pytest.raises(InputError, match=message):
        clean(files.config, True, False, False, print)
    assert there() == before


def test_refused_while_anything_is_at_work(files, monkeypatch):
    with held(files.folder.root / "head"):
        refused(files, "is at work")
    with held(files.paths.root / "runs" / HALF / "state"):
        refused(files, f"train {HALF} is at work")
    files.submitted("aa", TRAIN)
    monkeypatch.setattr(slurm, "queue", lambda study: [queued("1", "PENDING", "aa")])
    refused(files, "1 SLURM jobs of small are at work")
    monkeypatch.setattr(slurm, "queue", lambda study: None)
    refused(files, "SLURM does not answer")
    monkeypatch.setattr(slurm, "available", lambda: False)
    refused(files, "clean there")


def test_refused_while_snakemake_is_at_work_here(files):
    locks = Path(".snakemake/locks")
    locks.mkdir(parents=True)
    (locks / "0.output.lock").write_text("results/other/x\n")
    cleaned(files, yes=False, as_json=True)
    (locks / "0.output.lock").write_text("results/small/x\n")
    refused(files, "Snakemake is at work")


@pytest.mark.parametrize(("number", "words"), [(12, "12 bytes"), (1234, "1.23 kB"), (85_600_000_000, "85.6 GB")])
def test_sizes_in_words(number, words):
    assert size(number) == words
