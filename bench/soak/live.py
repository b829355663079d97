"""Shows how a soak goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

_LINE_SECONDS = 5.0


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
