import pytest
from hypothesis import given
from hypothesis import strategies as st

from growthpace.cluster.attempts import FREE, FRUITLESS, Cause, History, cause_of, decide


@pytest.mark.parametrize(
    ("exit_code", "state", "cause"),
    [
        (0, "COMPLETED", Cause.DONE),
        (0, "PREEMPTED", Cause.DONE),  # it was done before
        (1, "FAILED", Cause.DEFECT),
        (139, "FAILED", Cause.DEFECT),  # a crash of the interpreter comes again
        (2, "FAILED", Cause.BAD_INPUT),
        (75, "FAILED", Cause.STOPPED),  # saved within the grace time
        (75, "PREEMPTED", Cause.PREEMPTED),
        (75, "TIMEOUT", Cause.TIMEOUT),
        (75, "CANCELLED", Cause.CANCELLED),
        (143, "CANCELLED", Cause.CANCELLED),
        (76, "FAILED", Cause.BUSY),
        (77, "FAILED", Cause.OUT_OF_MEMORY),
        (78, "FAILED", Cause.NO_SPACE),
        (137, "OUT_OF_MEMORY", Cause.OUT_OF_MEMORY),
        (137, "FAILED", Cause.KILLED),
        (None, "NODE_FAIL", Cause.NODE_FAILURE),
        (None, "OUT_OF_MEMORY", Cause.OUT_OF_MEMORY),
        (None, "FAILED", Cause.KILLED),
        (None, "TIMEOUT", Cause.TIMEOUT),
        (None, None, Cause.LOST),
    ],
)
def test_the_cause_is_read_from_exit_code_and_state(exit_code, state, cause):
    assert cause_of(exit_code, state) == cause


@given(st.lists(st.sampled_from(sorted(FREE)), max_size=50))
def test_interruptions_that_leave_progress_are_free_however_many(causes):
    history = History()
    for cause in causes:
        decision = decide(cause, history, progress=True)
        assert decision.action == "again"
        assert decision.memory_factor == 1
        history = decision.history


@given(st.lists(st.tuples(st.sampled_from(sorted(FREE)), st.booleans()), max_size=40))
def test_interruptions_without_progress_stop_after_a_few_in_a_row(attempts):
    history, fruitless = History(), 0
    for cause, progress in attempts:
        decision = decide(cause, history, progress)
        fruitless = 0 if progress else fruitless + 1
        assert (decision.action == "stop") == (fruitless >= FRUITLESS)
        if decision.action == "stop":
            assert "max_hours" in decision.message
            return
        history = decision.history


def test_memory_is_given_once_then_the_setting_is_named():
    first = decide(Cause.OUT_OF_MEMORY, History(), progress=False, advice="Lower training.microbatch_tokens")
    assert (first.action, first.memory_factor) == ("again", 2.0)
    between = decide(Cause.PREEMPTED, first.history, progress=True)
    second = decide(Cause.OUT_OF_MEMORY, between.history, progress=True, advice="Lower training.microbatch_tokens")
    assert second.action == "stop"
    assert "training.microbatch_tokens" in second.message


@pytest.mark.parametrize("cause", [Cause.DEFECT, Cause.BAD_INPUT, Cause.CANCELLED, Cause.NO_SPACE])
def test_what_would_come_again_stops_at_once(cause):
    decision = decide(cause, History(), progress=True)
    assert decision.action == "stop"
    assert decision.message


def test_a_busy_state_is_waited_for():
    assert decide(Cause.BUSY, History(fruitless=2), progress=False).delay_seconds == 60
