"""When the bundle of an unbounded source ends."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BundleLimits:
    """When a bundle ends, whichever comes first. It bounds duplicates, memory and the delay of checkpoints.

    Attributes:
        max_records, max_bytes, max_seconds: Since the bundle's first record.
        linger_seconds: Once the log is read to its end, how long to wait for more to fill the last batch.
        idle_seconds: How long an empty poll may block; readers that share a thread with others must not block long.
    """

    max_records: int
    max_bytes: int
    max_seconds: float
    linger_seconds: float
    idle_seconds: float = 1.0
