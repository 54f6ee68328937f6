"""What a Snakemake that was killed leaves behind: marks that say of files that their job had not been seen to end.

Such a file is made again, and a training that is planned only for that hides from Snakemake that other things are
missing (measured: it runs this one job and calls the study done), since nothing that follows a training has its files
as an input that counts. But a training's files are whole once they are there: each is written aside and renamed,
`training.json` the last.
"""

from __future__ import annotations

import base64
from pathlib import Path

from growthpace.grid import Grid
from growthpace.paths import Paths

MARKS = Path(".snakemake/incomplete")


def settle_cut_off_trainings(grid: Grid, paths: Paths) -> None:
    """Takes the marks off trainings that are whole; removes the files of those that are not, to be made again."""
    marked = marks()
    if not marked:
        return
    for run in grid.runs:
        outputs = [paths.training(run), *(paths.marker(run, epoch) for epoch in grid.evaluated_epochs(run))]
        if not any(str(path) in marked for path in outputs):
            continue
        if all(path.exists() for path in outputs):
            for path in outputs:
                if (mark := marked.get(str(path))) is not None:
                    mark.unlink(missing_ok=True)
        else:
            for path in outputs:
                path.unlink(missing_ok=True)


def marks() -> dict[str, Path]:
    """Snakemake's marks by the file that they are of. A mark's name is the file's in base64, cut into folders whose
    names begin with @ where it is long."""
    found = {}
    for path in MARKS.rglob("*") if MARKS.exists() else []:
        if path.is_file() and path.name != "migration_underway":
            name = "".join(part.removeprefix("@") for part in path.relative_to(MARKS).parts)
            found[base64.urlsafe_b64decode(name).decode()] = path
    return found
