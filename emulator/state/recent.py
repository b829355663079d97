"""How busy the collection was in the last two minutes, second by second. In memory only: a restart begins anew."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

SECONDS = 120


@dataclass
class Second:
    """What was done in a second.

    Attributes:
        requests: Requests that were answered, or whose connection was dropped.
        messages: Messages in them.
        answer_s: Seconds that all answers took, from the end of the request's body.
        slowest_s: The longest of these.
    """

    requests: int = 0
    messages: int = 0
    answer_s: float = 0
    slowest_s: float = 0


class RecentTraffic:
    """The last seconds of the collection.

    Args:
        timer: A monotonic clock, in seconds.
    """

    def __init__(self, timer: Callable[[], float]) -> None:
        self._timer = timer
        self._seconds: deque[tuple[int, Second]] = deque(maxlen=SECONDS + 1)

    def begin(self) -> float:
        """Return the time, for `end`."""
        return self._timer()

    def end(self, began: float, messages: int) -> None:
        """Count a request that was answered now.

        Args:
            began: When its body had been read.
            messages: In it.
        """
        now = self._timer()
        number = int(now)
        if not self._seconds or self._seconds[-1][0] != number:
            self._seconds.append((number, Second()))
        second, took = self._seconds[-1][1], now - began
        second.requests += 1
        second.messages += messages
        second.answer_s += took
        second.slowest_s = max(second.slowest_s, took)

    def last(self) -> list[Second]:
        """Return the last seconds that are over, the oldest first."""
        now = int(self._timer())
        known = dict(self._seconds)
        return [known.get(number, Second()) for number in range(now - SECONDS, now)]
