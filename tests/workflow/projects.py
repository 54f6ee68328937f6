"""Copies of the project with a small study in them, and what a dry run would do there."""

from __future__ import annotations

import atexit
import fcntl
import functools
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from growthpace.warm import WarmServer

ROOT = Path(__file__).resolve().parents[2]
CONFIG = "config/mini.yaml"


@dataclass(frozen=True)
class Plan:
    """What a dry run would do."""

    jobs: tuple[tuple[str, str], ...]
    """(rule, its first output) of every job but `all`."""
    text: str

    @property
    def rules(self) -> Counter:
        return Counter(rule for rule, _ in self.jobs)

    def outputs(self, rule: str) -> set[str]:
        return {output for name, output in self.jobs if name == rule}


class Project:
    """A copy of the project with one study in it."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.config = folder / CONFIG
        self.results = folder / "results" / "mini"

    def environment(self, **more: str) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        # The copy's own source goes before the installed one, so that a test may edit it.
        return {**os.environ, "PATH": path, "PYTHONPATH": str(self.folder / "src"), **more}

    def snakemake(self, *arguments: str, config: str = CONFIG, **more: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "snakemake", *arguments, "--cores", "2", "--configfile", config]
        return subprocess.run(command, cwd=self.folder, env=self.environment(**more), capture_output=True, text=True)

    def plan(self, config: str = CONFIG) -> Plan:
        done = self.snakemake("-n", config=config)
        assert done.returncode == 0, done.stderr
        text = done.stdout + done.stderr
        jobs = re.findall(
            r"^(?:local)?rule (\w+):\n(?:    input:[^\n]*\n)?    output: ([^\n,]+)", text, flags=re.MULTILINE
        )
        return Plan(tuple(jobs), text)

    def run(self, *arguments: str, config: str = CONFIG) -> subprocess.CompletedProcess:
        """Runs the study with a warm start; the result must be checked by the caller."""
        return self.snakemake("--profile", "profiles/local", *arguments, config=config, **warm_start())

    def edit_config(self, **changes) -> None:
        """Sets keys (dotted with `__`) of the study."""
        content = yaml.safe_load(self.config.read_text())
        for key, value in changes.items():
            *path, last = key.split("__")
            section = content
            for part in path:
                section = section[part]
            section[last] = value
        self.config.write_text(yaml.safe_dump(content, sort_keys=False))

    def edit_source(self, file: str, old: str, new: str) -> None:
        path = self.folder / "src" / "growthpace" / file
        text = path.read_text()
        assert old in text, f"{old!r} is not in {file}"
        path.write_text(text.replace(old, new))


@functools.cache
def warm_start() -> dict[str, str]:
    """What tells jobs of a warm process: one for all tests of this process, since its imports take ten seconds. It
    runs the installed source, not a copy's."""
    server = WarmServer()
    environment = server.__enter__().environment
    atexit.register(server.__exit__, None, None, None)
    return environment


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Project]) -> Project:
    """What `make` makes of an empty folder, made by the first of all processes of this test run that asks for it.
    Not to be changed."""
    folder = factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        folder = folder.parent  # what the processes of one test run have in common
    done = folder / f"{name}.done"
    with open(folder / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder / name, ignore_errors=True)  # what another test of this run failed to make
            make(folder / name / "project")
            done.touch()
    return Project(folder / name / "project")


def copied(project: Project, folder: Path) -> Project:
    """A copy, with its times of change, that a test may change."""
    shutil.copytree(project.folder, folder, copy_function=shutil.copy2, symlinks=True)
    return Project(folder)


def new_project(folder: Path) -> Project:
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "Snakefile", folder)
    for part in ("workflow", "profiles", "src", "config", "envs"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "tests" / "workflow" / "mini.yaml", folder / CONFIG)
    return Project(folder)
