"""AWS's limits, which are on by default."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.emulator.kinesis.conftest import NAME, Service

MIB = 1 << 20


def encoded(size: int) -> str:
    return base64.b64encode(bytes(size)).decode()


def record(size: int, key: str = "k") -> dict[str, Any]:
    """Return a record whose data and partition key have so many bytes together."""
    return {"Data": encoded(size - len(key.encode())), "PartitionKey": key}


def codes(results: list[dict[str, Any]]) -> list[str | None]:
    return [each.get("ErrorCode") for each in results]


def put(service: Service, *records: dict[str, Any]) -> list[dict[str, Any]]:
    return list(service.of_stream("PutRecords", Records=list(records))["Records"])


@pytest.mark.parametrize(
    ("records", "code"),
    [
        ([], "ValidationException"),
        ([record(10)] * 501, "ValidationException"),
        ([record(MIB)] * 10, None),
        ([*[record(MIB)] * 10, record(2)], "InvalidArgumentException"),
        ([record(MIB - 1)], None),
        ([record(MIB + 1)], "ValidationException"),
        ([record(10), record(MIB + 1)], "ValidationException"),
        ([record(MIB, "€" * 256)], None),
        ([record(MIB + 1, "😀" * 256)], "ValidationException"),
        ([record(MIB, "😀" * 256)], None),
        ([{"Data": encoded(MIB), "PartitionKey": "k"}], "ValidationException"),  # too large with its key only
        ([record(300, "k" * 256), record(0, "")], "ValidationException"),
        ([record(1000, "k" * 257)], "ValidationException"),
        ([record(2, "\0")], None),
        ([{"Data": "no base64!", "PartitionKey": "k"}], "SerializationException"),
        ([{"Data": None, "PartitionKey": "k"}], "ValidationException"),
        ([{"Data": encoded(1)}], "ValidationException"),
        ([{"Data": encoded(1), "PartitionKey": "k", "ExplicitHashKey": "01"}], "ValidationException"),
        ("records", "SerializationException"),
    ],
)
def test_what_one_request_may_hold(service: Service, records: Any, code: str | None) -> None:
    service.create(shards=4)
    service.unlimited()
    if code is None:
        put(service, *records)
    else:
        assert service.refusal("PutRecords", StreamName=NAME, Records=records) == code
        assert service.data() == []  # nothing of a refused request is stored


def test_a_stream_can_have_larger_records(service: Service) -> None:
    service.unlimited()
    service.create(MaxRecordSizeInKiB=10_240)
    put(service, record(10 * MIB))
    summary = service.of_stream("DescribeStreamSummary")["StreamDescriptionSummary"]
    assert summary["MaxRecordSizeInKiB"] == 10_240
    service.call("UpdateMaxRecordSize", StreamARN=summary["StreamARN"], MaxRecordSizeInKiB=1024)
    assert service.refusal("PutRecords", StreamName=NAME, Records=[record(MIB + 1)]) == "ValidationException"
    too_large = {"StreamARN": summary["StreamARN"], "MaxRecordSizeInKiB": 10_241}
    assert service.refusal("UpdateMaxRecordSize", **too_large) == "ValidationException"


def test_a_shard_takes_a_thousand_records_a_second(service: Service) -> None:
    service.create(shards=2)
    results = [result for _ in range(3) for result in put(service, *[record(10)] * 500)]
    assert codes(results) == [None] * 1000 + ["ProvisionedThroughputExceededException"] * 500
    shard_id = results[0]["ShardId"]
    assert results[-1] == {
        "ErrorCode": "ProvisionedThroughputExceededException",
        "ErrorMessage": f"Rate exceeded for shard {shard_id} in stream {NAME} under account 123456789012.",
    }
    service.now += 0.1
    assert codes(put(service, *[record(10)] * 500)).count(None) == 100
    other = 0 if shard_id.endswith("1") else 1 << 127
    assert codes(service.put(*[b"x"] * 500, hash_key=other)) == [None] * 500


def test_a_shard_takes_a_mebibyte_a_second(service: Service) -> None:
    service.create()
    reply = service.of_stream("PutRecords", Records=[record(MIB // 4)] * 5)
    assert codes(reply["Records"]) == [None] * 4 + ["ProvisionedThroughputExceededException"]
    assert reply["FailedRecordCount"] == 1
    refused = service.refusal("PutRecord", StreamName=NAME, **record(MIB // 4))
    assert refused == "ProvisionedThroughputExceededException"
    service.now += 1
    service.of_stream("PutRecord", **record(MIB))


def test_records_above_a_mebibyte_use_up_the_seconds_that_follow(service: Service) -> None:
    service.create(MaxRecordSizeInKiB=10_240)
    assert codes(put(service, record(5 * MIB))) == [None]
    service.now += 4.9
    assert codes(put(service, record(MIB))) == ["ProvisionedThroughputExceededException"]
    service.now += 0.1
    assert codes(put(service, record(MIB))) == [None]


def test_a_switch_throttles_one_shard(service: Service) -> None:
    service.create(shards=2)
    service.switches.change({"throttle": {"shardId-000000000001": 0.1}})
    assert codes(service.put(*[b"x"] * 500, hash_key=1 << 127)).count(None) == 100
    assert codes(service.put(*[b"x"] * 500, hash_key=0)).count(None) == 500
    service.now += 1
    assert codes(service.put(*[b"x"] * 500, hash_key=1 << 127)).count(None) == 100
    service.switches.change({"throttle": {"*": 0}})
    service.now += 10
    assert codes(service.put(*[b"x"] * 500, hash_key=0)).count(None) == 0


def test_a_shard_is_read_five_times_a_second(service: Service) -> None:
    service.create(shards=2)
    iterators = [service.iterator(f"shardId-{index:012d}") for index in range(2)]
    for _ in range(5):
        service.read(iterators[0])
    refused = service.refusal("GetRecords", ShardIterator=iterators[0])
    assert refused == "ProvisionedThroughputExceededException"
    service.read(iterators[1])
    service.now += 0.2
    service.read(iterators[0])


def test_a_read_of_ten_mebibytes_is_followed_by_five_seconds_of_refusal(service: Service) -> None:
    service.unlimited()
    service.create()
    put(service, *[record(MIB)] * 6)
    put(service, *[record(MIB)] * 6)
    service.switches.clear()
    reply = service.read(service.iterator())
    assert len(reply["Records"]) == 10
    service.now += 5
    assert service.refusal("GetRecords", ShardIterator=reply["NextShardIterator"])
    service.now += 0.001
    assert len(service.read(reply["NextShardIterator"])["Records"]) == 2


def test_a_read_gives_ten_thousand_records_at_most(service: Service) -> None:
    service.unlimited()
    service.create()
    for _ in range(21):
        put(service, *[record(10)] * 500)
    reply = service.read(service.iterator())
    assert len(reply["Records"]) == 10_000
    assert len(service.read(reply["NextShardIterator"])["Records"]) == 500
    assert service.refusal("GetRecords", ShardIterator=service.iterator(), Limit=10_001) == "ValidationException"


@pytest.mark.parametrize(
    ("operation", "parameters", "code"),
    [
        ("CreateStream", {"StreamName": "a b", "ShardCount": 1}, "ValidationException"),
        ("CreateStream", {"StreamName": "a" * 129, "ShardCount": 1}, "ValidationException"),
        ("CreateStream", {"StreamName": "a"}, "ValidationException"),
        ("CreateStream", {"StreamName": "a", "ShardCount": 0}, "ValidationException"),
        ("CreateStream", {"StreamName": "a", "ShardCount": 10_001}, "LimitExceededException"),
        ("CreateStream", {"StreamName": "a", "ShardCount": "1"}, "SerializationException"),
        ("CreateStream", {"StreamName": NAME, "ShardCount": 1}, "ResourceInUseException"),
        ("CreateStream", {"StreamName": "a", "ShardCount": 1, "MaxRecordSizeInKiB": 1023}, "ValidationException"),
        ("CreateStream", {"StreamName": "a", "StreamModeDetails": {}}, "ValidationException"),
        ("DescribeStream", {}, "InvalidArgumentException"),
        ("DescribeStream", {"StreamName": NAME, "Limit": 0}, "ValidationException"),
        ("DescribeStream", {"StreamARN": "arn:aws:sqs:us-east-1:123456789012:stream/a"}, "ValidationException"),
        ("ListShards", {"StreamName": NAME, "ShardFilter": {"Type": "SOME"}}, "ValidationException"),
        ("ListShards", {"StreamName": NAME, "ShardFilter": {"Type": "AT_TIMESTAMP"}}, "InvalidArgumentException"),
        ("ListShards", {"StreamName": NAME, "ShardFilter": []}, "SerializationException"),
        ("GetRecords", {"ShardIterator": ""}, "ValidationException"),
        ("SubscribeToShard", {}, "UnknownOperationException"),
    ],
)
def test_parameters_outside_the_service_model(
    service: Service, operation: str, parameters: dict[str, Any], code: str
) -> None:
    service.create()
    assert service.refusal(operation, **parameters) == code


def test_a_stream_is_found_by_name_and_by_arn(service: Service) -> None:
    service.create()
    arn = service.of_stream("DescribeStream")["StreamDescription"]["StreamARN"]
    assert arn == "arn:aws:kinesis:us-east-1:123456789012:stream/stream"
    assert service.call("DescribeStreamSummary", StreamARN=arn)["StreamDescriptionSummary"]["StreamName"] == NAME
    assert service.call("ListShards", StreamARN=arn, StreamName=NAME)["Shards"]
    assert service.refusal("ListShards", StreamARN=arn, StreamName="other") == "InvalidArgumentException"
    for elsewhere in (arn.replace("us-east-1", "eu-west-1"), arn.replace("123456789012", "000000000000")):
        assert service.refusal("ListShards", StreamARN=elsewhere) == "ResourceNotFoundException"
    created = service.of_stream("DescribeStream")["StreamDescription"]["StreamCreationTimestamp"]
    assert service.call("ListShards", StreamARN=arn, StreamCreationTimestamp=created)["Shards"]
    other = {"StreamName": NAME, "StreamCreationTimestamp": created - 10}
    assert service.refusal("ListShards", **other) == "ResourceNotFoundException"
