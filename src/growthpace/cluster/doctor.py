"""`growthpace doctor`: whether this machine, the site's file and a study fit together, before anything is submitted."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from growthpace.cluster import slurm
from growthpace.cluster.site import Site, load_site, site_path
from growthpace.cluster.site_check import Check, check_partitions, check_submission
from growthpace.errors import InputError
from growthpace.interruptible import locked
from growthpace.paths import Paths
from growthpace.study import load_study

LOCK = Path("envs/lock.txt")
HUB = "huggingface.co"
LITTLE_GB = 20
"""Free space below which there is a warning where no study says how much it needs."""


def show(config: Path | None = None, as_json: bool = False) -> int:
    """Prints every check; returns 1 if anything would keep a study from running here, else 0."""
    checks = list(examine(config))
    faults, warnings = (sum(check.level == level for check in checks) for level in ("fault", "warning"))
    if as_json:
        content = {"faults": faults, "warnings": warnings, "checks": [asdict(check) for check in checks]}
        print(json.dumps(content, indent=1, ensure_ascii=False))
    else:
        from growthpace.cluster.status_text import checks_shown, console

        console().print(checks_shown(checks, faults, warnings))
    return 1 if faults else 0


def examine(config: Path | None) -> Iterator[Check]:
    """All checks, one after the other; each says what it found."""
    yield from _software()
    yield from _graphics()
    yield from _sandbox()
    site: Site | None = None
    if slurm.available():
        try:
            site = load_site()
            number = len(site.partitions)
            yield Check("ok", "site file", f"{site_path()}: {number} partition{'s' * (number != 1)}")
        except InputError as error:
            yield from (Check("fault", "site file", line) for line in str(error).splitlines())
        yield from _controller(site)
    else:
        yield Check(
            "ok" if not site_path().exists() else "warning",
            "SLURM",
            "its commands are not on this machine",
            "log in to the cluster's login node to submit; `growthpace run` runs a study here",
        )
    yield from _folder()
    yield from _network()
    if config is not None:
        yield from _study(config, site)


def _software() -> Iterator[Check]:
    version = platform.python_version()
    fine = sys.version_info >= (3, 11)
    yield Check("ok" if fine else "fault", "Python", version, "" if fine else "growthpace needs Python 3.11 or later")
    if not LOCK.exists():
        yield Check("warning", "packages", f"no {LOCK} here", "run this in the folder that growthpace was cloned into")
    else:
        wanted = dict(line.split("==") for line in LOCK.read_text().split() if "==" in line)
        missing, other = [], []
        for name, pinned in wanted.items():
            try:
                found = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                missing.append(name)
                continue
            if found.split("+")[0] != pinned.split("+")[0]:
                other.append(f"{name} {found} (pinned {pinned})")
        advice = f"pip install -r {LOCK}"
        if missing:
            yield Check("warning", "packages", f"not installed: {_few(missing)}", advice)
        if other:
            yield Check("warning", "packages", f"other versions than pinned: {_few(other)}", advice)
        if not missing and not other:
            yield Check("ok", "packages", f"the {len(wanted)} versions of {LOCK}")
    if importlib.util.find_spec("snakemake") is None:
        yield Check("fault", "Snakemake", "not installed", "pip install snakemake")
    elif importlib.util.find_spec("snakemake_executor_plugin_growthpace") is None:
        yield Check("fault", "Snakemake", "its executor plugin `growthpace` is missing", "pip install -e .")
    else:
        yield Check("ok", "Snakemake", f"{importlib.metadata.version('snakemake')}, with the executor `growthpace`")


def _few(names: list[str], number: int = 5) -> str:
    more = f" and {len(names) - number} more" if len(names) > number else ""
    return ", ".join(names[:number]) + more


def _graphics() -> Iterator[Check]:
    if not shutil.which("nvidia-smi"):
        yield Check("ok", "GPUs here", "none (no nvidia-smi); login nodes seldom have any")
        return
    done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    if done.returncode:
        said = (done.stdout or done.stderr).strip().splitlines() or [f"exit code {done.returncode}"]
        yield Check("warning", "GPUs here", f"nvidia-smi says: {said[0]}", "look at the driver if jobs are to run here")
        return
    names = [line.split(":", 1)[-1].split("(UUID")[0].strip() for line in done.stdout.splitlines() if "GPU" in line]
    yield Check("ok", "GPUs here", _few(names) or "none")


def _sandbox() -> Iterator[Check]:
    from growthpace.evaluation import sandbox

    try:
        sandbox.find_bubblewrap()
        sandbox.check_works()
        yield Check("ok", "sandbox", "bubblewrap works here; where grading runs, it must as well")
    except InputError as error:
        yield Check("warning", "sandbox", str(error), "only suites with code items need it, where they are graded")


def _controller(site: Site | None) -> Iterator[Check]:
    settings = slurm.settings()
    if settings is None:
        yield Check("fault", "SLURM", "its controller does not answer", "try again later, or ask its administrators")
        return
    yield Check("ok", "SLURM", f"{settings.get('SLURM_VERSION', 'unknown version')}, the controller answers")
    store = settings.get("AccountingStorageType", "accounting_storage/none")
    accounting = "slurmdbd" in store and slurm.ask(["sacctmgr", "-nP", "show", "cluster"]) is not None
    without = "none; growthpace works without it, from squeue and its own files"
    down = "slurmdbd does not answer; growthpace works without it"
    found = "slurmdbd answers" if accounting else down if "slurmdbd" in store else without
    yield Check("warning" if "slurmdbd" in store and not accounting else "ok", "accounting", found)
    age = settings.get("MinJobAge", "").split()
    if not accounting and age and age[0].isdigit() and int(age[0]) < 60:
        advice = "ask for a MinJobAge of 300 s: how a killed job ended may be missed"
        yield Check("warning", "accounting", f"squeue forgets ended jobs after {age[0]} s", advice)
    if site is not None:
        yield from check_partitions(site, settings, accounting)
        yield from check_submission(site)


def _folder() -> Iterator[Check]:
    folder = Path("results")
    place = folder if folder.exists() else Path.cwd()
    free = shutil.disk_usage(place).free / 1e9
    little = free < LITTLE_GB
    advice = "weights and states are large; a quota may allow less still" if little else ""
    yield Check("warning" if little else "ok", "disk", f"{free:,.0f} GB free for {place.resolve()}", advice)
    probe = place / f".doctor-{socket.gethostname()}-{os.getpid()}"
    try:
        with locked(probe):
            pass
        yield Check("ok", "locks", "files can be locked")
    except (InputError, OSError) as error:
        yield Check("fault", "locks", str(error), "put the results on a file system that can be written and has locks")
    finally:
        probe.with_name(f"{probe.name}.lock").unlink(missing_ok=True)


def _network() -> Iterator[Check]:
    try:
        socket.create_connection((HUB, 443), timeout=3).close()
        yield Check("ok", "network", f"{HUB} can be reached")
    except OSError as error:
        found = f"{HUB} cannot be reached ({error.strerror or error}); only fetching models and data needs it"
        yield Check("ok", "network", found)


def _study(config: Path, site: Site | None) -> Iterator[Check]:
    from growthpace.planning import Costs

    try:
        study = load_study(config)
    except InputError as error:
        yield from (Check("fault", "study", line) for line in str(error).splitlines())
        return
    paths = Paths(study)
    costs = Costs(study, paths, site)
    yield Check("ok", "study", f"{config}: {study.study}")
    for model in study.models:
        fault, what = costs.fault(model), f"model {model}"
        if fault:
            yield Check("fault", what, fault)
        elif costs.parameters(model) is None:
            found = "its size is not known yet, so nothing is known of where it fits"
            yield Check("warning", what, found, f"set models.{model}.parameters")
        elif site is not None:
            yield Check("ok", what, f"{costs.parameters(model):,} parameters, fits the site's partitions")
    needed = costs.peak_disk_gb()
    place = paths.root if paths.root.exists() else Path.cwd()
    free = shutil.disk_usage(place).free / 1e9
    used = sum(path.lstat().st_size for path in paths.root.rglob("*") if path.is_file()) / 1e9
    if needed is not None:
        short = needed - used > free
        found = f"{needed:,.3g} GB at its peak, {used:,.3g} GB are used by it already and {free:,.3g} GB are free"
        yield Check("warning" if short else "ok", "disk of study", found, "make room" if short else "")
