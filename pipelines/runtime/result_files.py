"""The files that a run leaves at its end: the account as JSON, and the report as a page."""

from __future__ import annotations

import os
from collections.abc import Iterator
from errno import EISDIR
from pathlib import Path

import orjson

from pipelines.runtime.report_page.page import RunReport
from transforms.sinks.files import reason_of


def write_results(report: RunReport) -> Iterator[str]:
    """Write the files that the options ask for, each whole or not at all; yield which ones cannot be, and why."""
    general = report.settings.general
    if general.summary_file:
        summary = orjson.dumps(report.account, option=orjson.OPT_INDENT_2) + b"\n"
        yield from _write("the summary", general.summary_file, summary)
    if general.report_file:
        yield from _write("the report", general.report_file, report.html().encode(errors="backslashreplace"))


def _write(what: str, path: str, content: bytes) -> Iterator[str]:
    unfinished = _unfinished(path)
    try:
        unfinished.write_bytes(content)
        unfinished.rename(path)
    except OSError as error:  # the preflight could write it
        yield f"{what} cannot be written to {path}: {reason_of(error)}"


def check_can_be_written(path: str) -> None:
    """Look whether a file can be written there.

    Raises:
        OSError: It cannot.
    """
    if Path(path).is_dir():
        raise IsADirectoryError(EISDIR, os.strerror(EISDIR), path)
    _unfinished(path).write_bytes(b"")
    _unfinished(path).unlink()


def _unfinished(path: str) -> Path:
    return Path(f"{path}.unfinished")
