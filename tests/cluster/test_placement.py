import pytest

from growthpace.cluster.placement import Need, place, sbatch_options
from growthpace.cluster.site import Site, load_site
from growthpace.errors import InputError

SITE = Site.model_validate(
    {
        "account": "lab",
        "partitions": [
            {"name": "short", "gpu": "a100", "gpu_memory_gb": 40.0, "gpu_tflops": 312.0, "gpus_per_node": 4,
             "cpus_per_node": 32, "memory_gb_per_node": 256.0, "max_hours": 2.0},
            {"name": "long", "gpu": "a100", "gpu_memory_gb": 80.0, "gpu_tflops": 312.0, "gpus_per_node": 8,
             "cpus_per_node": 64, "memory_gb_per_node": 1000.0, "max_hours": 48.0, "max_nodes": 4, "qos": "big"},
            {"name": "cpu", "cpus_per_node": 16, "memory_gb_per_node": 64.0, "max_hours": 24.0, "account": "other"},
        ],
        "sbatch": ["--constraint=ib"],
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("need", "partition"),
    [
        (Need(1, 1000, 60, gpus=1), "short"),
        (Need(1, 1000, 600, gpus=1), "long"),
        (Need(1, 1000, 600, gpus=1, flexible=True), "long"),
        (Need(1, 1000, 6000, gpus=1, flexible=True), "long"),
        (Need(1, 1000, 60, gpus=1, gpu_memory_gb=60), "long"),
        (Need(1, 1000, 60, gpus=8), "long"),
        (Need(1, 1000, 60, gpus=16, nodes=2), "long"),
        (Need(1, 1000, 60), "cpu"),
        (Need(32, 1000, 60), "short"),
    ],
)
def test_a_job_goes_to_the_first_partition_it_fits_in(need, partition):
    assert place(need, SITE, "it")[0].name == partition


def test_a_flexible_job_asks_for_no_more_time_than_there_is():
    assert place(Need(1, 1000, 6000, gpus=1, flexible=True), SITE, "it")[1].minutes == 48 * 60


def test_a_job_that_fits_nowhere_says_what_is_lacking():
    with pytest.raises(
        InputError, match=r"train 33b fits in none.*short gives 4 GPUs a node, it needs 16; long gives 8"
    ):
        place(Need(1, 1000, 60, gpus=16), SITE, "train 33b")


def test_options_for_sbatch():
    need = Need(4, 2000, 90, gpus=16, nodes=2)
    partition, need = place(need, SITE, "it")
    options = sbatch_options(need, partition, SITE)
    assert {"--partition=long", "--nodes=2", "--ntasks=2", "--gres=gpu:a100:8", "--account=lab", "--qos=big"} <= {
        *options
    }
    assert options[-1] == "--constraint=ib"
    partition, need = place(Need(1, 2000, 90), SITE, "it")
    assert "--account=other" in sbatch_options(need, partition, SITE)


def test_a_missing_site_file_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match="copy an example from profiles/slurm/examples"):
        load_site(tmp_path / "site.yaml")


def test_faults_of_a_site_file_are_named(tmp_path):
    path = tmp_path / "site.yaml"
    path.write_text(
        "partitions:\n  - {name: gpu, gpus_per_node: 4, cpus_per_node: 8, memory_gb_per_node: 1, max_hours: 1}\n"
    )
    with pytest.raises(InputError, match="gpu, gpu_memory_gb, gpu_tflops missing"):
        load_site(path)
