"""The head process of a sweep: `growthpace submit` and `growthpace resume`.

Looks whether the sweep can work and what it would throw away, then runs Snakemake under `profiles/slurm` in this very
process, so that killing it kills all of it. SLURM's jobs outlive it; the next head takes them over.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from growthpace.checks import check_study
from growthpace.cluster import slurm
from growthpace.cluster.placement import Need, place
from growthpace.cluster.site import SITE, Site, load_site
from growthpace.cluster.site_check import check_partitions, check_submission
from growthpace.errors import InputError
from growthpace.grid import Grid
from growthpace.paths import Paths
from growthpace.planning import Costs
from growthpace.study import Study, load_study
from growthpace.warm import WarmServer
from growthpace.wiring import Plan as Wiring

Report = Callable[[str], None]


def submit(config: Path, site_file: Path | None, max_rerun_gpu_hours: float, yes: bool, report: Report) -> int:
    """Runs the sweep until everything is done or stopped; Snakemake's exit code.

    Raises `InputError`, before anything is submitted, where the sweep cannot work, and where it would throw away more
    finished work than `max_rerun_gpu_hours` without `yes`.
    """
    if not Path("Snakefile").exists():
        raise InputError("no Snakefile here; run this in the folder that growthpace was cloned into")
    if site_file is not None:
        os.environ[SITE] = str(site_file.resolve())
    slurm.require()
    study, site = load_study(config), load_site()
    paths = Paths(study)
    check_study(study, paths)
    for line in preflight(study, paths, site):
        report(line)
    guard(config, max_rerun_gpu_hours, yes, report)
    code = run_snakemake(config)
    missing = [path for path in (*Wiring(config).predictions(), paths.root / "report.html") if not Path(path).exists()]
    if code == 0 and missing:  # whatever Snakemake overlooked must not pass for done
        report(
            f"Snakemake ended, but {len(missing)} files are missing, such as {missing[0]}: `growthpace resume {config}`"
        )
        return 1
    return code


def run_snakemake(config: Path) -> int:
    """Snakemake under `profiles/slurm`, in this process."""
    from snakemake.cli import main

    # Light rules call `growthpace` by name, also where the virtual environment was not activated.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    # --nolock: the executor holds a lock of its own, which a dead head does not keep.
    arguments = ["--profile", "profiles/slurm", "--configfile", str(config), "--nolock"]
    with WarmServer(light=True) as warm:
        os.environ.update(warm.environment)
        try:
            main(arguments)
        except SystemExit as stop:
            return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0


# --- whether it can work ----------------------------------------------------------------------------------------------


def preflight(study: Study, paths: Paths, site: Site) -> list[str]:
    """What a user should know before the sweep starts; `InputError` with every fault that would stop it later."""
    settings, queue = slurm.settings(), slurm.queue(study.study)
    if settings is None or queue is None:
        raise InputError("SLURM does not answer (scontrol, squeue): its controller is down. Try again later")
    costs = Costs(study, paths, site)
    faults = [*_site_faults(site, settings), *_model_faults(study, costs, site), *_disk_faults(paths, costs)]
    if faults:
        raise InputError("this sweep cannot work:\n" + "\n".join(f"- {fault}" for fault in faults))
    notes = []
    if "none" in settings.get("AccountingStorageType", "none"):
        notes.append(
            "this cluster keeps no accounting (slurmdbd); how jobs end is read from squeue and their own files"
        )
    if any(job.live for job in queue):
        notes.append(f"{sum(job.live for job in queue)} jobs of this study are live already; they are waited for")
    if any(Path(".snakemake/locks").glob("*")):
        notes.append(
            "a Snakemake that died left its lock in .snakemake/locks; it is ignored (another study here is safe)"
        )
    return notes


def _site_faults(site: Site, settings: dict[str, str]):
    """What `growthpace doctor` would call faults of the site's file: partitions, limits, account, QOS."""
    accounting = "slurmdbd" in settings.get("AccountingStorageType", "")
    for found in [*check_partitions(site, settings, accounting), *check_submission(site)]:
        if found.level == "fault":
            yield f"{found.what}: {found.found}; {found.advice}"


def _model_faults(study: Study, costs: Costs, site: Site):
    for model in study.models:
        if fault := costs.fault(model):
            yield fault
            continue
        first = next((run for run in Grid(study).runs if run.model == model), None)
        estimate = costs.training(first) if first else None
        if estimate is None or estimate.memory_gb is None:
            continue
        memory_mb = int(estimate.memory_gb * 1000)
        need = Need(study.threads, memory_mb, 1, estimate.gpus, estimate.nodes, estimate.gpu_memory_gb, flexible=True)
        try:
            place(need, site, f"training {model}")
        except InputError as error:
            yield str(error)


def _disk_faults(paths: Paths, costs: Costs):
    needed = costs.peak_disk_gb()
    folder = next(parent for parent in [paths.root, *paths.root.parents] if parent.exists())
    free = shutil.disk_usage(folder).free / 1e9
    if needed is not None and needed > free:
        yield f"results/ has {free:,.0f} GB free, this study needs up to {needed:,.0f} GB (growthpace clean frees some)"


# --- what it would throw away -----------------------------------------------------------------------------------------


def guard(config: Path, max_rerun_gpu_hours: float, yes: bool, report: Report) -> None:
    """`InputError` where a sweep would redo more finished GPU hours than allowed, with what and why."""
    from growthpace.plan.making import Planned
    from growthpace.plan.redone import redone_work

    found = redone_work(Planned(config))
    if not found:
        return
    total = sum(row.gpu_hours for row in found)
    lines = []
    for why in dict.fromkeys(row.why for row in found):
        rows = [row for row in found if row.why == why]
        predictions, unknown = sum(row.predictions for row in rows), sum(row.unknown for row in rows)
        what = [f"{sum(row.trained for row in rows)} trainings", f"{predictions} predictions"]
        hours = f"{sum(row.gpu_hours for row in rows):.2f} GPU hours"
        more = f" and {unknown} predictions of unknown time" if unknown else ""
        runs = ", ".join(row.run for row in rows[:5]) + (f" and {len(rows) - 5} more runs" if len(rows) > 5 else "")
        lines.append(f"- {why}: {' and '.join(what)} ({hours}{more}) of {runs}")
    text = f"{total:.2f} GPU hours of finished work would be done again:\n" + "\n".join(lines)
    if total > max_rerun_gpu_hours and not yes:
        raise InputError(
            f"{text}\nNothing was submitted. If that is what you want, say --yes; if not, undo the change "
            f"(`growthpace plan {config}` shows everything)"
        )
    report(text)
