"""A real SLURM cluster on one machine: four virtual nodes with make-believe GPUs, accounting, and faults at will.

As root, on Debian or Ubuntu:

    python tests/slurm/cluster.py install     # the packages, only where a program is missing
    eval $(python tests/slurm/cluster.py up)  # sets SLURM_CONF, so that squeue, sbatch and the rest talk to it
    python tests/slurm/cluster.py down

In tests: `with Cluster() as cluster:` or the fixture `cluster`. Everything lies in one private folder; nothing outside
it changes, and several clusters can be up side by side. Every daemon carries `MARK` in its environment and is found
by it, so `down` also clears up after a crash. Only the standard library is used: `install` runs on a bare machine.
"""

import argparse
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import processes
import slurm_files
from slurm_files import NODES

MARK = "GROWTHPACE_CLUSTER"
PACKAGES = ("slurm-wlm", "slurmdbd", "munge", "mariadb-server-core", "mariadb-client-core")
CLIENTS = (["srun"], ["salloc"])
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "slurmdbd", "munged", "mariadbd", "mariadb-install-db")


class Job(NamedTuple):
    """A job as squeue lists it: it also lists ended jobs, until they are `min_job_age` seconds old."""

    id: str
    state: str  # PENDING, RUNNING, COMPLETING, COMPLETED, PREEMPTED, ...
    reason: str
    node: str
    comment: str


class Row(NamedTuple):
    """A job as sacct lists it. Times are ISO 8601 without a zone, or Unknown; exit code is `exit:signal`."""

    id: str
    state: str
    exit_code: str
    start: str
    end: str
    nodes: str


def install():
    """Install what is missing of Debian's packages."""
    if any(shutil.which(program) is None for program in PROGRAMS):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update"], check=True, env=environment)
        apt = ["apt-get", "install", "--yes", "--no-install-recommends", *PACKAGES]
        subprocess.run(apt, check=True, env=environment)


def available() -> str | None:
    """Why no cluster can run here, or None where it can."""
    if not Path("/proc/self/environ").exists():
        return "a SLURM cluster needs Linux"
    if os.geteuid() != 0:
        return "a SLURM cluster needs root"
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"missing programs: {', '.join(missing)} (python tests/slurm/cluster.py install)"
    return None


def running_folders() -> list[Path]:
    """The folders of all clusters that are up, or half up."""
    return sorted({Path(environment[MARK]) for environment in processes.environments().values() if MARK in environment})


class Cluster:
    """A cluster in `folder`, which must be new or belong to a cluster started earlier; without one, in a new folder
    under /tmp, removed at the end.

    cpus, memory: of each of the four nodes; memory in MB. They may exceed the machine's.
    grace: GraceTime in seconds, from a preemption's first signal to the kill; 0 is none.
    requeue_wait: seconds until a requeued job may start again. SLURM's own default is 120; it adds one.
    min_job_age: seconds that squeue and scontrol remember ended jobs.
    accounting: with slurmdbd and a database; without, sacct has nothing to say.
    settings: further lines of slurm.conf, or other values for those below.
    """

    def __init__(
        self,
        folder=None,
        *,
        cpus=2,
        memory=5000,
        grace=0,
        requeue_wait=10,
        min_job_age=300,
        accounting=True,
        settings=None,
    ):
        self.temporary = folder is None
        # Short, because the path of a socket may have 108 bytes.
        self.folder = Path(folder or tempfile.mkdtemp(prefix="slurm-", dir="/tmp")).resolve()
        self.name = "g" + hashlib.sha256(str(self.folder).encode()).hexdigest()[:10]
        self.accounting = accounting
        self.values = {"cpus": cpus, "memory": memory, "grace": grace, "requeue_wait": requeue_wait}
        self.values |= {"min_job_age": min_job_age, "accounting": accounting, "settings": settings or {}}
        self._started = []

    @property
    def conf(self) -> Path:
        return self.folder / "slurm.conf"

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment, for programs that shall talk to this cluster and no other."""
        other = ("SLURM", "SBATCH_", "SRUN_", "SALLOC_", "SQUEUE_", "SACCT_", "SINFO_", "SCONTROL_", MARK)
        kept = {key: value for key, value in os.environ.items() if not key.startswith(other)}
        return {**kept, "SLURM_CONF": str(self.conf)}

    def __enter__(self):
        self.up()
        return self

    def __exit__(self, *exception):
        self.down()

    # Up and down ---------------------------------------------------------------------------------------------------

    def up(self):
        """Start everything and wait until all nodes are idle. Raises RuntimeError or TimeoutError, noting the
        daemons' last words, when they are not; nothing is left running then."""
        if reason := available():
            raise RuntimeError(reason)
        if self.folder.exists() and any(self.folder.iterdir()):
            raise RuntimeError(f"{self.folder} is not empty; name a new folder")
        try:
            slurm_files.write(self.folder, self.name, **self.values)
            self.start("munged")
            if self.accounting:
                self._make_database()
                self.start("mariadbd")
                self.start("slurmdbd")
            for daemon in ("slurmctld", *NODES):
                self.start(daemon)
            self.wait_for("all nodes idle", lambda: self.node_states() == dict.fromkeys(NODES, "idle"), 60)
        except BaseException as error:
            error.add_note(f"The cluster in {self.folder} did not come up.\n{self._last_words()}")
            self.temporary = False  # the logs say more
            self.down()
            raise

    def down(self):
        """Kill everything of this cluster, jobs included, and wait until it is gone. A temporary folder goes too."""
        deadline = time.monotonic() + 30
        # Daemons first, so that nothing starts anew while the rest is killed; then again until nothing is left.
        while pids := self._daemons() or self._all_pids():
            if time.monotonic() > deadline:
                raise RuntimeError(f"processes {pids} of {self.folder} do not end")
            processes.send(pids, signal.SIGKILL)
            time.sleep(0.05)
        for process in self._started:
            process.wait()
        self._started.clear()
        if self.temporary:
            shutil.rmtree(self.folder)

    def start(self, daemon: str):
        """Start a daemon (`munged`, `mariadbd`, `slurmdbd`, `slurmctld`, `n1`, ...) and wait until it answers."""
        environment = {**self.environment, MARK: str(self.folder), "MYSQL_UNIX_PORT": str(self.folder / "mariadb.sock")}
        command, answers = self._daemon(daemon)
        with (self.folder / f"{daemon}.log").open("ab") as log:
            streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            # A session of its own: Ctrl-C in a terminal does not reach it.
            process = subprocess.Popen(command, cwd=self.folder, env=environment, start_new_session=True, **streams)
        self._started.append(process)
        self.wait_for(daemon, answers, 30, process)

    def stop(self, daemon: str, number=signal.SIGTERM):
        """Send a daemon a signal and wait until it is gone."""
        processes.send(self._daemons(daemon), number)
        self.wait_for(f"the end of {daemon}", lambda: not self._daemons(daemon), 30)

    def _daemon(self, name):
        """Its command line, in the foreground so that no pid file is needed, and how to see that it answers."""
        folder = self.folder
        if name == "munged":
            files = ("key-file=munge.key", "socket=munge.sock", "pid-file=munge.pid", "seed-file=munge.seed")
            options = [f"--{file.replace('=', f'={folder}/')}" for file in files]
            return ["munged", "--foreground", "--force", *options], (folder / "munge.sock").exists
        if name == "mariadbd":
            options = ("skip-networking", "skip-grant-tables", "innodb-flush-log-at-trx-commit=0", "user=root")
            paths = [f"--datadir={folder / 'mariadb'}", f"--socket={folder / 'mariadb.sock'}"]
            command = ["mariadbd", "--no-defaults", *paths, *(f"--{option}" for option in options)]
            return command, (folder / "mariadb.sock").exists
        if name == "slurmdbd":
            return ["slurmdbd", "-D"], lambda: _ok(["sacctmgr", "-n", "list", "cluster"], self.environment)
        if name == "slurmctld":
            return ["slurmctld", "-D"], lambda: _ok(["scontrol", "ping"], self.environment)
        return ["slurmd", "-D", "-N", name], lambda: True

    def _make_database(self):
        # No account and no password: the socket lies in a folder that only root may enter.
        command = ["mariadb-install-db", "--no-defaults", f"--datadir={self.folder / 'mariadb'}", "--user=root"]
        command += ["--skip-test-db", "--skip-name-resolve", "--innodb-log-file-size=8M"]
        _run(command, self.environment)

    def _last_words(self):
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-1500:]}" for log in logs)

    def wait_for(self, what: str, done, seconds: float, process=None):
        """Wait until `done()` is true. Raises TimeoutError, and RuntimeError if a process ends that must not."""
        deadline = time.monotonic() + seconds
        while not done():
            if process and process.poll() is not None:
                raise RuntimeError(f"{what} ended with {process.returncode}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {seconds} s for {what}")
            time.sleep(0.1)

    # Questions -----------------------------------------------------------------------------------------------------

    def command(self, *words: str) -> str:
        """What a program prints, such as `command("scontrol", "show", "job", "7")`. Raises RuntimeError if it fails."""
        return _run([str(word) for word in words], self.environment)

    def submit(self, script: str, *options: str) -> str:
        """The id of a batch job that runs `script`, the lines of a shell script; its output is lost unless an option
        says where to."""
        command = ["sbatch", "--parsable", "--output=/dev/null", *options, "--wrap", script]
        return self.command(*command).strip().partition(";")[0]

    def node_states(self) -> dict[str, str]:
        """Node to state, as sinfo says it: idle, mixed, allocated, down, down*, completing, ..."""
        lines = self.command("sinfo", "-h", "-N", "-p", "main", "-o", "%N %T").splitlines()
        return dict(line.split() for line in lines)

    def jobs(self) -> list[Job]:
        """All jobs that SLURM remembers, ended ones included, by id."""
        lines = self.command("squeue", "-h", "-t", "all", "-S", "i", "-o", "%i|%T|%r|%N|%k").splitlines()
        return [Job(*line.split("|", 4)) for line in lines]

    def job(self, job_id: str) -> Job:
        """A job that SLURM remembers."""
        return next(job for job in self.jobs() if job.id == str(job_id))

    def accounting_rows(self, every_attempt=False) -> list[Row]:
        """sacct's rows since yesterday; of a requeued job the last attempt or, on demand, every one. The
        controller tells slurmdbd a moment later, and some seconds later where slurmdbd has been away."""
        command = ["sacct", "-X", "--parsable2", "--noheader", "--starttime=now-1days"]
        command += ["--format=JobIDRaw,State,ExitCode,Start,End,NodeList", *["--duplicates"] * every_attempt]
        return [Row(*line.split("|")) for line in self.command(*command).splitlines()]

    def pids(self, job_id: str) -> set[int]:
        """The processes of a job, on whichever node: those with its id in their environment, and their children."""
        mine = {"SLURM_JOB_ID": str(job_id), "SLURM_CLUSTER_NAME": self.name}.items()
        return processes.with_children({pid for pid, had in processes.environments().items() if mine <= had.items()})

    def _all_pids(self):
        """Daemons, all jobs' processes, and clients that would wait for the cluster forever."""
        found = set()
        for pid, had in processes.environments().items():
            ours = had.get(MARK) == str(self.folder) or had.get("SLURM_CLUSTER_NAME") == self.name
            client = had.get("SLURM_CONF") == str(self.conf) and processes.command_line(pid)[:1] in CLIENTS
            if ours or client:
                found.add(pid)
        return processes.with_children(found)

    def _daemons(self, name=None):
        """The pids of one daemon or of all. slurmstepd, which watches a job, inherits the mark and is none."""
        pids = [pid for pid, had in processes.environments().items() if had.get(MARK) == str(self.folder)]
        lines = {pid: processes.command_line(pid) for pid in pids}
        if name is None:
            return {pid for pid, line in lines.items() if line and not line[0].startswith("slurmstepd")}
        return {pid for pid, line in lines.items() if line == self._daemon(name)[0]}

    # Faults --------------------------------------------------------------------------------------------------------

    def preempt(self, job_id: str, seconds: float = 5) -> str:
        """Take the nodes of a running job for that long; the id of the job that takes them."""
        nodes = self.job(job_id).node
        whole = ("--partition=urgent", "--exclusive", "--mem=0", f"--nodelist={nodes}")
        count = len(self.command("scontrol", "show", "hostnames", nodes).split())
        return self.submit(f"sleep {seconds}", *whole, f"--nodes={count}")

    def requeue(self, job_id: str):
        """Put a job back into the queue, as an administrator would."""
        self.command("scontrol", "requeue", job_id)

    def cancel(self, job_id: str, *options: str):
        """scancel; options such as `--signal=USR1`, `--batch`, `--full`."""
        self.command("scancel", *options, job_id)

    def node_down(self, name: str):
        """Take a node out: its jobs are requeued at once."""
        self.command("scontrol", "update", f"nodename={name}", "state=down", "reason=test")

    def node_up(self, name: str):
        """Take a node in again."""
        self.command("scontrol", "update", f"nodename={name}", "state=resume")

    def kill_slurmd(self, name: str):
        """Kill a node's daemon, but not its jobs' processes: to the rest of the cluster the node is silent. After
        SlurmdTimeout it is down and its jobs are requeued, while their processes may still run."""
        self.stop(name, signal.SIGKILL)

    def start_slurmd(self, name: str):
        """Start a node's daemon again."""
        self.start(name)

    def stop_slurmctld(self):
        """Stop the controller: squeue and sbatch have nobody to talk to. Running jobs run on."""
        self.stop("slurmctld")

    def start_slurmctld(self):
        """Start the controller again, with the jobs that it knew."""
        self.start("slurmctld")

    def restart_slurmctld(self):
        """Stop and start the controller."""
        self.stop_slurmctld()
        self.start_slurmctld()

    def stop_slurmdbd(self):
        """Stop the accounting: sacct has nobody to talk to."""
        self.stop("slurmdbd")

    def start_slurmdbd(self):
        """Start the accounting again."""
        self.start("slurmdbd")


def _run(command, environment):
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def _ok(command, environment):
    return subprocess.run(command, env=environment, capture_output=True, timeout=60).returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("action", choices=("install", "up", "down", "status"))
    without = "without it, up makes one, down takes the only one that is up, and status shows all"
    parser.add_argument("--folder", type=Path, help=f"of the cluster; {without}")
    arguments = parser.parse_args()
    if arguments.action == "install":
        install()
    elif arguments.action == "up":
        cluster = Cluster(arguments.folder)
        cluster.up()
        print(f"export SLURM_CONF={cluster.conf}")
    else:
        folders = [arguments.folder] if arguments.folder else running_folders()
        if arguments.action == "down" and len(folders) > 1:
            parser.error(f"several clusters are up; name one with --folder: {', '.join(map(str, folders))}")
        for folder in folders:
            cluster = Cluster(folder)
            if arguments.action == "down":
                cluster.down()
            else:
                print(f"SLURM_CONF={cluster.conf} {cluster.node_states()} {len(cluster.jobs())} jobs")


if __name__ == "__main__":
    sys.exit(main())
