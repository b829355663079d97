"""Adaptive limit on concurrent requests to an inlet (AIMD).

Additive increase, multiplicative decrease, as TCP does it: each round of good replies adds one request, and a sign of
overload halves the number. A slow or throttling AEP thus slows reading, and nothing piles up in memory.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from aep.errors import StoppedError
from aep.http.backoff import sleep

_DECREASE = 0.5
# Requests that were under way together fail together: they count as one sign of overload.
_ONE_SIGN_SECONDS = 1.0


@dataclass(frozen=True)
class Window:
    """The allowed number of concurrent requests: a float between 1 and `ceiling`, rounded down when used.

    Attributes:
        size: The number.
        ceiling: The most there may ever be.
        narrowed: Clock reading of the last decrease.
    """

    size: float
    ceiling: int
    narrowed: float = float("-inf")

    def after_good(self) -> Window:
        """Return the window after a reply without a sign of overload: one more for each round of `size` replies."""
        return replace(self, size=min(float(self.ceiling), self.size + 1 / self.size))

    def after_overload(self, now: float) -> Window:
        """Return the window after 429, 503 or a time-out: half, unless it was halved for that a moment ago."""
        if now - self.narrowed < _ONE_SIGN_SECONDS:
            return self
        return replace(self, size=max(1.0, self.size * _DECREASE), narrowed=now)


class RequestLimit:
    """Lets requests through while there is room, first come first served, shared by all threads that post to an inlet.

    Args:
        ceiling: Requests under way at most.
        messages_per_second: Messages sent at most, as an average over a second; None for no such limit.
        clock: Monotonic seconds.
        wait: Sleeps the given seconds; returns True if the process is to end before they are over.
    """

    def __init__(
        self,
        ceiling: int,
        messages_per_second: float | None,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ):
        self._window = Window(float(ceiling), ceiling)
        self._under_way = 0
        self._queue: deque[object] = deque()
        self._room = threading.Condition()
        self._rate = messages_per_second
        self._clock = clock
        self._wait = wait or sleep
        self._next_send = clock()

    @contextmanager
    def slot(self, messages: int) -> Iterator[int]:
        """Wait for a slot and hold it while a request with this many messages is in progress.

        Yields:
            The number of concurrent requests, this one included.

        Raises:
            StoppedError: The process is to end before it is the request's turn.
        """
        place = object()
        with self._room:
            crowded = bool(self._queue) or self._under_way >= int(self._window.size)
            self._queue.append(place)
            self._room.wait_for(lambda: self._queue[0] is place and self._under_way < int(self._window.size))
            self._queue.popleft()
            self._room.notify_all()  # there may be room for the next in the queue too
            self._under_way += 1
            under_way = self._under_way
            pause = self._take_turn(messages)
        try:
            if (crowded or pause > 0) and self._wait(pause):
                raise StoppedError("stopped while records were waiting to be sent; they will be read again")
            yield under_way
        finally:
            with self._room:
                self._under_way -= 1
                self._room.notify_all()

    def note(self, overload: bool) -> None:
        """Widen or narrow the window after a request."""
        with self._room:
            self._window = self._window.after_overload(self._clock()) if overload else self._window.after_good()
            self._room.notify_all()

    @property
    def under_way(self) -> int:
        return self._under_way

    @property
    def size(self) -> int:
        """The allowed number of concurrent requests."""
        return int(self._window.size)

    def _take_turn(self, messages: int) -> float:
        """Return the seconds until these messages may be sent: each request reserves the time its messages take."""
        if self._rate is None:
            return 0.0
        now = self._clock()
        turn = max(now, self._next_send)
        self._next_send = turn + messages / self._rate
        return turn - now
