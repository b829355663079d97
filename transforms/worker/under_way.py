"""Requests under way in this process over time: a look now and then misses most of what lasts milliseconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple


class Load(NamedTuple):
    """What requests did in some time.

    Attributes:
        most: The most that were under way at once.
        seconds: Time spent on all of them, added up: divided by the time that has passed, their mean number.
    """

    most: int
    seconds: float


class UnderWay:
    """Counts requests, each of which is sent and answered in a `with` block. Thread safe.

    Args:
        clock: Seconds, never going back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._lock = threading.Lock()
        self._then = clock()
        self._number = self._most = 0
        self._seconds = 0.0

    def __enter__(self) -> None:
        with self._lock:
            self._pass()
            self._number += 1
            self._most = max(self._most, self._number)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._pass()
            self._number -= 1

    def take(self) -> Load:
        """Return the load since this was last called."""
        with self._lock:
            self._pass()
            load = Load(self._most, self._seconds)
            self._most, self._seconds = self._number, 0.0
            return load

    def add(self, load: Load) -> None:
        """Add requests that another process has made."""
        with self._lock:
            self._most = max(self._most, load.most)
            self._seconds += load.seconds

    def _pass(self) -> None:
        now = self._clock()
        self._seconds += self._number * (now - self._then)
        self._then = now


REQUESTS = UnderWay()
"""Requests of this process to its destinations."""
