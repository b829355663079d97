"""How fast streams are written to: in the order of keys, with slow answers, with a hot key, with a slow shard.

The stream is the local one, in a process of its own. Shards have AWS's limits where the rate of shards is measured.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bench.figure import Figure
from bench.kinesis_bench import new_process
from bench.kinesis_pipeline import Work, batch_of, connection_to, in_pipeline, stream_of
from bench.kinesis_put_bench import SHARDS as MANY_SHARDS
from kinesis.limits import SHARD_RECORDS
from testing.services.kinesis import Kinesis
from transforms.records.delivery import Counts
from transforms.worker import process

SHARDS = 4
LATENCY_MS = 50
_FEW_KEYS, _KEYS = 10, 1_000
_FEWER = 10  # a run by few keys has so many times fewer records, since each key has one under way at a time
_HOT_SHARE = 1 / 3
_SLOW_SHARE = 0.1
_OTHER_KEYS = 10_000
_BATCH_RECORDS = 100


@dataclass(frozen=True)
class Round:
    """Records a second: each record with a key of its own, by keys in their order, and with slow answers."""

    unordered: float
    by_1000_keys: float
    by_10_keys: float
    delayed: float


@dataclass(frozen=True)
class HotKey:
    """What became of three times a stream's capacity with a third of it under one key.

    Attributes:
        stored: Share of what the shards take in that time.
        refused: Refusals for each record that was stored.
    """

    stored: float
    refused: float


@dataclass(frozen=True)
class RateResults:
    """All that was measured.

    Attributes:
        hot_key: See there.
        others: Records that three shards took while the fourth took a tenth of its limit, as a share of what they took
            while it took all.
    """

    rounds: list[Round]
    hot_key: HotKey
    others: float


def measure(records: int, rounds: int, seconds: float) -> RateResults:
    """Measure all of it.

    Args:
        records: Of each run in which shards have no limits.
        rounds: How often that is done.
        seconds: How long records are offered where shards have limits: for a hot key, and half of it with a slow shard.
    """
    with Kinesis() as kinesis:
        kinesis.switch(limits=False, retention_seconds=5)
        stream = kinesis.create_stream(MANY_SHARDS)
        measured = [_round(kinesis, stream, records) for _ in range(rounds)]
        kinesis.clear_switches()
        hot_key = _hot_key(kinesis, seconds)
        alone, beside = (_evenly(kinesis, seconds / 2, share) for share in (1.0, _SLOW_SHARE))
        return RateResults(measured, hot_key, beside / alone)


def _round(kinesis: Kinesis, stream: str, records: int) -> Round:
    rates = []
    with new_process() as one:
        for number, work, latency_ms in (
            (_BATCH_RECORDS, Work(), 0),  # first, for imports and the client
            (records, Work(), 0),
            (records, Work(keys=_KEYS, order="key"), 0),
            (max(1, records // _FEWER), Work(keys=_FEW_KEYS, order="key"), 0),
            (records, Work(), LATENCY_MS),
        ):
            kinesis.switch(latency_ms=latency_ms)
            usage = one.submit(in_pipeline, kinesis.endpoint, stream, number, work).result()
            rates.append(number / usage.wall_seconds)
    return Round(*rates[1:])


def _hot_key(kinesis: Kinesis, seconds: float) -> HotKey:
    stream = kinesis.create_stream(SHARDS)
    capacity = SHARDS * SHARD_RECORDS
    with new_process() as one:
        refused = one.submit(offer, kinesis.endpoint, stream, 3 * capacity, _HOT_SHARE, seconds).result()
    stored = sum(_stored(kinesis, stream, seconds).values())
    return HotKey(stored / (capacity * seconds), refused / stored)


def _evenly(kinesis: Kinesis, seconds: float, share: float) -> int:
    """Return what all shards but the first take while that takes this share of its limits."""
    stream = kinesis.create_stream(SHARDS)
    first, *others = (one["ShardId"] for one in kinesis.client().list_shards(StreamName=stream)["Shards"])
    kinesis.switch(throttle={first: share})
    with new_process() as one:
        one.submit(offer, kinesis.endpoint, stream, 2 * SHARDS * SHARD_RECORDS, 0.0, seconds).result()
    stored = _stored(kinesis, stream, seconds)
    return sum(stored[shard] for shard in others)


def _stored(kinesis: Kinesis, stream: str, seconds: float) -> Counter[str]:
    """Return how many records each shard took in so many seconds from the first on."""
    kept = kinesis.records(stream)
    end = min(record.arrival_ms for record in kept) + seconds * 1000
    return Counter(record.shard_id for record in kept if record.arrival_ms < end)


def offer(endpoint: str, stream: str, rate: float, hot_share: float, seconds: float) -> int:
    """Offer records to the stream's writer, as the pipeline does; return how many were refused.

    Args:
        rate: Records a second; fewer are offered while the writer takes none, as reading waits then.
        hot_share: The share of one key.
        seconds: For how long. What waits then is forgotten.
    """
    process.tune_garbage_collector()
    process.start_run()
    client = connection_to(endpoint).client(stream_of(stream))
    rng = random.Random(7)
    refusals: Counter[str] = Counter()
    lock = threading.Lock()

    def observe(counts: Counts) -> None:
        with lock:
            refusals.update(counts.retries)

    start = time.monotonic()
    offered = 0
    while (passed := time.monotonic() - start) < seconds:
        while offered < passed * rate and time.monotonic() - start < seconds:
            keys = [
                "hot" if rng.random() < hot_share else str(rng.randrange(_OTHER_KEYS)) for _ in range(_BATCH_RECORDS)
            ]
            client.start(batch_of(keys), observe)
            offered += _BATCH_RECORDS
        time.sleep(0.005)
    process.request_stop(grace_seconds=0)
    return refusals.total()


def figures(results: RateResults) -> Sequence[Figure]:
    """Return the figures that the raw numbers come to."""
    rounds, hot_key = results.rounds, results.hot_key
    hot = f"write Kinesis, {SHARDS} shards, 3 times their capacity, a third of it one key"
    by_key = "write Kinesis, kinesis_order=key"
    return [
        Figure(
            "ordered-1000-keys",
            f"{by_key}, {_KEYS:,} keys: throughput / unordered",
            [one.by_1000_keys / one.unordered for one in rounds],
        ),
        Figure(
            "ordered-10-keys",
            f"{by_key}, {_FEW_KEYS} keys: throughput / unordered",
            [one.by_10_keys / one.unordered for one in rounds],
        ),
        Figure(
            "latency",
            f"write Kinesis, {LATENCY_MS} ms latency: throughput / that without",
            [one.delayed / one.unordered for one in rounds],
        ),
        Figure("hot-key", f"{hot}: throughput / the shards' limits", [hot_key.stored]),
        Figure("hot-key-refused", f"{hot}: refusals a record", [hot_key.refused]),
        Figure(
            "slow-shard",
            f"write Kinesis, one of {SHARDS} shards at a tenth: throughput of the others / theirs alone",
            [results.others],
        ),
    ]
