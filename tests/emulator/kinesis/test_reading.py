"""Iterators, retention, and the end of closed shards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.emulator.kinesis.conftest import Service


def test_the_types_of_iterators(service: Service) -> None:
    service.create()
    service.put(b"a")
    service.now += 10
    time = service.now
    service.put(b"b")
    latest = service.iterator(kind="LATEST")
    service.now += 10
    service.put(b"c")
    assert service.data() == [b"a", b"b", b"c"]
    assert service.data(kind="AT_TIMESTAMP", Timestamp=time) == [b"b", b"c"]
    assert service.data(kind="AT_TIMESTAMP", Timestamp=time - 100) == [b"a", b"b", b"c"]
    assert service.data(kind="AT_TIMESTAMP", Timestamp=time + 0.001) == [b"c"]
    assert [each["Data"] for each in service.read(latest)["Records"]] == ["Yw=="]


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("AT_TIMESTAMP", {"Timestamp": 1_800_000_000.001}),  # after now
        ("AT_TIMESTAMP", {}),
        ("AT_SEQUENCE_NUMBER", {}),
        ("TRIM_HORIZON", {"StartingSequenceNumber": "0"}),
        ("LATEST", {"Timestamp": 0}),
    ],
)
def test_iterators_that_cannot_be(service: Service, kind: str, more: dict[str, float]) -> None:
    service.create()
    of_shard = {"StreamName": "stream", "ShardId": "shardId-000000000000", "ShardIteratorType": kind, **more}
    assert service.refusal("GetShardIterator", **of_shard) == "InvalidArgumentException"


def test_a_reader_goes_on_where_it_was(service: Service) -> None:
    service.create()
    service.put(*(b"%d" % number for number in range(10)))
    iterator = service.iterator()
    read: list[str] = []
    while len(read) < 10:
        service.now += 1
        reply = service.read(iterator, Limit=3)
        assert (reply["MillisBehindLatest"] > 0) == (len(read) + len(reply["Records"]) < 10)
        read += [each["SequenceNumber"] for each in reply["Records"]]
        iterator = reply["NextShardIterator"]
    assert read == sorted(set(read))
    assert service.read(iterator)["Records"] == []
    service.put(b"more")
    service.now += 1
    assert len(service.read(service.read(iterator)["NextShardIterator"])["Records"]) == 0
    assert len(service.read(iterator)["Records"]) == 1


def test_an_iterator_lives_five_minutes(service: Service) -> None:
    service.create()
    iterator = service.iterator()
    service.now += 300
    following = service.read(iterator)["NextShardIterator"]
    service.now += 0.001
    assert service.refusal("GetRecords", ShardIterator=iterator) == "ExpiredIteratorException"
    service.read(following)


@pytest.mark.parametrize("garbage", ["garbage", "AAAA" * 20, "ä"])
def test_garbage_is_no_iterator(service: Service, garbage: str) -> None:
    assert service.refusal("GetRecords", ShardIterator=garbage) == "InvalidArgumentException"


def test_a_page_token_is_no_iterator(service: Service) -> None:
    service.create(shards=2)
    token = service.of_stream("ListShards", MaxResults=1)["NextToken"]
    assert service.refusal("GetRecords", ShardIterator=token) == "InvalidArgumentException"


def test_an_iterator_does_not_outlive_its_stream(service: Service) -> None:
    service.create()
    iterator = service.iterator()
    service.of_stream("DeleteStream")
    assert service.refusal("GetRecords", ShardIterator=iterator) == "ResourceNotFoundException"
    service.create()
    assert service.refusal("GetRecords", ShardIterator=iterator) == "ResourceNotFoundException"


def test_retention_trims_records(service: Service) -> None:
    service.create()
    (old,) = service.put(b"old")
    at_old = service.iterator()
    service.now += 24 * 3600
    service.put(b"new")
    service.now += 0.001
    assert service.data() == [b"new"]
    assert service.data(kind="AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=old["SequenceNumber"]) == [b"new"]
    assert service.refusal("GetRecords", ShardIterator=at_old) == "ExpiredIteratorException"
    service.of_stream("IncreaseStreamRetentionPeriod", RetentionPeriodHours=48)
    service.now += 47 * 3600
    assert service.data() == [b"new"]
    service.of_stream("DecreaseStreamRetentionPeriod", RetentionPeriodHours=24)
    assert service.data() == []
    for operation, hours in (("Increase", 24), ("Increase", 8761), ("Decrease", 24), ("Decrease", 23)):
        refused = service.refusal(f"{operation}StreamRetentionPeriod", StreamName="stream", RetentionPeriodHours=hours)
        assert refused == "InvalidArgumentException"


@pytest.mark.parametrize("restarted", [False, True])
def test_sequence_numbers_go_on_after_all_was_trimmed(service: Service, restarted: bool) -> None:
    service.create()
    (old,) = service.put(b"old")
    service.switches.change({"retention_seconds": 1})
    service.now += 2
    assert service.data() == []
    if restarted:
        service.restart()
    (new,) = service.put(b"new")
    assert int(new["SequenceNumber"]) > int(old["SequenceNumber"])
    assert service.data() == [b"new"]


def test_a_closed_shard_ends_and_names_its_children(service: Service) -> None:
    service.create()
    service.put(b"a", b"b")
    service.split()
    service.put(b"c", hash_key=0)
    reply = service.read(service.iterator(), Limit=1)
    assert "ChildShards" not in reply
    last = service.read(reply["NextShardIterator"])
    assert len(last["Records"]) == 1
    assert "NextShardIterator" not in last
    assert [child["ShardId"][-1] for child in last["ChildShards"]] == ["1", "2"]
    assert [child["ParentShards"] for child in last["ChildShards"]] == [["shardId-000000000000"]] * 2
    latest = service.read(service.iterator(kind="LATEST"))
    assert (latest["Records"], len(latest["ChildShards"])) == ([], 2)
    assert service.data("shardId-000000000001") == [b"c"]


def test_the_offset_of_arrivals_is_seen_and_does_not_trim(service: Service) -> None:
    service.create()
    service.put(b"a")
    service.switches.change({"arrival_offset_seconds": -90_000})
    service.put(b"b")
    arrivals = [each["ApproximateArrivalTimestamp"] for each in service.read(service.iterator())["Records"]]
    assert arrivals == [service.now, service.now - 90_000]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-4, 4)), min_size=1, max_size=30), st.integers(0, 40))
def test_a_time_finds_the_first_record_that_arrived_then_or_later(puts: list[tuple[int, int]], seconds: int) -> None:
    """Also where arrivals are not in order, as AWS says that they need not be."""
    service = Service()
    service.unlimited()
    service.create()
    start = service.now
    arrivals = []
    for pause, offset in puts:
        service.now += pause
        service.switches.change({"arrival_offset_seconds": offset})
        arrivals.append(service.now + offset)
        service.put(b"%d" % len(arrivals))
    service.now = start + 1000
    wanted = next((number for number, arrival in enumerate(arrivals, 1) if arrival >= start + seconds), None)
    found = service.data(kind="AT_TIMESTAMP", Timestamp=start + seconds)
    assert found[:1] == ([] if wanted is None else [b"%d" % wanted])
