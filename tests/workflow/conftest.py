"""A finished small study, made once, and copies of it that tests may change and plan again. What the tests of the
endpoint and of a teacher use serves here too."""

import sys
from pathlib import Path

import pytest
from projects import Project, copied, made_once, new_project

for name in ("endpoint", "synthesis"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / name))


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Project:
    """The finished study. Not to be changed: see `project`."""

    def make(folder: Path) -> None:
        done = new_project(folder).run()
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    return made_once(tmp_path_factory, "finished", make)


@pytest.fixture
def project(finished, tmp_path) -> Project:
    """A copy of the finished study, with its times of change, that a test may change."""
    return copied(finished, tmp_path / "project")
