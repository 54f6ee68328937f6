"""Tests on real public data and a real base model: they need the data folder (see `prepare.data_folder`)."""

import os

import pytest
from prepare import convert_stories260k, data_folder, prepare_items


@pytest.fixture(scope="session")
def real_data():
    """The folder of public data; without it a test skips on a laptop and fails under CI, where it must run."""
    folder = data_folder()
    if not (folder / "README.md").exists():
        reason = f"no public data in {folder} (set GROWTHPACE_REAL_DATA to their folder)"
        if os.environ.get("CI"):
            pytest.fail(f"CI is set, so this test must run: {reason}", pytrace=False)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def real_items(real_data, tmp_path_factory):
    """A folder of items of all ten abilities in DoIT's layout, made of the publishers' files."""
    folder = tmp_path_factory.mktemp("items")
    prepare_items(folder, real_data)
    return folder


@pytest.fixture(scope="session")
def stories260k(real_data, tmp_path_factory):
    """The real 260-thousand-parameter base model as a Hugging Face folder."""
    folder = tmp_path_factory.mktemp("models") / "stories260k"
    convert_stories260k(folder, real_data)
    return folder
