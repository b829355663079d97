"""The server as boto3 meets it: switches, keys, many threads, and a kill."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError, ConnectionClosedError

from testing.services.kinesis import ACCESS_KEY_ID, SECRET_ACCESS_KEY, Kinesis
from testing.services.process import PATIENCE_SECONDS, wait_for


@pytest.fixture
def name(kinesis: Kinesis) -> str:
    return kinesis.create_stream(shards=2)


def put(client: Any, name: str, *data: bytes) -> dict[str, Any]:
    records = [{"Data": each, "PartitionKey": each.decode()} for each in data]
    return dict(client.put_records(StreamName=name, Records=records))


def refusal(client: Any, operation: str, **parameters: Any) -> tuple[str, int]:
    """Return the code and status that a call is refused with."""
    with pytest.raises(ClientError) as refused:
        getattr(client, operation)(**parameters)
    response = refused.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_single_records_fail(kinesis: Kinesis, name: str) -> None:
    kinesis.switch(record_rate={"InternalFailure": 0.3, "ProvisionedThroughputExceededException": 0.2}, seed=1)
    data = [b"%d" % number for number in range(500)]
    reply = put(kinesis.client(), name, *data)
    codes = [each.get("ErrorCode") for each in reply["Records"]]
    assert 100 < codes.count("InternalFailure") < 200
    assert 50 < codes.count("ProvisionedThroughputExceededException") < 150
    assert reply["FailedRecordCount"] == 500 - codes.count(None)
    stored = {each for each, code in zip(data, codes, strict=True) if code is None}
    assert {record.data for record in kinesis.records(name)} == stored


@pytest.mark.parametrize(
    ("share", "code", "status"),
    [
        ("400", "ProvisionedThroughputExceededException", 400),
        ("500", "InternalFailure", 500),
        ("503", "ServiceUnavailable", 503),
        ("KMSDisabledException", "KMSDisabledException", 400),
    ],
)
def test_whole_calls_are_refused(kinesis: Kinesis, name: str, share: str, code: str, status: int) -> None:
    kinesis.switch(request_rate={share: 1}, operations=["PutRecord"])
    client = kinesis.client()
    assert refusal(client, "put_record", StreamName=name, Data=b"x", PartitionKey="k") == (code, status)
    put(client, name, b"x")
    assert len(kinesis.records(name)) == 1


def test_connections_are_dropped_before_and_after(kinesis: Kinesis, name: str) -> None:
    client = kinesis.client()
    kinesis.switch(reset_rate=1)
    with pytest.raises(ConnectionClosedError):
        put(client, name, b"before")
    kinesis.switch(reset_rate=0, lost_reply_rate=1)
    with pytest.raises(ConnectionClosedError):
        put(client, name, b"after")
    assert [record.data for record in kinesis.records(name)] == [b"after"]


def test_an_outage(kinesis: Kinesis, name: str) -> None:
    client = kinesis.client()
    kinesis.switch(outage_s=1000)
    assert refusal(client, "list_streams") == ("ServiceUnavailable", 503)
    kinesis.switch(outage_mode="reset")
    with pytest.raises(ConnectionClosedError):
        client.list_streams()
    kinesis.switch(outage_s=0)
    assert name in client.list_streams()["StreamNames"] or client.list_streams()["HasMoreStreams"]


def test_rights_and_sessions_end(kinesis: Kinesis, name: str) -> None:
    client = kinesis.client()
    kinesis.switch(denied_actions=["kinesis:ListShards"])
    with pytest.raises(client.exceptions.AccessDeniedException, match="kinesis:ListShards"):
        client.list_shards(StreamName=name)
    client.describe_stream_summary(StreamName=name)
    kinesis.switch(expired_keys=[ACCESS_KEY_ID])
    assert refusal(client, "describe_stream_summary", StreamName=name) == ("ExpiredTokenException", 400)
    kinesis.client(access_key_id="REFRESHED").describe_stream_summary(StreamName=name)


def test_reads_can_be_empty_and_iterators_expire_early(kinesis: Kinesis, name: str) -> None:
    client = kinesis.client()
    (result,) = put(client, name, b"x")["Records"]
    of_shard = {"StreamName": name, "ShardId": result["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
    iterator = client.get_shard_iterator(**of_shard)["ShardIterator"]
    kinesis.switch(empty_read_rate=1)
    empty = client.get_records(ShardIterator=iterator)
    assert empty["Records"] == []
    kinesis.switch(empty_read_rate=0, expired_iterator_rate=1)
    with pytest.raises(client.exceptions.ExpiredIteratorException):
        client.get_records(ShardIterator=empty["NextShardIterator"])
    kinesis.switch(expired_iterator_rate=0)
    (record,) = client.get_records(ShardIterator=empty["NextShardIterator"])["Records"]
    assert record["Data"] == b"x"


@pytest.mark.parametrize(("responses", "results", "failed"), [("short", 2, 0), ("long", 4, 0), ("count", 3, 1)])
def test_replies_that_do_not_fit(kinesis: Kinesis, name: str, responses: str, results: int, failed: int) -> None:
    kinesis.switch(responses=responses)
    reply = put(kinesis.client(), name, b"a", b"b", b"c")
    assert (len(reply["Records"]), reply["FailedRecordCount"]) == (results, failed)
    assert len(kinesis.records(name)) == 3


def test_wrong_switches_are_refused(kinesis: Kinesis) -> None:
    for wrong, hint in (
        ({"latency": 1}, "latency"),
        ({"record_rate": {"Other": 1}}, "record_rate"),
        ({"request_rate": {"500": 0.6, "503": 0.6}}, "more than 1"),
        ({"throttle": {"*": -1}}, "negative"),
    ):
        with pytest.raises(RuntimeError, match=hint):
            kinesis.switch(**wrong)
    assert kinesis.local("GET", "kinesis/faults") == {}


def test_what_is_no_call_is_refused(kinesis: Kinesis) -> None:
    session = requests.Session()
    session.trust_env = False
    answer = session.post(kinesis.endpoint, data=b"{}", timeout=PATIENCE_SECONDS)
    assert (answer.status_code, answer.json()["__type"]) == (400, "MissingAuthenticationTokenException")
    assert session.get(kinesis.endpoint, timeout=PATIENCE_SECONDS).status_code == 405


@pytest.mark.parametrize("key", ["\ud800", "k" * 257])
def test_one_key_that_cannot_be_has_the_whole_request_refused(kinesis: Kinesis, name: str, key: str) -> None:
    """A lone surrogate is not text; boto3 sends it all the same."""
    records = [{"Data": b"good", "PartitionKey": "good"}, {"Data": b"bad", "PartitionKey": key}]
    code, status = refusal(kinesis.client(), "put_records", StreamName=name, Records=records)
    assert (code, status) in (("SerializationException", 400), ("ValidationException", 400))
    assert kinesis.records(name) == []


def test_streams_belong_to_the_region_that_is_signed_for(kinesis: Kinesis, name: str) -> None:
    elsewhere = kinesis.client(region="eu-west-1")
    assert refusal(elsewhere, "describe_stream_summary", StreamName=name) == ("ResourceNotFoundException", 400)
    elsewhere.create_stream(StreamName=name, ShardCount=1)
    shown = kinesis.local("GET", "kinesis/streams?region=eu-west-1")["streams"]
    # Other tests have streams there too.
    assert [len(each["shards"]) for each in shown if each["name"] == name] == [1]


def test_nothing_acknowledged_is_lost_by_eight_threads(kinesis: Kinesis) -> None:
    kinesis.switch(limits=False, record_rate={"InternalFailure": 0.05}, reshard_seconds=0)
    name = kinesis.create_stream(shards=2)
    acknowledged: list[tuple[str, str, bytes]] = []

    def write(thread: int) -> None:
        client = kinesis.client()
        for request in range(10):
            data = [b"%d.%d.%d" % (thread, request, number) for number in range(200)]
            for each, result in zip(data, put(client, name, *data)["Records"], strict=True):
                if "SequenceNumber" in result:
                    acknowledged.append((result["ShardId"], result["SequenceNumber"], each))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for target in (4, 3):
        kinesis.client().update_shard_count(StreamName=name, TargetShardCount=target, ScalingType="UNIFORM_SCALING")
    for thread in threads:
        thread.join()
    kept = kinesis.records(name)
    assert sorted((each.shard_id, each.sequence_number, each.data) for each in kept) == sorted(acknowledged)
    assert len(acknowledged) > 14_000
    by_shard: dict[str, list[int]] = {}
    for each in kept:
        by_shard.setdefault(each.shard_id, []).append(int(each.sequence_number))
    assert all(numbers == sorted(set(numbers)) for numbers in by_shard.values())


@pytest.fixture
def restarted(tmp_path: Path) -> Iterator[Kinesis]:
    with Kinesis(state=tmp_path / "state.db", arguments=[f"--kinesis-key={ACCESS_KEY_ID}:{SECRET_ACCESS_KEY}"]) as it:
        yield it


def test_streams_outlive_a_kill_and_keys_are_checked(restarted: Kinesis) -> None:
    name = restarted.create_stream(shards=1, MaxRecordSizeInKiB=2048)
    client = restarted.client()
    before = put(client, name, b"a", b"b")["Records"]
    restarted.switch(reshard_seconds=0.2)
    client.update_shard_count(StreamName=name, TargetShardCount=2, ScalingType="UNIFORM_SCALING")
    restarted.kill()
    restarted.start()
    client = restarted.client()
    wait_for(
        lambda: len(client.list_shards(StreamName=name)["Shards"]) == 3, PATIENCE_SECONDS, "the end of the reshard"
    )
    after = put(client, name, b"c", b"d")["Records"]
    assert min(int(each["SequenceNumber"]) for each in after) > max(int(each["SequenceNumber"]) for each in before)
    assert sorted(record.data for record in restarted.records(name)) == [b"a", b"b", b"c", b"d"]
    assert restarted.wait_until_active(name)["MaxRecordSizeInKiB"] == 2048
    assert restarted.local("GET", "kinesis/faults") == {"reshard_seconds": 0.2}
    assert refusal(restarted.client(secret_access_key="wrong"), "list_streams") == ("InvalidSignatureException", 400)
    assert refusal(restarted.client(access_key_id="OTHER"), "list_streams") == ("UnrecognizedClientException", 400)
    restarted.reset()
    assert restarted.records(name) == []
    (again,) = put(client, name, b"e")["Records"]
    assert int(again["SequenceNumber"]) > max(int(each["SequenceNumber"]) for each in before)
    assert len(restarted.records(name)) == 1
