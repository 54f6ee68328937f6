"""Snakemake's executor for growthpace's studies on SLURM: `executor: growthpace` in a profile.

A job of Snakemake becomes a member of a SLURM job that runs the rule's shell command itself, without a second
Snakemake around it. What that buys (docs/cluster.md has the measurements): nothing is deleted when SLURM requeues a
job, signals reach the work alone, small predictions share a job, a new head process takes over the jobs of a dead one,
and what follows an end depends on its cause. The work is done in `growthpace.cluster`; this is the glue.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.settings import CommonSettings, DeploymentMethod

from growthpace.cluster.code import frozen_code
from growthpace.cluster.ledger import Member, SlurmFolder, Ticket
from growthpace.cluster.placement import Need
from growthpace.cluster.site import load_site
from growthpace.cluster.sweep import Sweep, Task
from growthpace.errors import InputError
from growthpace.files import fingerprint, sha256
from growthpace.interruptible import Busy, locked

common_settings = CommonSettings(
    non_local_exec=True,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    pass_default_storage_provider_args=True,
    pass_default_resources_args=True,
    pass_envvar_declarations_to_cmd=False,
    auto_deploy_default_storage_provider=False,
    init_seconds_before_status_checks=1,
)

LOOK_SECONDS = 1
"""Between two looks at the files of running jobs. squeue is asked more seldom (`sweep.QUERY_SECONDS`)."""


class Executor(RemoteExecutor):
    """Hands Snakemake's jobs to a `Sweep` and their ends back."""

    sweep: Sweep | None = None
    """None until `__post_init__` is through: the thread that looks for ends starts before that."""

    def __post_init__(self):
        self.plan = self.workflow.globals["plan"]
        self.next_seconds_between_status_checks = LOOK_SECONDS
        self.stamps: dict[tuple, str] = {}
        self.terminable = False
        folder = SlurmFolder(self.plan.paths.root)
        folder.prepare()
        self.held = ExitStack()
        try:
            site = load_site()
            self.held.enter_context(locked(folder.root / "head"))
            self.code = frozen_code(folder.root / "code")
            self.sweep = Sweep(self.plan.study.study, folder, site, self._script, self.logger.info)
        except Busy as busy:
            raise WorkflowError(f"this study is being run already: {busy}") from None
        except InputError as error:
            self.held.close()
            raise WorkflowError(str(error)) from None

    # --- in ---

    def run_job(self, job):
        if not self.terminable:
            # Snakemake would wait for all jobs to end at SIGTERM; they go on without it, so it may end at once.
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            self.terminable = True
        info = SubmittedJobInfo(job)
        task = self._task(job, info)
        adopted = self.sweep.adopt(task)
        if adopted is None:
            self.workflow.async_run(job.prepare())
            self.sweep.add(task)
        self.report_job_submission(info)
        if adopted == "done":
            with self.lock:
                self.active_jobs.remove(info)
            self.report_job_success(info)

    def _task(self, job, info) -> Task:
        if job.is_group() or not job.rule.shellcmd:
            raise WorkflowError(f"{job}: only single jobs with a shell command run on SLURM")
        kind = re.sub(r"_\d+_epochs$", "", job.rule.name)
        resources, needs = job.resources, self.plan.needs
        member = Member(
            cell=needs.cell(kind, job.wildcards),
            command=self._command(job, job.shellcmd),
            elsewhere=self._command(job, job.format_wildcards(job.rule.shellcmd, log="/dev/null")),
            outputs=[str(path) for path in job.output],
            log=str(job.log[0]),
            state=needs.state_folder(kind, job.wildcards),
            stamp=self._stamp(job),
        )
        seconds, advice = needs.seconds(kind, job.wildcards), needs.memory_advice(kind, job.wildcards)
        need = Need(
            cpus=job.threads,
            memory_mb=int(resources.get("mem_mb")),
            minutes=int(resources.get("runtime")),
            gpus=int(resources.get("gpus", 0)),
            nodes=int(resources.get("nodes", 1)),
            gpu_memory_gb=needs.estimate(kind, job.wildcards).gpu_memory_gb,
            flexible=member.state is not None or seconds is None,
        )
        return Task(member, need, seconds, kind == "predict", advice, info)

    def _stamp(self, job) -> str:
        """Fingerprint of what the result depends on: all inputs but weights, which follow from the others."""
        inputs = {*map(str, job.input)} - {*map(str, job.input.get("weights", []))}
        return fingerprint([[path, self._content(path)] for path in sorted(inputs)])

    def _content(self, path: str) -> str:
        """Hash of a file's content, computed once for each of its times of change."""
        facts = os.stat(path)
        key = (path, facts.st_mtime_ns, facts.st_size)
        if key not in self.stamps:
            self.stamps[key] = sha256(path)
        return self.stamps[key]

    def _command(self, job, command: str) -> str:
        """The rule's shell command as Snakemake itself would run it, in its conda environment if those are used."""
        conda = DeploymentMethod.CONDA in self.workflow.deployment_settings.deployment_method
        if conda and job.conda_env:
            from snakemake.deployment.conda import Conda

            base = self.workflow.conda_base_path
            command = Conda(prefix_path=base).shellcmd(job.conda_env.address, command)
        # The exit code is the work's own: what it is piped into may fail as well, on a full disk.
        return f"{command}; exit ${{PIPESTATUS[0]}}"

    def _script(self, ticket: Ticket) -> str:
        """The job script: the same on every node, the ticket says the rest."""
        need, quoted = ticket.need, shlex.quote
        python = quoted(sys.executable)
        step = f"--nodes={need.nodes} --ntasks={need.nodes} --ntasks-per-node=1 --cpus-per-task={need.cpus}"
        ticket_path = quoted(str(self.sweep.folder.ticket_path(ticket.name).resolve()))
        return "\n".join(
            [
                "#!/bin/bash",
                *self.sweep.site.setup,
                f"cd {quoted(str(Path.cwd()))}",
                f"export PATH={quoted(str(Path(sys.executable).parent))}:$PATH PYTHONPATH={quoted(str(self.code))}",
                "export HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 TRANSFORMERS_OFFLINE=1",
                "unset GROWTHPACE_WARM",  # a process on the head's machine
                "trap '' TERM USR1",  # for the work to hear, not for this shell
                f"srun --kill-on-bad-exit=1 {step} {python} -m growthpace.cluster.job {ticket_path}",
                "",
            ]
        )

    # --- out ---

    async def check_active_jobs(self, active_jobs):
        if self.sweep is None:
            for info in active_jobs:
                yield info
            return
        ended = set()
        for task, cause, decision in self.sweep.tick():
            info = task.handle
            ended.add(id(info))
            if decision.action == "done":
                self.report_job_success(info)
            else:
                message = f"{task.member.cell} stopped ({cause}): {decision.message}. Log: {task.member.log}"
                self.logger.error(message)  # Snakemake's own words about it are hidden where it is told to be quiet
                self.report_job_error(info, msg=message)
        for info in active_jobs:
            if id(info) not in ended:
                yield info

    def cancel_jobs(self, active_jobs):
        """Called at Ctrl-C: the SLURM jobs go on, since the next head process takes them over."""
        if self.sweep is not None and self.sweep.jobs:
            config = self.plan.config
            self.logger.info(
                f"{len(self.sweep.jobs)} SLURM jobs go on without this process. `growthpace resume {config}` takes "
                f"over, `growthpace cancel {config}` ends them."
            )

    def shutdown(self):
        super().shutdown()
        self.held.close()
