"""Splits, merges and new shard counts, and which shards are listed after them."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.emulator.kinesis.conftest import NAME, Service

HOUR = 3600


def test_a_stream_is_updating_while_a_reshard_takes_its_time(service: Service) -> None:
    service.create()
    service.switches.change({"reshard_seconds": 10})
    service.of_stream("SplitShard", ShardToSplit="shardId-000000000000", NewStartingHashKey=str(1 << 127))
    service.now += 9.9
    summary = service.of_stream("DescribeStreamSummary")["StreamDescriptionSummary"]
    assert (summary["StreamStatus"], summary["OpenShardCount"]) == ("UPDATING", 1)
    assert service.put(b"goes on")[0]["ShardId"] == "shardId-000000000000"
    again = {"StreamName": NAME, "TargetShardCount": 2, "ScalingType": "UNIFORM_SCALING"}
    assert service.refusal("UpdateShardCount", **again) == "ResourceInUseException"
    service.now += 0.1
    summary = service.of_stream("DescribeStreamSummary")["StreamDescriptionSummary"]
    assert (summary["StreamStatus"], summary["OpenShardCount"]) == ("ACTIVE", 2)
    assert service.put(b"to a child", hash_key=0)[0]["ShardId"] == "shardId-000000000001"


def test_a_stream_takes_time_to_come_and_go(service: Service) -> None:
    service.switches.change({"create_seconds": 5, "delete_seconds": 5})
    service.create()
    assert service.of_stream("DescribeStreamSummary")["StreamDescriptionSummary"]["StreamStatus"] == "CREATING"
    assert service.refusal("ListShards", StreamName=NAME) == "ResourceInUseException"
    assert service.refusal("PutRecord", StreamName=NAME, Data="", PartitionKey="k") == "ResourceNotFoundException"
    service.now += 5
    service.put(b"x")
    service.of_stream("DeleteStream")
    assert service.call("ListStreams")["StreamSummaries"][0]["StreamStatus"] == "DELETING"
    service.now += 5
    assert service.call("ListStreams")["StreamNames"] == []
    assert service.refusal("DescribeStream", StreamName=NAME) == "ResourceNotFoundException"
    service.create()
    service.now += 5
    assert service.data() == []


def test_filters_after_two_reshards(service: Service) -> None:
    service.create()  # 0
    created = service.now
    service.now += HOUR
    service.split()  # 1 and 2
    split = service.now
    service.now += HOUR
    service.of_stream(
        "MergeShards", ShardToMerge="shardId-000000000002", AdjacentShardToMerge="shardId-000000000001"
    )  # 3
    service.now += HOUR
    assert service.shard_ids() == [0, 1, 2, 3]
    assert service.shard_ids("AT_LATEST") == [3]
    assert service.shard_ids("AT_TRIM_HORIZON") == [0]
    assert service.shard_ids("FROM_TRIM_HORIZON") == [0, 1, 2, 3]
    assert service.shard_ids("AFTER_SHARD_ID", ShardId="shardId-000000000001") == [2, 3]
    assert service.shard_ids("AT_TIMESTAMP", Timestamp=created + 1) == [0]
    assert service.shard_ids("AT_TIMESTAMP", Timestamp=created - HOUR) == [0]
    assert service.shard_ids("AT_TIMESTAMP", Timestamp=split + 1) == [1, 2]
    assert service.shard_ids("FROM_TIMESTAMP", Timestamp=split + 1) == [1, 2, 3]
    assert service.shard_ids("AT_TIMESTAMP", Timestamp=service.now) == [3]
    merged = service.shards()[3]
    assert (merged["ParentShardId"], merged["AdjacentParentShardId"]) == (
        "shardId-000000000002",
        "shardId-000000000001",
    )


def test_expired_shards_vanish(service: Service) -> None:
    service.create()
    service.put(b"old")
    service.split()
    iterator = service.iterator()
    service.now += 23 * HOUR
    service.split("shardId-000000000002", at=3 << 126)
    service.now += HOUR - 2
    assert service.shard_ids("AT_TRIM_HORIZON") == [0]
    service.now += 2
    assert service.shard_ids() == [1, 2, 3, 4]
    assert service.shard_ids("AT_TRIM_HORIZON") == [1, 2]
    of_expired = {"StreamName": NAME, "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"}
    assert service.refusal("GetShardIterator", **of_expired) == "ResourceNotFoundException"
    assert service.refusal("GetRecords", ShardIterator=iterator) == "ExpiredIteratorException"
    service.now += 23 * HOUR
    assert service.shard_ids() == [1, 3, 4]
    assert service.shards()[1]["ParentShardId"] == "shardId-000000000002"


@pytest.mark.parametrize(
    ("operation", "parameters", "code"),
    [
        ("SplitShard", {"ShardToSplit": "shardId-000000000009", "NewStartingHashKey": "5"}, "ResourceNotFound"),
        ("SplitShard", {"ShardToSplit": "shardId-000000000001", "NewStartingHashKey": "5"}, "InvalidArgument"),
        ("SplitShard", {"ShardToSplit": "shardId-000000000000", "NewStartingHashKey": "1"}, "InvalidArgument"),
        (
            "MergeShards",
            {"ShardToMerge": "shardId-000000000000", "AdjacentShardToMerge": "shardId-000000000002"},
            "InvalidArgument",
        ),
        (
            "MergeShards",
            {"ShardToMerge": "shardId-000000000000", "AdjacentShardToMerge": "shardId-000000000000"},
            "InvalidArgument",
        ),
        ("UpdateShardCount", {"TargetShardCount": 7, "ScalingType": "UNIFORM_SCALING"}, "LimitExceeded"),
        ("UpdateShardCount", {"TargetShardCount": 1, "ScalingType": "UNIFORM_SCALING"}, "LimitExceeded"),
        ("UpdateShardCount", {"TargetShardCount": 0, "ScalingType": "UNIFORM_SCALING"}, "Validation"),
        ("UpdateShardCount", {"TargetShardCount": 4, "ScalingType": "OTHER"}, "Validation"),
    ],
)
def test_reshards_that_cannot_be(service: Service, operation: str, parameters: dict[str, str], code: str) -> None:
    service.create(shards=3)
    assert service.refusal(operation, StreamName=NAME, **parameters) == f"{code}Exception"


def test_a_shard_is_split_once(service: Service) -> None:
    service.create()
    service.split()
    again = {"StreamName": NAME, "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": str(1 << 126)}
    assert service.refusal("SplitShard", **again) == "InvalidArgumentException"


def test_what_is_written_over_reshards_is_read_parents_first(service: Service) -> None:
    """Two new counts in a row: each record is read once, in the order of its key."""
    service.unlimited()
    service.create(shards=2)
    for generation, count in enumerate((3, 5, 2)):
        for number in range(100):
            service.put(b"%d" % (generation * 100 + number), key=f"key {number % 10}")
        if count != 2:
            service.of_stream("UpdateShardCount", TargetShardCount=count, ScalingType="UNIFORM_SCALING")
            service.now += 1
    ended: set[str] = set()
    read: dict[str, list[int]] = {}
    waiting = [shard["ShardId"] for shard in service.shards(ShardFilter={"Type": "AT_TRIM_HORIZON"})]
    while waiting:
        shard_id = waiting.pop(0)
        reply = service.read(service.iterator(shard_id))
        for record in reply["Records"]:
            read.setdefault(record["PartitionKey"], []).append(int(base64.b64decode(record["Data"])))
        if "NextShardIterator" not in reply:
            ended.add(shard_id)
            for child in reply["ChildShards"]:
                if ended.issuperset(child["ParentShards"]) and child["ShardId"] not in waiting:
                    waiting.append(child["ShardId"])
    assert sorted(number for numbers in read.values() for number in numbers) == list(range(300))
    assert all(numbers == sorted(numbers) for numbers in read.values())


@given(st.integers(1, 30), st.integers(1, 10))
def test_pages_of_shards_are_the_whole(shards: int, page: int) -> None:
    service = Service()
    service.create(shards=shards)
    every = [shard["ShardId"] for shard in service.shards()]
    reply = service.of_stream("ListShards", MaxResults=page)
    found = [shard["ShardId"] for shard in reply["Shards"]]
    while "NextToken" in reply:
        reply = service.call("ListShards", NextToken=reply["NextToken"], MaxResults=page)
        assert len(reply["Shards"]) <= page
        found += [shard["ShardId"] for shard in reply["Shards"]]
    assert found == every
    described: list[str] = []
    start: dict[str, str] = {}
    while True:
        reply = service.of_stream("DescribeStream", Limit=page, **start)["StreamDescription"]
        described += [shard["ShardId"] for shard in reply["Shards"]]
        if not reply["HasMoreShards"]:
            break
        start = {"ExclusiveStartShardId": described[-1]}
    assert described == every
    rest = service.shards(ExclusiveStartShardId=every[shards // 2])
    assert [shard["ShardId"] for shard in rest] == every[shards // 2 + 1 :]


def test_page_tokens_stand_alone_and_live_five_minutes(service: Service) -> None:
    service.create(shards=3)
    token = service.of_stream("ListShards", MaxResults=1, ShardFilter={"Type": "AT_LATEST"})["NextToken"]
    assert service.refusal("ListShards", StreamName=NAME, NextToken=token) == "InvalidArgumentException"
    service.now += 300
    assert len(service.call("ListShards", NextToken=token)["Shards"]) == 2
    service.now += 0.001
    assert service.refusal("ListShards", NextToken=token) == "ExpiredNextTokenException"
    assert service.refusal("ListShards", NextToken="garbage") == "InvalidArgumentException"


def test_streams_are_listed_in_pages_of_their_region(service: Service) -> None:
    names = [f"stream-{number:03d}" for number in range(7)]
    for name in names:
        service.call("CreateStream", StreamName=name, ShardCount=1)
    reply = service.call("ListStreams", Limit=3)
    assert (reply["StreamNames"], reply["HasMoreStreams"]) == (names[:3], True)
    assert service.call("ListStreams", NextToken=reply["NextToken"])["StreamNames"] == names[3:]
    last = service.call("ListStreams", ExclusiveStartStreamName=names[4])
    assert (last["StreamNames"], last["HasMoreStreams"], "NextToken" in last) == (names[5:], False, False)
