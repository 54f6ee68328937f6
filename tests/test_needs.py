"""What the workflow's jobs ask for."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from growthpace.needs import Needs
from growthpace.paths import Paths
from test_planning import study_with

AGAIN, HOST = "set training.gradient_checkpointing: true", "set training.offload: false"


@pytest.mark.parametrize(
    ("recipe", "named"),
    [
        ({"gradient_checkpointing": True}, []),
        ({"gradient_checkpointing": False}, [AGAIN]),
        ({"gradient_checkpointing": "auto"}, [AGAIN]),  # an estimate, which was wrong then
        ({"gradient_checkpointing": True, "distribution": "zero2", "offload": True}, [HOST]),
    ],
)
def test_advice_on_memory_names_only_what_would_change_something(recipe, named):
    study = study_with(recipe)
    advice = Needs(study, Paths(study), None).memory_advice("train", SimpleNamespace(model="s"))
    assert advice.startswith("Lower training.microbatch_tokens, ")
    assert advice.endswith(", or raise models.s.processes with training.distribution: zero3")
    assert [way for way in (AGAIN, HOST) if way in advice] == named


def test_advice_on_memory_of_other_jobs():
    study = study_with()
    needs = Needs(study, Paths(study), None)
    predict = SimpleNamespace(model="s", suite="valid")
    assert needs.memory_advice("predict", predict) == "Lower suites.valid.max_new_tokens"
    assert "site's file" in needs.memory_advice("base_model", SimpleNamespace(model="s"))
