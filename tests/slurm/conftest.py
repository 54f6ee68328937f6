"""Tests on a real SLURM cluster: they need root and Debian's packages (see `cluster`)."""

import os

import pytest

from cluster import Cluster, available


@pytest.fixture(scope="session")
def cluster():
    """A cluster for all tests; where none can be, a test skips on a laptop and fails under CI, where it must run.
    A test leaves it as it found it: no jobs, all nodes up, all daemons running."""
    if reason := available():
        if os.environ.get("CI"):
            pytest.fail(f"CI is set, so this test must run: {reason}", pytrace=False)
        pytest.skip(reason)
    with Cluster() as running:
        yield running
