"""The files that a run leaves at its end: the account as JSON, and the report as a page."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from pipelines.output.whole_file import write_whole
from pipelines.runtime.report_page.page import RunReport
from transforms.records.open_file import reason_of


def write_results(report: RunReport) -> Iterator[str]:
    """Write the files that the options ask for; yield which ones cannot be, and why."""
    general = report.settings.general
    if general.summary_file:
        summary = orjson.dumps(report.account, option=orjson.OPT_INDENT_2) + b"\n"
        yield from _write("the summary", general.summary_file, summary)
    if general.report_file:
        yield from _write("the report", general.report_file, report.html().encode(errors="backslashreplace"))


def _write(what: str, path: str, content: bytes) -> Iterator[str]:
    try:
        write_whole(path, content)
    except OSError as error:  # the preflight could write it
        yield f"{what} cannot be written to {path}: {reason_of(error)}"
