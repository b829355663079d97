"""The limits of reading from and writing to a shard.

Sources: "Quotas and limits", PutRecords and GetRecords in AWS's API reference. How AWS smooths traffic within a second
is not published: here each limit is a bucket of one second's worth, refilled steadily.
"""

from __future__ import annotations

from dataclasses import dataclass, field

RECORDS_A_SECOND = 1_000
BYTES_A_SECOND = 1 << 20
READS_A_SECOND = 5
READ_BYTES_A_SECOND = 2 << 20
READ_BYTES = 10 << 20  # most that one reply of GetRecords holds
REST_SECONDS = 5  # during which a shard refuses reads after such a reply

_ROUNDING = 1e-6  # of seconds since the epoch as a float


@dataclass
class Meter:
    """The remaining capacity of one limit, in seconds.

    Attributes:
        level: The capacity; below 0 after a cost of more than a second's worth.
        at: The time of `level`, in seconds.
    """

    level: float = 1
    at: float = 0

    def refill(self, now: float, share: float) -> None:
        """Refill up to now; `share` is the fraction of AWS's limit in force."""
        self.level = min(share, self.level + max(0, now - self.at) * share)
        self.at = now

    def has(self, cost: float, share: float) -> bool:
        """Return whether this cost is covered; one larger than a full bucket needs a full bucket."""
        return share > 0 and self.level >= min(cost, share) - _ROUNDING


@dataclass
class ShardMeters:
    """The limits of one shard."""

    records: Meter = field(default_factory=Meter)
    bytes: Meter = field(default_factory=Meter)
    reads: Meter = field(default_factory=Meter)
    read_bytes: Meter = field(default_factory=Meter)

    def take(self, size: int, now: float, share: float) -> bool:
        """Count a record of this size, if it may be written now; return whether it may."""
        self.records.refill(now, share)
        self.bytes.refill(now, share)
        costs = (1 / RECORDS_A_SECOND, size / BYTES_A_SECOND)
        if not (self.records.has(costs[0], share) and self.bytes.has(costs[1], share)):
            return False
        self.records.level -= costs[0]
        self.bytes.level -= costs[1]
        return True

    def may_read(self, now: float) -> bool:
        """Count a call, if the shard may be read now; return whether it may."""
        self.reads.refill(now, 1)
        self.read_bytes.refill(now, 1)
        if not self.reads.has(1 / READS_A_SECOND, 1) or self.read_bytes.level <= 0:
            return False
        self.reads.level -= 1 / READS_A_SECOND
        return True

    def was_read(self, size: int, *, full: bool) -> None:
        """Count the bytes of a reply; `full` says that it has the largest size allowed."""
        self.read_bytes.level = -REST_SECONDS if full else self.read_bytes.level - size / READ_BYTES_A_SECOND
