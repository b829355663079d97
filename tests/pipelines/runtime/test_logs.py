"""The log as lines of JSON, whatever is logged."""

from __future__ import annotations

import io
import logging
import sys

import orjson
import pytest

from pipelines.runtime.logs import JsonFormatter, set_up_logging


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
