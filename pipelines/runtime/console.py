"""Messages of a run: text and tables on a console, or log lines of JSON for a log collector."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Any, Protocol, TextIO, cast

import orjson
from rich.console import Console
from rich.markup import escape

from pipelines.output.standard_output import put_out
from pipelines.output.table import show
from pipelines.output.terminal import is_terminal
from pipelines.runtime.report import table
from transforms.records.open_file import reason_of
from transforms.sinks.base import Sinks

_LOG = logging.getLogger("beam_aep")


class _Standard:
    """The standard error; a closed terminal must not stop the run."""

    def __init__(self, file: TextIO):
        self._file = file

    @property
    def encoding(self) -> str:
        return self._file.encoding or "utf-8"

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._file.flush()

    def isatty(self) -> bool:
        return self._file.isatty()

    def fileno(self) -> int:
        return self._file.fileno()


def console() -> Console:
    """Return a console on the current standard error; silent if that was closed before the start."""
    file = cast("IO[str]", _Standard(sys.stderr)) if sys.stderr else None
    return Console(file=file, stderr=True, highlight=False, soft_wrap=True)


def write_line(text: str) -> None:
    """Write a line to the standard error of the moment, which keeps a live line whole; nowhere if that is closed."""
    if sys.stderr is not None:
        _Standard(sys.stderr).write(f"{text}\n")


class Reporter(Protocol):
    """Reports to the person who runs the pipeline, or to the collector of its log."""

    @property
    def is_terminal(self) -> bool:
        """Whether the output is an interactive terminal."""
        ...

    def say(self, text: str) -> None:
        """Report what happens."""
        ...

    def error(self, text: str) -> None:
        """Report why the run has not done what it should."""
        ...

    def progress(self, text: str, numbers: Mapping[str, float | None]) -> None:
        """Report how far the run is, in words and as fields."""
        ...

    def account(self, account_of_run: dict[str, Any], sinks: Sinks, title: str, destination: str) -> None:
        """Report the final counts, as the summary file has them."""
        ...


class ConsoleReporter:
    """Prints lines and tables on a console.

    Args:
        console: Where.
        as_json: Print the final counts as JSON on the standard output instead.
    """

    def __init__(self, console: Console, *, as_json: bool = False):
        self.console = console
        self._as_json = as_json

    @property
    def is_terminal(self) -> bool:
        """Whether the output is an interactive terminal."""
        return is_terminal(self.console)

    def say(self, text: str) -> None:
        """Print a line."""
        self.console.print(escape(text))

    def error(self, text: str) -> None:
        """Print a line that begins with `error:`."""
        self.console.print(f"[red]error:[/red] {escape(text)}")

    def progress(self, text: str, numbers: Mapping[str, float | None]) -> None:
        """Log the words, with their time."""
        _LOG.info(text)

    def account(self, account_of_run: dict[str, Any], sinks: Sinks, title: str, destination: str) -> None:
        """Print a table, or JSON; the table too where JSON cannot be printed."""
        problem = _print_json(account_of_run) if self._as_json else ""
        if problem or not self._as_json:
            show(self.console, table(account_of_run, sinks, title, destination))
        if problem:
            self.error(f"{problem}; the counts are above")


class LogReporter:
    """Writes to the log; the final counts are the field `account` of their line, those on the way `progress`.

    Args:
        as_json: Also print the final counts as JSON on the standard output.
    """

    is_terminal = False

    def __init__(self, *, as_json: bool = False):
        self._as_json = as_json

    def say(self, text: str) -> None:
        """Log a line at INFO."""
        _LOG.info(text)

    def error(self, text: str) -> None:
        _LOG.error(text)

    def progress(self, text: str, numbers: Mapping[str, float | None]) -> None:
        """Log a line at INFO."""
        _LOG.info(text, extra={"progress": numbers})

    def account(self, account_of_run: dict[str, Any], sinks: Sinks, title: str, destination: str) -> None:
        """Log a line, at ERROR of a run that has failed."""
        outcome = account_of_run["outcome"]
        level = logging.INFO if outcome in ("finished", "stopped") else logging.ERROR
        _LOG.log(level, "%s: %s", title, outcome, extra={"account": account_of_run})
        if self._as_json and (problem := _print_json(account_of_run)):
            self.error(f"{problem}; the counts are above")


def _print_json(account_of_run: dict[str, Any]) -> str:
    """Return why the counts cannot be printed, "" where they were. A run that has ended is not to fail by that."""
    error = put_out(f"{orjson.dumps(account_of_run).decode()}\n")
    return f"the counts cannot be written to the standard output: {reason_of(error)}" if error else ""
