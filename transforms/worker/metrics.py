"""Counts of what happened to records: Beam counters, and the same for this process as they grow.

All counts of a process go through `count_here`, so that whatever shows or exports them shows the same.

Beam's counters are the account on a cluster; a local run shows the process's own while it goes on. Beam drops what
other threads than the bundle's count, and what a bundle has counted that fails.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable
from functools import cache

from apache_beam.metrics import Metrics
from apache_beam.metrics.metric import MetricResults, MetricsFilter

NAMESPACE = "beam_aep"

READ = "read"
TOMBSTONES = "tombstones"  # that were skipped
DROPPED = "dropped"  # as their route says
PASSED_OVER = "passed_over"  # dead letters that were read and not chosen for a replay
ACCEPTED = "accepted"
DEAD_LETTERED = "dead_lettered/"  # and the code
DEAD_LETTERS_OF = "dead_letters_of/"  # and the code, and / and the route's name; here alone, Beam has the sums
BY_ROUTE = "route/"  # and the route's name, and /accepted, /dead_lettered or /dropped
RECEIPTS = "receipts"
REQUESTS = "requests"
REQUEST_BYTES = "request_bytes"
RETRIES = "retries/"  # and the cause
DUPLICATES_POSSIBLE = "duplicates_possible"
TOKEN_RENEWALS = "token_renewals"  # noqa: S105 - a count
OFFSETS_SKIPPED = "offsets_skipped"
REPEATS = "repeats"  # profiles that say what the last record of theirs said
REPEATS_DROPPED = "repeats_dropped"  # those of them that were dropped
IDS_LOOKED_AT = "ids_looked_at/"  # and the route's name: the events that REPEATED_IDS is of
REPEATED_IDS = "repeated_ids/"  # and the route's name: different events with an _id that another one has
FAILURES = "failures/"  # and the class of an error that has failed a bundle; here alone, Beam forgets failed bundles

# Distributions. In Beam by their names; here by route as well, in buckets: as counters NAME/ROUTE/BOUND, each for the
# values up to its bound and above the one before, and NAME/ROUTE/sum.
DELIVERY_MESSAGES = "delivery_messages"
DELIVERY_BYTES = "delivery_bytes"
DELIVERY_MILLISECONDS = "delivery_milliseconds"
SUM = "sum"
BOUNDS: dict[str, tuple[int, ...]] = {
    DELIVERY_MESSAGES: (1, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000),
    DELIVERY_BYTES: (1_000, 10_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 10_000_000),
    DELIVERY_MILLISECONDS: (
        *(5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000),
    ),
}

# Levels, which rise and fall.
IN_FLIGHT = "in_flight"
LAG = "lag"  # of Kafka, in records
LAG_MILLISECONDS = "lag_milliseconds"  # of Kinesis
UNCOMMITTED = "uncommitted"  # records that were read, and would be again after a kill
KAFKA_SILENCE = "kafka_silence"  # seconds; not known while the brokers answer

# Of these it is known when they last grew.
_DATED = frozenset({READ, ACCEPTED})

_lock = threading.RLock()  # a signal's handler may ask for a level while the main thread counts
_counts: Counter[str] = Counter()
_last: dict[str, float] = {}
_watched: dict[tuple[str, Hashable], Callable[[], int | None]] = {}


def count(name: str, amount: int = 1) -> None:
    """Add to a counter, here and in Beam; in the bundle's thread only."""
    count_in_beam(name, amount)
    count_here(name, amount)


def count_in_beam(name: str, amount: int) -> None:
    """Add to Beam's counter alone, in the bundle's thread only."""
    if amount:
        _beam_counter(name).inc(amount)


def count_here(name: str, amount: int) -> None:
    """Add to the process's own counter alone, in any thread."""
    if amount:
        with _lock:
            _counts[name] += amount
            if name in _DATED:
                _last[name] = time.time()


def asked() -> None:
    """Note that records were asked for, whether there were any or not."""
    _last[READ] = time.time()


def last(name: str) -> float | None:
    """Return when records were last read (or asked for) or accepted, in seconds since 1970; None for never.

    Args:
        name: `READ` or `ACCEPTED`.
    """
    return _last.get(name)


def accepted_by(route: str) -> str:
    """Return the counter of the records of a route that AEP has received."""
    return f"{BY_ROUTE}{route}/{ACCEPTED}"


def dead_lettered_by(route: str) -> str:
    """Return the counter of the records of a route that were dead-lettered."""
    return f"{BY_ROUTE}{route}/{DEAD_LETTERED.rstrip('/')}"


def dropped_by(route: str) -> str:
    """Return the counter of the records that a route left out, as it says."""
    return f"{BY_ROUTE}{route}/{DROPPED}"


def observe(name: str, value: int) -> None:
    """Add a value to Beam's distribution of this name; in the bundle's thread only."""
    _beam_distribution(name).update(value)


def observe_of(route: str, name: str, value: int) -> None:
    """Add a value to Beam's distribution, and to the process's own buckets of a route.

    Args:
        route: Its name.
        name: One of `BOUNDS`.
        value: In the unit of the name.
    """
    observe(name, value)
    bounds = BOUNDS[name]
    at = bisect_left(bounds, value)
    count_here(f"{name}/{route}/{bounds[at] if at < len(bounds) else 'inf'}", 1)
    count_here(f"{name}/{route}/{SUM}", value)


def watch(name: str, part: Hashable, read: Callable[[], int | None]) -> None:
    """Register a gauge callback of this process, which returns None until it knows."""
    with _lock:
        _watched[name, part] = read


def unwatch(name: str, part: Hashable) -> None:
    """Unregister a gauge callback."""
    with _lock:
        _watched.pop((name, part), None)


def level(name: str) -> int | None:
    """Return the sum of all parts of a level now; None where no part is known."""
    parts = _parts(name)
    return sum(parts) if parts else None


def highest(name: str) -> int | None:
    """Return the highest of all parts of a level now; None where no part is known."""
    return max(_parts(name), default=None)


def lag_records() -> int | None:
    """Return how many records of Kafka are still to be read; None where that is not known, as while the brokers are
    silent: what they said last is no lag.
    """
    return level(LAG) if highest(KAFKA_SILENCE) is None else None


def lag_seconds() -> float | None:
    """Return how far reading Kinesis is behind now; None where that is not known."""
    milliseconds = highest(LAG_MILLISECONDS)
    return None if milliseconds is None else milliseconds / 1000


def _parts(name: str) -> list[int]:
    with _lock:
        parts = [read for (of, _), read in _watched.items() if of == name]
    return [part for part in (read() for read in parts) if part is not None]


@cache
def _beam_counter(name: str) -> Metrics.DelegatingCounter:
    return Metrics.counter(NAMESPACE, name)


@cache
def _beam_distribution(name: str) -> Metrics.DelegatingDistribution:
    return Metrics.distribution(NAMESPACE, name)


def process_counts() -> Counter[str]:
    """Return what this process has counted since `reset`."""
    with _lock:
        return Counter(_counts)


def reset() -> None:
    """Start counting again from nothing, before a run."""
    with _lock:
        _counts.clear()
        _last.clear()


def beam_counts(metrics: MetricResults) -> Counter[str]:
    """Return the same counts as a runner reports them after (or during) a run."""
    counts: Counter[str] = Counter()
    for counter in metrics.query(MetricsFilter().with_namespace(NAMESPACE))["counters"]:
        counts[counter.key.metric.name] += counter.result or 0
    return counts
