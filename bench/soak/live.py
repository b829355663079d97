"""Shows how a soak goes, and how it has ended."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from rich.console import Console

_LINE_SECONDS = 5.0
_SHOWN = 20  # problems, when there are some


class Live:
    """Shows a line: in place on a terminal, else anew every 5 s."""

    def __init__(self, console: Console):
        self._console = console
        self._status = console.status("") if console.is_terminal else None
        self._next = 0.0

    @contextmanager
    def shown(self) -> Iterator[None]:
        """While the block lasts."""
        if self._status is None:
            yield
        else:
            with self._status:
                yield

    def __call__(self, line: str) -> None:
        """Show a line, when it is time to."""
        if self._status is not None:
            self._status.update(line)
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + _LINE_SECONDS
            self._console.print(line)


def show_verdict(problems: Sequence[str], what: str, console: Console) -> int:
    """Show what is wrong, or that all is accounted for; return the exit code.

    Args:
        problems: In sentences.
        what: What was to be accounted for, such as "5 records".
        console: Where to.
    """
    for sentence in problems[:_SHOWN]:
        console.print(sentence, style="red")
    if len(problems) > _SHOWN:
        console.print(f"and {len(problems) - _SHOWN:,} more like these", style="red")
    if problems:
        return 1
    console.print(f"every one of {what} is accounted for", style="bold green")
    return 0


def interrupt(number: int, frame: FrameType | None) -> None:
    """Handle SIGTERM as Ctrl-C."""
    raise KeyboardInterrupt
