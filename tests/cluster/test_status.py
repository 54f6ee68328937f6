"""The status, from files and squeue alone: states of runs, jobs, failures, hours, and that it changes nothing."""

import io
import json
import os
from pathlib import Path

import pytest
from rich.console import Console
from study_files import EVENING, Files, held, iso, queued

from growthpace.cluster import slurm, status
from growthpace.cluster.hours import hours
from growthpace.cluster.reasons import in_words
from growthpace.cluster.status_text import duration, shown
from growthpace.files import write_json

TRAIN = "train s/curated-4/seed-1"
KEYS = {"study", "config", "time", "head", "slurm", "counts", "models", "runs", "jobs", "working", "cancelled",
        "failures", "hours"}  # fmt: skip


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(slurm, "available", lambda: True)
    monkeypatch.setattr(slurm, "queue", lambda study: [])


def look(files: Files) -> dict:
    return status.gather(files.study, files.paths, files.config)


def text(found: dict, **more) -> str:
    screen = Console(file=io.StringIO(), width=100, highlight=False)
    screen.print(shown(found, **more))
    written = screen.file.getvalue()
    assert max(map(len, written.splitlines())) <= 100
    return written


def state_of(found: dict, run: str) -> dict:
    return next(row for row in found["runs"] if row["run"] == run)


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_study_that_has_never_run(capsys):
    files = Files()
    assert status.show(files.config, as_json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == KEYS
    assert (found["head"], found["slurm"], found["jobs"], found["hours"]) == (None, "never used", [], None)
    assert found["counts"]["to do"] == len(found["runs"]) == 16
    assert not Path("results").exists()
    assert "16 runs: 16 to do" in text(found)


def test_a_study_on_one_machine():
    files = Files()
    files.finish("s/curated-4/seed-1")
    files.state("s/curated-4/seed-2", f"{iso(EVENING)} starts at step 0 of 40, process 1 on vm\n", 17, saved=14)
    failed = files.state("m/curated-4/seed-1", "", 3)
    write_json(failed / "failed.json", {"when": iso(EVENING), "kind": "defect", "error": "KeyError: 'x'"})
    (failed / "log.txt").write_text("one\nfailed: KeyError: 'x'\n")
    before = everything(Path())
    found = look(files)
    assert everything(Path()) == before
    done, resumable = state_of(found, "s/curated-4/seed-1"), state_of(found, "s/curated-4/seed-2")
    assert (done["state"], done["predictions"]) == ("done", done["predictions_needed"])
    assert (resumable["state"], resumable["step"], resumable["of"]) == ("resumable", 14, 40)
    assert state_of(found, "m/curated-4/seed-1")["state"] == "failed"
    (failure,) = found["failures"]
    assert (failure["cell"], failure["cause"], failure["lines"][-1]) == (
        "train m/curated-4/seed-1", "defect", "failed: KeyError: 'x'")  # fmt: skip
    written = text(found)
    assert "1 done, 1 resumable at step 14 of 40" in written
    assert "SLURM" not in written


def test_a_training_at_work_without_slurm():
    files = Files()
    files.predict(files.grid.run("s/untuned/seed-0"), "test", 0)
    state = files.state("s/curated-4/seed-1", f"{iso(EVENING)} starts at step 5 of 40, process 1 on vm\n", 25)
    os.utime(state / "history.jsonl", (EVENING + 400, EVENING + 400))
    with held(state) as process:
        found = look(files)
        assert state_of(found, "s/curated-4/seed-1")["state"] == "running"
        (work,) = found["working"]
        assert f"process {process.pid} " in work["who"]
        assert work["progress"] == {
            "step": 25,
            "of": 40,
            "loss": 2.0,
            "tokens_per_second": 100.0,
            "seconds_left": 300.0,
        }
        assert "step 25 of 40, loss 2.000, 100 tokens/s, about 5 min left" in text(found)
        assert look(files)["working"]  # looking did not take the lock away
    assert look(files)["working"] == []
    assert state_of(look(files), "s/untuned/seed-0")["state"] == "to do"


def test_jobs_of_slurm(monkeypatch):
    files = Files()
    predictions = [f"predict s/curated-16/seed-1 valid {epoch}" for epoch in (3, 4)]
    files.submitted("aa", TRAIN)
    files.submitted("bb", *predictions)
    files.submitted("cc", "train m/curated-4/seed-1")
    files.part("aa", 0, EVENING, None)
    files.part("bb", 0, EVENING, EVENING + 10)
    files.part("bb", 1, EVENING + 10, None)
    answers = files.paths.prediction(files.grid.run("s/curated-16/seed-1"), "valid", 4).with_suffix(".state")
    write_json(answers / "progress.json", {"done": 40, "of": 400, "seconds": 4.0, "items_per_second": 10.0})
    files.state("s/curated-4/seed-1", f"{iso(EVENING)} starts at step 0 of 40, process 1 on vm\n", 4)
    jobs = [
        queued("11", "RUNNING", "aa"),
        queued("12", "RUNNING", "bb"),
        queued("13", "PENDING", "cc", reason="QOSMaxGRESPerUser"),
        queued("10", "COMPLETED", "dd"),
    ]
    monkeypatch.setattr(slurm, "queue", lambda study: jobs)
    found = look(files)
    training, prediction, waiting = found["jobs"]
    assert (training["cell"], training["progress"]["step"]) == (TRAIN, 4)
    assert (training["elapsed_minutes"], training["limit_minutes"]) == (60, 1440)
    assert (prediction["cell"], prediction["left"]) == (predictions[1], predictions[1:])
    assert prediction["progress"] == {"items": 40, "of": 400, "items_per_second": 10.0, "seconds_left": 36.0}
    assert waiting["reason_in_words"] == "the QOS limits the GPUs of one user; it starts when others end"
    states = {run: state_of(found, run)["state"] for run in ("s/curated-4/seed-1", "s/curated-16/seed-1")}
    assert states == {"s/curated-4/seed-1": "running", "s/curated-16/seed-1": "running"}
    assert state_of(found, "m/curated-4/seed-1")["state"] == "pending"
    written = text(found)
    assert "No head process: jobs go on, but nothing new is submitted; `growthpace resume study.yaml`" in written
    assert "1 of the job's 2 done" in written
    with held(files.folder.root / "head") as process:
        head = look(files)["head"]
        assert head["alive"]
        assert head["who"].startswith(f"process {process.pid} on ")
    assert look(files)["head"] == {"alive": False, "who": None, "since": None}


def test_slurm_that_does_not_answer(monkeypatch):
    files = Files()
    files.submitted("aa", TRAIN)
    monkeypatch.setattr(slurm, "queue", lambda study: None)
    found = look(files)
    assert found["slurm"] == "does not answer"
    assert "SLURM does not answer (squeue)" in text(found)
    monkeypatch.setattr(slurm, "available", lambda: False)
    assert look(files)["slurm"] == "not on this machine"


def test_failures_that_still_stand():
    files = Files()
    files.submitted("aa", TRAIN, "train s/curated-4/seed-2", "train m/curated-4/seed-1", "train m/curated-4/seed-2")
    log = Path("job.log")
    log.write_text("\n".join(f"line {number}" for number in range(30)))
    files.folder.log_path("aa").write_text("slurmstepd: DUE TO TIME LIMIT\n")
    files.ended("aa", TRAIN, "defect", 1, "it failed by itself", log="job.log")
    files.ended("aa", "train s/curated-4/seed-2", "time limit", None, "ended 5 times in a row", log="job.log")
    files.ended("aa", "train m/curated-4/seed-1", "defect", 1, "it failed by itself")
    files.ended("aa", "train m/curated-4/seed-2", "cancelled", None, "cancelled in SLURM")
    files.submitted("bb", "train m/curated-4/seed-1")  # tried again: it stands no more
    found = look(files)
    newest, oldest = found["failures"]
    assert (newest["cause"], newest["lines"]) == ("time limit", ["slurmstepd: DUE TO TIME LIMIT"])
    assert (oldest["log"], oldest["lines"]) == ("job.log", [f"line {number}" for number in range(15, 30)])
    assert found["cancelled"] == ["train m/curated-4/seed-2"]
    assert found["counts"]["failed"] == 2
    assert "1 job cancelled in SLURM (train m/curated-4/seed-2)" in text(found)


def test_only_the_last_failures_unless_all_are_asked_for():
    files = Files()
    cells = [f"train {run}" for run in files.grid.runs[:7]]
    files.submitted("aa", *cells)
    for cell in cells:
        files.ended("aa", cell, "defect", 1, "it failed by itself")
    found = look(files)
    assert text(found).count("it failed by itself") == 5
    assert text(found, all_failures=True).count("it failed by itself") == 7


def test_hours_used_and_lost():
    """Three attempts: killed after 6 steps of which 4 were saved, stopped after saving, and one that runs through."""
    files = Files()
    for ticket, cells in (("aa", [TRAIN]), ("bb", [TRAIN]), ("cc", [TRAIN]), ("dd", ["predict s/x/seed-1 valid 1"])):
        files.submitted(ticket, *cells, gpus=2)
    starts = [EVENING + number * 3600 for number in range(3)]
    log = (
        f"{iso(starts[0] + 10)} starts at step 0 of 12, process 1 on vm\n"
        f"{iso(starts[1] + 10)} starts at step 4 of 12, process 1 on vm\n"
        f"{iso(starts[1] + 50)} stopped at step 8\n"
        f"{iso(starts[2] + 10)} starts at step 8 of 12, process 1 on vm\n{iso(starts[2] + 50)} done\n"
    )
    state = files.state("s/curated-4/seed-1", log, 12)
    os.utime(state / "fingerprint", (EVENING, EVENING))
    files.part("aa", 0, starts[0], None)
    files.folder.log_path("aa").write_text("slurmstepd: killed")
    os.utime(files.folder.log_path("aa"), (starts[0] + 90, starts[0] + 90))
    files.part("bb", 0, starts[1], starts[1] + 60, 75)
    files.part("cc", 0, starts[2], starts[2] + 60)
    files.part("dd", 0, EVENING, None)  # killed, requeued
    files.part("dd", 0, EVENING + 30, EVENING + 66, 75)
    total = hours(files.folder, files.folder.ledger(), (), lambda cell: state if cell == TRAIN else None).described()
    seconds = 90 + 60 + 60 + 36
    assert total["job_hours"] == pytest.approx(seconds / 3600, abs=1e-4)
    assert total["gpu_hours"] == pytest.approx(2 * seconds / 3600, abs=1e-4)
    assert total["lost_job_hours"] == pytest.approx(((90 - 40) + 10) / 3600, abs=1e-4)
    assert (total["interrupted"], total["unknown_ends"]) == (4, 1)
    assert total["undecided_gpu_hours"] == pytest.approx(2 * 36 / 3600, abs=1e-4)


def test_hours_of_a_state_that_was_set_aside_are_not_guessed():
    files = Files()
    files.submitted("aa", TRAIN)
    state = files.state("s/curated-4/seed-1", "", 0)  # made now, long after the attempt
    files.part("aa", 0, EVENING, EVENING + 3600, 75)
    total = hours(files.folder, files.folder.ledger(), (), lambda cell: state)
    assert (total.lost_gpu_hours, total.undecided_gpu_hours) == (0, 1)


def test_a_run_of_other_settings_is_to_do_again():
    files = Files()
    files.finish("s/curated-4/seed-1")
    run = files.grid.run("s/curated-4/seed-1")
    write_json(files.paths.model("s") / "base.json", {"weights_sha256": "b"})
    write_json(files.paths.manifest("curated-4", 1), {"items_sha256": "i"})
    (files.paths.run(run) / "state" / "fingerprint").write_text("of other settings")
    found = look(files)
    row = state_of(found, str(run))
    assert (row["state"], row["trained"], row["other_settings"]) == ("to do", False, True)
    assert "1 run trained with other settings" in text(found)


@pytest.mark.parametrize(("reason", "words"), [
    ("Priority", "other jobs come first"),
    ("(ReqNodeNotAvail, UnavailableNodes:n1)", "nodes that it needs are down, drained or reserved, perhaps for "
     "maintenance"),
    ("AssocGrpGRES", "your account's group limits the GPUs; it starts when others end"),
    ("QOSMaxWallDurationPerJobLimit", "it asks for more time than the QOS allows one job"),
    ("SomethingNew", "SomethingNew"),
])  # fmt: skip
def test_reasons_in_words(reason, words):
    assert in_words(reason) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(42.4, "42 s"), (3900, "1 h 5 min"), (7200, "2 h"), (183600, "2 d 3 h"), (59.7, "1 min")]
)
def test_durations(seconds, words):
    assert duration(seconds) == words


def test_a_grid_of_many_datasets_is_folded():
    files = Files(sources__curated__volumes=[2 * number for number in range(1, 51)], mixes={})
    written = text(look(files))
    assert "datasets to do (with every model and seed)" in written
    assert len(written.splitlines()) < 20
