"""What a run tells about itself while it runs; see docs/operations.md."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mars2.config.section import Section


class TelemetryConfig(Section):
    """None of this changes what a run computes, so all of it may change on resume.

    `log_file` None: log.jsonl (text: log.txt) in the run directory, if there is one; "-": stderr.
    A file of `log_megabytes` is full and becomes FILE.1, and so on up to `log_files` in all.
    `metrics_port` None: no metrics; 0: any free port.
    """

    log_file: str | None = None
    log_format: Literal["json", "text"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_megabytes: int = Field(default=16, gt=0)
    log_files: int = Field(default=4, gt=1)
    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    metrics_host: str = "127.0.0.1"
