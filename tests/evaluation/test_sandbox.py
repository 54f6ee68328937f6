import contextlib
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from cheats import CHEATS, TESTS
from escapes import ESCAPES, escape

from bubblewrap import need_bubblewrap
from growthpace.errors import InputError
from growthpace.evaluation import sandbox
from growthpace.evaluation.sandbox import Limits, try_out
from growthpace.evaluation.system_calls import REFUSED, system_call_filter

QUICK = Limits(cpu_seconds=1, wall_seconds=4.0)


@pytest.fixture(autouse=True)
def _needs_bubblewrap():
    need_bubblewrap()


@pytest.fixture
def bystander():
    """A process of this machine that no program may end."""
    process = subprocess.Popen(["sleep", "600"])
    yield process
    assert process.poll() is None
    process.kill()
    process.wait()


@pytest.fixture
def this_machine(tmp_path, bystander, monkeypatch):
    """What a program must not get at, none of which may have changed afterwards."""
    secret = tmp_path / "secret"
    secret.write_text("a key")
    monkeypatch.setenv("GROWTHPACE_TEST_KEY", "a key")
    before = {name: sorted(os.listdir(name)) for name in ("/", "/dev", "/dev/shm", str(sandbox.INSIDE))}
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield {"secret": str(secret), "port": server.getsockname()[1], "pid": bystander.pid}
        with pytest.raises(BlockingIOError):
            server.accept()
    assert secret.read_text() == "a key"
    assert os.listdir(tmp_path) == ["secret"]
    after = {name: sorted(os.listdir(name)) for name in before}
    after[str(sandbox.INSIDE)] = before[str(sandbox.INSIDE)] = sorted(
        name for name in {*before[str(sandbox.INSIDE)], *after[str(sandbox.INSIDE)]} if name != "__pycache__"
    )
    assert after["/"] == before["/"]
    assert after[str(sandbox.INSIDE)] == before[str(sandbox.INSIDE)]


def children() -> set[int]:
    """Processes that this one has started, whatever they have started in turn."""
    parents = {}
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError):
            parents[int(name)] = int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
    found, new = set(), {os.getpid()}
    while new:
        new = {pid for pid, parent in parents.items() if parent in new} - found
        found |= new
    return found


@pytest.fixture(autouse=True)
def _leaves_no_process():
    """All that a trial started has ended when it is over. (A test's own bystander is its own affair.)"""
    yield
    deadline = time.monotonic() + 5
    while (left := {pid for pid in children() if "bwrap" in _command(pid)}) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def test_a_right_program_passes():
    outcome = try_out(["def add(a, b):\n    return a + b"], "", TESTS)
    assert (outcome.passed, outcome.reason, outcome.chosen) == (True, "passed", 0)


def test_the_escapes_would_pass_if_they_got_out():
    """So that a program which is broken is not taken for one that is caught."""
    for name in ESCAPES:
        program = escape(name, secret="/nowhere", port=1, pid=1)
        compile(program, name, "exec")
        assert try_out([program + "\ndef escaped():\n    return True"], "", TESTS).passed, name


@pytest.mark.parametrize("name", CHEATS)
def test_no_cheat_passes(name, bystander):
    assert not try_out([CHEATS[name]], "", TESTS, QUICK).passed


@pytest.mark.parametrize("name", ESCAPES)
def test_nothing_escapes(name, this_machine):
    outcome = try_out([escape(name, **this_machine)], "", TESTS, QUICK)
    assert not outcome.passed
    if "bombs" in name or name in ("kills its parent", "fills the disk", "makes a large file"):
        return  # they may be ended on their way
    assert outcome.reason.startswith("AssertionError"), outcome.reason  # it ran, and has not escaped


@pytest.mark.parametrize(
    ("program", "seconds"), [("while True: pass", 3.5), ("import time\ntime.sleep(1000)", 4.5)], ids=["busy", "asleep"]
)
def test_programs_are_ended_in_time(program, seconds):
    begin = time.monotonic()
    outcome = try_out([program], "", TESTS, replace(QUICK, wall_seconds=3.0))
    assert not outcome.passed
    assert time.monotonic() - begin < seconds


def test_a_sandbox_ends_with_the_process_that_grades(tmp_path):
    code = (
        "from growthpace.evaluation.sandbox import *\nprint('on', flush=True)\n"
        f"try_out(['import time; time.sleep(300)  # {tmp_path}'], '', 'pass')"
    )
    grading = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert grading.stdout.readline() == "on\n"
    deadline = time.monotonic() + 20
    while not (started := [pid for pid in children() if "/inside/" in _command(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert started
    grading.kill()
    grading.wait()
    grading.stdout.close()
    while any(os.path.exists(f"/proc/{pid}") and _state(pid) != "Z" for pid in started):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _state(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return "Z"


@pytest.mark.parametrize(
    ("program", "tests"),
    [
        ("def f(x): x.sort()", "a = [3, 1, 2]\nassert f(a) is None\nassert a == [1, 2, 3]"),
        ("def f(d, s):\n    d['k'] = 1\n    s.add(2)", "d, s = {}, set()\nf(d, s)\nassert (d, s) == ({'k': 1}, {2})"),
        ("def f(g, xs): return [g(x) for x in xs]", "assert f(lambda x: x * 2, [1, 2]) == [2, 4]"),
        ("def f(n):\n    for i in range(n): yield i", "assert list(f(3)) == [0, 1, 2]"),
        ("def f(n): return lambda m: n + m", "assert f(2)(3) == 5"),
        ("def f(x):\n    if x < 0: raise ValueError('negative')\n    return x",
         "try:\n    f(-1)\nexcept ValueError as e:\n    assert str(e) == 'negative'\nelse:\n    assert False"),
        ("class Own(ValueError): pass\ndef f(): raise Own",
         "try:\n    f()\nexcept ValueError:\n    pass\nelse:\n    assert False"),
        ("class Node:\n    def __init__(self, v): self.v, self.left = v, None\n"
         "def depth(n): return 0 if n is None else 1 + depth(n.left)",
         "root = Node(1)\nroot.left = Node(2)\nassert root.left.v == 2\nassert depth(root) == 2\n"
         "assert root.left is root.left"),
        ("def total(n):\n    if n.v > 1: n.v = 1\n    return n.v + n.more(1)",
         "class N:\n    def __init__(self, v): self.v = v\n    def more(self, x): return self.v + x\nn = N(5)\n"
         "assert total(n) == 3\nassert n.v == 1"),
        ("class Stack:\n    def __init__(self): self.items = []\n    def push(self, x): self.items.append(x)\n"
         "    def __len__(self): return len(self.items)\n    def __getitem__(self, i): return self.items[i]",
         "s = Stack()\nassert not s\ns.push('a')\nassert len(s) == 1 and s[0] == 'a' and s.items == ['a']"),
        ("class Point:\n    def __init__(self, x): self.x = x\n    def __eq__(self, o): return self.x == o.x\n"
         "def f(x): return Point(x)", "assert f(1) == Point(1)\nassert f(1) != Point(2)\nassert f(1) != 1"),
        ("from collections import Counter, OrderedDict, namedtuple\nP = namedtuple('P', 'a b')\n"
         "def f(x): return Counter(x), OrderedDict(a=1), P(1, 2)",
         "assert f('aab') == ({'a': 2, 'b': 1}, {'a': 1}, (1, 2))"),
        ("from fractions import Fraction\nfrom decimal import Decimal\nimport datetime\n"
         "def f(): return Fraction(1, 3), Decimal('1.10'), datetime.date(2020, 1, 2), datetime.datetime(2020, 1, 2, 3)",
         "from fractions import Fraction\nfrom decimal import Decimal\nimport datetime\nassert f() == (Fraction(1, 3), "
         "Decimal('1.1'), datetime.date(2020, 1, 2), datetime.datetime(2020, 1, 2, 3))"),
        ("def f(*a, **k): return a, k",
         "everything = [None, True, -2**70, 1.5, float('inf'), 2+1j, 'é\\ud800', b'x', (1,), {1}, frozenset({2}), "
         "{'a': [1]}, range(3), int, ...]\n"
         "assert f(*everything, key=everything) == (tuple(everything), {'key': everything})"),
        ("import math\ndef f(x): return math.sqrt(x)", "assert math.isclose(f(4), 2)"),
        ("def sum(a, b): return a + b", "assert sum(1, 2) == 3"),
        ("import random\nvalue = random.random()\ndef f(): return value",
         "import random\nrandom.seed(0)\nassert f() == random.random()"),
        ("def f(): return {'b', 'a', 'c', 'd'}", "assert f() == {'a', 'b', 'c', 'd'}"),
        ("def f(x): return input()", "try:\n    f(1)\nexcept EOFError:\n    pass"),
        ("import threading\ndef f(): return threading.current_thread().name", "assert f() == 'MainThread'"),
    ],
)  # fmt: skip
def test_what_honest_programs_do(program, tests):
    outcome = try_out([program], "", tests)
    assert outcome.passed, outcome.reason


@pytest.mark.parametrize(
    ("program", "tests", "reason"),
    [
        ("def f(): return 1", "assert f() == 2, 'not two'", "AssertionError: not two"),
        ("def f(", "assert f() == 2", "the program failed: SyntaxError: '(' was never closed"),
        ("x = 1 / 0", "pass", "the program failed: ZeroDivisionError: division by zero"),
        ("x = 1", "f()", "NameError: name 'f' is not defined"),
        ("def f(): raise KeyError('k')", "f()", "KeyError"),
        ("class E:\n    __eq__ = lambda s, o: True\ndef f(): return E()", "assert f() == 2", "AssertionError"),
        ("class f:\n    startswith = lambda *a: True", "assert f().startswith('x')", "AttributeError"),
        ("import math\nmath.isclose = lambda *a: True\ndef f(): return 0", "assert math.isclose(f(), 2)",
         "AssertionError"),
        ("class math:\n    isclose = lambda *a: True\ndef f(): return 0", "assert math.isclose(f(), 2)",
         "AssertionError"),
        ("def f(n): return n.more.__globals__['x']", "x = 2\nclass N:\n    def more(self): pass\nassert f(N()) == 2",
         "AttributeError"),
        ("def f(): return 1\nimport os\nos._exit(0)", "f()", "the program ended"),
        ("import time\ntime.sleep(99)", "f()", "not done after"),
        ("def f(): return 1", "f()\nraise SystemExit(0)", "SystemExit: 0"),
    ],
)  # fmt: skip
def test_reasons(program, tests, reason):
    outcome = try_out([program], "", tests, QUICK)
    assert not outcome.passed
    assert outcome.reason.startswith(reason)


BEGINNING = 'import math\ndef poly(x):\n    return x * x - 4\n\ndef root(x):\n    """A root of poly."""\n'


def test_a_beginnings_helpers_belong_to_the_tests():
    tests = "assert abs(poly(root(1))) < 1e-9"
    assert try_out([BEGINNING + "    return 2.0"], BEGINNING, tests).passed
    assert not try_out([BEGINNING + "    return 3.0"], BEGINNING, tests).passed
    assert not try_out([BEGINNING + "    return 3.0\ndef poly(x): return 0\n"], BEGINNING, tests).passed
    assert not try_out([BEGINNING], BEGINNING, tests).passed


def test_a_trial_does_the_same_twice():
    program = "import random, time\ndef f(): return [random.random(), hash('a'), list({'a', 'b', 'c'})]"
    reasons = [try_out([program], "", "raise ValueError(f())").reason for _ in range(2)]
    assert reasons[0] == reasons[1]
    assert "0.84442" in reasons[0]


def test_without_bubblewrap_nothing_is_run(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match=r"install the package bubblewrap.*nothing unguarded"):
        try_out(["x = 1"], "", "pass")


def test_where_no_sandbox_can_be_made_nothing_is_run(tmp_path, monkeypatch):
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    sandbox.check_works.cache_clear()
    try:
        with pytest.raises(InputError, match=r"user namespaces are forbidden.*No permissions to create"):
            try_out(["x = 1"], "", "pass")
    finally:
        sandbox.check_works.cache_clear()


def test_the_filter_knows_its_machines():
    assert len(system_call_filter("x86_64")) == 8 * (9 + 2 * len(REFUSED))
    assert len(system_call_filter("aarch64")) == 8 * (9 + 2 * (len(REFUSED) - 3))
    with pytest.raises(InputError, match="riscv64"):
        system_call_filter("riscv64")
