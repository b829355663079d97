"""The rate at which a shard is written to: AWS's limits, lowered by refusals. Pure: time is an argument."""

from __future__ import annotations

from collections.abc import Sequence

from kinesis.limits import SHARD_BYTES, SHARD_RECORDS

_RIPE_SECONDS = 0.1
"""A paced shard saves up what it may take in so long, so that requests do not carry one record each."""

_STORED_SECONDS = 0.75
"""How much an idle shard is sent at once. AWS takes a second's worth: the rest is left for requests that arrive closer
together than they were sent, which would be refused otherwise."""

_WINDOW_SECONDS = 1.0
"""Results are judged after this time, or after `_MANY` refusals."""

_MANY = 50
_SLOWEST = 1 / SHARD_RECORDS
"""The least share of a shard's limits that is tried: one record a second."""

_STEP, _MAX_STEP = 0.02, 0.5
_DEEPEST_CUT = 0.1


class Pace:
    """Token buckets of a shard: one of records and one of bytes.

    AWS's limits are the most that is given. Refusals cut them to the part that was taken, since other writers are not
    known here. While nothing is refused the share grows again, by 2 % at first and twice as much with each such second:
    small steps near the limit, and a quick way back.
    """

    def __init__(self, now: float):
        self._at = now
        self._share = 1.0
        self._records = self._full(SHARD_RECORDS)
        self._bytes = self._full(SHARD_BYTES)
        self._step = _STEP
        self._since = now  # what was sent since then is judged next
        self._stored = self._refused = 0

    @property
    def share(self) -> float:
        """The part of AWS's limits that is given now."""
        return self._share

    def refill(self, now: float) -> None:
        """Add what has become free since the last time."""
        if now - self._since >= _WINDOW_SECONDS:
            self._judge(now)
        seconds = now - self._at
        self._at = now
        self._records = min(self._full(SHARD_RECORDS), self._records + seconds * self._share * SHARD_RECORDS)
        self._bytes = min(self._full(SHARD_BYTES), self._bytes + seconds * self._share * SHARD_BYTES)

    def take(self, sizes: Sequence[int]) -> int:
        """Return how many of the first records of these sizes may go now, and count them.

        One that is larger than a full bucket goes when the bucket is full, and leaves it in debt.
        """
        full = self._full(SHARD_BYTES)
        for number, size in enumerate(sizes):
            if self._records < 1 or self._bytes < min(size, full):
                return number
            self._records -= 1
            self._bytes -= size
        return len(sizes)

    def seconds_until_ripe(self, records: int, next_size: int) -> float:
        """Return how long until it is worth a request: all that wait may go, or a tenth of a second's worth.

        Args:
            records: How many wait, at least one.
            next_size: Bytes of the next.
        """
        wanted = min(float(records), max(1.0, _RIPE_SECONDS * self._share * SHARD_RECORDS))
        size = min(float(next_size), self._full(SHARD_BYTES))
        return max(
            0.0,
            (wanted - self._records) / (self._share * SHARD_RECORDS),
            (size - self._bytes) / (self._share * SHARD_BYTES),
        )

    def note(self, stored: int, refused: int, sent_at: float, now: float) -> None:
        """Record the results of a request.

        Args:
            stored: Records that the shard took.
            refused: Records that it throttled.
            sent_at: When the request was sent. Results of requests sent before the last cut are ignored.
            now: The time.
        """
        if refused:
            self._records, self._bytes = min(self._records, 0.0), min(self._bytes, 0.0)
        if sent_at < self._since:
            return
        self._stored += stored
        self._refused += refused
        if self._refused >= _MANY:
            self._judge(now)

    def _judge(self, now: float) -> None:
        stored, refused = self._stored, self._refused
        self._since, self._stored, self._refused = now, 0, 0
        if refused:
            # The one more keeps a few unlucky records from cutting deep.
            taken = max(_DEEPEST_CUT, (stored + 1) / (stored + refused + 1))
            self._share = max(_SLOWEST, self._share * taken)
            self._step = _STEP
        elif self._share < 1.0:
            self._share = min(1.0, self._share * (1 + self._step))
            self._step = min(_MAX_STEP, self._step * 2)

    def _full(self, limit: float) -> float:
        return max(1.0, self._share * limit * _STORED_SECONDS)
