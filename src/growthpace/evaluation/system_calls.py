"""A filter of system calls for the sandbox, in the form that bubblewrap's `--seccomp` reads: classic BPF.

It is a list of refusals, for what the other walls of the sandbox do not stop: starting processes (a limit on their
number does not bind root), sockets (of which some kinds, such as VSOCK, know no network namespace), memory that belongs
to no process, and the parts of the kernel that sandboxed programs have broken out through. A refused call fails with
EPERM, clone3 with ENOSYS, so that the C library falls back to clone.

Sources: linux/seccomp.h, linux/filter.h, linux/audit.h; the numbers are those of asm/unistd_64.h (x86_64) and
asm-generic/unistd.h (aarch64).
"""

from __future__ import annotations

import errno
import platform
import struct

from growthpace.errors import InputError

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "arm64": 0xC00000B7}
"""AUDIT_ARCH_*, by `platform.machine()`."""

REFUSED = {
    "fork": (57, None), "vfork": (58, None), "clone": (56, 220),
    "socket": (41, 198),
    "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
    "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "quotactl": (179, 60), "acct": (163, 89),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "personality": (135, 92),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "inotify_init": (253, None), "inotify_init1": (294, 26), "fanotify_init": (300, 262),
    "kexec_load": (246, 104), "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "swapon": (167, 224), "reboot": (169, 142),
}  # fmt: skip
"""System calls that fail: {name: (number on x86_64, number on aarch64)}."""
CLONE3 = 435

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in struct seccomp_data
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_X32 = 0x40000000
"""Numbers from here on are x86_64's second way to make a system call, of which nobody has need."""


def system_call_filter(machine: str = "") -> bytes:
    """The filter for a machine type (this machine's when empty). `InputError` where its numbers are not known."""
    machine = machine or platform.machine()
    if machine not in _ARCHITECTURES:
        raise InputError(
            f"code items need a filter of system calls, which is not known for machines of the type {machine!r} "
            f"(allowed: {', '.join(_ARCHITECTURES)}); grading runs nothing unguarded"
        )
    column = 0 if machine == "x86_64" else 1
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, _ARCHITECTURES[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _KILL),
        (_EQUAL, 0, 1, CLONE3),
        (_RETURN, 0, 0, _ERROR | errno.ENOSYS),
    ]
    for numbers in REFUSED.values():
        if numbers[column] is not None:
            steps += [(_EQUAL, 0, 1, numbers[column]), (_RETURN, 0, 0, _ERROR | errno.EPERM)]
    steps.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("HBBI", *step) for step in steps)
