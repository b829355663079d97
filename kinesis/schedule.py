"""Decides what is sent next: records wait by shard, and by key where their order matters. Pure: time is an argument.

It knows no requests, threads or batches: a record is added, taken, and then either done or put back.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Hashable, Iterable, Sequence
from itertools import count, islice
from typing import Any

from kinesis.limits import MAX_RECORDS, REQUEST_BYTES
from kinesis.pace import Pace
from kinesis.shard_map import UNKNOWN, LearnedShards, ShardMap


class Entry:
    """A record on its way.

    Attributes:
        data, key: What is put on the stream.
        size: Bytes of both.
        hash_key: Of the partition key.
        owner, index: The delivery that it belongs to, and its position there.
        attempts: How often it was sent.
        failures: How often in a row the request that it was in failed as a whole.
        refusals: How often Kinesis refused it out of a request.
        first_sent: When it was sent first; None before that.
        lane: Where it waits; kept while it is under way.
    """

    __slots__ = (
        "attempts",
        "data",
        "failures",
        "first_sent",
        "hash_key",
        "index",
        "key",
        "lane",
        "owner",
        "refusals",
        "size",
    )

    def __init__(self, data: bytes, key: str, size: int, hash_key: int, owner: Any, index: int):
        self.data = data
        self.key = key
        self.size = size
        self.hash_key = hash_key
        self.owner = owner
        self.index = index
        self.attempts = 0
        self.failures = 0
        self.refusals = 0
        self.first_sent: float | None = None
        self.lane = UNKNOWN


class _Lane:
    """The records of one shard. Where the shard is not known they are not paced."""

    def __init__(self, pace: Pace | None):
        self.pace = pace
        self.ready: deque[Entry] = deque()
        self.later: list[tuple[float, int, Entry]] = []  # a heap by the time before which they are not sent

    def wake(self, now: float) -> None:
        """Bring what is due to the front: it is older than what is ready."""
        due = []
        while self.later and self.later[0][0] <= now:
            due.append(heapq.heappop(self.later)[2])
        self.ready.extendleft(reversed(due))

    def seconds_until_ripe(self) -> float:
        """Return how long until something may go, or is due and may perhaps."""
        if not self.ready:
            return float("inf")
        return self.pace.seconds_until_ripe(len(self.ready), self.ready[0].size) if self.pace else 0.0


class Schedule:
    """The records of a stream that wait, and the pace of its shards.

    Args:
        ordered: Whether of each partition key one record is under way at a time, in the order in which they were added.
        now: The time, in seconds of any clock.
    """

    def __init__(self, *, ordered: bool, now: float):
        self._ordered = ordered
        self._map: ShardMap = LearnedShards()
        self._lanes: dict[str, _Lane] = {}
        self._behind: dict[Hashable, deque[Entry]] = {}  # by key that is waiting or under way: its later records
        self._pieces: deque[list[Entry]] = deque()
        self._number = count()
        self._turn = 0
        self._now = now

    def add(self, entries: Iterable[Entry]) -> None:
        """Add records, in order."""
        for entry in entries:
            if self._ordered:
                behind = self._behind.get(entry.key)
                if behind is not None:
                    behind.append(entry)
                    continue
                self._behind[entry.key] = deque()
            self._lane_of(entry).ready.append(entry)

    def add_piece(self, entries: list[Entry]) -> None:
        """Take back a part of a request, to be sent next and alone."""
        self._pieces.append(entries)

    def put_back(self, entries: Iterable[Entry], due: float) -> None:
        """Take back records, to be sent again no earlier than `due`."""
        for entry in entries:
            heapq.heappush(self._lane_of(entry).later, (due, next(self._number), entry))

    def done(self, entries: Iterable[Entry]) -> None:
        """Forget answered records, and release the next ones of their keys."""
        if not self._ordered:
            return
        for entry in entries:
            behind = self._behind[entry.key]
            if behind:
                follower = behind.popleft()
                self._lane_of(follower).ready.append(follower)
            else:
                del self._behind[entry.key]

    def clear(self) -> None:
        """Forget all records, but not the pace of the shards."""
        self._pieces.clear()
        self._behind.clear()
        for lane in self._lanes.values():
            lane.ready.clear()
            lane.later.clear()

    def take(self, now: float) -> list[Entry] | float:
        """Return the records of the next request, or after how many seconds there may be one (infinite: none waits)."""
        self._now = now
        if self._pieces:
            return self._pieces.popleft()
        lanes = list(self._lanes.values())
        # Few, of a stream of many shards: those with something to send, or whose pace grows again.
        busy = [lane for lane in lanes if lane.ready or lane.later or (lane.pace and lane.pace.share < 1)]
        for lane in busy:
            lane.wake(now)
            if lane.pace:
                lane.pace.refill(now)
        waits = [lane.later[0][0] - now for lane in busy if lane.later]
        for lane in busy:
            wait = lane.seconds_until_ripe()
            if wait <= 0:
                break
            waits.append(wait)
        else:
            return min(waits, default=float("inf"))
        self._turn += 1  # so that in the end each shard is the first to fill a request
        start = self._turn % len(lanes)
        return _fill(lanes[start:] + lanes[:start])

    def observe(self, entry: Entry, shard: str) -> bool:
        """Record which shard a record went to; return whether the shards have to be listed again."""
        if not self._map.observe(entry.hash_key, shard):
            return False
        if isinstance(self._map, LearnedShards):
            self._deal_again()
            return False
        return True

    def note(self, shard: str, stored: int, refused: int, sent_at: float, now: float) -> None:
        """Record how many records of a request, sent at `sent_at`, a shard stored and refused."""
        lane = self._lanes.get(shard)
        if lane and lane.pace:
            lane.pace.note(stored, refused, sent_at, now)

    def use(self, shards: ShardMap) -> None:
        """Use a new map of the shards; waiting records move to their shards."""
        self._map = shards
        self._deal_again()

    @property
    def paces(self) -> dict[str, float]:
        """Return the share of AWS's limits that each shard is given now, by its id."""
        return {shard: lane.pace.share for shard, lane in self._lanes.items() if lane.pace}

    def _lane_of(self, entry: Entry) -> _Lane:
        shard = entry.lane = self._map.shard_of(entry.hash_key)
        lane = self._lanes.get(shard)
        if lane is None:
            lane = self._lanes[shard] = _Lane(None if shard == UNKNOWN else Pace(self._now))
        return lane

    def _deal_again(self) -> None:
        old = self._lanes
        self._lanes = {shard: _Lane(lane.pace) for shard, lane in old.items() if shard != UNKNOWN}
        for lane in old.values():
            for entry in lane.ready:
                self._lane_of(entry).ready.append(entry)
            for due, number, entry in lane.later:
                heapq.heappush(self._lane_of(entry).later, (due, number, entry))


def _fill(lanes: Sequence[_Lane]) -> list[Entry]:
    """Take records for one request, as many as fit and as the paces of their shards let go."""
    request: list[Entry] = []
    total = 0
    for lane in lanes:
        ready = lane.ready
        if not ready:
            continue
        fitting: list[int] = []
        for entry in islice(ready, MAX_RECORDS - len(request)):
            if (request or fitting) and total + entry.size > REQUEST_BYTES:
                break
            total += entry.size
            fitting.append(entry.size)
        number = len(fitting) if lane.pace is None else lane.pace.take(fitting)
        total -= sum(fitting[number:])
        request += [ready.popleft() for _ in range(number)]
        if ready and number == len(fitting):
            return request
    return request
