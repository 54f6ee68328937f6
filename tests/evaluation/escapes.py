"""Programs that can add, but do so only once they have done what the sandbox forbids: one that passes has got out.

SECRET, PORT and PID stand for a file, a listening port and a process of this machine.
"""

ESCAPES = {
    "forks": """
import os
def escaped():
    try:
        if os.fork() == 0: os._exit(0)
        return True
    except OSError: return False
""",
    "bombs with forks": """
import os
def escaped():
    made = 0
    for _ in range(5000):
        try:
            if os.fork() == 0:
                while True: os.fork()
            made += 1
        except OSError: pass
    return made > 0
""",
    "bombs with threads": """
import threading, time
threading.stack_size(65536)
def escaped():
    made = 0
    for _ in range(5000):
        try:
            threading.Thread(target=time.sleep, args=(9,), daemon=True).start()
            made += 1
        except RuntimeError: pass
    return made > 0
""",
    "starts a program": """
import subprocess, sys
def escaped():
    try:
        subprocess.run([sys.executable, '-c', '0'])
        return True
    except OSError: return False
""",
    "starts a process by posix_spawn": """
import os, sys
def escaped():
    try:
        os.posix_spawn(sys.executable, ['p', '-c', '0'], {})
        return True
    except OSError: return False
""",
    "fills the disk": """
import os
def escaped():
    written = 0
    for place in ('/tmp', '/dev/shm', '/dev', '/', '/inside', '/var'):
        for n in range(100):
            try:
                with open(f'{place}/{n}', 'wb') as file:
                    for _ in range(8): written += file.write(bytes(1 << 20))
            except OSError: pass
    return written > 40 << 20
""",
    "makes a large file": """
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
def escaped():
    try:
        with open('/tmp/x', 'wb') as file: file.truncate(100 << 20)
        return True
    except OSError: return False
""",
    "writes outside its folder": """
def escaped():
    for name in ('/x', '/usr/lib/x', '/inside/x', '/inside/trial.py', '/dev/x', '/etc/x', '/home/x', '/root/x'):
        try:
            open(name, 'a').close()
            return True
        except OSError: pass
    return False
""",
    "reads a secret": """
def escaped():
    try: return bool(open(SECRET).read())
    except OSError: return False
""",
    "reads homes and passwords": """
import glob
def escaped():
    found = glob.glob('/home/*') + glob.glob('/etc/*') + glob.glob('/mnt/*')
    return bool(set(found) - {'/etc/ld.so.cache'})
""",
    "reads the environment": """
import os
def escaped():
    text = str(dict(os.environ))
    for pid in ('1', 'self'):
        try: text += open(f'/proc/{PID}/environ').read()
        except OSError: pass
    return 'GROWTHPACE_TEST_KEY' in text
""",
    "links to a secret": """
import os
def escaped():
    os.symlink(SECRET, '/tmp/link')
    try: return bool(open('/tmp/link').read())
    except OSError: return False
""",
    "links to the tests and writes": """
import os
def escaped():
    done = 0
    for target in ('/inside/trial.py', '/inside/wire.py', os.__file__):
        os.symlink(target, '/tmp/' + os.path.basename(target))
        try:
            open('/tmp/' + os.path.basename(target), 'a').write('#')
            done += 1
        except OSError: pass
        try:
            os.rename(target, target + '_')
            done += 1
        except OSError: pass
        try:
            os.chmod(target, 0o777)
            done += 1
        except OSError: pass
    return done > 0
""",
    "climbs out of its root": """
import os
def escaped():
    try:
        os.mkdir('/tmp/r')
        os.chroot('/tmp/r')
        for _ in range(50): os.chdir('..')
        return os.path.exists(SECRET)
    except OSError: return False
""",
    "goes through /proc": """
import glob, os
def escaped():
    for root in glob.glob('/proc/[0-9]*/root') + glob.glob('/proc/[0-9]*/cwd'):
        if os.path.exists(root + SECRET): return True
    return False
""",
    "connects to this machine": """
import socket
def escaped():
    try:
        socket.create_connection(('127.0.0.1', PORT), 2)
        return True
    except OSError: return False
""",
    "opens sockets": """
import socket
def escaped():
    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, 40, 16, 17):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
            try:
                socket.socket(family, kind)
                return True
            except OSError: pass
    return False
""",
    "asks for a name": """
import socket
def escaped():
    try: return bool(socket.getaddrinfo('example.org', 80))
    except OSError: return False
""",
    "kills its parent": """
import os, signal
def escaped():
    for pid in (os.getppid(), 1, PID, -1):
        if pid == os.getpid(): continue
        try: os.kill(pid, signal.SIGKILL)
        except OSError: pass
    return os.getppid() not in (0, 1)
""",
    "sees other processes": """
import os
def escaped():
    seen = [int(name) for name in os.listdir('/proc') if name.isdigit()]
    return PID in seen or len(seen) > 3
""",
    "writes into other processes": """
import os
def escaped():
    for pid in os.listdir('/proc'):
        if pid.isdigit() and int(pid) != os.getpid():
            try:
                open(f'/proc/{PID}/mem', 'r+b')
                return True
            except OSError: pass
    return False
""",
    "traces": """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def escaped():
    return libc.ptrace(0, 0, 0, 0) == 0 or libc.ptrace(16, 1, 0, 0) == 0
""",
    "makes namespaces": """
import ctypes
libc = ctypes.CDLL(None)
def escaped():
    return any(libc.unshare(flag) == 0 for flag in (0x10000000, 0x20000, 0x40000000, 0x10020000))
""",
    "mounts": """
import ctypes
libc = ctypes.CDLL(None)
def escaped():
    made = [libc.mount(b'none', b'/tmp', b'tmpfs', 0, None), libc.mount(None, b'/', None, 32, None)]
    return 0 in [*made, libc.umount2(b'/tmp', 2)]
""",
    "becomes root": """
import os
def escaped():
    done = os.getuid() == 0
    for change in (os.setuid, os.setgid, os.seteuid):
        try:
            change(0)
            done = True
        except OSError: pass
    return done
""",
    "lifts its limits": """
import resource
def escaped():
    done = False
    for what in (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC):
        try:
            resource.setrlimit(what, (resource.RLIM_INFINITY,) * 2)
            done = True
        except (ValueError, OSError): pass
    return done
""",
    "keeps memory outside itself": """
import ctypes, os
libc = ctypes.CDLL(None)
def escaped():
    done = libc.shmget(0, 1 << 20, 0o1600) >= 0
    try:
        os.memfd_create('x')
        done = True
    except OSError: pass
    return done
""",
    "opens many files": """
def escaped():
    files = []
    try:
        for n in range(200): files.append(open(f'/tmp/{n}', 'w'))
        return True
    except OSError: return False
    finally:
        for file in files: file.close()
""",
    "makes devices": """
import os
def escaped():
    try:
        os.mknod('/tmp/kmsg', 0o20666, os.makedev(1, 1))
        open('/tmp/kmsg', 'rb')
        return True
    except OSError: return False
""",
    "looks into the system": """
import os
def escaped():
    for name in ('/sys', '/proc/kcore', '/dev/mem', '/dev/kmsg', '/var', '/run', '/boot'):
        try:
            if os.path.isdir(name): return bool(os.listdir(name))
            with open(name, 'rb') as file: return bool(file.read(1))
        except OSError: pass
    return False
""",
}

ADD = """
def add(a, b):
    try:
        return a + b if escaped() else None
    except OSError:
        return None
"""


def escape(name: str, secret: str, port: int, pid: int) -> str:
    """A program of ESCAPES with a file, a port and a process of this machine filled in."""
    program = ESCAPES[name].replace("SECRET", repr(secret)).replace("PORT", str(port)).replace("PID", str(pid))
    return program + ADD
