"""What runs inside an allocation, once on each of its nodes: `python -m growthpace.cluster.job TICKET`.

Carries out a ticket's members one after the other and writes what becomes of each to `ends/`. A requeued job goes on
with the member that it was at. SIGTERM and SIGUSR1 reach the member's process, which saves and stops; no further member
starts then. Exit code: that of the first member that went wrong, else 0.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from growthpace.cluster.ledger import Ticket, add_line, lines_of, ticket_from
from growthpace.files import read_json
from growthpace.interruptible import STOP_AT, STOPPED
from growthpace.warm import WarmServer

ASKED = (signal.SIGTERM, signal.SIGUSR1)


class _Job:
    def __init__(self, ticket_path: Path):
        self.ticket: Ticket = ticket_from(read_json(ticket_path))
        self.node = int(os.environ.get("SLURM_PROCID", 0))  # one task a node
        self.ends = ticket_path.parents[1] / "ends" / f"{self.ticket.name}.{self.node}.jsonl"
        self.stopping = False
        self.running: subprocess.Popen | None = None
        limit = self.ticket.need.minutes * 60
        self.stop_at = time.time() + limit - self.ticket.margin_seconds
        self.environment = {**os.environ, STOP_AT: str(self.stop_at)}

    def run(self) -> int:
        """Carries out the members that are not done yet."""
        for number in ASKED:
            signal.signal(number, self._pass_on)
        # Only the first node knows: the others end well where it is the one to tell what all of them found.
        first = self.ends.with_name(f"{self.ticket.name}.0.jsonl")
        done = {line["member"] for line in lines_of(first) if line["event"] == "end" and line["exit"] == 0}
        waiting = [k for k in range(len(self.ticket.members)) if k not in done]
        wrong = 0
        with WarmServer(figures=False) if len(waiting) > 1 else contextlib.nullcontext() as warm:
            if warm is not None:
                self.environment |= warm.environment
            for k in waiting:
                if self.stopping or time.time() >= self.stop_at:
                    return wrong or STOPPED
                code = self._carry_out(k)
                wrong = wrong or code
        return wrong

    def _carry_out(self, k: int) -> int:
        member = self.ticket.members[k]
        self._write("start", k)
        command = ["bash", "-c", member.command if self.node == 0 else member.elsewhere]
        # The shell and what it pipes into must outlive the signals that tell the work to save and stop.
        self.running = subprocess.Popen(command, env=self.environment, preexec_fn=_ignore, start_new_session=True)
        code = self.running.wait()
        self.running = None
        code = 128 - code if code < 0 else code
        self._write("end", k, exit=code)
        return code

    def _pass_on(self, number, frame) -> None:
        self.stopping = True
        if self.running is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.running.pid, number)

    def _write(self, event: str, k: int, **facts) -> None:
        line = {
            "event": event,
            "member": k,
            "node": self.node,
            "host": os.environ.get("SLURMD_NODENAME", socket.gethostname()),
            "slurm": os.environ.get("SLURM_JOB_ID"),
            "restart": int(os.environ.get("SLURM_RESTART_COUNT", 0)),
            "time": time.time(),
            **facts,
        }
        add_line(self.ends, line)


def _ignore() -> None:
    for number in ASKED:
        signal.signal(number, signal.SIG_IGN)


def main() -> None:
    """Entry point; changes into no folder: SLURM has started it in the study's."""
    sys.exit(_Job(Path(sys.argv[1])).run())


if __name__ == "__main__":
    main()
