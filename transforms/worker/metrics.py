"""Counts of what happened to records: Beam counters, and the same for this process as they grow.

Beam's counters are the account on a cluster; a local run shows the process's own while it goes on. Beam drops what
other threads than the bundle's count, and what a bundle has counted that fails.
"""

from __future__ import annotations

import threading
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

# Levels, which rise and fall.
IN_FLIGHT = "in_flight"
LAG = "lag"  # of Kafka, in records
LAG_MILLISECONDS = "lag_milliseconds"  # of Kinesis

_lock = threading.RLock()  # a signal's handler may ask for a level while the main thread counts
_counts: Counter[str] = Counter()
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
    """Add a value to Beam's distribution of this name."""
    _beam_distribution(name).update(value)


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


def beam_counts(metrics: MetricResults) -> Counter[str]:
    """Return the same counts as a runner reports them after (or during) a run."""
    counts: Counter[str] = Counter()
    for counter in metrics.query(MetricsFilter().with_namespace(NAMESPACE))["counters"]:
        counts[counter.key.metric.name] += counter.result or 0
    return counts
