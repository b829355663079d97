"""How much of what shards take is used, and how much is refused, in simulated time with 8 requests under way."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from hashlib import md5
from typing import NamedTuple

from kinesis.open_deliveries import ENTRY_MEMORY
from kinesis.schedule import Entry, Schedule
from kinesis.shard_map import ListedShards
from testing.defaults import by_default
from tests.kinesis.simulated_shard import RECORDS, Shard
from transforms.kinesis.connection import KinesisConnection

SHARDS = 4
IN_FLIGHT = 8
SIZE = 1_000
MAX_WAITING = by_default(KinesisConnection).max_waiting_bytes // (SIZE + ENTRY_MEMORY)  # as the writer bounds it


class Result(NamedTuple):
    stored: Counter[str]
    refused: int


def shard_id(number: int) -> str:
    return f"shard-{number}"


def simulate(
    seconds: float, offered: int, hot_share: float, shards: dict[str, Shard], latency: float, jitter: float = 0.0
) -> Result:
    """Offer so many records a second, of which a share has one key; return what became of them.

    Args:
        latency, jitter: Seconds until a request reaches its shards: so many, and up to so many more.
    """
    width = 2**128 // SHARDS
    ranges = [
        {"ShardId": shard_id(n), "HashKeyRange": {"StartingHashKey": str(n * width)}, "SequenceNumberRange": {}}
        for n in range(SHARDS)
    ]
    schedule = Schedule(ordered=False, now=0.0)
    schedule.use(ListedShards(ranges))
    rng = random.Random(7)
    now, produced, waiting = 0.0, 0, 0
    stored: Counter[str] = Counter()
    refused = 0
    under_way: list[tuple[float, int, float, list[Entry]]] = []
    number = 0
    while now < seconds:
        while produced < offered * now and waiting < MAX_WAITING:
            key = "hot" if rng.random() < hot_share else f"k{rng.randrange(10_000)}"
            schedule.add([Entry(b"", key, SIZE, int.from_bytes(md5(key.encode()).digest(), "big"), None, produced)])
            produced, waiting = produced + 1, waiting + 1
        if waiting >= MAX_WAITING:
            produced = int(offered * now)  # what is not read is not there
        found = schedule.take(now) if len(under_way) < IN_FLIGHT else 1.0
        if isinstance(found, list):
            number += 1
            heapq.heappush(under_way, (now + latency + jitter * rng.random(), number, now, found))
            continue
        steps = [now + min(found, 0.01)]
        now = max(now + 1e-4, min([*steps, *(each[0] for each in under_way[:1])]))
        while under_way and under_way[0][0] <= now:
            _, _, sent_at, request = heapq.heappop(under_way)
            took: Counter[str] = Counter()
            refusals: Counter[str] = Counter()
            again = []
            for entry in request:
                if shards[entry.lane].take(entry.size, now):
                    took[entry.lane] += 1
                else:
                    refusals[entry.lane] += 1
                    again.append(entry)
            for shard in took.keys() | refusals.keys():
                schedule.note(shard, took[shard], refusals[shard], sent_at, now)
            schedule.put_back(again, now + rng.random() * 0.1)
            stored += took
            refused += len(again)
            waiting -= len(request) - len(again)
    return Result(stored, refused)


def test_three_times_what_a_stream_takes_with_one_key_a_third_of_it() -> None:
    shards = {shard_id(n): Shard() for n in range(SHARDS)}
    # After half a minute all that may wait is the hot shard's, and the others get no more than what is read beside it.
    result = simulate(30, 3 * SHARDS * RECORDS, 1 / 3, shards, latency=0.03)
    assert result.refused <= 0.05 * result.stored.total()
    assert result.stored.total() >= 0.9 * 30 * SHARDS * RECORDS


def test_requests_that_overtake_each_other_are_not_refused() -> None:
    shards = {shard_id(n): Shard() for n in range(SHARDS)}
    result = simulate(8, 3 * SHARDS * RECORDS, 0, shards, latency=0.1, jitter=0.6)
    assert result.refused <= 0.01 * result.stored.total()
    assert result.stored.total() >= 0.9 * 8 * SHARDS * RECORDS


def test_one_shard_at_a_tenth_does_not_slow_the_others() -> None:
    offered = 2 * SHARDS * RECORDS
    alone = simulate(10, offered, 0, {shard_id(n): Shard() for n in range(SHARDS)}, latency=0.03)
    shards = {shard_id(n): Shard(0.1 if n == 0 else 1.0) for n in range(SHARDS)}
    result = simulate(10, offered, 0, shards, latency=0.03)
    for n in range(1, SHARDS):
        assert result.stored[shard_id(n)] >= 0.9 * alone.stored[shard_id(n)]
    assert result.refused <= 0.05 * result.stored.total()
