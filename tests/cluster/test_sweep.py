"""The sweep's decisions on a make-believe SLURM whose jobs end as a test says."""

import json
from pathlib import Path

import pytest

from growthpace.cluster.attempts import FRUITLESS, Cause
from growthpace.cluster.ledger import Member, SlurmFolder
from growthpace.cluster.placement import Need
from growthpace.cluster.site import Site
from growthpace.cluster.slurm import QueuedJob, job_name
from growthpace.cluster.sweep import START_SECONDS, START_SHARE, UNKNOWN_BATCH, Sweep, Task
from growthpace.errors import InputError

SITE = {
    "partitions": [{"name": "main", "cpus_per_node": 4, "memory_gb_per_node": 16.0, "max_hours": 2.0, "max_nodes": 2}]
}


NEED = Need(1, 1000, 60)


class Slurm:
    """Jobs by id, in the states that a test sets."""

    job_name = staticmethod(job_name)

    def __init__(self):
        self.jobs, self.cancelled, self.refusal, self.down = {}, [], None, False

    def submit(self, options, script):
        if self.refusal:
            return None, self.refusal
        number = str(len(self.jobs) + 1)
        self.jobs[number] = ["PENDING", next(o for o in options if o.startswith("--comment="))[10:], options]
        return number, ""

    def queue(self, study):
        if self.down:
            return None
        return [
            QueuedJob(n, state, "", "", "", "", "", comment, "")
            for n, (state, comment, _) in self.jobs.items()
            if state
        ]

    def ended_state(self, job):
        return None

    def cancel(self, jobs):
        for job in jobs:
            self.cancelled.append(job)
            self.jobs[job][0] = "CANCELLED"


class World:
    """A sweep with its clock and files."""

    def __init__(self, folder: Path, **site):
        self.root, self.now, self.slurm, self.said = folder, 0.0, Slurm(), []
        self.site = Site.model_validate({**SITE, **site})
        self.folder = SlurmFolder(folder)
        self.new_head()

    def new_head(self):
        self.sweep = Sweep("s", self.folder, self.site, lambda t: "", self.said.append, self.slurm, lambda: self.now)

    def task(self, cell="train s/a-4/seed-1", need=NEED, stamp="x", batchable=False, seconds=None, state=None):
        member = Member(cell, "true", "true", [str(self.root / f"{cell.replace('/', '-')}.out")], "log", state, stamp)
        return Task(member, need, seconds, batchable, "Lower something.", cell)

    def add(self, *args, **kwargs):
        task = self.task(*args, **kwargs)
        self.sweep.add(task)
        return task

    def tick(self, seconds=0.0):
        self.now += seconds
        return [(task.handle, cause, decision.action) for task, cause, decision in self.sweep.tick()]

    def write(self, job, event, member=0, node=0, **facts):
        ticket = self.slurm.jobs[job][1].split()[-1]
        line = {"event": event, "member": member, "node": node, "time": self.now, "restart": 0, **facts}
        with open(self.folder.ends_path(ticket, node), "a") as handle:
            handle.write(json.dumps(line) + "\n")

    def ledger(self, event):
        return [line for line in self.folder.ledger() if line["event"] == event]


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_a_job_that_is_done_is_seen_from_its_own_files(world):
    world.add()
    assert world.tick() == []
    assert world.slurm.jobs["1"][0] == "PENDING"
    world.write("1", "start")
    world.write("1", "end", exit=0)
    world.slurm.down = True
    assert world.tick(1) == [("train s/a-4/seed-1", Cause.DONE, "done")]
    assert world.tick(100) == []
    assert [line["cause"] for line in world.ledger("ended")] == ["done"]


def test_a_defect_stops_at_once_and_the_others_go_on(world):
    world.add("train s/a-4/seed-1")
    world.add("train s/a-4/seed-2")
    world.tick()
    world.write("1", "start")
    world.write("1", "end", exit=1)
    assert world.tick(1) == [("train s/a-4/seed-1", Cause.DEFECT, "stop")]
    world.slurm.jobs["1"][0] = "FAILED"
    assert world.tick(60) == []
    assert len(world.slurm.jobs) == 2


def test_a_requeued_job_is_waited_for(world):
    world.add()
    world.tick()
    world.write("1", "start")
    world.write("1", "end", exit=75)
    assert world.tick(60) == []  # SLURM has it pending again
    world.write("1", "start", restart=1)
    world.write("1", "end", exit=0, restart=1)
    assert world.tick(1) == [("train s/a-4/seed-1", Cause.DONE, "done")]
    assert len(world.slurm.jobs) == 1


@pytest.mark.parametrize("state", ["TIMEOUT", "NODE_FAIL", "PREEMPTED", "FAILED"])
def test_an_ended_allocation_is_replaced_at_no_charge(world, state):
    world.add()
    world.tick()
    world.write("1", "start")
    world.slurm.jobs["1"][0] = state
    assert world.tick(60) == []
    assert world.slurm.jobs["2"][0] == "PENDING"
    assert f"SLURM job 1 ended ({world.ledger('ended')[0]['cause']}), goes on in a new one" in world.said[-1]


def test_without_any_progress_it_stops_after_a_few(world):
    world.add()
    ended = []
    for number in range(1, FRUITLESS + 3):
        ended += world.tick(60)
        if str(number) in world.slurm.jobs:
            world.write(str(number), "start")
            world.slurm.jobs[str(number)][0] = "TIMEOUT"
    assert ended == [("train s/a-4/seed-1", Cause.TIMEOUT, "stop")]
    assert len(world.slurm.jobs) == FRUITLESS


def test_saved_progress_makes_it_go_on_for_ever(world):
    state = world.root / "state"
    world.add(state=str(state))
    for number in range(1, 3 * FRUITLESS):
        assert world.tick(60) == []
        world.write(str(number), "start")
        whole = state / f"checkpoint-{number}"
        whole.mkdir(parents=True)
        (whole / "complete.json").write_text("{}")
        world.slurm.jobs[str(number)][0] = "TIMEOUT"
    assert len(world.slurm.jobs) == 3 * FRUITLESS - 1


def test_out_of_memory_gets_twice_the_memory_once(world):
    world.add(need=Need(1, 3000, 60))
    world.tick()
    for number in ("1", "2"):
        world.write(number, "start")
        world.write(number, "end", exit=137)
        world.slurm.jobs[number][0] = "OUT_OF_MEMORY"
        ended = world.tick(60)
    assert "--mem=6000M" in world.slurm.jobs["2"][2]
    assert ended == [("train s/a-4/seed-1", Cause.OUT_OF_MEMORY, "stop")]
    assert world.ledger("ended")[-1]["message"].endswith("Lower something.")


def test_slurm_may_say_only_in_the_output_that_memory_ran_out(world):
    world.add(need=Need(1, 3000, 60))
    world.tick()
    world.write("1", "start")
    ticket = world.slurm.jobs["1"][1].split()[-1]
    world.folder.log_path(ticket).write_text(
        "slurmstepd-n1: error: StepId=1.0 exceeded memory limit (3 > 2), being killed"
    )
    world.slurm.jobs["1"][0] = "FAILED"
    world.tick(60)
    assert "--mem=6000M" in world.slurm.jobs["2"][2]


def test_more_memory_is_no_more_than_a_node_has(world):
    world.add(need=Need(1, 10000, 60))
    world.tick()
    for number in ("1", "2"):
        world.write(number, "start")
        world.slurm.jobs[number][0] = "OUT_OF_MEMORY"
        ended = world.tick(60)
    assert "--mem=16000M" in world.slurm.jobs["2"][2]
    assert ended == [("train s/a-4/seed-1", Cause.OUT_OF_MEMORY, "stop")]


def test_where_there_is_no_more_memory_the_setting_is_named_at_once(world):
    world.add(need=Need(1, 16000, 60))
    world.tick()
    world.write("1", "start")
    world.slurm.jobs["1"][0] = "OUT_OF_MEMORY"
    world.now += 60
    [(_, cause, decision)] = world.sweep.tick()
    assert (cause, decision.action) == (Cause.OUT_OF_MEMORY, "stop")
    assert decision.message == "ran out of memory with all that a node here has (16 GB). Lower something."


def test_a_cancelled_job_stops_its_cell(world):
    world.add()
    world.tick()
    world.write("1", "start")
    world.slurm.jobs["1"][0] = "CANCELLED"
    assert world.tick(60) == [("train s/a-4/seed-1", Cause.CANCELLED, "stop")]


def test_a_killed_rank_is_no_defect_whatever_the_other_node_says(world):
    world.add(need=Need(1, 1000, 60, nodes=2))
    world.tick()
    world.write("1", "start")
    world.write("1", "end", node=0, exit=1)  # its peer went away
    assert world.tick(10) == []
    world.write("1", "end", node=1, exit=137)
    world.slurm.jobs["1"][0] = "FAILED"
    assert world.tick(10) == []
    assert world.ledger("ended")[-1]["cause"] == "killed"
    assert "2" in world.slurm.jobs


def test_two_nodes_are_done_when_both_are(world):
    world.add(need=Need(1, 1000, 60, nodes=2))
    world.tick()
    for node in (0, 1):
        world.write("1", "start", node=node)
    world.write("1", "end", node=1, exit=0)
    assert world.tick(1) == []
    world.write("1", "end", node=0, exit=75)  # what all of them found: they were asked to stop
    assert world.tick(10) == []
    for node in (0, 1):
        world.write("1", "start", node=node, restart=1)
    world.write("1", "end", node=0, exit=0, restart=1)
    assert world.tick(1) == []
    world.write("1", "end", node=1, exit=0, restart=1)
    assert world.tick(1) == [("train s/a-4/seed-1", Cause.DONE, "done")]


def test_nothing_is_concluded_while_slurm_does_not_answer(world):
    world.add()
    world.tick()
    world.write("1", "start")
    world.slurm.down = True
    assert world.tick(10_000) == []
    assert len(world.slurm.jobs) == 1
    world.slurm.down = False
    assert world.tick(60) == []
    assert len(world.slurm.jobs) == 1


def test_a_job_that_slurm_forgot_is_submitted_again(world):
    world.add()
    world.tick()
    world.write("1", "start")
    world.slurm.jobs["1"][0] = None
    world.tick(60)
    world.tick(70)
    assert "2" in world.slurm.jobs
    assert world.ledger("ended")[0]["cause"] == "lost"


def test_small_predictions_share_jobs_and_large_ones_do_not(world):
    for k in range(40):
        world.add(f"predict s/a-4/seed-{k} valid 1", batchable=True, seconds=20.0)
    world.tick()
    sizes = [len(line["cells"]) for line in world.ledger("submitted")]
    assert sum(sizes) == 40
    assert all(START_SHARE * 20 * size >= START_SECONDS for size in sizes)
    for k in range(3):
        world.add(f"predict l/a-4/seed-{k} valid 1", batchable=True, seconds=3000.0)
    world.tick()
    assert [len(line["cells"]) for line in world.ledger("submitted")][len(sizes) :] == [1, 1, 1]


def test_predictions_of_unknown_length_share_a_few(world):
    for k in range(10):
        world.add(f"predict s/a-4/seed-{k} valid 1", batchable=True)
    world.tick()
    assert [len(line["cells"]) for line in world.ledger("submitted")] == [UNKNOWN_BATCH, UNKNOWN_BATCH, 2]


def test_of_a_batch_only_what_is_not_done_is_submitted_again(world):
    for k in range(3):
        world.add(f"predict s/a-4/seed-{k} valid 1", batchable=True, seconds=20.0)
    world.tick()
    world.write("1", "start", member=0)
    world.write("1", "end", member=0, exit=0)
    world.write("1", "start", member=1)
    world.write("1", "end", member=1, exit=1)
    assert world.tick(1) == [
        ("predict s/a-4/seed-0 valid 1", Cause.DONE, "done"),
        ("predict s/a-4/seed-1 valid 1", Cause.DEFECT, "stop"),
    ]
    world.slurm.jobs["1"][0] = "NODE_FAIL"
    assert world.tick(60) == []
    assert world.ledger("submitted")[-1]["cells"] == ["predict s/a-4/seed-2 valid 1"]


def test_limits_on_submission(tmp_path):
    world = World(tmp_path, submissions_per_minute=3, jobs_at_once=5)
    for k in range(9):
        world.add(f"train s/a-4/seed-{k}")
    world.tick()
    assert len(world.slurm.jobs) == 3
    world.tick(30)
    assert len(world.slurm.jobs) == 3
    world.tick(31)
    assert len(world.slurm.jobs) == 5
    world.tick(61)
    assert len(world.slurm.jobs) == 5


def test_the_longest_is_submitted_first(tmp_path):
    world = World(tmp_path, submissions_per_minute=2)
    for k, seconds in enumerate([10.0, 30.0, 20.0]):
        world.add(f"train s/a-4/seed-{k}", seconds=seconds)
    world.tick()
    assert [line["cells"] for line in world.ledger("submitted")] == [["train s/a-4/seed-1"], ["train s/a-4/seed-2"]]


def test_a_full_queue_is_tried_again_and_a_real_refusal_stops(world):
    world.add()
    world.slurm.refusal = "sbatch: error: QOSMaxSubmitJobPerUserLimit"
    assert world.tick() == []
    world.slurm.refusal = "sbatch: error: Invalid qos specification"
    assert world.tick(30) == []
    (ended,) = world.tick(31)
    assert ended[1:] == (Cause.BAD_INPUT, "stop")


def test_a_new_head_takes_over_live_jobs(world):
    world.add()
    world.tick()
    world.write("1", "start")
    world.new_head()
    assert world.sweep.adopt(world.task()) == "live"
    assert world.tick(20) == []
    world.write("1", "end", exit=0)
    assert world.tick(1) == [("train s/a-4/seed-1", Cause.DONE, "done")]
    assert len(world.slurm.jobs) == 1


def test_a_new_head_takes_over_what_ended_meanwhile(world):
    task = world.add()
    world.tick()
    world.write("1", "start")
    world.write("1", "end", exit=0)
    world.slurm.jobs["1"][0] = "COMPLETED"
    Path(task.member.outputs[0]).touch()
    world.new_head()
    assert world.sweep.adopt(world.task()) == "done"
    world.new_head()
    assert world.sweep.adopt(world.task()) is None  # it was seen to end: whoever asks again wants it again


def test_a_live_job_on_other_inputs_is_cancelled(world):
    world.add()
    world.tick()
    world.new_head()
    changed = world.task(stamp="y")
    assert world.sweep.adopt(changed) is None
    assert world.slurm.cancelled == ["1"]
    world.sweep.add(changed)
    world.tick(5)
    assert len(world.slurm.jobs) == 1  # not before the old one has had time to go
    world.tick(10)
    assert len(world.slurm.jobs) == 2


def test_a_live_batch_goes_on_for_the_sake_of_its_others(world):
    for k in range(2):
        world.add(f"predict s/a-4/seed-{k} valid 1", batchable=True, seconds=20.0)
    world.tick()
    world.new_head()
    assert world.sweep.adopt(world.task("predict s/a-4/seed-0 valid 1", stamp="y")) is None
    assert world.sweep.adopt(world.task("predict s/a-4/seed-1 valid 1")) == "live"
    assert world.slurm.cancelled == []


def test_a_head_does_not_start_while_slurm_is_silent(world):
    world.slurm.down = True
    with pytest.raises(InputError, match="its controller is down"):
        world.new_head()
