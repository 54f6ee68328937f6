"""The look before a sweep starts: every reason why it could not work, in one message."""

import shutil
from collections import namedtuple

import pytest
from study_files import Files, queued

from growthpace.cluster import head, slurm
from growthpace.cluster.site import Site
from growthpace.cluster.slurm import PartitionFacts
from growthpace.errors import InputError

GPU = {"name": "gpu", "gpu": "a100", "gpu_memory_gb": 80.0, "gpu_tflops": 312.0, "gpus_per_node": 4,
       "cpus_per_node": 32, "memory_gb_per_node": 256.0, "max_hours": 24.0}  # fmt: skip
FACTS = PartitionFacts("gpu", True, 24 * 60, 8, 32, 256_000, {"a100": 4})


@pytest.fixture
def cluster(monkeypatch):
    """What SLURM answers; None for silence."""
    answers = {"settings": {"AccountingStorageType": "accounting_storage/slurmdbd"}, "queue": [], "accounts": "lab\n"}
    monkeypatch.setattr(slurm, "settings", lambda: answers["settings"])
    monkeypatch.setattr(slurm, "partitions", lambda: {"gpu": FACTS})
    monkeypatch.setattr(slurm, "queue", lambda study: answers["queue"])
    monkeypatch.setattr(slurm, "ask", lambda command: answers["accounts"] if command[0] == "sacctmgr" else "")
    monkeypatch.setattr(head, "check_submission", lambda site: [])
    return answers


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Files()


def look(files, **partition):
    return head.preflight(files.study, files.paths, Site.model_validate({"partitions": [GPU | partition]}))


def test_nothing_to_say_where_all_is_well(cluster, files):
    assert look(files) == []


@pytest.mark.parametrize("silent", ["settings", "queue"])
def test_a_silent_controller_is_a_reason_to_wait(cluster, files, silent):
    cluster[silent] = None
    with pytest.raises(InputError, match="its controller is down"):
        look(files)


def test_all_faults_at_once(cluster, files, monkeypatch):
    files = Files(models__s={"hub": "someone/s", "parameters": 1e9}, models__m={"hub": "someone/m", "parameters": 1e9})
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(0, 0, 0))
    with pytest.raises(InputError) as refusal:
        look(files, max_hours=48.0, gpus_per_node=8, memory_gb_per_node=0.5)
    text = str(refusal.value)
    assert "- partition gpu: max_hours is 48, the cluster gives 24" in text
    assert "- partition gpu: gpus_per_node is 8, but its nodes have a100: 4" in text
    assert "of memory on a node, which no partition of the site gives" in text
    assert "- results/ has 0 GB free, this study needs up to" in text


def test_a_partition_of_another_name(cluster, files):
    with pytest.raises(InputError, match=r"partition gpus: the cluster has none of this name \(it has: gpu\)"):
        look(files, name="gpus")


def test_an_account_of_somebody_else(cluster, files):
    cluster["settings"] |= {"AccountingStorageEnforce": "associations,limits"}
    with pytest.raises(InputError, match=r"account: theirs is none of yours \(you have: lab\); correct account"):
        look(files, account="theirs")


def test_notes(cluster, files):
    cluster["settings"] = {"AccountingStorageType": "accounting_storage/none"}
    cluster["queue"] = [queued("1", "RUNNING", "aa"), queued("2", "COMPLETED", "bb")]
    files.config.parent.joinpath(".snakemake/locks").mkdir(parents=True)
    files.config.parent.joinpath(".snakemake/locks/0.input.lock").touch()
    accounting, live, lock = look(files)
    assert "keeps no accounting" in accounting
    assert live.startswith("1 jobs of this study are live already")
    assert ".snakemake/locks" in lock


def test_without_slurm_it_says_where_to_go(files, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(InputError, match="log in to the cluster's login node"):
        slurm.require()
