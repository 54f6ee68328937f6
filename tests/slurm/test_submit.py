"""Studies through `growthpace submit` on a SLURM cluster."""

import os
import shutil
import subprocess
import sys
import time

import pytest
import yaml
from faults import STUDY
from submitted import Submitted, lines, new_submitted

from cluster import NODES, Cluster
from real.prepare import convert_stories260k, data_folder, prepare_items
from workflow.projects import ROOT

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(1800)]

ITEMS = 6
"""Of an ability in each suite of the real study."""


def small(folder, cluster, seeds) -> Submitted:
    """The fault study with one model."""
    models = yaml.safe_load(STUDY.read_text(encoding="utf-8"))["models"]
    return new_submitted(folder, cluster, STUDY, seeds=seeds, untuned=False, models={"one": models["one"]})


def jobs_of(project: Submitted, cell: str) -> list[str]:
    """The SLURM jobs that a cell was submitted in."""
    return [line["slurm"] for line in project.ledger() if line["event"] == "submitted" and cell in line["cells"]]


@pytest.mark.real
def test_a_real_study_has_the_scores_of_a_run_without_slurm(cluster, tmp_path):
    data = data_folder()
    if not (data / "README.md").exists():
        reason = f"no public data in {data} (set GROWTHPACE_REAL_DATA to their folder)"
        pytest.fail(reason, pytrace=False) if os.environ.get("CI") else pytest.skip(reason)
    real = tmp_path / "real"
    prepare_items(real, data)
    convert_stories260k(real / "stories260k", data)
    # tests/real runs the whole study. What SLURM could change shows in a part of it: four trainings, one for each node.
    for path in (path for split in ("valid", "test") for path in (real / "curated" / split).glob("*.json")):
        first = path.read_text(encoding="utf-8").split("\n")[:ITEMS]
        path.write_text("".join(f"{line}\n" for line in first), encoding="utf-8")
    fewer = {"sources__curated__volumes": [40], "sources__synthetic__volumes": [40]}
    made = []
    for name in ("alone", "slurm"):
        project = new_submitted(tmp_path / name, cluster, ROOT / "tests" / "real" / "study.yaml", cpus=2, **fewer)
        shutil.copytree(real, project.folder / "real")
        project.config.rename(project.folder / "real" / "study.yaml")  # its folders are named from there
        made.append(Submitted(project.folder, cluster, "real/study.yaml"))
    alone, slurm = made
    code, said = slurm.submit(seconds=900)
    assert code == 0, said[-4000:]
    done = alone.run(f"results/{alone.results.name}/scores.parquet")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    expected, found = alone.hashes(), slurm.hashes()
    assert len([name for name in expected if name.startswith("runs")]) == 4
    assert found["scores.parquet"] == expected["scores.parquet"]
    assert found == expected
    ends = (slurm.results / "slurm" / "ends").glob("*.jsonl")
    assert {line["host"] for path in ends for line in lines(path)} == set(NODES)


@pytest.mark.parametrize("accounting", ["none", "down"])
def test_without_accounting_a_study_completes(accounting, tmp_path):
    with Cluster(accounting=accounting == "down") as own:
        if accounting == "down":
            own.stop_slurmdbd()
        project = small(tmp_path / "project", own, [1])
        code, said = project.submit(seconds=600)
    assert code == 0, said[-3000:]
    assert (project.results / "report.html").exists()
    assert ("keeps no accounting" in said) == (accounting == "none")


def test_without_a_controller_nothing_is_submitted_and_nothing_hangs(tmp_path):
    with Cluster(accounting=False) as own:
        own.stop_slurmctld()
        project, began = small(tmp_path / "project", own, [1]), time.monotonic()
        code, said = project.submit(seconds=120)
        assert code == 2
        assert "SLURM does not answer" in said
        assert time.monotonic() - began < 90
        assert not (project.results / "slurm" / "ledger.jsonl").exists()
        own.start_slurmctld()


def test_a_bug_in_one_cell_costs_one_job_and_the_report_names_it(cluster, tmp_path):
    project, cell = small(tmp_path / "project", cluster, [1, 2, 3]), "train one/curated-32/seed-2"
    before = "        set_seed(self.run_.seed)\n"
    bug = f'{before}        if self.run_.seed == 2:\n            raise FloatingPointError("a planted bug")\n'
    project.edit_source("training/run.py", before, bug)
    code, said = project.submit(seconds=600)
    assert code != 0
    assert len(jobs_of(project, cell)) == 1
    assert f"{cell} stopped (defect)" in said
    for seed in (1, 3):
        assert len(list(project.results.glob(f"predictions/one/curated-32/seed-{seed}/epoch-*/*.parquet"))) == 4
    page = (project.results / "report.html").read_text(encoding="utf-8")
    assert "one/curated-32/seed-2" in page or ("curated-32" in page and "seed 2" in page)
    assert "FloatingPointError: a planted bug" in page
    status = subprocess.run(
        [sys.executable, "-m", "growthpace", "status", project.config_name],
        cwd=project.folder, env=project.environment(SLURM_CONF=str(cluster.conf)), capture_output=True, text=True,
    )  # fmt: skip
    assert "a planted bug" in status.stdout, status.stderr

    others = [line for line in project.ledger() if line["event"] == "submitted"]
    code, _ = project.submit(seconds=600)  # somebody asks again: it is tried once more, and nothing else is done
    assert code != 0
    assert len(jobs_of(project, cell)) == 2
    assert len([line for line in project.ledger() if line["event"] == "submitted"]) == len(others) + 1

    project.edit_source("training/run.py", bug, before)
    code, said = project.submit("resume", seconds=600)
    assert code == 0, said[-3000:]
    assert len(jobs_of(project, cell)) == 3
    page = (project.results / "report.html").read_text(encoding="utf-8")
    assert "a planted bug" not in page
