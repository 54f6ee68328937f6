"""A finished small study, its trainings and predictions only pretended, and copies of it that tests may change."""

import re
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "workflow"))  # where projects.py is

from projects import Project, copied, made_once, new_project

PRETENDED = '{{"epoch": 2, "parameters": 10000, "weights_sha256": "w", "items_sha256": "i", "items": 4}}'
"""What every file of a pretended job holds: what planning reads of any of them."""


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Project:
    """The finished study. Data are made as ever, since planning looks at them; all else is one `echo`."""

    def make(folder: Path) -> None:
        made = new_project(folder)
        echo = f"for f in {{output}}; do echo '{PRETENDED}' > $f; done".replace('"', '\\"')
        for rules in (made.folder / "workflow" / "rules").glob("*.smk"):
            if rules.name != "data.smk":
                text = re.sub(
                    r'(?m)^( +shell:\n)(?: +f?".*"\n)+', lambda m: f'{m[1]}            "{echo}"\n', rules.read_text()
                )
                rules.write_text(text)
        done = made.run()
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        for run in (made.results / "runs").glob("*/*/*"):
            for epoch in (1, 2, 3):
                (run / f"epoch-{epoch}").mkdir()
                (run / f"epoch-{epoch}" / "model.safetensors").touch()

    return made_once(tmp_path_factory, "planned", make)


@pytest.fixture
def project(finished, tmp_path, monkeypatch) -> Project:
    """A copy of the finished study that a test may change, as the working directory."""
    copy = copied(finished, tmp_path / "project")
    monkeypatch.chdir(copy.folder)
    return copy
