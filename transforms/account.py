"""Counts of what happened to records: Beam counters, and the same for this process as they grow.

Beam's counters are the account on a cluster; a local run shows the process's own while it goes on. Count in the
bundle's thread only: Beam drops what other threads count.
"""

from __future__ import annotations

import threading
from collections import Counter
from functools import cache

from apache_beam.metrics import Metrics
from apache_beam.metrics.metric import MetricResults, MetricsFilter

NAMESPACE = "beam_aep"

READ = "read"
TOMBSTONES = "tombstones"
PASSED_OVER = "passed_over"  # dead letters that were read and not chosen for a replay
ACCEPTED = "accepted"
DEAD_LETTERED = "dead_lettered/"  # and the code
REQUESTS = "requests"
REQUEST_BYTES = "request_bytes"
RETRIES = "retries/"  # and the cause
DUPLICATES_POSSIBLE = "duplicates_possible"
OFFSETS_SKIPPED = "offsets_skipped"

_lock = threading.Lock()
_counts: Counter[str] = Counter()


def count(name: str, amount: int = 1) -> None:
    """Adds to a counter, here and in Beam."""
    if amount:
        _beam_counter(name).inc(amount)
        with _lock:
            _counts[name] += amount


@cache
def _beam_counter(name: str) -> Metrics.DelegatingCounter:
    return Metrics.counter(NAMESPACE, name)


def process_counts() -> Counter[str]:
    """What this process has counted since ``reset``."""
    with _lock:
        return Counter(_counts)


def reset() -> None:
    """Starts counting again from nothing, before a run."""
    with _lock:
        _counts.clear()


def beam_counts(metrics: MetricResults) -> Counter[str]:
    """The same counts as a runner reports them after (or during) a run."""
    counts: Counter[str] = Counter()
    for counter in metrics.query(MetricsFilter().with_namespace(NAMESPACE))["counters"]:
        counts[counter.key.metric.name] += counter.result or 0
    return counts
