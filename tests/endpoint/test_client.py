"""The client against a server with every fault: each request is answered exactly once, or missing with its reason."""

from __future__ import annotations

import email.utils
import json
import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asking import number, request, settings
from faulty_server import KEY, Server, broken, closed, page, says, slowly, status

from growthpace.endpoint.client import Client
from growthpace.endpoint.failures import asked_to_wait
from growthpace.endpoint.requests import Request
from growthpace.errors import InputError

SECRET = KEY.encode()


def asked(folder: Path, behave, requests, check=number, **changes):
    """The results, and the server that gave them."""
    with Server(behave) as server:
        return Client(settings(server.url, **changes), folder).complete(requests, check), server


def right(body, _):
    return says(body["messages"][0]["content"].split()[-1])


def test_answers_come_in_the_order_of_the_requests_and_equal_ones_are_asked_once(tmp_path):
    requests = [request(f"say {n % 30}") for n in range(50)]
    results, server = asked(tmp_path, right, requests)
    assert [r.value for r in results] == [n % 30 for n in range(50)]
    assert server.requests == 30
    assert all(r.missing == "" and r.attempts == 1 and r.model == "judge-dated" for r in results)
    assert server.most_at_once <= 4


def test_what_is_known_is_not_asked_again(tmp_path):
    with Server(right) as server:
        first = Client(settings(server.url), tmp_path).complete([request("say 1")], number)
        again = Client(settings(server.url), tmp_path).complete([request("say 1")], number)
        assert again == first
        assert server.requests == 1
        Client(settings(server.url), tmp_path).complete([request("say 1", repeat=1)], number)
        Client(settings(server.url), tmp_path).complete([request("say 1", max_tokens=21)], number)
        assert server.requests == 3


@pytest.mark.parametrize(
    ("fault", "reason", "asked_again"),
    [
        (status(429, retry_after="0.01"), "HTTP 429", True),
        (status(500), "HTTP 500", True),
        (status(503, retry_after="0"), "HTTP 503", True),
        (slowly(3, says("7")), "timeout", True),
        (closed, "connection", True),
        (broken, "broken answer", True),
        (page, "broken answer", True),
        (says("seven"), "malformed", True),
        (says(None), "malformed", True),
        (says(None, refusal="I will not"), "refused", True),
        (says("7", finish="content_filter"), "refused", True),
        (says("7", finish="length"), "cut off", True),
        (status(400, error="content_filter"), "refused", False),
        (status(400, error="context_length_exceeded"), "too long", False),
    ],
)  # fmt: skip
def test_a_fault_is_tried_again_and_at_last_missing(tmp_path, fault, reason, asked_again):
    def behave(body, count):
        text = body["messages"][0]["content"]
        return fault if text == "never" or (text == "later" and count < 2) else says("7")

    names = ["never", "good", *(["later"] if asked_again else [])]
    results, server = asked(tmp_path, behave, [request(n) for n in names], retries=2, timeout=0.3)
    never, good, *later = results
    assert (never.value, never.missing, never.attempts) == (None, reason, 3 if asked_again else 1)
    assert (good.value, good.missing, good.attempts) == (7, "", 1)
    assert [(one.value, one.attempts) for one in later] == [(7, 3)][: len(later)]
    assert server.requests == (7 if asked_again else 2)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (status(400, "bad max_tokens"), "HTTP 400.*bad max_tokens"),
        (status(401), "HTTP 401: the key is wrong"),
        (status(403), "HTTP 403: the key may not"),
        (status(404, "no model x"), "HTTP 404: no such model or address.*no model x"),
        (status(422), "HTTP 422"),
        (status(429, error="insufficient_quota"), "out of money"),
    ],
)
def test_what_cannot_pass_ends_the_call_at_once_and_loses_no_answer(tmp_path, fault, words):
    def behave(body, _):
        text = body["messages"][0]["content"]
        return fault if text == "say 3" else says(text[4:])

    requests = [request(f"say {n}") for n in range(40)]
    with Server(behave) as server:
        with pytest.raises(InputError, match=words) as caught:
            Client(settings(server.url), tmp_path).complete(requests, number)
        assert server.url in str(caught.value)
        assert server.requests < 40
        kept = server.answers
        server.behave = right
        results = Client(settings(server.url), tmp_path).complete(requests, number)
        assert [r.value for r in results] == list(range(40))
        assert server.answers == 40  # what was answered before was not asked again
        assert kept >= 1


def test_every_mixture_of_faults_leaves_each_request_once(tmp_path):
    faults = [status(429, retry_after="0.005"), status(500), closed, broken, page, says("x"), says("1", "length"),
              says(None, refusal="no"), slowly(0.6, says("1"))]  # fmt: skip

    def behave(body, count):
        text = body["messages"][0]["content"]
        chance = random.Random(f"{text} {count}")
        return chance.choice(faults) if chance.random() < 0.6 else says(text[4:])

    requests = [request(f"say {n}") for n in range(60)]
    results, server = asked(tmp_path, behave, requests, retries=3, timeout=0.3, concurrency=8)
    assert len(results) == 60
    for n, result in enumerate(results):
        assert (result.value == n) != bool(result.missing)
    missing = sum(bool(r.missing) for r in results)
    assert 0 < missing < 30
    # Once more: what is answered stays, answers that are none are not paid for again.
    with Server(behave) as second:
        second.seen.update(server.seen)
        second.url = server.url  # names the same endpoint, which is gone: whatever asks fails
        again = Client(settings(server.url, retries=3), tmp_path).complete(requests, number)
    assert [(r.value, r.identity) for r in again if r.value is not None] == [
        (r.value, r.identity) for r in results if r.value is not None
    ]


def test_retry_after_holds_all_requests_back(tmp_path):
    def behave(body, count):
        text = body["messages"][0]["content"]
        return status(429, retry_after="1") if text == "say 0" and count == 0 else says(text[4:])

    results, server = asked(tmp_path, behave, [request(f"say {n}") for n in range(12)], concurrency=1)
    assert [r.value for r in results] == list(range(12))
    assert server.starts[1] - server.starts[0] >= 0.95


def test_the_forms_of_retry_after():
    later = email.utils.format_datetime(datetime.now(UTC) + timedelta(seconds=90))
    assert 80 < asked_to_wait({"retry-after": later}) <= 90
    for headers, seconds in (
        ({"retry-after": "7"}, 7), ({"retry-after": "0.5"}, 0.5), ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({}, 0), ({"retry-after": "soon"}, 0), ({"retry-after": "86400"}, 600), ({"retry-after": "-1"}, 0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
    ):  # fmt: skip
        assert asked_to_wait(headers) == seconds


def test_waits_double_and_are_the_same_every_time(tmp_path):
    with Server(right) as server:
        client = Client(settings(server.url, backoff=1.0), tmp_path)
    (one,) = client._replayed([request("say 1")], number).values()
    waits = []
    for one.tries in range(1, 12):
        waits.append(client._backoff(one))
    assert waits == [client._backoff(one) for one.tries in range(1, 12)]
    for tries, wait in enumerate(waits, start=1):
        assert min(60, 2 ** (tries - 1)) / 2 <= wait <= min(60, 2 ** (tries - 1))


# --- limits -----------------------------------------------------------------------------------------------------------


def test_requests_per_minute(tmp_path):
    results, server = asked(tmp_path, right, [request(f"say {n}") for n in range(8)], requests_per_minute=600)
    assert [r.value for r in results] == list(range(8))
    assert server.starts[-1] - server.starts[0] >= 0.65  # eight requests, a tenth of a second apart


@pytest.mark.parametrize("unit", ["tokens", "money"])
@pytest.mark.parametrize("concurrency", [1, 8])
def test_spending_stays_within_its_limit(tmp_path, unit, concurrency):
    """Prices of a million for a million tokens: money and tokens are the same number."""
    limit = {"most_tokens": 400} if unit == "tokens" else {"most_money": 400.0}
    prices = {"prompt_price": 1e6, "answer_price": 1e6}
    requests = [request(f"say {n}") for n in range(200)]

    def behave(body, _):
        return slowly(0.02, right(body, 0))

    with Server(behave) as server:
        client = Client(settings(server.url, concurrency=concurrency, **prices, **limit), tmp_path)
        with pytest.raises(InputError, match=f"limits.{unit}: 400 would be passed"):
            client.complete(requests, number)
        spent = server.prompt_tokens + server.answer_tokens
        assert 320 < spent <= 400
        assert client.ledger.refresh().tokens == spent
        assert client.ledger.spent.money == pytest.approx(spent)
        # The limit is the cache's: another process finds it used up.
        with pytest.raises(InputError, match="would be passed"):
            Client(settings(server.url, **prices, **limit), tmp_path).complete(requests, number)
        assert server.prompt_tokens + server.answer_tokens <= 400


def test_two_processes_pass_a_limit_by_no_more_than_what_is_in_flight(tmp_path):
    """Each sets aside what its own requests may take; what the other has in flight it cannot know."""
    limit, concurrency = 600, 4
    ends = []

    def work(name):
        client = Client(settings(server.url, most_tokens=limit, concurrency=concurrency), tmp_path)
        with pytest.raises(InputError, match="would be passed"):
            client.complete([request(f"say {n}{name}") for n in range(100)], number)
        ends.append(name)

    with Server(lambda body, _: slowly(0.02, right(body, 0))) as server:
        threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        assert len(ends) == 2
        in_flight = concurrency * (request("say 990").most_prompt_tokens + 20)
        assert limit - in_flight < server.prompt_tokens + server.answer_tokens <= limit + in_flight


def test_an_estimate_beyond_the_limit_is_refused_before_anything_is_asked(tmp_path):
    with Server(right) as server:
        prices = {"prompt_price": 1.0, "answer_price": 4.0}
        client = Client(settings(server.url, most_money=1e-6, **prices), tmp_path)
        estimate = client.estimate([request(f"say {n}") for n in range(3)], number)
        assert (estimate.requests, estimate.cached) == (3, 0)
        assert estimate.most.answer_tokens == 60
        assert estimate.most.money == pytest.approx((estimate.most.prompt_tokens + 4 * 60) / 1e6)
        with pytest.raises(InputError, match="so nothing was asked"):
            client.refuse_beyond_limits(estimate)
        assert server.requests == 0


def test_an_estimate_learns_from_what_answers_took(tmp_path):
    with Server(right) as server:
        client = Client(settings(server.url), tmp_path)
        client.complete([request(f"say {n}") for n in range(25)], number)
        estimate = client.estimate([request(f"say {n}") for n in range(20, 45)], number)
        assert (estimate.requests, estimate.cached) == (20, 5)
        assert estimate.likely.answer_tokens == 200  # ten each
        assert estimate.most.answer_tokens == 400
        assert estimate.likely.prompt_tokens < estimate.most.prompt_tokens
        assert estimate.spent.answer_tokens == 250


def test_an_endpoint_that_does_not_count_is_estimated_from_above(tmp_path):
    (result,), _ = asked(tmp_path, lambda body, _: says("7", usage=False), [request("say 7")])
    assert (result.value, result.answer_tokens) == (7, 20)


# --- the cache --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe", b"[]", b'{"answer": {}}', None])
def test_a_damaged_answer_is_set_aside_and_asked_again(tmp_path, damage):
    with Server(right) as server:
        Client(settings(server.url), tmp_path).complete([request("say 5")], number)
        (file,) = tmp_path.glob("??/*.json")
        text = file.read_bytes()
        file.write_bytes(text.replace(b'"text":"5"', b'"text":"6"') if damage is None else damage)
        (result,) = Client(settings(server.url), tmp_path).complete([request("say 5")], number)
        assert (result.value, server.requests) == (5, 2)
        assert file.with_suffix(".broken").exists()


def test_two_clients_share_a_folder(tmp_path):
    requests = [request(f"say {n}") for n in range(40)]
    with Server(lambda body, _: slowly(0.005, right(body, 0))) as server:
        found = {}

        def work(name):
            found[name] = Client(settings(server.url), tmp_path).complete(requests, number)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        assert [r.value for r in found[0]] == [r.value for r in found[1]] == list(range(40))
        assert len(list(tmp_path.glob("??/*.json"))) == 40
        lines = [json.loads(line) for line in (tmp_path / "spent.jsonl").read_text().splitlines()]
        assert len({line["identity"] for line in lines}) == len(lines) == 40


KILLED = """
import sys
sys.path[:0] = [sys.argv[3]]
from pathlib import Path
from asking import number, request, settings
from growthpace.endpoint.client import Client
requests = [request(f"say {n}") for n in range(60)]
Client(settings(sys.argv[1], concurrency=2), Path(sys.argv[2])).complete(requests, number)
"""


def test_a_killed_process_loses_no_paid_answer(tmp_path):
    with Server(lambda body, _: slowly(0.02, right(body, 0))) as server:
        here = str(Path(__file__).parent)
        for number_of_kill in range(3):
            process = subprocess.Popen([sys.executable, "-c", KILLED, server.url, str(tmp_path), here])
            before, deadline = server.answers, time.monotonic() + 60
            while server.answers < before + 10 and time.monotonic() < deadline:
                time.sleep(0.005)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            time.sleep(0.1)
            kept = len(list(tmp_path.glob("??/*.json")))
            # Two were in flight at most, each time.
            assert server.answers - kept <= 2 * (number_of_kill + 1)
        answered = server.answers
        results = Client(settings(server.url), tmp_path).complete([request(f"say {n}") for n in range(60)], number)
        assert [r.value for r in results] == list(range(60))
        assert server.answers == answered + 60 - kept
        client = Client(settings(server.url), tmp_path)
        assert client.ledger.spent.answer_tokens == 600  # the ledger too is whole


def test_a_ledger_that_was_torn_or_lost_is_made_up_for(tmp_path):
    with Server(right) as server:
        Client(settings(server.url), tmp_path).complete([request(f"say {n}") for n in range(5)], number)
        ledger = tmp_path / "spent.jsonl"
        whole = Client(settings(server.url), tmp_path).ledger.spent
        ledger.write_bytes(ledger.read_bytes()[:-20])
        assert Client(settings(server.url), tmp_path).ledger.spent == whole
        ledger.unlink()
        assert Client(settings(server.url), tmp_path).ledger.spent == whole


# --- the key ----------------------------------------------------------------------------------------------------------


def test_the_key_is_nowhere(tmp_path, caplog, capfd):
    """Not in files, logs, output, messages or representations, even where the endpoint repeats it."""
    caplog.set_level(logging.DEBUG)
    echo = says(f"7 {KEY}")
    results, _ = asked(tmp_path, lambda body, n: echo, [request("a")], check=lambda r, text: text)
    assert results[0].value == "7 ***"
    with Server(lambda body, n: status(500, f"your key {KEY}")) as server:
        (result,) = Client(settings(server.url, retries=0), tmp_path).complete([request("b")], number)
        assert "***" in result.detail
    with Server(right, key="another") as server:
        with pytest.raises(InputError, match="HTTP 401") as caught:
            Client(settings(server.url), tmp_path).complete([request("c")], number)
        client = Client(settings(server.url), tmp_path)
    said = [str(caught.value), repr(client.settings), caplog.text, *capfd.readouterr(), *map(str, results)]
    assert not any(KEY in text for text in said)
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not any(SECRET in content for content in files)


def test_an_identity_is_of_everything_that_is_sent():
    one = request("x")
    known = {one.identity("http://a/v1", 1)}
    others = [
        Request("another name", one.body),
        Request("x", one.body, repeat=1),
        Request("x", {**one.body, "temperature": 1}),
        Request("x", {**one.body, "messages": [{"role": "user", "content": "y"}]}),
    ]
    assert others[0].identity("http://a/v1", 1) in known  # a name is not sent
    more = {other.identity("http://a/v1", 1) for other in others[1:]}
    more |= {one.identity("http://b/v1", 1), one.identity("http://a/v1", 2)}
    assert len(more | known) == 6
