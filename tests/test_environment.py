"""The pins agree: conda environments per stage with the lock, and the lock with what pyproject.toml asks for."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "growthpace"

STAGES = {
    "data": ("data", "microworld", "token_counts.py", "conversation.py", "models/tokenizer.py"),
    "train": ("models", "training", "conversation.py", "microworld"),
    "evaluate": ("models/tokenizer.py", "models/base.py", "models/checkpoints.py", "evaluation", "conversation.py"),
    "judge": (
        "judging",
        "endpoint",
        "evaluation/judgements.py",
        "evaluation/predictions.py",
        "analysis/uncertainty.py",
    ),
    "synthesise": (
        "synthesis",
        "endpoint",
        "data/pools.py",
        "data/importers",
        "evaluation/scorers",
        "evaluation/mathematics.py",
        "evaluation/predictions.py",
        "evaluation/sandbox.py",
    ),
    "analysis": ("analysis", "evaluation/grading.py", "evaluation/judgements.py"),
    "report": ("figures", "analysis", "completeness.py"),
}
"""Which modules run in which environment, besides the command line and the study, which run in all."""

EVERYWHERE = ("cli", "study", "config_file.py", "grid.py", "files.py", "specs.py", "data/items.py")


def lock():
    """{package: version} of envs/lock.txt."""
    lines = (ROOT / "envs" / "lock.txt").read_text().splitlines()
    pins = [line.split("#")[0].strip() for line in lines]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==\S+|", pin) for pin in pins)
    return {canonicalize_name(name): version for name, version in (pin.split("==") for pin in pins if pin)}


def environment(stage):
    """{package: version} of a conda environment, Python apart."""
    content = yaml.safe_load((ROOT / "envs" / f"{stage}.yaml").read_text())
    assert content["name"] == f"growthpace-{stage}"
    pins = {}
    for entry in content["dependencies"]:
        if isinstance(entry, dict):
            pins |= dict(pin.split("==") for pin in entry["pip"])
        elif not entry.startswith(("python=", "pip")):
            name, version = entry.split("=")
            pins[name] = version
    return {canonicalize_name(name): version for name, version in pins.items()}


def imported(path):
    """Top-level packages that a module imports, at its head or inside a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("stage", STAGES)
def test_an_environment_has_the_locks_pins(stage):
    pins = lock()
    found = environment(stage)
    assert found
    assert found == {name: pins.get(name, "not in the lock") for name in found}


@pytest.mark.parametrize("stage", STAGES)
def test_an_environment_has_what_its_stage_imports(stage):
    modules = []
    for name in (*EVERYWHERE, *STAGES[stage]):
        modules += [PACKAGE / name] if name.endswith(".py") else (PACKAGE / name).rglob("*.py")
    needed = {name for module in modules for name in imported(module)} - set(sys.stdlib_module_names)
    # vLLM wants an environment of its own (docs/evaluation.md); a sandbox's scripts call their neighbour `wire`.
    needed -= {"growthpace", "vllm", "wire"}
    distributions = packages_distributions()
    missing = [n for n in needed if not {canonicalize_name(d) for d in distributions[n]} & environment(stage).keys()]
    assert not missing


def test_no_other_environment():
    assert {path.stem for path in (ROOT / "envs").glob("*.yaml")} == set(STAGES)


def test_the_lock_satisfies_the_project():
    """What `make setup` installs: the dependencies and the extras of `dev` (others are for machines of their own)."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    pins, wanted = lock(), list(map(Requirement, [*project["dependencies"], *extras["dev"]]))
    for requirement in wanted:
        if requirement.name == "growthpace":
            wanted += [Requirement(line) for extra in requirement.extras for line in extras[extra]]
            continue
        version = pins.get(canonicalize_name(requirement.name))
        assert version, f"{requirement} is not in the lock"
        assert requirement.specifier.contains(version), f"{requirement}, but the lock has {version}"


def test_each_environment_runs_a_python_that_the_project_allows():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    allowed = Requirement(f"python{project['requires-python']}").specifier
    for stage in STAGES:
        content = yaml.safe_load((ROOT / "envs" / f"{stage}.yaml").read_text())
        (python,) = (entry for entry in content["dependencies"] if str(entry).startswith("python="))
        assert allowed.contains(python.removeprefix("python="))
