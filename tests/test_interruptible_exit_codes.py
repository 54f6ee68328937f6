"""Every job ends with a documented exit code; all but a defect with one message."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from growthpace import cli
from growthpace.errors import InputError
from growthpace.interruptible import (
    BAD_INPUT,
    BUSY,
    DEFECT,
    NO_SPACE,
    OUT_OF_MEMORY,
    STOPPED,
    Busy,
    StateFolder,
    Stopped,
    exit_code,
    failure,
    message,
)


def no_memory_of_torch():
    import torch

    torch.empty(10**15)


def no_memory_of_a_gpu():
    import torch

    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")


def no_memory():
    bytearray(10**15)


def raising(error):
    def act():
        raise error

    return act


CASES = {
    "defect": (raising(KeyError("x")), DEFECT),
    "input": (raising(InputError("x")), BAD_INPUT),
    "stopped": (raising(Stopped("x")), STOPPED),
    "busy": (raising(Busy("x")), BUSY),
    "memory": (no_memory, OUT_OF_MEMORY),
    "memory for a tensor": (no_memory_of_torch, OUT_OF_MEMORY),
    "memory of a GPU": (no_memory_of_a_gpu, OUT_OF_MEMORY),
    "memory for a mapped file": (raising(OSError(errno.ENOMEM, "Cannot allocate memory")), OUT_OF_MEMORY),
    "space": (raising(OSError(errno.ENOSPC, "No space left on device")), NO_SPACE),
    "quota": (raising(OSError(errno.EDQUOT, "Disk quota exceeded")), NO_SPACE),
    "another system error": (raising(PermissionError(errno.EACCES, "Permission denied")), DEFECT),
    "a damaged file": (raising(RuntimeError("inline_container.cc:1] PytorchStreamReader failed reading")), DEFECT),
}


@pytest.mark.parametrize("name", CASES)
def test_exit_codes(name, monkeypatch, capsys):
    act, code = CASES[name]
    monkeypatch.setattr(cli, "app", lambda **settings: act())
    monkeypatch.setattr(sys, "argv", ["growthpace", "train"])
    if code == DEFECT:
        with pytest.raises((KeyError, OSError, RuntimeError)):  # Python prints the traceback and exits with 1
            cli.main()
        return
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == code
    said = capsys.readouterr().err
    assert said.startswith("growthpace: ")
    assert said.count("\n") == 1


def test_out_of_memory_names_the_settings():
    assert "training.microbatch_tokens" in message(MemoryError(), ["train"])
    assert "training.gradient_checkpointing: true" in message(MemoryError(), ["train"])
    assert "max_new_tokens" in message(MemoryError(), ["predict"])
    assert message(MemoryError(), []) == "out of memory (MemoryError); use more memory"


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", place]).returncode:
        pytest.skip("only root may mount a file system")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def by_python(path: Path):
    path.write_bytes(bytes(10**6))


def by_torch(path: Path):
    import torch

    torch.save(torch.ones(10**6), path)


def by_safetensors(path: Path):
    import torch
    from safetensors.torch import save_file

    save_file({"x": torch.ones(10**6)}, path)


def by_parquet(path: Path):
    import numpy
    import pyarrow

    from growthpace.files import write_table

    write_table(path, pyarrow.table({"x": numpy.random.default_rng(0).random(10**5)}), {})


@pytest.mark.parametrize("write", [by_python, by_torch, by_safetensors, by_parquet])
def test_a_full_disk(small_disk, write):
    """Whatever writes, the code is the same and the message names the file system."""
    with pytest.raises(Exception) as found, StateFolder(small_disk / "state", "of this"):  # noqa: PT011
        write(small_disk / "file")
    assert exit_code(found.value) == NO_SPACE
    assert f"no space to write on the file system {small_disk} (" in message(found.value, ["train"])
    assert "GB are free" in message(found.value, ["train"])
    assert failure(small_disk / "state") is None
