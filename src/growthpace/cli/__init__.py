"""The command line: one verb per stage, so that every job of a workflow can be repeated by hand from its log.

A verb imports its stage only when it runs: `growthpace --help` needs no torch and no pandas. Verbs stand in the help in
the order in which their modules are imported here.
"""

from __future__ import annotations

import sys

from growthpace.cli import users  # isort: skip
from growthpace.cli import review  # isort: skip
from growthpace.cli import cluster  # isort: skip
from growthpace.cli import stages  # isort: skip
from growthpace.cli.base import app
from growthpace.interruptible import DEFECT, exit_code, message

__all__ = ["app", "cluster", "main", "review", "stages", "users"]


def main() -> None:
    """Runs the command line; all but a defect becomes one message and a documented exit code (see `interruptible`)."""
    try:
        app(prog_name="growthpace")
    except Exception as error:
        code = exit_code(error)
        if code == DEFECT:
            raise
        print(f"growthpace: {message(error, sys.argv[1:])}", file=sys.stderr)
        sys.exit(code)
