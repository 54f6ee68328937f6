"""Files are written in one piece, say where they come from, and hold nothing of this machine or moment."""

import json
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from growthpace import __version__
from growthpace.files import (
    fingerprint,
    read_json,
    read_metadata,
    sha256,
    write_json,
    write_table,
    write_text,
    written_aside,
)

TABLE = pa.table({"a": [1, 2], "b": ["x", "历史"]})


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError), written_aside(path) as aside:
        aside.write_text("half of the n\ud800")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")
    command = f"""import os, signal
from growthpace.files import written_aside
with written_aside({str(path)!r}) as aside:
    aside.write_text("half of the n")
    os.kill(os.getpid(), signal.SIGKILL)"""
    assert subprocess.run([sys.executable, "-c", command]).returncode == -9
    assert path.read_text() == "old"
    write_text(path, "new")
    assert path.read_text() == "new"


def test_folders_are_made(tmp_path):
    write_json(tmp_path / "a/b/c.json", {})
    assert read_json(tmp_path / "a/b/c.json") == {}


def test_json_is_the_same_bytes_for_the_same_content(tmp_path):
    write_json(tmp_path / "1", {"b": 1, "a": "历史"})
    write_json(tmp_path / "2", {"a": "历史", "b": 1})
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    assert "历史" in (tmp_path / "1").read_text(encoding="utf-8")
    assert sha256(tmp_path / "1") == sha256(tmp_path / "2")


def test_json_has_no_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "file.json", {"loss": float("nan")})
    assert os.listdir(tmp_path) == []


def test_a_table_says_where_it_comes_from(tmp_path):
    path = tmp_path / "table.parquet"
    write_table(path, TABLE, {"study": "small", "settings": {"seed": 1}})
    assert read_metadata(path) == {"growthpace": __version__, "study": "small", "settings": {"seed": 1}}
    assert pq.read_table(path).equals(TABLE)
    first = path.read_bytes()
    write_table(path, TABLE, {"settings": {"seed": 1}, "study": "small"})
    assert path.read_bytes() == first


def test_a_table_of_someone_else_has_no_metadata(tmp_path):
    pq.write_table(TABLE, tmp_path / "table.parquet")
    assert read_metadata(tmp_path / "table.parquet") == {}


def test_fingerprints():
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
    assert fingerprint("历史") == fingerprint(json.loads('"\\u5386\\u53f2"'))
    assert len(fingerprint(None)) == 16
