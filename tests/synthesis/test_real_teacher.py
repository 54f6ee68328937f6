"""The teacher's path against a real OpenAI-compatible server: `transformers serve` with models of two kinds.

One was made to answer every prompt with the same instructions, the other is random and never gives any.
"""

from __future__ import annotations

import importlib.util
import os

import pytest
from teachers import lines_of, ready
from test_real_server import save_judge, save_random, serving

from growthpace.errors import InputError
from growthpace.synthesis.stage import synthesise

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.skipif(
        not importlib.util.find_spec("fastapi") and "CI" not in os.environ, reason="needs transformers[serving]"
    ),
]
SAID = '{"instructions":[{"instruction":"Say_why the_river is_wide."}]}'


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The URL of the server and the folders of its two models."""
    folder = tmp_path_factory.mktemp("served")
    models = save_judge(folder / "writer", SAID.replace(" ", "_")), save_random(folder / "random")
    with serving(folder / "log") as url:
        yield url, *models


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


SETTINGS = {"per_request": 1, "seed_items": 4, "examples": 1, "most_similar": 1.0, "most_overlap": 1.0}


def test_a_real_server_writes_and_answers(tmp_path, server):
    url, writer, _ = server
    teacher = {"model": str(writer), "key_variable": None, "answer_format": "text"}
    study, paths = ready(tmp_path, url, teacher=teacher, validation="none", volume=1, **SETTINGS)
    lines = []
    synthesise(study, "synthetic", paths, lines.append)
    (row,) = lines_of(paths)
    assert row["messages"][0]["content"] == "Say_why_the_river_is_wide."
    assert row["provenance"]["teacher"]
    before = paths.synthetic("synthetic").read_bytes()
    synthesise(study, "synthetic", paths, lines.append)
    assert paths.synthetic("synthetic").read_bytes() == before
    assert any("1 of 1 items are there; 0 requests to send" in line for line in lines)


def test_nonsense_is_dropped_and_the_teacher_given_up(tmp_path, server):
    url, _, other = server
    teacher = {"model": str(other), "key_variable": None, "answer_format": "text", "max_tokens": 8}
    study, paths = ready(tmp_path, url, teacher=teacher, volume=2, overdraw=2.0, **SETTINGS)
    with pytest.raises(InputError, match=r"given up: 0 of 2 for general \(dropped most: .*(malformed|cut off)"):
        synthesise(study, "synthetic", paths, lambda line: None)
    assert not paths.synthetic("synthetic").exists()
