"""The Batch API against a server that follows its documentation, with losses, faults and killed processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from asking import number, request, settings
from faulty_server import KEY, Server, says, status
from test_client import right

from growthpace.endpoint.client import Client
from growthpace.errors import InputError


def client_of(server, folder, **changes):
    return Client(settings(server.url, batch=True, **changes), folder)


def test_a_batch_answers_each_request_once_and_fills_the_same_cache(tmp_path):
    requests = [request(f"say {n}") for n in range(30)]
    with Server(right) as server:
        results = client_of(server, tmp_path).complete(requests, number)
        assert [r.value for r in results] == list(range(30))
        assert (len(server.batches), server.answers) == (1, 30)
        one_by_one = Client(settings(server.url), tmp_path).complete(requests, number)
        assert one_by_one == results
        assert server.answers == 30
        assert not list((tmp_path / "batches").glob("*.json"))
        assert KEY.encode() not in b"".join(server.files.values())


def test_lost_lines_errors_and_answers_that_are_none_are_asked_in_another_batch(tmp_path):
    def behave(body, count):
        text = body["messages"][0]["content"]
        first = {"say 1": status(429), "say 2": status(500), "say 3": says("x"), "say 4": says("4", "length")}
        return first[text] if count == 0 and text in first else says("x") if text == "say 5" else right(body, 0)

    requests = [request(f"say {n}") for n in range(10)]
    with Server(behave) as server:
        server.lost_lines = 2
        results = client_of(server, tmp_path, retries=2).complete(requests, number)
        assert [r.value for r in results] == [0, 1, 2, 3, 4, None, 6, 7, 8, 9]
        assert (results[5].missing, results[5].attempts) == ("malformed", 3)
        assert len(server.batches) == 3


def test_what_is_wrong_with_every_request_ends_the_call(tmp_path):
    def behave(body, n):
        return status(404, "no such model") if "9" in body["messages"][0]["content"] else right(body, n)

    with Server(behave) as server:
        for tries in (1, 2):  # nor does an old batch stand in the way of a new one
            with pytest.raises(InputError, match=r"HTTP 404.*no such model"):
                client_of(server, tmp_path).complete([request(f"say {n}") for n in range(10)], number)
            assert (server.answers, len(server.batches)) == (9, tries)
    with Server(right) as server:
        client = client_of(server, tmp_path, most_tokens=50)
        with pytest.raises(InputError, match=r"limits\.tokens"):
            client.complete([request(f"say {n}") for n in range(10)], number)
        assert not server.files
    with Server(right, key="another") as server, pytest.raises(InputError, match="HTTP 401"):
        client_of(server, tmp_path).complete([request("say 1")], number)


def test_a_batch_that_is_refused_as_a_whole(tmp_path):
    with Server(right) as server:
        look = server.look

        def refused(name):
            errors = {"object": "list", "data": [{"code": "limit", "message": "too many enqueued tokens"}]}
            return {**look(name), "status": "failed", "errors": errors}

        server.look = refused
        with pytest.raises(InputError, match=r"was refused .*too many enqueued tokens"):
            client_of(server, tmp_path).complete([request("say 1")], number)
        server.look = look
        (result,) = client_of(server, tmp_path).complete([request("say 1")], number)
        assert result.value == 1


KILLED = """
import sys
sys.path[:0] = [sys.argv[3]]
from pathlib import Path
from asking import number, request, settings
from growthpace.endpoint.client import Client
requests = [request(f"say {n}") for n in range(20)]
Client(settings(sys.argv[1], batch=True), Path(sys.argv[2])).complete(requests, number)
"""


@pytest.mark.parametrize("moment", ["uploaded", "made", "waiting"])
def test_a_killed_process_pays_for_no_batch_twice(tmp_path, moment):
    """Killed after the upload, after the batch was made but before its id was known, and while it waits."""
    with Server(right) as server:
        reached = []
        make, look, upload = server.make_batch, server.look, server.upload

        def hold(when, result):
            if when == moment and not reached:
                reached.append(when)
                server.over.wait(30)
            return result

        server.make_batch = lambda wanted: hold("made", make(wanted))
        server.upload = lambda content: hold("uploaded", upload(content))
        server.look = lambda name: hold("waiting", look(name))
        here = str(Path(__file__).parent)
        process = subprocess.Popen([sys.executable, "-c", KILLED, server.url, str(tmp_path), here])
        deadline = time.monotonic() + 60
        while not reached and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert reached == [moment]
        (note,) = (tmp_path / "batches").glob("*.json")
        assert json.loads(note.read_text())["batch"] == ("batch-0" if moment == "waiting" else None)
        results = client_of(server, tmp_path).complete([request(f"say {n}") for n in range(20)], number)
        assert [r.value for r in results] == list(range(20))
        assert len(server.batches) == 1
        assert server.answers == 20


def test_passing_errors_of_the_batch_api_are_waited_out(tmp_path):
    with Server(right) as server:
        look, failures = server.look, [True, True]

        def shaky(name):
            if failures:
                failures.pop()
                raise ConnectionResetError
            return look(name)

        server.look = shaky
        (result,) = client_of(server, tmp_path).complete([request("say 1")], number)
        assert result.value == 1
