"""A sweep's own copy of growthpace's source, so that `git pull` does not change what its later jobs run."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from growthpace.interruptible import code_version


def frozen_code(folder: Path) -> Path:
    """The folder for PYTHONPATH with a copy of the source that runs now; made once for each version of it."""
    package = Path(__file__).resolve().parents[1]
    target = folder / code_version()
    if not target.exists():
        aside = folder / f".{target.name}.{os.getpid()}.partial"
        shutil.copytree(package, aside / package.name, ignore=shutil.ignore_patterns("__pycache__"))
        os.replace(aside, target)
    return target.resolve()
