"""What a teacher costs is told before anything is asked."""

import pytest
from faulty_server import KEY, Server
from teachers import content, good, ready

from growthpace.checks import check_study
from growthpace.cli import app
from growthpace.study import load_study
from growthpace.synthesis.stage import synthesise
from small_study import write_items, write_study


def test_a_check_counts_on_the_items_and_tells_their_cost(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_items(tmp_path)
    prices = {"prices": {"prompt": 1.0, "answer": 4.0}}
    config = write_study(tmp_path, content(prices, validation="none"))
    found = check_study(load_study(config))
    assert found["items"]["sources.synthetic/general"] == 16
    cost = found["asking"]["sources.synthetic"]
    assert (cost["who"], cost["requests"], cost["answer_tokens"]) == ("teacher", 6 + 18, 24 * 200)
    assert cost["money"] == pytest.approx((cost["prompt_tokens"] + 4 * 24 * 200) / 1e6)
    with pytest.raises(SystemExit):
        app(["check", str(config)])
    assert "sources.synthetic: 24 requests to the teacher, if nothing is dropped, at most" in capsys.readouterr().out
    twice = check_study(load_study(write_study(tmp_path, content(labelled=True))))["asking"]["sources.synthetic"]
    assert (twice["requests"], twice["money"]) == (2 * (3 + 18), None)  # two abilities, two answers each, no prices


def test_what_is_told_at_first_is_what_a_check_tells_and_then_what_is_left(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TEACHER_KEY", KEY)
    with Server(good()) as server:
        study, paths = ready(tmp_path, server.url)
        lines = []
        cost = check_study(study)["asking"]["sources.synthetic"]
        synthesise(study, "synthetic", paths, lines.append, dry_run=True)
        assert f"{cost['requests']:,} requests to send (0 are answered already)" in lines[0]
        assert f"at most {cost['prompt_tokens']:,} + {cost['answer_tokens']:,} tokens" in lines[0]
        synthesise(study, "synthetic", paths, lines.append)
        assert server.requests == 6 + 2 * 18  # as foreseen, as nothing was dropped
        more, _ = ready(tmp_path, server.url, volume=19)
        lines.clear()
        synthesise(more, "synthetic", paths, lines.append, dry_run=True)
        # two items beyond the sixteen are there already
        assert "18 of 19 items are there; 7 requests to send (0 are answered already): likely" in lines[0]
