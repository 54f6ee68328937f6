"""Copies of the project with a small study in them, and what a dry run would do there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

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

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        """Runs the study with a warm start; the result must be checked by the caller."""
        with WarmServer() as warm:
            return self.snakemake("--profile", "profiles/local", *arguments, **warm.environment)

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


def new_project(folder: Path) -> Project:
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "Snakefile", folder)
    for part in ("workflow", "profiles", "src", "config", "envs"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "tests" / "workflow" / "mini.yaml", folder / CONFIG)
    return Project(folder)
