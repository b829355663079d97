"""Logging of a run: plain lines, or JSON for log collectors."""

from __future__ import annotations

import logging
import sys
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TextIO

import orjson

from pipelines.options.declarations import LogFormat
from transforms.worker import process

_LOG = logging.getLogger(__name__)


def set_up_logging(log_format: LogFormat, level: int = logging.INFO, *, on_terminal: bool | None = None) -> None:
    """Set up logging of this process, to the standard error, from this level on.

    Args:
        log_format: Of its lines.
        level: The lowest that is logged.
        on_terminal: Whether a terminal shows what it writes; None: if it writes to one.
    """
    # force: importing Beam has already logged something, and so set up logging in its own way.
    handler = _StandardError()
    handler.setFormatter(JsonFormatter() if log_format == "json" else _text_formatter(on_terminal))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # Beam says in many lines what it is about to do; its warnings are enough.
    logging.getLogger("apache_beam").setLevel(logging.WARNING)
    # It calls options of Flink's Java side unknown; ours were checked.
    logging.getLogger("apache_beam.options.pipeline_options").setLevel(logging.ERROR)


def leave_out_beams_tracebacks() -> None:
    """For a run in this process, whose end says in our words why a bundle failed."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(_OurWordsOnly())


class JobServerLines(logging.Filter):
    """Logs for debugging what Beam says of a cluster's job: its end says in our words why it failed.

    That are the lines of a job server that Beam starts, and stack traces from any job server and from workers in this
    process.
    """

    def __init__(self) -> None:
        super().__init__()
        self._problem = ""

    @property
    def problem(self) -> str:
        """The newest line about an error of a job server that Beam started, "" where there was none."""
        return self._problem

    def filter(self, record: logging.LogRecord) -> bool:
        """Return False for these lines."""
        text = record.getMessage()
        if record.module == "subprocess_server":
            if "is downloading" in text:  # the job server's jar, 200 MB: users wait for it
                return True
            if record.levelno == logging.INFO and ("Error" in text or "Exception" in text):
                self._problem = text
        elif record.levelno < logging.ERROR or not _is_of_job(record):
            return True
        _LOG.debug("%s: %s", record.name, text, exc_info=record.exc_info)
        return False


def _is_of_job(record: logging.LogRecord) -> bool:
    of_job_server = record.name == "root" and record.module == "portable_runner"
    return of_job_server or record.name.startswith("apache_beam.runners.worker")


def leave_out_job_errors() -> JobServerLines:
    """For a cluster's job: leave out what `JobServerLines` says."""
    lines = JobServerLines()
    for handler in logging.getLogger().handlers:
        handler.addFilter(lines)
    return lines


if TYPE_CHECKING:
    _StreamHandler = logging.StreamHandler[TextIO]
else:  # takes no type before Python 3.11
    _StreamHandler = logging.StreamHandler


class _StandardError(_StreamHandler):
    """Writes to the standard error of the moment: rich replaces it while it shows a live line, which stays whole."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        self.stream = sys.stderr  # setStream would flush the one before, which may be closed
        super().emit(record)


# Fields that our own lines have beside their message.
_FIELDS = ("account", "progress")


class JsonFormatter(logging.Formatter):
    """A line of JSON: `time` in ISO 8601 and UTC, `severity`, `logger`, `message`; `exception` where there is one, the
    numbers of a line of `progress`, and the `account` at the end of a run.

    The names are those that Google Cloud Logging and most collectors know.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "severity": record.levelname,
            "logger": record.name,
            "message": _utf8(record.getMessage()),
        }
        line |= {field: getattr(record, field) for field in _FIELDS if hasattr(record, field)}
        if record.exc_info:
            line["exception"] = _utf8(self.formatException(record.exc_info))
        return orjson.dumps(line).decode()


def _utf8(text: str) -> str:
    """Return the text with what UTF-8 cannot say written out, as the bytes of a file's name that is not text."""
    return text.encode(errors="backslashreplace").decode()


def _text_formatter(on_terminal: bool | None) -> logging.Formatter:
    """Return what makes lines of text: with the time of day for who watches, else the date and time in UTC."""
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    if on_terminal is None:
        on_terminal = sys.stderr is not None and sys.stderr.isatty()
    if on_terminal:
        return logging.Formatter(form, "%H:%M:%S")
    formatter = logging.Formatter(form, "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    return formatter


class _OurWordsOnly(logging.Filter):
    """Leaves out Beam's tracebacks of a failed bundle."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return False for what Beam logs once a bundle has failed."""
        return process.failure is None or not record.name.startswith("apache_beam")
