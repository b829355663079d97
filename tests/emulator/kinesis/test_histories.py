"""Whatever happens to a stream: what was acknowledged is read once and in the order of its key, parents first."""

from __future__ import annotations

import base64
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from emulator.kinesis.errors import KinesisError
from emulator.kinesis.placement import HASH_KEYS
from tests.emulator.kinesis.conftest import Service

HASHES = st.integers(2, HASH_KEYS - 2)
PUTS = st.tuples(st.just("put"), st.lists(st.integers(0, 9), min_size=1, max_size=20))
SPLITS = st.tuples(st.just("split"), HASHES)
MERGES = st.tuples(st.just("merge"), HASHES)
SCALES = st.tuples(st.just("scale"), st.integers(1, 9))
PAUSES = st.tuples(st.just("pause"), st.floats(0, 2))
RESTARTS = st.tuples(st.just("restart"), st.none())


class History:
    """A stream with what was acknowledged, by key."""

    def __init__(self, shards: int) -> None:
        self.service = Service()
        self.service.unlimited()
        self.service.create(shards)
        self.acknowledged: dict[str, list[tuple[str, bytes]]] = {}
        self.number = 0

    def step(self, kind: str, argument: Any) -> None:
        if kind == "put":
            self._put(argument)
        elif kind == "pause":
            self.service.now += argument
        elif kind == "restart":
            self.service.restart()
        else:
            try:
                self._reshard(kind, argument)
            except KinesisError:
                return  # not possible now: AWS's own limits, or one is under way

    def _put(self, keys: list[int]) -> None:
        records = []
        for key in keys:
            self.number += 1
            records.append({"Data": base64.b64encode(b"%d" % self.number).decode(), "PartitionKey": f"key {key}"})
        results = self.service.of_stream("PutRecords", Records=records)["Records"]
        for record, result in zip(records, results, strict=True):
            data = base64.b64decode(record["Data"])
            self.acknowledged.setdefault(record["PartitionKey"], []).append((result["SequenceNumber"], data))

    def _reshard(self, kind: str, argument: int) -> None:
        service = self.service
        if kind == "scale":
            service.of_stream("UpdateShardCount", TargetShardCount=argument, ScalingType="UNIFORM_SCALING")
            return
        shards = [each for each in service.shards() if "EndingSequenceNumber" not in each["SequenceNumberRange"]]
        shards.sort(key=lambda each: int(each["HashKeyRange"]["StartingHashKey"]))
        (index,) = [
            number for number, each in enumerate(shards) if argument <= int(each["HashKeyRange"]["EndingHashKey"])
        ][:1]
        shard_id = shards[index]["ShardId"]
        if kind == "split":
            service.of_stream("SplitShard", ShardToSplit=shard_id, NewStartingHashKey=str(argument))
        else:
            adjacent = shards[(index + 1) % len(shards)]["ShardId"]
            service.of_stream("MergeShards", ShardToMerge=shard_id, AdjacentShardToMerge=adjacent)

    def read(self) -> dict[str, list[tuple[str, bytes]]]:
        """Read all as a consumer does that reads a shard when all its parents have ended."""
        found: dict[str, list[tuple[str, bytes]]] = {}
        waiting = [each["ShardId"] for each in self.service.shards(ShardFilter={"Type": "AT_TRIM_HORIZON"})]
        ended: set[str] = set()
        while waiting:
            shard_id = waiting.pop(0)
            iterator = self.service.iterator(shard_id)
            while True:
                reply = self.service.read(iterator, Limit=7)
                for each in reply["Records"]:
                    record = (each["SequenceNumber"], base64.b64decode(each["Data"]))
                    found.setdefault(each["PartitionKey"], []).append(record)
                if "NextShardIterator" not in reply:
                    ended.add(shard_id)
                    children = [each for each in reply["ChildShards"] if ended.issuperset(each["ParentShards"])]
                    waiting += [each["ShardId"] for each in children]
                    break
                if reply["MillisBehindLatest"] == 0 and not reply["Records"]:
                    break
                iterator = reply["NextShardIterator"]
        return found


@given(st.integers(1, 4), st.lists(PUTS | SPLITS | MERGES | SCALES | PAUSES | RESTARTS, max_size=30))
def test_what_is_acknowledged_is_read_once_and_in_order(shards: int, steps: list[tuple[str, Any]]) -> None:
    history = History(shards)
    for kind, argument in steps:
        history.step(kind, argument)
    assert history.read() == history.acknowledged
    for records in history.acknowledged.values():
        numbers = [int(number) for number, _ in records]
        assert numbers == sorted(set(numbers))
