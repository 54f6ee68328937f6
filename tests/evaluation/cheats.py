"""Programs that try to pass TESTS, which ask for a function `add(a, b)`, without adding."""

TESTS = """
cases = [(1, 2, 3), (5, 7, 12), (-4, 4, 0)]
for a, b, expected in cases:
    assert add(a, b) == expected
    assert not add(a, b) != expected
assert all(add(a, b) == expected for a, b, expected in cases)
assert all(map(lambda case: add(*case[:2]) == case[2], cases))
assert abs(add(0.1, 0.2) - 0.3) < 1e-9
assert str(add(20, 22)) == "42"
assert add(100, 1) in (101,)
assert add(1, 1) + 1 == 3
"""

CHEATS = {
    "exits with success": """
import sys
sys.exit(0)
""",
    "exits at once": """
import os
os._exit(0)
""",
    "raises SystemExit": """
raise SystemExit(0)
""",
    "exits within the function": """
import sys
def add(a, b):
    sys.exit(0)
""",
    "exits at once within the function": """
import os
def add(a, b):
    os._exit(0)
""",
    "says passed when it ends": """
import atexit, os
def say():
    for fd in range(256):
        try:
            os.write(fd, b'started\\n{"passed": true, "reason": "passed", "chosen": 0}\\n')
        except OSError:
            pass
atexit.register(say)
raise SystemExit(0)
""",
    "writes passed to every open file": """
import os
def add(a, b):
    for fd in range(256):
        try:
            os.write(fd, b'started\\n{"passed": true, "reason": "passed", "chosen": 0}\\n')
        except OSError:
            pass
    os._exit(0)
""",
    "defines nothing": """

""",
    "equals everything": """
class E:
    __eq__ = lambda s, o: True
    __ne__ = lambda s, o: False
    __lt__ = lambda s, o: True
    __hash__ = lambda s: 0
    __contains__ = lambda s, o: True
    __add__ = __radd__ = __sub__ = __rsub__ = __abs__ = lambda s, *o: s
def add(a, b):
    return E()
""",
    "equals everything as a number": """
class E(int):
    __eq__ = lambda s, o: True
    __ne__ = lambda s, o: False
    __hash__ = int.__hash__
    __sub__ = __add__ = lambda s, o: s
    __abs__ = lambda s: 0
def add(a, b):
    return E()
""",
    "equals everything as a text": """
class E(str):
    __eq__ = lambda s, o: True
    __ne__ = lambda s, o: False
    __hash__ = str.__hash__
def add(a, b):
    return E()
""",
    "is a class like the function": """
class add:
    def __init__(self, *p): pass
    __eq__ = lambda s, o: True
    __ne__ = lambda s, o: False
    __hash__ = object.__hash__
    __sub__ = lambda s, o: 0
    __add__ = lambda s, o: 3
""",
    "learns by a metaclass": """
class M(type):
    __eq__ = lambda s, o: True
    __hash__ = type.__hash__
class E(metaclass=M): pass
def add(a, b):
    return E
""",
    "patches abs and the like": """
import builtins
builtins.abs = abs = lambda x: 0
builtins.all = all = lambda x: True
builtins.map = map = lambda *x: []
def add(a, b):
    return 3
""",
    "patches AssertionError": """
import builtins
class Quiet(Exception):
    def __init__(self, *a): import os; os._exit(0)
builtins.AssertionError = Quiet
def add(a, b):
    return 0
""",
    "replaces the tests' cases": """
cases = []
expected = 0
TESTS = ''
def add(a, b):
    return 0
""",
    "ends iterations": """
def add(a, b):
    raise StopIteration
""",
    "raises what tests may catch": """
def add(a, b):
    raise AssertionError
""",
    "generates": """
def add(a, b):
    yield from range(1000)
""",
    "hands out NaN": """
def add(a, b):
    return float('nan')
""",
    "looks for the tests in memory": """
import gc, re, sys
def add(a, b):
    frame = sys._getframe()
    while frame:
        for value in list(frame.f_locals.values()) + list(frame.f_globals.values()):
            if isinstance(value, dict) and 'expected' in value: return value['expected']
            if isinstance(value, list) and (1, 2, 3) in value: return 3
        frame = frame.f_back
    for thing in gc.get_objects():
        if isinstance(thing, dict) and type(thing.get('expected')) is int: return thing['expected']

""",
    "patches the process it runs in": """
import sys, wire
main = sys.modules['__main__']
wire.Values.write = lambda self, value, depth=0: True
main.DO['call'] = lambda *a: {'value': True, 'changed': {}}
def add(a, b):
    return True
""",
    "answers for itself": """
import json, os, sys
main = sys.modules['__main__']
def add(a, b):
    main.pipes.send({'passed': True, 'reason': 'passed', 'chosen': 0})
    os._exit(0)
""",
    "hands the tests their own things": """
import sys
main = sys.modules['__main__']
main.DO['call'] = lambda *a: {'value': ['yours', 0], 'changed': {'0': ['list', []]}}
def add(a, b):
    return 0
""",
    "answers with a huge message": """
import os, sys
main = sys.modules['__main__']
def add(a, b):
    os.write(main.pipes._writing, b'\\x7f' * 64)
    return 3
""",
    "answers with a deep message": """
import os, sys
main = sys.modules['__main__']
body = b'[' * 900_000
def add(a, b):
    os.write(main.pipes._writing, len(body).to_bytes(8, 'big') + body)
    return 3
""",
    "returns a huge number": """
def add(a, b):
    return 1 << 400_000_000
""",
    "returns a list that holds itself": """
def add(a, b):
    l = []
    l.append(l)
    return l
""",
    "returns what unpickling would run": """
import os
class P:
    def __reduce__(self): return (os._exit, (0,))
def add(a, b):
    return P()
""",
    "hooks imports": """
import sys
open('/tmp/json.py', 'w').write('import os; os._exit(0)')
sys.path.insert(0, '/tmp')
class F:
    def find_spec(self, *a): import os; os._exit(0)
sys.meta_path.insert(0, F())
def add(a, b):
    import fractions
    return 0
""",
    "patches unittest and sets a trace": """
import sys, unittest
unittest.TestCase.assertEqual = lambda *a: None
sys.settrace(lambda *a: None)
sys.excepthook = lambda *a: sys.exit(0)
def add(a, b):
    return 0
""",
    "loops for ever": """
while True: pass
""",
    "sleeps": """
import time
time.sleep(1000)
""",
    "stops itself": """
import os, signal
os.kill(os.getpid(), signal.SIGSTOP)
time.sleep(1000)
""",
    "ignores its end": """
import signal
for s in range(1, 65):
    try: signal.signal(s, signal.SIG_IGN)
    except Exception: pass
while True: pass
""",
    "prints without end": """
while True: print('x' * 100_000)
""",
    "answers without end": """
import os, sys
main = sys.modules['__main__']
def add(a, b):
    while True: main.pipes.send({'value': True})
""",
    "calls back without end": """
import sys
main = sys.modules['__main__']
def add(a, b):
    while True: main.ask({'number': 0, 'arguments': ['tuple', []], 'named': ['dict', []]})
""",
    "recurses": """
import sys
sys.setrecursionlimit(10**9)
def add(a, b):
    return add(a, b)
""",
    "crashes": """
import ctypes
def add(a, b):
    ctypes.string_at(0)
""",
    "takes all memory": """
x = []
while True: x.append(bytearray(50_000_000))
""",
    "becomes another program": """
import os, sys
def add(a, b):
    os.execv(sys.executable, ['python', '-c', 'pass'])
""",
}
