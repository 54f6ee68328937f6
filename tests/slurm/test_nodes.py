"""One training on two nodes: torch's rendezvous inside the allocation, plain and with DeepSpeed."""

import shutil

import pytest
import yaml
from faults import STUDY
from submitted import Submitted, new_submitted

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(900)]


@pytest.mark.parametrize("distribution", ["ddp", "zero2", "zero3"])
def test_two_nodes_train_what_two_processes_here_do(cluster, tmp_path, distribution):
    models = {"two": yaml.safe_load(STUDY.read_text(encoding="utf-8"))["models"]["two"]}
    changes = {"models": models, "training__distribution": distribution, "training__epochs": 2, "untuned": False}
    alone = new_submitted(tmp_path / "alone", cluster, STUDY, **changes)
    weights = "results/faults/runs/two/curated-32/seed-1/training.json"
    done = alone.run(weights)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    # The same base model and dataset on the nodes, where the other tests have them made too; nothing is trained yet.
    shutil.copytree(alone.folder, tmp_path / "slurm", copy_function=shutil.copy2, symlinks=True)
    slurm = Submitted(tmp_path / "slurm", cluster, alone.config_name)
    shutil.rmtree(slurm.results / "runs")
    code, said = slurm.submit(seconds=600)
    assert code == 0, said[-4000:]
    (ticket,) = [line["ticket"] for line in slurm.ledger() if line["event"] == "submitted" and line["nodes"] == 2]
    ends = [slurm.results / "slurm" / "ends" / f"{ticket}.{node}.jsonl" for node in (0, 1)]
    hosts = {yaml.safe_load(path.read_text().splitlines()[0])["host"] for path in ends}
    assert len(hosts) == 2
    trained = {name: found for name, found in slurm.hashes().items() if name.startswith("runs")}
    assert len(trained) == 2
    assert trained == {name: found for name, found in alone.hashes().items() if name.startswith("runs")}
