"""Latency: how long after it was written to Kafka a record was accepted, counted in buckets.

The buckets are counters, which every runner adds up: Beam's distributions know no quantiles, and its histograms do not
leave the worker. Only buckets with records have one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from transforms.worker import metrics

LATENCY = "latency_milliseconds/"  # and the route's name, and / and the upper bound of a bucket, or /sum

# Twenty in each power of ten, which keeps a quantile within a few per cent; the last one takes in whatever is older.
_STEPS = (100, 112, 125, 140, 160, 180, 200, 224, 250, 280, 315, 355, 400, 450, 500, 560, 630, 710, 800, 900)
BOUNDS = (
    *range(1, 10),
    *(step * 10**power // 10 for power in range(8) for step in _STEPS),
    *(10**power for power in range(9, 14)),
)
"""Upper bounds of the buckets in milliseconds, inclusive; 1, 2.5 and 5 times each power of ten are among them."""


class Accepted(NamedTuple):
    """Records that were accepted together, at a time in milliseconds since 1970."""

    records: int
    at: int


@dataclass
class Histogram:
    """Latencies of records.

    Attributes:
        buckets: Number of records by the upper bound of their bucket, in milliseconds.
        sum_milliseconds: All latencies together.
    """

    buckets: Counter[int] = field(default_factory=Counter)
    sum_milliseconds: int = 0

    @property
    def records(self) -> int:
        """How many records were measured."""
        return self.buckets.total()

    def add(self, other: Histogram) -> None:
        """Add the records of another histogram to these."""
        self.buckets.update(other.buckets)
        self.sum_milliseconds += other.sum_milliseconds

    def beyond(self, before: Histogram) -> Histogram:
        """Return what has come since an earlier state of the same histogram."""
        return Histogram(self.buckets - before.buckets, self.sum_milliseconds - before.sum_milliseconds)

    def quantile(self, share: float) -> float:
        """Return the latency in milliseconds that this share of the records did not exceed.

        Within a bucket latencies are taken to be spread evenly. 0 where nothing was measured.

        Args:
            share: Above 0, and 1 at most.
        """
        rank, below = share * self.records, 0
        for bound in sorted(self.buckets):
            inside = self.buckets[bound]
            if inside and below + inside >= rank:
                index = bisect_left(BOUNDS, bound)
                low = BOUNDS[index - 1] if index else 0
                return low + (bound - low) * (rank - below) / inside
            below += inside
        return 0.0


def measure(timestamps: Iterable[int], steps: Iterable[Accepted]) -> Histogram:
    """Return the latencies of the accepted records of a batch.

    Which records a step was about is not known: the oldest are taken to be accepted first. With more than one step a
    latency is off by no more than the records of the batch are apart.

    Args:
        timestamps: When each was written to Kafka, in milliseconds since 1970. Records without one, where it is not
            positive, are left out. A clock that is ahead of this one makes no negative latency, but 0.
        steps: When they were accepted, together as many as there are timestamps.
    """
    measured = Histogram()
    ordered = sorted(timestamps)
    first = 0
    for step in sorted(steps, key=_time):
        part = ordered[first : first + step.records]
        first += step.records
        _add(measured, part, step.at)
    return measured


def _time(step: Accepted) -> int:
    return step.at


def _add(measured: Histogram, timestamps: Sequence[int], now: int) -> None:
    """Add records of ascending timestamps, a bucket at a time."""
    oldest = bisect_right(timestamps, 0)
    past = timestamps[oldest : bisect_right(timestamps, now)]
    measured.sum_milliseconds += now * len(past) - sum(past)
    stop = len(timestamps)
    while stop > oldest:
        bound = BOUNDS[bisect_left(BOUNDS, now - timestamps[stop - 1])]
        start = bisect_left(timestamps, now - bound, oldest, stop)
        measured.buckets[bound] += stop - start
        stop = start


def count_latencies(route: str, measured: Histogram) -> None:
    """Count latencies of records of a route; in the bundle's thread only."""
    for bound, number in measured.buckets.items():
        metrics.count(f"{LATENCY}{route}/{bound}", number)
    metrics.count(f"{LATENCY}{route}/{metrics.SUM}", measured.sum_milliseconds)


def latencies(counts: Mapping[str, int]) -> dict[str, Histogram]:
    """Return the latencies that were counted, by route."""
    found: dict[str, Histogram] = {}
    for name, number in counts.items():
        if name.startswith(LATENCY):
            route, _, bucket = name.removeprefix(LATENCY).rpartition("/")
            histogram = found.setdefault(route, Histogram())
            if bucket == metrics.SUM:
                histogram.sum_milliseconds = number
            else:
                histogram.buckets[int(bucket)] = number
    return found
