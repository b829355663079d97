"""When the bundle of an unbounded source ends."""

from __future__ import annotations

from dataclasses import dataclass, replace

# Of readers that share a thread with others: waiting must not block those.
_SHARED_IDLE_SECONDS = 0.05
_SHARED_LINGER_SECONDS = 0.2

SHARED_DEFER_SECONDS = 0.5
"""When a reader that shares a thread with others, and had nothing to read, is asked again."""


@dataclass(frozen=True)
class BundleLimits:
    """When a bundle ends, whichever comes first. It bounds duplicates, memory and the delay of checkpoints.

    Attributes:
        max_records, max_bytes, max_seconds: Since the bundle's first record.
        linger_seconds: Once the log is read to its end, how long to wait for more to fill the last batch.
        idle_seconds: How long an empty poll may block; readers that share a thread with others must not block long.
        quiet_seconds: When a bundle without records ends, if nothing waits for its end: each end costs the runner
            milliseconds, all day where nothing comes.
    """

    max_records: int
    max_bytes: int
    max_seconds: float
    linger_seconds: float
    idle_seconds: float = 1.0
    quiet_seconds: float = 10.0

    def on_shared_thread(self) -> BundleLimits:
        """Return the same limits for readers that share a thread with others, as on a cluster: they wait less."""
        return replace(
            self,
            idle_seconds=min(self.idle_seconds, _SHARED_IDLE_SECONDS),
            quiet_seconds=min(self.quiet_seconds, _SHARED_IDLE_SECONDS),
            linger_seconds=min(self.linger_seconds, _SHARED_LINGER_SECONDS),
        )

    def for_two_open(self) -> BundleLimits:
        """Return limits for bundles of which two may be open, which together stay within these limits of records and
        bytes.
        """
        return replace(self, max_records=max(1, self.max_records // 2), max_bytes=max(1, self.max_bytes // 2))
