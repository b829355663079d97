"""The log as lines of JSON, whatever is logged."""

from __future__ import annotations

import io
import logging
import sys

import orjson
import pytest

from pipelines.runtime.logs import JobServerLines, JsonFormatter, set_up_logging


@pytest.mark.parametrize("text", ["two\nlines", "\x00\x1b[31m", "file \udcff", "\u2028 é 😀"])
def test_each_record_is_one_line_of_json(text: str) -> None:
    try:
        raise ValueError(text)
    except ValueError:
        record = logging.LogRecord("a", logging.ERROR, "f.py", 1, "failed: %s", (text,), sys.exc_info())
    line = JsonFormatter().format(record)
    assert "\n" not in line
    fields = orjson.loads(line)
    expected = text.replace("\udcff", "\\udcff")
    assert fields["message"] == f"failed: {expected}"
    assert fields["exception"].endswith(f"ValueError: {expected}")
    assert fields["severity"] == "ERROR"


def test_a_line_goes_to_the_standard_error_of_the_moment_although_the_one_before_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_up_logging("text")
    for text in ("first", "second"):
        written = io.BytesIO()
        errors = io.TextIOWrapper(written, write_through=True)
        monkeypatch.setattr(sys, "stderr", errors)
        logging.getLogger("a").warning(text)
        assert text.encode() in written.getvalue()
        errors.close()


@pytest.mark.parametrize(
    ("name", "level", "module", "text", "is_shown"),
    [
        ("FlinkJarJobServer", logging.INFO, "subprocess_server", "Error: Invalid jarfile", False),
        ("apache_beam.utils.subprocess_server", logging.WARNING, "subprocess_server", "Really starting", False),
        ("apache_beam.utils.subprocess_server", logging.WARNING, "subprocess_server", "Beam is downloading x", True),
        ("root", logging.ERROR, "portable_runner", "java.lang.Exception", False),
        ("root", logging.WARNING, "portable_runner", "a warning", True),
        ("apache_beam.runners.worker.sdk_worker", logging.ERROR, "sdk_worker", "Traceback", False),
        ("transforms.kafka.reader", logging.ERROR, "reader", "a broker is away", True),
    ],
)
def test_of_a_job_server_only_what_users_wait_for_is_shown(
    name: str, level: int, module: str, text: str, is_shown: bool
) -> None:
    lines = JobServerLines()
    assert lines.filter(logging.LogRecord(name, level, f"{module}.py", 1, "%s", (text,), None)) == is_shown
    assert lines.problem == ("Error: Invalid jarfile" if name == "FlinkJarJobServer" else "")
