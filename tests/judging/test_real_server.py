"""The judge against a real OpenAI-compatible server: `transformers serve` with models of two kinds.

One was made to answer every prompt with a verdict, the other is random and never gives one.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from judged import RUN, make_item, ready, said, scored

from growthpace.errors import InputError
from growthpace.evaluation.judgements import read_judgements
from growthpace.judging.stage import judge_suite
from tiny import CHAT_TEMPLATE, make_model, make_tokenizer

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.skipif(
        not importlib.util.find_spec("fastapi") and "CI" not in os.environ, reason="needs transformers[serving]"
    ),
]
ITEMS = [make_item(f"item-{n}", f"w{n} w{n + 1}") for n in range(3)]
PREDICTIONS = [said(f"item-{n}", f"w{n + 2}") for n in range(3)]
VERDICT = scored(4).replace(" ", "")


def save_judge(folder: Path, said: str = VERDICT) -> Path:
    """A model whose answer to every prompt is one token, which is a verdict, or another text without spaces.

    Its layers add nothing, embeddings are unit vectors, and its head follows `<assistant>` with the verdict and that
    with the end.
    """
    tokenizer = make_tokenizer(chat_template=CHAT_TEMPLATE)
    tokenizer.add_tokens([said])
    names = ("<assistant>", said, "<eos>")
    assistant, verdict, end = tokenizer.convert_tokens_to_ids(list(names))
    model = make_model(tokenizer, hidden_size=64, max_position_embeddings=2048)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.model.embed_tokens.weight.copy_(torch.eye(len(tokenizer), 64))
        model.lm_head.weight.zero_()
        model.lm_head.weight[verdict, assistant] = 1
        model.lm_head.weight[end, verdict] = 1
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_random(folder: Path) -> Path:
    """A model that says words at random."""
    tokenizer = make_tokenizer(chat_template=CHAT_TEMPLATE)
    make_model(tokenizer, max_position_embeddings=2048).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@contextmanager
def serving(log_path: Path):
    """`transformers serve` on a free port; gives its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [Path(sys.executable).parent / "transformers", "serve", "--device", "cpu", "--host", "127.0.0.1"]
    with open(log_path, "wb") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port)], stdout=log, stderr=log, env={**os.environ, "HF_HUB_OFFLINE": "1"}
        )
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
                break
            except (OSError, urllib.error.URLError):
                assert process.poll() is None, log_path.read_text()[-2000:]
                assert time.monotonic() < deadline, log_path.read_text()[-2000:]
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The URL of the server and the folders of its two models."""
    folder = tmp_path_factory.mktemp("served")
    judge, other = save_judge(folder / "judge"), save_random(folder / "random")
    with serving(folder / "log") as url:
        yield url, judge, other


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def nobody(line):
    pass


@pytest.mark.parametrize("answer_format", ["text", "json_schema"])
def test_verdicts_of_a_real_server(tmp_path, server, answer_format):
    url, judge, _ = server
    settings = {"model": str(judge), "key_variable": None, "answer_format": answer_format, "second_pass": 1.0}
    lines = []
    study, paths = ready(tmp_path, url, ITEMS, PREDICTIONS, **settings)
    found = judge_suite(study, RUN, "open", 0, paths, lines.append)
    verdicts = read_judgements(paths.judgements(RUN, "open", 0))
    assert [verdict.score for verdict in verdicts] == [4] * 6
    assert all(verdict.reasoning == "because" and verdict.attempts == 1 for verdict in verdicts)
    assert all(verdict.prompt_tokens > 50 and verdict.answer_tokens >= 1 for verdict in verdicts)
    assert found["agreement"]["same"]["share"] == 1
    judge_suite(study, RUN, "open", 0, paths, lines.append)
    assert any("0 requests to send (6 are answered already)" in line for line in lines)


def test_a_model_that_gives_no_verdict_is_an_error_in_the_end(tmp_path, server):
    url, _, other = server
    study, paths = ready(tmp_path, url, ITEMS, PREDICTIONS, model=str(other), key_variable=None, max_tokens=8)
    with pytest.raises(InputError, match=r"not one of 3 requests was answered \((malformed|cut off)"):
        judge_suite(study, RUN, "open", 0, paths, nobody)


def test_a_model_that_the_server_does_not_have(tmp_path, server):
    url, _, _ = server
    study, paths = ready(tmp_path, url, ITEMS, PREDICTIONS, model="nobody/nothing", key_variable=None, retries=0)
    with pytest.raises(InputError, match=url):
        judge_suite(study, RUN, "open", 0, paths, nobody)
    wrong, _ = ready(tmp_path, url.removesuffix("/v1"), ITEMS, PREDICTIONS, model="x", key_variable=None)
    with pytest.raises(InputError, match="HTTP 404"):
        judge_suite(wrong, RUN, "open", 0, paths, nobody)
