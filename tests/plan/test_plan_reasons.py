"""Plain words for what Snakemake says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snakemake.persistence import ParamsChange

from growthpace.plan.dry_run import Job
from growthpace.plan.reasons import CUT_OFF, MISSING, Reasons, changed_params, parts
from small_study import study_of

PREFIX = "Params have changed since last execution: "
values = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=20)
settings = st.dictionaries(st.from_regex(r"\A[a-z_]{1,8}\Z"), values, max_size=4)


@given(settings, settings)
def test_changed_settings_survive_snakemakes_text(old, new):
    if not old and not new:
        return
    change = ParamsChange(
        only_old={repr(f"{k}={v}") for k, v in old.items()}, only_new={repr(f"{k}={v}") for k, v in new.items()}
    )
    expected = {key: (old.get(key), new.get(key)) for key in {*old, *new}}
    assert changed_params(f"{PREFIX}{change}") == expected


def test_a_setting_that_was_not_set_before():
    text = str(ParamsChange(only_old={"None"}, only_new={repr("total=4")}))
    assert changed_params(PREFIX + text) == {"total": (None, "4")}


def test_a_text_of_another_form_is_no_change():
    assert changed_params(PREFIX + "something new") is None


def test_parts_of_a_reason():
    text = "Missing output files: a, b; Input files updated by another job: c; Code has changed since last execution"
    assert parts(text) == [
        "Missing output files: a, b",
        "Input files updated by another job: c",
        "Code has changed since last execution",
    ]


def job(rule: str, output: str, reason: str, inputs=(), **wildcards: str) -> Job:
    return Job(rule, wildcards, list(inputs), [output], reason, {}, 1)


def follows(*files: str) -> str:
    return f"Input files updated by another job: {', '.join(files)}"


@pytest.fixture
def reasons():
    change = ParamsChange({repr("learning_rate=1e-05"), repr("betas=[0.9, 0.95]")}, {repr("learning_rate=2e-05"),
                          repr("betas=[0.9, 0.99]")})  # fmt: skip
    run = {"model": "s", "dataset": "curated-4", "seed": "1"}
    jobs = [
        job("spec_run", "spec", f"{PREFIX}{change}", **run),
        job("train", "weights", follows("spec"), ["spec"], **run),
        job("predict", "answers", follows("weights"), ["weights"], **run, suite="test", epoch="1"),
        job("predict", "new answers", f"Missing output files: new answers; {follows('weights')}", ["weights"], **run),
        job("grade", "grades", follows("answers", "new answers"), ["answers", "new answers"], **run),
        job("pool", "pool", "Updated input files: items/a.json", ["items/a.json"], source="curated", ability="a"),
        job("audit", "audit", f"Incomplete output files: audit; {follows('pool')}", ["pool"]),
        job("figure", "figure", "Forced execution"),
    ]
    return Reasons(study_of(), jobs, {"figure": "because"})


CHANGED = {"training.betas: [0.9, 0.95] -> [0.9, 0.99]", "training.learning_rate: 1e-05 -> 2e-05"}


def test_causes_are_followed_back(reasons):
    assert reasons.causes(0) == CHANGED
    assert reasons.causes(1) == CHANGED
    assert reasons.causes(2) == CHANGED
    assert reasons.causes(3) == {MISSING}  # it was never made, whatever else changed
    assert reasons.causes(4) == {*CHANGED, MISSING}
    assert reasons.causes(5) == {"items/a.json has changed"}
    assert reasons.causes(6) == {CUT_OFF}
    assert reasons.causes(7) == {"because"}


def test_a_chain_leads_to_what_changed(reasons):
    chain = reasons.chain(4)
    assert [step.rule for step, _ in chain] == ["grade", "predict", "train", "spec_run"]
    assert set(chain[-1][1]) == CHANGED
