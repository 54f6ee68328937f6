"""Hostile programs for the sandbox. Each is to define `add(a, b)`, whose tests are TESTS.

Those of CHEATS try to pass without adding. Those of ESCAPES can add, but do so only once they have done what the
sandbox forbids: if one passes, it got out. `{secret}`, `{folder}`, `{port}` and `{pid}` stand for a file, a folder, a
listening port and a process of this machine.
"""

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

_ADD = "\ndef add(a, b):\n    return a + b if escaped() else None\n"

CHEATS = {
    "exits with success": "import sys\nsys.exit(0)",
    "exits at once": "import os\nos._exit(0)",
    "raises SystemExit": "raise SystemExit(0)",
    "exits within the function": "import sys\ndef add(a, b):\n    sys.exit(0)",
    "exits at once within the function": "import os\ndef add(a, b):\n    os._exit(0)",
    "says passed when it ends": (
        "import atexit, os\n"
        "def say():\n"
        "    for fd in range(256):\n"
        "        try:\n"
        "            os.write(fd, b'started\\n{\"passed\": true, \"reason\": \"passed\", \"chosen\": 0}\\n')\n"
        "        except OSError:\n"
        "            pass\n"
        "atexit.register(say)\nraise SystemExit(0)"
    ),
    "writes passed to every open file": (
        "import os\n"
        "def add(a, b):\n"
        "    for fd in os.listdir('/proc/self/fd'):\n"
        "        try:\n"
        "            os.write(int(fd), b'started\\n{\"passed\": true, \"reason\": \"passed\", \"chosen\": 0}\\n')\n"
        "        except OSError:\n"
        "            pass\n"
        "    os._exit(0)"
    ),
    "defines nothing": "",
    "equals everything": (
        "class E:\n"
        "    __eq__ = lambda s, o: True\n    __ne__ = lambda s, o: False\n    __lt__ = lambda s, o: True\n"
        "    __hash__ = lambda s: 0\n    __contains__ = lambda s, o: True\n"
        "    __add__ = __radd__ = __sub__ = __rsub__ = __abs__ = lambda s, *o: s\n"
        "def add(a, b):\n    return E()"
    ),
    "equals everything as a number": (
        "class E(int):\n    __eq__ = lambda s, o: True\n    __ne__ = lambda s, o: False\n    __hash__ = int.__hash__\n"
        "    __sub__ = __add__ = lambda s, o: s\n    __abs__ = lambda s: 0\n"
        "def add(a, b):\n    return E()"
    ),
    "equals everything as a text": (
        "class E(str):\n    __eq__ = lambda s, o: True\n    __ne__ = lambda s, o: False\n    __hash__ = str.__hash__\n"
        "def add(a, b):\n    return E()"
    ),
    "is a class like the function": (
        "class add:\n    def __init__(self, *p): pass\n    __eq__ = lambda s, o: True\n    __ne__ = lambda s, o: False\n"
        "    __hash__ = object.__hash__\n    __sub__ = lambda s, o: 0\n    __add__ = lambda s, o: 3"
    ),
    "learns by a metaclass": (
        "class M(type):\n    __eq__ = lambda s, o: True\n    __hash__ = type.__hash__\n"
        "class E(metaclass=M): pass\ndef add(a, b):\n    return E"
    ),
    "patches abs and the like": (
        "import builtins\nbuiltins.abs = abs = lambda x: 0\nbuiltins.all = all = lambda x: True\n"
        "builtins.map = map = lambda *x: []\ndef add(a, b):\n    return 3"
    ),
    "patches AssertionError": (
        "import builtins\nclass Quiet(Exception):\n    def __init__(self, *a): import os; os._exit(0)\n"
        "builtins.AssertionError = Quiet\ndef add(a, b):\n    return 0"
    ),
    "replaces the tests' cases": "cases = []\nexpected = 0\nTESTS = ''\ndef add(a, b):\n    return 0",
    "ends iterations": "def add(a, b):\n    raise StopIteration",
    "raises what tests may catch": "def add(a, b):\n    raise AssertionError",
    "generates": "def add(a, b):\n    yield from range(1000)",
    "hands out NaN": "def add(a, b):\n    return float('nan')",
    "looks for the tests in memory": (
        "import gc, re, sys\n"
        "def add(a, b):\n"
        "    frame = sys._getframe()\n"
        "    while frame:\n"
        "        for value in list(frame.f_locals.values()) + list(frame.f_globals.values()):\n"
        "            if isinstance(value, dict) and 'expected' in value: return value['expected']\n"
        "            if isinstance(value, list) and (1, 2, 3) in value: return 3\n"
        "        frame = frame.f_back\n"
        "    for thing in gc.get_objects():\n"
        "        if isinstance(thing, dict) and type(thing.get('expected')) is int: return thing['expected']\n"
    ),
    "patches the process it runs in": (
        "import sys, wire\nmain = sys.modules['__main__']\n"
        "wire.Values.write = lambda self, value, depth=0: True\n"
        "main.DO['call'] = lambda *a: {'value': True, 'changed': {}}\n"
        "def add(a, b):\n    return True"
    ),
    "answers for itself": (
        "import json, os, sys\nmain = sys.modules['__main__']\n"
        "def add(a, b):\n"
        "    main.pipes.send({'passed': True, 'reason': 'passed', 'chosen': 0})\n    os._exit(0)"
    ),
    "hands the tests their own things": (
        "import sys\nmain = sys.modules['__main__']\n"
        "main.DO['call'] = lambda *a: {'value': ['yours', 0], 'changed': {'0': ['list', []]}}\n"
        "def add(a, b):\n    return 0"
    ),
    "answers with a huge message": (
        "import os, sys\nmain = sys.modules['__main__']\n"
        "def add(a, b):\n    os.write(main.pipes._writing, b'\\x7f' * 64)\n    return 3"
    ),
    "answers with a deep message": (
        "import os, sys\nmain = sys.modules['__main__']\nbody = b'[' * 900_000\n"
        "def add(a, b):\n"
        "    os.write(main.pipes._writing, len(body).to_bytes(8, 'big') + body)\n    return 3"
    ),
    "returns a huge number": "def add(a, b):\n    return 1 << 400_000_000",
    "returns a list that holds itself": "def add(a, b):\n    l = []\n    l.append(l)\n    return l",
    "returns what unpickling would run": (
        "import os\nclass P:\n    def __reduce__(self): return (os._exit, (0,))\ndef add(a, b):\n    return P()"
    ),
    "hooks imports": (
        "import sys\nopen('/tmp/json.py', 'w').write('import os; os._exit(0)')\nsys.path.insert(0, '/tmp')\n"
        "class F:\n    def find_spec(self, *a): import os; os._exit(0)\n"
        "sys.meta_path.insert(0, F())\ndef add(a, b):\n    import fractions\n    return 0"
    ),
    "patches unittest and sets a trace": (
        "import sys, unittest\nunittest.TestCase.assertEqual = lambda *a: None\n"
        "sys.settrace(lambda *a: None)\nsys.excepthook = lambda *a: sys.exit(0)\ndef add(a, b):\n    return 0"
    ),
    "loops for ever": "while True: pass",
    "sleeps": "import time\ntime.sleep(1000)",
    "stops itself": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\ntime.sleep(1000)",
    "ignores its end": (
        "import signal\n"
        "for s in range(1, 65):\n"
        "    try: signal.signal(s, signal.SIG_IGN)\n"
        "    except Exception: pass\n"
        "while True: pass"
    ),
    "prints without end": "while True: print('x' * 100_000)",
    "answers without end": (
        "import os, sys\nmain = sys.modules['__main__']\n"
        "def add(a, b):\n    while True: main.pipes.send({'value': True})"
    ),
    "calls back without end": (
        "import sys\nmain = sys.modules['__main__']\n"
        "def add(a, b):\n    while True: main.ask({'number': 0, 'arguments': ['tuple', []], 'named': ['dict', []]})"
    ),
    "recurses": "import sys\nsys.setrecursionlimit(10**9)\ndef add(a, b):\n    return add(a, b)",
    "crashes": "import ctypes\ndef add(a, b):\n    ctypes.string_at(0)",
    "takes all memory": "x = []\nwhile True: x.append(bytearray(50_000_000))",
    "becomes another program": "import os\ndef add(a, b):\n    os.execv('/proc/self/exe', ['python', '-c', 'pass'])",
}  # fmt: skip

ESCAPES = {
    "forks": (
        "import os\ndef escaped():\n    try:\n        if os.fork() == 0: os._exit(0)\n        return True\n"
        "    except OSError: return False"
    ),
    "bombs with forks": (
        "import os\ndef escaped():\n    made = 0\n    for _ in range(5000):\n        try:\n"
        "            if os.fork() == 0:\n                while True: os.fork()\n            made += 1\n"
        "        except OSError: pass\n    return made > 0"
    ),
    "bombs with threads": (
        "import threading, time\nthreading.stack_size(65536)\ndef escaped():\n    made = 0\n"
        "    for _ in range(5000):\n        try:\n"
        "            threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n            made += 1\n"
        "        except RuntimeError: pass\n    return made > 0"
    ),
    "starts a program": (
        "import subprocess, sys\ndef escaped():\n    try:\n        subprocess.run([sys.executable, '-c', '0'])\n"
        "        return True\n    except OSError: return False"
    ),
    "starts a process by posix_spawn": (
        "import os, sys\ndef escaped():\n    try:\n        os.posix_spawn(sys.executable, ['p', '-c', '0'], {})\n"
        "        return True\n    except OSError: return False"
    ),
    "fills the disk": (
        "import os\ndef escaped():\n    written = 0\n    for place in ('/tmp', '/dev/shm', '/dev', '/', '/inside', '/var'):\n"
        "        for n in range(100):\n            try:\n                with open(f'{place}/{n}', 'wb') as file:\n"
        "                    for _ in range(8): written += file.write(bytes(1 << 20))\n"
        "            except OSError: pass\n    return written > 40 << 20"
    ),
    "makes a large file": (
        "import signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\ndef escaped():\n    try:\n"
        "        with open('/tmp/x', 'wb') as file: file.truncate(100 << 20)\n        return True\n"
        "    except OSError: return False"
    ),
    "writes outside its folder": (
        "def escaped():\n    for name in ('/x', '/usr/lib/x', '/inside/x', '/inside/trial.py', '/dev/x', '/etc/x', "
        "'/home/x', '/root/x'):\n        try:\n            open(name, 'a').close()\n            return True\n"
        "        except OSError: pass\n    return False"
    ),
    "reads a secret": "def escaped():\n    try: return bool(open({secret!r}).read())\n    except OSError: return False",
    "reads homes and passwords": (
        "import glob\ndef escaped():\n    found = glob.glob('/home/*') + glob.glob('/etc/*') + glob.glob('/work/*')\n"
        "    return bool(set(found) - {{'/etc/ld.so.cache'}})"
    ),
    "reads the environment": (
        "import os\ndef escaped():\n    text = str(dict(os.environ)) + open('/proc/self/environ').read()\n"
        "    for pid in ('1', 'self'):\n        try: text += open(f'/proc/{{pid}}/environ').read()\n"
        "        except OSError: pass\n    return 'GROWTHPACE_TEST_KEY' in text"
    ),
    "links to a secret": (
        "import os\ndef escaped():\n    os.symlink({secret!r}, '/tmp/link')\n"
        "    try: return bool(open('/tmp/link').read())\n    except OSError: return False"
    ),
    "links to the tests and writes": (
        "import os\ndef escaped():\n    done = 0\n    for target in ('/inside/trial.py', '/inside/wire.py', os.__file__):\n"
        "        os.symlink(target, '/tmp/' + os.path.basename(target))\n"
        "        try:\n            open('/tmp/' + os.path.basename(target), 'a').write('#')\n            done += 1\n"
        "        except OSError: pass\n"
        "        try:\n            os.rename(target, target + '_')\n            done += 1\n        except OSError: pass\n"
        "        try:\n            os.chmod(target, 0o777)\n            done += 1\n        except OSError: pass\n"
        "    return done > 0"
    ),
    "climbs out of its root": (
        "import os\ndef escaped():\n    try:\n        os.mkdir('/tmp/r')\n        os.chroot('/tmp/r')\n"
        "        for _ in range(50): os.chdir('..')\n        return os.path.exists({secret!r})\n"
        "    except OSError: return False"
    ),
    "goes through /proc": (
        "import glob, os\ndef escaped():\n    for root in glob.glob('/proc/[0-9]*/root') + glob.glob('/proc/[0-9]*/cwd'):\n"
        "        if os.path.exists(root + {secret!r}): return True\n    return False"
    ),
    "connects to this machine": (
        "import socket\ndef escaped():\n    try:\n        socket.create_connection(('127.0.0.1', {port}), 2)\n"
        "        return True\n    except OSError: return False"
    ),
    "opens sockets": (
        "import socket\ndef escaped():\n    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, 40, 16, 17):\n"
        "        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):\n            try:\n"
        "                socket.socket(family, kind)\n                return True\n            except OSError: pass\n"
        "    return False"
    ),
    "asks for a name": (
        "import socket\ndef escaped():\n    try: return bool(socket.getaddrinfo('example.org', 80))\n"
        "    except OSError: return False"
    ),
    "kills its parent": (
        "import os, signal\ndef escaped():\n    for pid in (os.getppid(), 1, {pid}, -1):\n        if pid == os.getpid(): continue\n"
        "        try: os.kill(pid, signal.SIGKILL)\n        except OSError: pass\n"
        "    return os.getppid() not in (0, 1)"
    ),
    "sees other processes": (
        "import os\ndef escaped():\n    seen = [int(name) for name in os.listdir('/proc') if name.isdigit()]\n"
        "    return {pid} in seen or len(seen) > 3"
    ),
    "writes into other processes": (
        "import os\ndef escaped():\n    for pid in os.listdir('/proc'):\n        if pid.isdigit() and int(pid) != os.getpid():\n"
        "            try:\n                open(f'/proc/{{pid}}/mem', 'r+b')\n                return True\n"
        "            except OSError: pass\n    return False"
    ),
    "traces": (
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\ndef escaped():\n"
        "    return libc.ptrace(0, 0, 0, 0) == 0 or libc.ptrace(16, 1, 0, 0) == 0"
    ),
    "makes namespaces": (
        "import ctypes\nlibc = ctypes.CDLL(None)\ndef escaped():\n"
        "    return any(libc.unshare(flag) == 0 for flag in (0x10000000, 0x20000, 0x40000000, 0x10020000))"
    ),
    "mounts": (
        "import ctypes\nlibc = ctypes.CDLL(None)\ndef escaped():\n"
        "    return libc.mount(b'none', b'/tmp', b'tmpfs', 0, None) == 0 or libc.umount2(b'/tmp', 2) == 0 or "
        "libc.mount(None, b'/', None, 32, None) == 0"
    ),
    "becomes root": (
        "import os\ndef escaped():\n    done = os.getuid() == 0\n    for change in (os.setuid, os.setgid, os.seteuid):\n"
        "        try:\n            change(0)\n            done = True\n        except OSError: pass\n    return done"
    ),
    "lifts its limits": (
        "import resource\ndef escaped():\n    done = False\n    for what in (resource.RLIMIT_AS, resource.RLIMIT_CPU, "
        "resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC):\n        try:\n"
        "            resource.setrlimit(what, (resource.RLIM_INFINITY,) * 2)\n            done = True\n"
        "        except (ValueError, OSError): pass\n    return done"
    ),
    "keeps memory outside itself": (
        "import ctypes, os\nlibc = ctypes.CDLL(None)\ndef escaped():\n    done = libc.shmget(0, 1 << 20, 0o1600) >= 0\n"
        "    try:\n        os.memfd_create('x')\n        done = True\n    except OSError: pass\n    return done"
    ),
    "opens many files": (
        "def escaped():\n    files = []\n    try:\n        for n in range(200): files.append(open(f'/tmp/{{n}}', 'w'))\n"
        "        return True\n    except OSError: return False\n"
        "    finally:\n        for file in files: file.close()"
    ),
    "makes devices": (
        "import os\ndef escaped():\n    try:\n        os.mknod('/tmp/kmsg', 0o20666, os.makedev(1, 1))\n"
        "        open('/tmp/kmsg', 'rb')\n        return True\n    except OSError: return False"
    ),
    "looks into the system": (
        "import os\ndef escaped():\n    for name in ('/sys', '/proc/kcore', '/dev/mem', '/dev/kmsg', '/var', '/run', '/boot'):\n"
        "        try:\n            if os.path.isdir(name): return bool(os.listdir(name))\n"
        "            with open(name, 'rb') as file: return bool(file.read(1))\n        except OSError: pass\n"
        "    return False"
    ),
}  # fmt: skip


def escape(name: str, **of_this_machine: object) -> str:
    """The program of ESCAPES, with this machine's secret, port and process filled in."""
    return ESCAPES[name].replace("{{", "\0").replace("}}", "\1").replace("{secret!r}", repr(of_this_machine["secret"])) \
        .replace("{port}", str(of_this_machine["port"])).replace("{pid}", str(of_this_machine["pid"])) \
        .replace("\0", "{").replace("\1", "}") + _ADD  # fmt: skip
