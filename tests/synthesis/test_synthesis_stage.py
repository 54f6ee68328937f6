"""A teacher's items as files: what is asked, kept, dropped, paid for once, and never lost."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
from faulty_server import KEY, Server, broken, closed, page, says, slowly, status
from teachers import asked_instruction, content, drafts, good, good_answer, lines_of, question, ready, writes

from growthpace.cli import app
from growthpace.data.pools import make_pool, pool_items
from growthpace.endpoint import opening
from growthpace.errors import InputError
from growthpace.files import read_json
from growthpace.study import load_study
from growthpace.synthesis.stage import synthesise
from small_study import write_study


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TEACHER_KEY", KEY)


def nobody(line):
    pass


def cached(paths):
    """Number of answers that are kept."""
    return len(list(paths.asked_teacher("synthetic").glob("??/*.json")))


def files_of(paths):
    return [paths.synthetic("synthetic").with_suffix(end).read_bytes() for end in (".jsonl", ".json", ".md")]


def test_items_are_written_with_where_they_come_from(tmp_path):
    lines = []
    with Server(good()) as server:
        study, paths = ready(tmp_path, server.url)
        summary = synthesise(study, "synthetic", paths, lines.append)
        rows = lines_of(paths)
        assert len(rows) == 16
        first = rows[0]["provenance"]
        assert (first["teacher"], first["host"], first["checked"]) == (
            "teacher-dated",
            "127.0.0.1",
            "two answers agree",
        )
        assert first["topic"] in ("rivers", "trade", "machines")
        assert len(first["seeds"]) == len(first["answers"]) == 2
        assert time.strftime("%Y-") == first["date"][:5]
        assert len({row["id"] for row in rows}) == 16
        assert {row["provenance"]["topic"] for row in rows} == {"rivers", "trade", "machines"}
        items = list(pool_items(study, "synthetic", "general", paths=paths))
        assert [item.id for item in items] == [row["id"] for row in rows]
        assert all(item.messages[-1].content == item.answer and item.answer in "ABCD" for item in items)
        assert make_pool(study, "synthetic", "general", paths) == 16
        assert summary["abilities"][0]["kept"] == 16
        before, asked = files_of(paths), server.requests
        synthesise(study, "synthetic", paths, lines.append)
        assert (server.requests, files_of(paths)) == (asked, before)
    assert any("16 of 16 items are there; 0 requests to send" in line for line in lines)
    assert "to send (0 are answered already): likely" in lines[0]


def test_more_items_keep_those_of_a_smaller_volume_and_ask_for_the_rest_alone(tmp_path):
    with Server(good()) as server:
        small, paths = ready(tmp_path / "a", server.url, volume=16)
        synthesise(small, "synthetic", paths, nobody)
        few = lines_of(paths)
        asked = server.requests
        large, _ = ready(tmp_path / "a", server.url, volume=40)
        synthesise(large, "synthetic", paths, nobody)
        many = lines_of(paths)
        assert many[:16] == few
        assert len(many) == 40
        assert asked < server.requests == cached(paths)  # nothing was asked twice
        total = server.requests
        synthesise(small, "synthetic", paths, nobody)  # back again: everything is known
        assert (lines_of(paths), server.requests) == (few, total)


def test_the_order_of_arrival_means_nothing(tmp_path):
    """The same answers give the same bytes, whenever they came: here all from the cache, and first in any order."""

    def behave(body, count):
        text = json.dumps([body, count])
        return slowly(random.Random(text).random() / 50, good()(body, count))

    with Server(behave) as server:
        study, paths = ready(tmp_path, server.url, teacher={"concurrency": 8}, volume=60)
        synthesise(study, "synthetic", paths, nobody)
        found, asked = files_of(paths), server.requests
        other, _ = ready(tmp_path, server.url, teacher={"concurrency": 1, "retries": 9}, volume=60, overdraw=9.0)
        paths.synthetic("synthetic").unlink()
        synthesise(other, "synthetic", paths, nobody)
        assert (files_of(paths), server.requests) == (found, asked)


def test_labelled_sources_have_their_items_for_each_ability(tmp_path):
    with Server(good()) as server:
        study, paths = ready(tmp_path, server.url, labelled=True)
        synthesise(study, "synthetic", paths, nobody)
        for ability in ("biology", "history"):
            items = list(pool_items(study, "synthetic", ability, paths=paths))
            assert len(items) == 8
            assert {(i.ability, i.scorer, i.candidates, i.chance) for i in items} == {
                (ability, "letter", tuple("ABCD"), 0.25)
            }
        bodies = [json.loads(body) for body in server.seen]
        assert any("what they train is: biology" in body["messages"][0]["content"] for body in bodies)
        others = [b for b in bodies if writes(b) and "train is: biology" in str(b) and "curated history" in str(b)]
        assert not others  # nor are another's seeds shown


def test_each_reason_is_counted(tmp_path):
    """A teacher that does everything wrong now and then."""
    kinds = ("good", "differs", "refuses", "unclear", "cut", "short", "seed", "options", "empty", "image", "malformed")

    def behave(body, count):
        if writes(body):
            number = behave.number = getattr(behave, "number", -1) + 1
            kind = kinds[number % len(kinds)]
            texts = {
                "short": "Why?",
                "seed": "curated biology 3?\nA. one\nB. two\nC. three\nD. four",
                "options": question(f"{kind} {number}", 3),
                "image": f"Look at the picture below. {question(f'{kind} {number}')}",
            }
            if kind == "malformed":
                return says("I would rather not.")
            return says(drafts(texts.get(kind, f"{kind}: " + question(f"{kind} {number}"))))
        text = asked_instruction(body)
        kind = text.split(":")[0]
        if kind == "differs":
            return says("AB"[behave.turn(body)])
        return {
            "refuses": says("I'm sorry, but I cannot help with that."),
            "unclear": says("It could be any of them."),
            "cut": says("A because", finish="length"),
            "empty": says("  "),
        }.get(kind, says(good_answer(body)))

    turns = {}

    def turn(body):
        text = asked_instruction(body)
        turns[text] = turns.get(text, -1) + 1
        return turns[text] % 2

    behave.turn = turn
    with Server(behave) as server:
        study, paths = ready(tmp_path, server.url, per_request=1, overdraw=20.0, teacher={"concurrency": 1})
        found = synthesise(study, "synthetic", paths, nobody)["abilities"][0]
    assert found["kept"] == 16
    assert found["dropped"] == {
        "about something that is not in it": 15, "other options than the examples have": 15,
        "the answer is cut off": 15, "the answer is empty": 15,
        "the answer refuses": 15, "the scorer does not understand the answer": 15,
        "too short": 15, "too similar to a seed (ROUGE-L)": 15, "two answers differ": 15,
    }  # fmt: skip
    assert found["requests_without_instructions"] == {"malformed": 15}
    page = paths.synthetic("synthetic").with_suffix(".md").read_text()
    assert "| general | 16 | 151 |" in page


def test_every_mixture_of_faults_leaves_each_item_once_or_missing(tmp_path):
    faults = [status(429, retry_after="0.005"), status(500), closed, broken, page, slowly(0.6, says("A"))]

    def behave(body, count):
        chance = random.Random(json.dumps([body, count, writes(body)]))
        return chance.choice(faults) if chance.random() < 0.5 else good()(body, count)

    with Server(behave) as server:
        settings = {"retries": 2, "timeout": 0.3, "concurrency": 8}
        study, paths = ready(tmp_path, server.url, volume=30, teacher=settings, overdraw=10.0)
        found = synthesise(study, "synthetic", paths, nobody)["abilities"][0]
        rows = lines_of(paths)
        assert len(rows) == len({row["id"] for row in rows}) == 30
        places = [(row["provenance"]["request"], row["provenance"]["position"]) for row in rows]
        assert places == sorted(set(places))
        missing = found["requests_without_instructions"] | found["dropped"]
        assert any("HTTP" in reason or "timeout" in reason or "connection" in reason for reason in missing)
        given_up = read_json(paths.asked_teacher("synthetic") / "given_up.json")
        assert len(given_up) >= sum(found["requests_without_instructions"].values())
        before, asked = files_of(paths), server.requests
        synthesise(study, "synthetic", paths, nobody)  # what is missing stays so, and what follows it too
        assert (files_of(paths), server.requests) == (before, asked)


@pytest.mark.parametrize("concurrency", [1, 8])
def test_spending_stays_within_its_limit(tmp_path, concurrency):
    """What is likely to pass it is refused; what passes it since so much is dropped stops, and keeps what it has."""
    limit = 20_000

    def behave(body, count):  # no two answers agree
        return slowly(0.01, good()(body, count) if writes(body) else says("AB"[count % 2]))

    with Server(behave) as server:
        teacher = {"concurrency": concurrency, "limits": {"tokens": limit}}
        study, paths = ready(tmp_path, server.url, volume=400, teacher=teacher)
        with pytest.raises(InputError, match=r"limits\.tokens: 20,000 would be passed .*so nothing was asked"):
            synthesise(study, "synthetic", paths, nobody)
        assert server.requests == 0
        study, paths = ready(tmp_path, server.url, teacher=teacher, overdraw=50.0)
        with pytest.raises(InputError, match=r"limits\.tokens: 20,000 would be passed"):
            synthesise(study, "synthetic", paths, nobody)
        spent = server.prompt_tokens + server.answer_tokens
        assert limit - 1000 < spent <= limit
        assert server.answers == cached(paths)
        assert not paths.synthetic("synthetic").exists()


def test_money_is_told_first_and_refused_beyond_its_limit(tmp_path):
    lines = []
    with Server(good()) as server:
        teacher = {"prices": {"prompt": 10.0, "answer": 40.0}, "limits": {"money": 0.001}}
        study, paths = ready(tmp_path, server.url, teacher=teacher)
        with pytest.raises(InputError, match=r"limits\.money: 0\.001 would be passed"):
            synthesise(study, "synthetic", paths, lines.append)
        assert "cost 0." in lines[0]
        assert "limits: money 0.001" in lines[0]
        assert server.requests == 0


def test_who_does_not_agree_is_asked_nothing(tmp_path, capsys):
    with Server(good()) as server:
        study, paths = ready(tmp_path, server.url)
        assert synthesise(study, "synthetic", paths, nobody, lambda: False) is None
        assert synthesise(study, "synthetic", paths, nobody, dry_run=True) is None
        with pytest.raises(InputError, match="no terminal"):
            app(["synthesise", "study.yaml", "synthetic"])
        with pytest.raises(InputError, match=r"sources\.curated\.items\.importer: its items are not written"):
            app(["synthesise", "study.yaml", "curated"])
        assert server.requests == 0
        assert not paths.synthetic("synthetic").exists()


def test_an_endpoint_that_is_down_gives_nothing_up(tmp_path):
    with Server(lambda body, n: status(500)) as server:
        study, paths = ready(tmp_path, server.url, teacher={"retries": 0})
        with pytest.raises(InputError, match=r"not one of \d+ requests was answered \(HTTP 500"):
            synthesise(study, "synthetic", paths, nobody)
        assert not (paths.asked_teacher("synthetic") / "given_up.json").exists()
        server.behave = good()
        assert synthesise(study, "synthetic", paths, nobody)["abilities"][0]["kept"] == 16


def test_a_hopeless_teacher_is_given_up_early(tmp_path):
    with Server(lambda body, n: says("What?")) as server:
        study, paths = ready(tmp_path, server.url, volume=40, overdraw=100.0)
        with pytest.raises(InputError, match=r"given up: 0 of 40 for general \(dropped most: 42 malformed\)"):
            synthesise(study, "synthetic", paths, nobody)
        assert server.requests == 42
        assert not paths.synthetic("synthetic").exists()


KILLED = """
import sys
from growthpace.cli import app
app(["synthesise", "study.yaml", "synthetic", "--yes"])
"""


def test_a_killed_process_loses_no_paid_answer(tmp_path):
    with Server(lambda body, n: slowly(0.02, good()(body, n))) as server:
        study, paths = ready(tmp_path, server.url, volume=40, teacher={"concurrency": 2})
        lost = 0
        for _ in range(3):
            process = subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.DEVNULL)
            before, deadline = server.answers, time.monotonic() + 120
            while server.answers < before + 12 and time.monotonic() < deadline:
                time.sleep(0.005)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            time.sleep(0.1)
            lost = server.answers - cached(paths)
            assert lost <= 2 * 3  # what was in flight
        synthesise(study, "synthetic", paths, nobody)
        assert server.answers == cached(paths) + lost
        assert len(lines_of(paths)) == 40
        found, asked = files_of(paths), server.requests
        paths.synthetic("synthetic").unlink()
        synthesise(study, "synthetic", paths, nobody)  # in one go, as if nobody had been killed
        assert (files_of(paths), server.requests) == (found, asked)


def test_the_batch_api_gives_the_same_cache(tmp_path):
    with Server(good()) as server:
        study, paths = ready(tmp_path, server.url, teacher={"batch": True})
        with pytest.MonkeyPatch.context() as patch:
            made = opening.Settings
            patch.setattr(opening, "Settings", lambda **named: made(**named, poll=0.01, backoff=0.01))
            synthesise(study, "synthetic", paths, nobody)
        assert server.batches
        assert len(lines_of(paths)) == 16
        assert KEY.encode() not in b"".join(server.files.values())


def test_the_key_is_nowhere(tmp_path, capfd):
    """In nothing that is written or printed, even where the teacher repeats it in instructions and answers."""

    def behave(body, count):
        if writes(body):
            return says(drafts(*(f"Key {KEY}. {question(f'{body} {count} {n}')}" for n in range(3))))
        return says(f"The answer is {good_answer(body)}. {KEY}")

    with Server(behave) as server:
        study, paths = ready(tmp_path, server.url)
        with pytest.raises(SystemExit) as stop:
            app(["synthesise", "study.yaml", "synthetic", "--yes"])
        assert stop.value.code == 0
        assert len(lines_of(paths)) == 16
        server.key = "another"
        (tmp_path / "results").rename(tmp_path / "before")
        with pytest.raises(InputError, match="HTTP 401") as caught:
            synthesise(study, "synthetic", paths, print)
    said = capfd.readouterr()
    assert KEY not in said.out + said.err + str(caught.value)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 30
    assert not [path for path in written if KEY.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("items", "labelled", "message"),
    [
        ({"seeds": "nobody"}, False, "items.seeds: 'nobody' is no source of this study (allowed: curated)"),
        ({"seeds": "synthetic"}, False, "items.seeds: 'synthetic' is written by a teacher too (allowed: curated)"),
        ({"volume": 17}, True, "items.volume: 17 cannot be shared equally by 2 abilities"),
        ({"volume": 8}, False, "volumes: 16 is more than items.volume (allowed: up to 8)"),
        ({"examples": 7}, False, "items.examples: 7 is more than seed_items (allowed: up to 6)"),
        ({"topics": {"biology": ["x"]}}, False, "items.topics: the source is not labelled by ability"),
        ({"topics": {"maths": ["x"]}}, True, "items.topics: 'maths' is no ability of this study"),
        ({"overdraw": 0.5}, False, "overdraw 0.5 could never be enough"),
        ({"most_similar": 0.0}, False, "most_similar: found 0.0"),
    ],
)
def test_a_fault_of_the_section(tmp_path, items, labelled, message):
    with pytest.raises(InputError) as caught:
        load_study(write_study(tmp_path, content(labelled=labelled, **items)))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        ({"temperature": 0.0}, "teacher.temperature: 0 makes two answers one"),
        ({"limits": {"money": 1.0}}, "prices missing"),
        ({"key_variable": "sk-123"}, "no name of an environment variable"),
    ],
)
def test_a_fault_of_the_teacher(tmp_path, teacher, message):
    with pytest.raises(InputError) as caught:
        load_study(write_study(tmp_path, content(teacher)))
    assert message in str(caught.value)
    assert "sk-123" not in str(caught.value)
