"""Writing files so that a reader never sees half of one, and Parquet tables that say where they come from.

Everything written here goes to a temporary name beside the target, is flushed to disk and renamed over it, so that a
crash leaves either the old file or the new one. No timestamps and no paths of this machine enter a file: the same
input gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from growthpace import __version__

if TYPE_CHECKING:  # pyarrow takes 45 MB, which a plan of a big study has no room for
    import pyarrow as pa

METADATA_KEY = b"growthpace"


@contextmanager
def written_aside(path: str | Path):
    """Gives a temporary path beside `path`; on a clean exit it is synced and renamed to `path`, else removed."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield aside
        with open(aside, "rb+") as handle:
            os.fsync(handle.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Writes UTF-8 text in one piece."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: str | Path, content: Any) -> None:
    """Writes JSON in one piece, with sorted keys so that equal content gives equal bytes."""
    write_text(path, json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """The content of a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_table(path: str | Path, table: pa.Table, metadata: dict[str, Any]) -> None:
    """Writes a Parquet file in one piece; `metadata` (JSON-able: study, stage, code version, hashes) goes into its
    schema, with growthpace's version."""
    import pyarrow.parquet as pq

    described = json.dumps({"growthpace": __version__, **metadata}, sort_keys=True, ensure_ascii=False)
    with written_aside(path) as aside:
        pq.write_table(table.replace_schema_metadata({METADATA_KEY: described}), aside, compression="zstd")


def write_tables(path: str | Path, schema: pa.Schema, tables: Iterable[pa.Table], metadata: dict[str, Any]) -> None:
    """As `write_table`, of tables that are made one after the other, each a row group. `metadata` is looked at after
    the last of them."""
    import pyarrow.parquet as pq

    with written_aside(path) as aside, pq.ParquetWriter(aside, schema, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table)
        described = json.dumps({"growthpace": __version__, **metadata}, sort_keys=True, ensure_ascii=False)
        writer.add_key_value_metadata({METADATA_KEY: described})


def read_metadata(path: str | Path) -> dict[str, Any]:
    """What `write_table` was told about the file; empty for a Parquet file that growthpace did not write."""
    import pyarrow.parquet as pq

    described = (pq.read_metadata(path).metadata or {}).get(METADATA_KEY)
    return json.loads(described) if described else {}


def sha256(path: str | Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def fingerprint(content: Any) -> str:
    """First 16 hex digits of the SHA-256 of JSON-able content; equal content, equal fingerprint."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
