"""The log as lines of JSON, whatever is logged."""

from __future__ import annotations

import logging
import sys

import orjson
import pytest

from pipelines.runtime.logs import JsonFormatter


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
