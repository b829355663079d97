"""Maps hash keys to shards: from ListShards, or, without the right to it, learned from answers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

UNKNOWN = ""
"""The shard of a hash key of which nothing is known."""


class ShardMap(Protocol):
    """Maps hash keys to shards."""

    def shard_of(self, hash_key: int) -> str:
        """Return the id of the shard, or `UNKNOWN`."""

    def observe(self, hash_key: int, shard: str) -> bool:
        """Note where Kinesis has put a hash key; return whether that is news.

        News is either learned, or means that the list is outdated.
        """


class ListedShards:
    """The open shards of a stream and their ranges of hash keys, as they were listed."""

    def __init__(self, shards: Iterable[Mapping[str, Any]]):
        ranges = sorted(
            (int(shard["HashKeyRange"]["StartingHashKey"]), str(shard["ShardId"]))
            for shard in shards
            if "EndingSequenceNumber" not in shard.get("SequenceNumberRange", {})
        )
        self._starts = [start for start, _ in ranges]
        self._ids = [shard for _, shard in ranges]
        self._known = frozenset(self._ids)

    @property
    def ids(self) -> frozenset[str]:
        """The shards."""
        return self._known

    def shard_of(self, hash_key: int) -> str:
        """Return the shard whose range has the key."""
        at = bisect_right(self._starts, hash_key) - 1
        return self._ids[at] if at >= 0 else UNKNOWN

    def observe(self, hash_key: int, shard: str) -> bool:
        """Return whether the shard is not in the list, so that it has to be made anew."""
        return shard not in self._known


class LearnedShards:
    """Shards by the hash keys that they were seen to take: each has one range of them, so its ends suffice."""

    def __init__(self) -> None:
        self._ends: dict[str, tuple[int, int]] = {}
        self._ranges: list[tuple[int, int, str]] = []

    def shard_of(self, hash_key: int) -> str:
        """Return the shard that was seen nearest to the key."""
        ranges = self._ranges
        at = bisect_right(ranges, (hash_key, 2**128, ""))
        below = ranges[at - 1] if at else None
        above = ranges[at] if at < len(ranges) else None
        if below is None or above is None:
            nearest = below or above
            return nearest[2] if nearest else UNKNOWN
        return below[2] if hash_key - below[1] <= above[0] - hash_key else above[2]

    def observe(self, hash_key: int, shard: str) -> bool:
        """Take in where a key went. Ranges that it contradicts are forgotten: their shards were split or merged."""
        low, high = self._ends.get(shard, (hash_key, hash_key))
        if shard in self._ends and low <= hash_key <= high:
            return False
        low, high = min(low, hash_key), max(high, hash_key)
        known = shard in self._ends
        self._ends = {
            other: ends for other, ends in self._ends.items() if other == shard or ends[1] < low or ends[0] > high
        }
        self._ends[shard] = (low, high)
        self._ranges = sorted((low, high, name) for name, (low, high) in self._ends.items())
        return not known
