"""What runs inside an allocation: a ticket's members one after the other, with real processes."""

import os
import signal
import subprocess
import sys
import time

import pytest

from growthpace.cluster.ledger import Member, SlurmFolder, Ticket, exit_codes
from growthpace.cluster.placement import Need


@pytest.fixture
def folder(tmp_path):
    made = SlurmFolder(tmp_path)
    made.prepare()
    return made


def ticket(folder, *commands, minutes=10, margin=5, nodes=1):
    members = [Member(f"cell {k}", text, f"{text} elsewhere", [], "log", None, "") for k, text in enumerate(commands)]
    made = Ticket(members, Need(1, 100, minutes, nodes=nodes), "main", margin)
    folder.write_ticket(made)
    return made


def start(folder, ticket, **environment):
    command = [sys.executable, "-m", "growthpace.cluster.job", str(folder.ticket_path(ticket.name))]
    return subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True)


def run(folder, ticket, **environment):
    process = start(folder, ticket, **environment)
    said, _ = process.communicate(timeout=60)
    return process.returncode, said


def test_every_member_is_carried_out_and_told_apart(folder):
    made = ticket(folder, "echo one", "exit 3", "echo $GROWTHPACE_STOP_AT; kill -9 $$")
    code, said = run(folder, made)
    assert code == 3
    assert said.startswith("one\n")
    assert exit_codes(folder.ends(made), 1) == {0: 0, 1: 3, 2: 137}
    assert float(said.split()[1]) == pytest.approx(time.time() + 10 * 60 - 5, abs=60)


def test_a_requeued_job_goes_on_where_it_was(folder):
    made = ticket(folder, "echo one", "exit 75")
    run(folder, made)
    _, said = run(folder, made, SLURM_RESTART_COUNT="1")
    assert "one" not in said
    assert exit_codes(folder.ends(made), 1) == {0: 0, 1: 75}


def test_another_node_runs_its_own_command_and_asks_the_first_what_is_done(folder):
    made = ticket(folder, "exit 75; echo", nodes=2)
    run(folder, made)
    code, said = run(folder, made, SLURM_PROCID="1")
    assert (code, said) == (75, "")
    folder.ends_path(made.name, 1).unlink()
    made = ticket(folder, "echo", nodes=2)
    assert run(folder, made) == (0, "\n")
    assert exit_codes(folder.ends(made), 2) == {}
    assert run(folder, made, SLURM_PROCID="1", SLURM_RESTART_COUNT="1")[1] == ""


def test_signals_reach_the_work_and_not_its_shell(folder):
    work = (
        f"{sys.executable} -c 'import signal, sys; signal.signal(15, lambda *a: sys.exit(75)); print(1, flush=True); "
    )
    made = ticket(folder, work + "signal.pause()' | cat; exit ${PIPESTATUS[0]}", "echo never")
    process = start(folder, made)
    assert process.stdout.readline() == "1\n"
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60)[0] == ""
    assert process.returncode == 75
    assert exit_codes(folder.ends(made), 1) == {0: 75}


def test_no_member_starts_when_time_is_over(folder):
    made = ticket(folder, "sleep 1", "echo never", minutes=0, margin=0)
    code, said = run(folder, made)
    assert (code, said) == (75, "")
