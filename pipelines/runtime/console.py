"""What a run tells of itself: text and tables for people, or log lines of JSON for what collects logs."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import IO, Any, Protocol, TextIO, cast

from rich.console import Console
from rich.markup import escape

from pipelines.runtime.report import table
from transforms.sinks.base import Sinks

_LOG = logging.getLogger("beam_aep")


class _Standard:
    """The standard error, whether anybody reads it or not: a run does not end because its terminal has."""

    def __init__(self, file: TextIO):
        self._file = file

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
    """A console on the standard error, as it is now; there is none where it was closed at the start."""
    file = cast("IO[str]", _Standard(sys.stderr)) if sys.stderr else None
    return Console(file=file, stderr=True, highlight=False, soft_wrap=True)


class Teller(Protocol):
    """Tells the person who runs the pipeline, or the collector of its log."""

    @property
    def is_terminal(self) -> bool:
        """Whether a person watches."""
        ...

    def say(self, text: str) -> None:
        """What happens."""
        ...

    def error(self, text: str) -> None:
        """What a person has to mend."""
        ...

    def account(self, account_of_run: dict[str, Any], sinks: Sinks, title: str) -> None:
        """The account of the run, as the summary file has it."""
        ...


class ConsoleTeller:
    """Tells people."""

    def __init__(self, console: Console):
        self.console = console

    @property
    def is_terminal(self) -> bool:
        """Whether a person watches."""
        return self.console.is_terminal

    def say(self, text: str) -> None:
        """A line."""
        self.console.print(escape(text))

    def error(self, text: str) -> None:
        """A line that begins with `error:`."""
        self.console.print(f"[red]error:[/red] {escape(text)}")

    def account(self, account_of_run: dict[str, Any], sinks: Sinks, title: str) -> None:
        """A table."""
        self.console.print(table(account_of_run, sinks, title))


class LogTeller:
    """Tells the log. The account is a field of its line."""

    is_terminal = False

    def say(self, text: str) -> None:
        """A line at INFO."""
        _LOG.info(text)

    def error(self, text: str) -> None:
        """A line at ERROR."""
        _LOG.error(text)

    def account(self, account_of_run: dict[str, Any], sinks: Sinks, title: str) -> None:
        """A line at INFO."""
        _LOG.info("%s: %s", title, account_of_run["outcome"], extra={"account": account_of_run})
