"""What `growthpace plan` and `growthpace why` say of a finished study after changes, and that they change nothing."""

import json
from pathlib import Path

import pytest
from projects import CONFIG

from growthpace.errors import InputError
from growthpace.files import fingerprint, read_json
from growthpace.interruptible import code_version
from growthpace.plan import command
from growthpace.plan.explaining import explanation
from growthpace.plan.making import Planned
from growthpace.training.states import mark_complete

pytestmark = pytest.mark.workflow
RUN = "s/curated-4/seed-1"


def states(planned: Planned) -> dict[str, str]:
    return {str(run): planned.cell(run)["state"] for run in planned.runs.values()}


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """All but the memory of which data passed the check, which no job reads."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.name != "checked.json"]
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in found}


def leave_state(planned: Planned, name: str) -> Path:
    """A whole state at step 7 of 12 of a run's present settings; its folder."""
    run, paths = planned.runs[name], planned.paths
    base, manifest = read_json(paths.model(run.model) / "base.json"), read_json(paths.manifest(run.dataset, run.seed))
    known = {"base_weights": base["weights_sha256"], "dataset": manifest["items_sha256"]}
    folder = paths.run(run) / "state"
    (folder / "checkpoint-7").mkdir(parents=True)
    (folder / "fingerprint").write_text(fingerprint({**planned.grid.run_settings(run), **known}))
    (folder / "checkpoint-7" / "trainer_state.json").write_text(json.dumps({"max_steps": 12}))
    mark_complete(folder / "checkpoint-7")
    return folder


def failed(**more: str) -> str:
    mark = {"when": "2026-01-01T00:00:00+00:00", "kind": "defect", "error": "ValueError: no", "where": "x.py:1",
            "job": "1", "code": code_version()}  # fmt: skip
    return json.dumps(mark | more)


def test_a_finished_study_has_nothing_to_do(project):
    said: list[str] = []
    assert command.plan(Path(CONFIG), None, None, None, None, None, False, said.append) == 0
    assert "Nothing to be done." in "\n".join(said)
    content = read_json(project.results / "plan.json")
    assert {cell["state"] for cell in content["cells"]} == {"done"}
    assert all(row["jobs"] == 0 and row["done"] > 0 for row in content["stages"])
    assert (project.results / "plan.html").exists()
    assert (project.results / "plan.md").exists()


def test_a_changed_setting_is_named_with_both_values(project):
    before = files(project.results)
    project.edit_config(training__learning_rate=2e-3)
    leave_state(Planned(Path(CONFIG)), RUN)
    planned = Planned(Path(CONFIG), live={"m/curated-4/seed-1": "job 7"})
    folder = leave_state(planned, "s/curated-16/seed-1")
    (folder / "failed.json").write_text(failed())
    content = planned.content(None)
    assert [row["cause"] for row in content["reasons"]] == ["training.learning_rate: 0.001 -> 0.002"]
    assert content["reasons"][0]["runs"] == 5
    found = states(planned)
    assert found[RUN] == "resumable"
    assert found["m/curated-4/seed-1"] == "running"
    assert found["s/curated-16/seed-1"] == "blocked"
    assert found["m/curated-16/seed-1"] == "to run"
    assert found["s/untuned/seed-0"] == "done"
    cell = planned.cell(planned.runs[RUN])
    assert (cell["step"], cell["steps"]) == (7, 12)
    # What waits for something blocked is blocked too: the analysis needs every run.
    assert next(row for row in content["stages"] if row["stage"] == "analysis")["blocked"] == 5
    said = explanation(planned, f"{RUN}/test/selected")
    assert any(line.endswith("training.learning_rate: 0.001 -> 0.002") for line in said)
    assert any("last failure, training: ValueError: no" in line for line in explanation(planned, "s/curated-16/seed-1"))
    assert explanation(planned, "results/mini/report.html")[0] == "results/mini/report.html: blocked"
    assert explanation(planned, "s/untuned/seed-0")[0] == "s/untuned/seed-0: done"
    with pytest.raises(InputError, match="close to it: s/curated-4/seed-1"):
        explanation(planned, "s/curated-4/seed-2")
    after = {path: held for path, held in files(project.results).items() if "/state/" not in path}
    assert after == before


def test_a_failure_of_other_code_blocks_nothing(project):
    project.edit_config(training__learning_rate=2e-3)
    planned = Planned(Path(CONFIG))
    (leave_state(planned, RUN) / "failed.json").write_text(failed(code="0.0.0+0"))
    assert states(planned)[RUN] == "resumable"


def test_lost_weights_are_planned_without_touching_their_marker(project):
    (project.results / f"predictions/{RUN}/epoch-2/valid.parquet").unlink()
    (project.results / f"runs/{RUN}/epoch-2/model.safetensors").unlink()
    before = files(project.results)
    planned = Planned(Path(CONFIG))
    assert files(project.results) == before
    assert "weights that a missing prediction needs are gone" in {row["cause"] for row in planned.causes()}
    # The real thing, which removes the marker, plans the same jobs.
    real = project.plan()
    assert sorted(output for _, output in real.jobs if _ != "all") == sorted(job.outputs[0] for job in planned.jobs)


def test_a_missing_local_file_blocks_what_is_not_done(project):
    gone = {"biology": "gone.json", "history": "gone-too.json"}
    project.edit_config(sources__curated__items={"importer": "doit", "folder": ".", "files": gone})
    planned = Planned(Path(CONFIG))
    assert "gone.json: no such file" in planned.faults[0]
    found = states(planned)
    assert found[RUN] == "blocked"
    assert found["s/synthetic-4/seed-1"] == "done"


def test_a_removed_prediction_and_a_changed_model(project):
    (project.results / "predictions/m/untuned/seed-0/epoch-0/test.parquet").unlink()
    project.edit_config(models__s__initialise__layers=3)
    planned = Planned(Path(CONFIG))
    rows = {row["cause"]: row for row in planned.causes()}
    assert set(rows) == {"no result yet", "models.s.initialise.layers: 2 -> 3"}
    found = states(planned)
    assert found["m/untuned/seed-0"] == "to run"
    assert found["m/curated-4/seed-1"] == "done"
    assert planned.cell(planned.runs["m/untuned/seed-0"])["evaluated"] == 1
    assert found[RUN] == "to run"
