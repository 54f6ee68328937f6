"""Snakemake logger plugin that writes each planned job as one JSON line (see `growthpace.plan.dry_run`).

`snakemake -n --logger growthpace` with GROWTHPACE_PLAN naming the file. Messages go to standard error as ever.
"""

from __future__ import annotations

import json
import os
from logging import LogRecord
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent


class LogHandler(LogHandlerBase):
    """Writes jobs only; all else stays with Snakemake's own handler."""

    writes_to_stream = False
    writes_to_file = False  # not one of the log files that Snakemake names at its end
    has_filter = True  # so that `--quiet` cannot hide a job
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        self._file = open(os.environ["GROWTHPACE_PLAN"], "w", encoding="utf-8")  # noqa: SIM115 (closed by `close`)

    def emit(self, record: LogRecord) -> None:
        if getattr(record, "event", None) == LogEvent.JOB_INFO:
            self._file.write(json.dumps(job(record), ensure_ascii=False) + "\n")

    def close(self) -> None:
        self._file.close()
        super().close()


def job(record: LogRecord) -> dict[str, Any]:
    """What Snakemake tells about a job, as JSON-able content; resources that are no number or text are left out."""
    resources = {k: v for k, v in record.resources.items() if isinstance(v, int | float | str) and k[0] != "_"}
    return {
        "rule": record.rule_name,
        "wildcards": dict(record.wildcards),
        "inputs": list(record.input),
        "outputs": list(record.output),
        "reason": record.reason,
        "resources": resources,
        "threads": record.threads,
    }
