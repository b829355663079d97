"""A shard in simulated time, for what would take minutes against a real one."""

from __future__ import annotations

RECORDS, BYTES = 1_000, 1_000_000


class Shard:
    """What a shard takes: a store of a second's worth that is refilled steadily, as `share` of AWS's limits says."""

    def __init__(self, share: float = 1.0):
        self.share = share
        self.records = self.bytes = share
        self.at = 0.0

    def take(self, size: int, now: float) -> bool:
        """Return whether it takes a record of this size now."""
        passed, self.at = now - self.at, now
        self.records = min(self.share, self.records + passed * self.share)
        self.bytes = min(self.share, self.bytes + passed * self.share)
        if self.records < 1 / RECORDS or self.bytes < min(self.share, size / BYTES):
            return False
        self.records -= 1 / RECORDS
        self.bytes -= size / BYTES
        return True
