"""Each hash key has one open shard, whatever was split, merged and scaled."""

from __future__ import annotations

import hashlib
import itertools

from hypothesis import given
from hypothesis import strategies as st

from emulator.kinesis.errors import KinesisError
from emulator.kinesis.placement import HASH_KEYS, even_ranges, hash_key
from emulator.kinesis.resharding import carry_out, plan_merge, plan_scale, plan_split
from emulator.kinesis.stream import Stream
from tests.emulator.kinesis.conftest import Service

KEYS = st.integers(0, HASH_KEYS - 1) | st.sampled_from([0, 1, (1 << 127) - 1, 1 << 127, HASH_KEYS - 1])


class Resharded:
    """A stream with its shards, without a store."""

    def __init__(self, shards: int) -> None:
        self.uids = itertools.count(1)
        self.stream = Stream("us-east-1", "stream", 0, status="ACTIVE")
        for start, end in even_ranges(shards):
            self.stream.open_shard(next(self.uids), start, end, 0)

    def try_to(self, kind: str, key: int, count: int, now_ms: int) -> None:
        """Split the shard of a hash key there, merge it with the next one, or scale; as far as it is allowed."""
        open_shards = self.stream.open_shards()
        shard = self.stream.shard_of(key)
        following = open_shards[(open_shards.index(shard) + 1) % len(open_shards)]
        try:
            if kind == "split":
                change = plan_split(self.stream, shard.shard_id, str(key))
            elif kind == "merge":
                change = plan_merge(self.stream, shard.shard_id, following.shard_id)
            else:
                change = plan_scale(self.stream, count)
        except KinesisError:
            return
        carry_out(self.stream, change, lambda: next(self.uids), now_ms)

    def check(self) -> None:
        open_shards = self.stream.open_shards()
        assert [shard.start for shard in open_shards] == [0, *(shard.end + 1 for shard in open_shards[:-1])]
        assert open_shards[-1].end == HASH_KEYS - 1
        for shard in self.stream.shards.values():
            assert len(shard.parents) <= 2
            assert all(not self.stream.shards[parent].is_open for parent in shard.parents)
            covered = sorted((child.start, child.end) for child in self.stream.children(shard))
            assert bool(covered) != shard.is_open
            if len(covered) == 2:
                assert (covered[0][0], covered[1][1]) == (shard.start, shard.end)


STEPS = st.lists(st.tuples(st.sampled_from(["split", "merge", "scale"]), KEYS, st.integers(1, 12)), max_size=12)


@given(st.integers(1, 8), STEPS, KEYS)
def test_each_hash_key_has_one_open_shard(shards: int, steps: list[tuple[str, int, int]], key: int) -> None:
    resharded = Resharded(shards)
    for now_ms, (kind, at, count) in enumerate(steps, 1):
        resharded.try_to(kind, at, count, now_ms)
        resharded.check()
    holding = [shard for shard in resharded.stream.open_shards() if shard.start <= key <= shard.end]
    assert holding == [resharded.stream.shard_of(key)]


@given(st.integers(1, 40), st.data())
def test_a_new_count_makes_shards_of_equal_size(shards: int, data: st.DataObject) -> None:
    target = data.draw(st.integers((shards + 1) // 2, 2 * shards))
    resharded = Resharded(shards)
    resharded.try_to("scale", 0, target, 1)
    resharded.check()
    assert [(shard.start, shard.end) for shard in resharded.stream.open_shards()] == even_ranges(target)


def test_hash_keys_are_md5() -> None:
    assert hash_key("schlüssel") == int(hashlib.md5("schlüssel".encode()).hexdigest(), 16)


def test_explicit_hash_keys_reach_both_ends_of_each_shard(service: Service) -> None:
    service.create(shards=3)
    for index, (start, end) in enumerate(even_ranges(3)):
        for key in (start, end):
            (result,) = service.put(b"x", hash_key=key)
            assert result["ShardId"] == f"shardId-{index:012d}"
    too_large = [{"Data": "eA==", "PartitionKey": "k", "ExplicitHashKey": str(1 << 128)}]
    assert service.refusal("PutRecords", StreamName="stream", Records=too_large) == "InvalidArgumentException"


def test_a_stream_of_the_strategy_auto_spreads_records_evenly_and_needs_no_keys(service: Service) -> None:
    service.of_stream("CreateStream", StreamModeDetails={"StreamMode": "ON_DEMAND"}, RecordDistributionStrategy="AUTO")
    without_key = [{"Data": "eA=="}] * 100
    results = service.of_stream("PutRecords", Records=without_key)["Records"]
    assert [sum(each["ShardId"][-1] == str(shard) for each in results) for shard in range(4)] == [25] * 4
    (record, *_) = service.read(service.iterator())["Records"]
    assert "PartitionKey" not in record
    arn = service.of_stream("DescribeStreamSummary")["StreamDescriptionSummary"]["StreamARN"]
    service.call(
        "UpdateStreamRecordDistributionStrategy", StreamARN=arn, RecordDistributionStrategy="USER_PARTITION_KEY"
    )
    assert service.refusal("PutRecords", StreamName="stream", Records=without_key) == "ValidationException"


def test_a_provisioned_stream_has_no_strategy_auto(service: Service) -> None:
    refused = service.refusal("CreateStream", StreamName="a", ShardCount=1, RecordDistributionStrategy="AUTO")
    assert refused == "InvalidArgumentException"
