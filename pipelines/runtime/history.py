"""What a run in this process did over time, in a bounded number of intervals."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

from pipelines.runtime.report import total_latency, under
from transforms.worker import metrics
from transforms.worker.latency import Histogram
from transforms.worker.under_way import REQUESTS, UnderWay

_LOOK_SECONDS = 0.5

# With so many, two become one and each new one takes twice the time: a week has 300 of half an hour, or so.
_MOST_INTERVALS = 600


@dataclass
class Interval:
    """A stretch of time.

    Attributes:
        seconds: Its length.
        read, accepted, dead_lettered, requests: In this time.
        request_seconds: Time spent on requests, of all of them together.
        most_in_flight: The most requests that were under way at once.
        looks: How often it was looked.
        lag: How far reading was behind at most, in records or seconds; None where that was not known.
        latency: Of the records that were accepted.
    """

    seconds: float = 0.0
    read: int = 0
    accepted: int = 0
    dead_lettered: int = 0
    requests: int = 0
    request_seconds: float = 0.0
    most_in_flight: int = 0
    looks: int = 0
    lag: float | None = None
    latency: Histogram = field(default_factory=Histogram)

    def add(self, other: Interval) -> None:
        """Add the time that follows."""
        self.seconds += other.seconds
        self.read += other.read
        self.accepted += other.accepted
        self.dead_lettered += other.dead_lettered
        self.requests += other.requests
        self.request_seconds += other.request_seconds
        self.most_in_flight = max(self.most_in_flight, other.most_in_flight)
        self.looks += other.looks
        self.lag = max((lag for lag in (self.lag, other.lag) if lag is not None), default=None)
        self.latency.add(other.latency)


class History:
    """Looks at the counts of this process while its `with` block lasts, in a thread of its own.

    Attributes:
        intervals: One after another, from the start.
        lag_in_seconds: Whether the lag is in seconds, as for a stream, and not in records.

    Args:
        most: Intervals to keep at most, an even number.
        clock: Seconds, never going back.
        under_way: Requests of this process; nothing else may take their load.
    """

    def __init__(
        self,
        most: int = _MOST_INTERVALS,
        clock: Callable[[], float] = time.monotonic,
        under_way: UnderWay = REQUESTS,
    ):
        self.intervals: list[Interval] = []
        self.lag_in_seconds = False
        self._most = most
        self._looks = 2  # of an interval
        self._clock = clock
        self._under_way = under_way
        self._then = clock()
        self._before = Interval()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="history", daemon=True)

    def __enter__(self) -> History:
        self._then = self._clock()
        self._under_way.take()  # of an earlier run of this process
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()
        self.look()

    def _watch(self) -> None:
        while not self._end.wait(_LOOK_SECONDS):
            self.look()

    def look(self) -> None:
        """Add what has happened since the last look."""
        if not self.intervals or self.intervals[-1].looks >= self._looks:
            if len(self.intervals) >= self._most:
                self._halve()
            self.intervals.append(Interval())
        self.intervals[-1].add(self._since_last_look())

    def _halve(self) -> None:
        for one, next_one in zip(self.intervals[::2], self.intervals[1::2], strict=True):
            one.add(next_one)
        del self.intervals[1::2]
        self._looks *= 2

    def _since_last_look(self) -> Interval:
        counts, now = metrics.process_counts(), self._clock()
        dead_lettered = sum(under(counts, metrics.DEAD_LETTERED).values())
        total = Interval(
            read=counts[metrics.READ],
            accepted=counts[metrics.ACCEPTED],
            dead_lettered=dead_lettered,
            requests=counts[metrics.REQUESTS],
            latency=total_latency(counts),
        )
        before, self._before = self._before, total
        load = self._under_way.take()
        lag_seconds = metrics.lag_seconds()
        self.lag_in_seconds = self.lag_in_seconds or lag_seconds is not None
        since, self._then = now - self._then, now
        return Interval(
            seconds=since,
            read=total.read - before.read,
            accepted=total.accepted - before.accepted,
            dead_lettered=total.dead_lettered - before.dead_lettered,
            requests=total.requests - before.requests,
            request_seconds=load.seconds,
            most_in_flight=load.most,
            looks=1,
            lag=metrics.lag_records() if lag_seconds is None else lag_seconds,
            latency=total.latency.beyond(before.latency),
        )
