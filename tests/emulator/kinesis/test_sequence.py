"""Sequence numbers: 56 digits, rising in a shard and from parents to children, refused by any other shard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.kinesis.sequence import Sequence, parse, prefix, sequence_number
from tests.emulator.kinesis.conftest import Service

TIMES = st.integers(0, (1 << 48) - 1)
UIDS = st.integers(1, (1 << 40) - 1)
POSITIONS = st.integers(0, (1 << 49) - 1)


@given(TIMES, UIDS, POSITIONS, TIMES)
def test_they_say_what_they_were_made_of(opened_ms: int, uid: int, position: int, time_ms: int) -> None:
    number = sequence_number(prefix(opened_ms, uid), position, time_ms)
    assert len(number) == 56
    assert parse(number) == Sequence(opened_ms, uid, position)


@given(TIMES, UIDS, st.lists(POSITIONS, min_size=2, max_size=2, unique=True), TIMES, TIMES)
def test_they_rise_with_the_position(opened_ms: int, uid: int, positions: list[int], first: int, second: int) -> None:
    of_shard = prefix(opened_ms, uid)
    low, high = sorted(positions)
    assert int(sequence_number(of_shard, low, first)) < int(sequence_number(of_shard, high, second))


@given(st.text(max_size=60) | st.integers(0, 10**57).map(str))
def test_other_text_is_none(text: str) -> None:
    try:
        found = parse(text)
    except ValueError:
        return
    assert sequence_number(prefix(found.opened_ms, found.uid), found.position, int(text) & (1 << 48) - 1) == text


def test_children_go_on_above_their_parents(service: Service) -> None:
    service.create()
    before = service.put(b"1", b"2")
    service.split()
    after = service.put(b"3", hash_key=0) + service.put(b"4", hash_key=1 << 127)
    assert min(int(each["SequenceNumber"]) for each in after) > max(int(each["SequenceNumber"]) for each in before)
    parent = service.shards()[0]["SequenceNumberRange"]
    assert int(parent["StartingSequenceNumber"]) < int(before[0]["SequenceNumber"])
    assert int(parent["EndingSequenceNumber"]) > int(before[1]["SequenceNumber"])


@pytest.mark.parametrize("kind", ["AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"])
def test_those_of_another_shard_or_a_deleted_stream_are_refused(service: Service, kind: str) -> None:
    service.create(shards=2)
    (first,) = service.put(b"a", hash_key=0)
    (second,) = service.put(b"b", hash_key=1 << 127)

    def refusal(number: str) -> str:
        return service.refusal(
            "GetShardIterator",
            StreamName="stream",
            ShardId=first["ShardId"],
            ShardIteratorType=kind,
            StartingSequenceNumber=number,
        )

    assert refusal(second["SequenceNumber"]) == "InvalidArgumentException"
    assert refusal("0") == "InvalidArgumentException"
    wanted = [b"a"] if kind == "AT_SEQUENCE_NUMBER" else []
    assert service.data(kind=kind, StartingSequenceNumber=first["SequenceNumber"]) == wanted
    service.of_stream("DeleteStream")
    service.create(shards=2)
    service.put(b"a", hash_key=0)
    assert refusal(first["SequenceNumber"]) == "InvalidArgumentException"


def test_the_first_sequence_number_of_a_shard_is_its_beginning(service: Service) -> None:
    service.create()
    service.put(b"a", b"b")
    start = service.shards()[0]["SequenceNumberRange"]["StartingSequenceNumber"]
    for kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"):
        assert service.data(kind=kind, StartingSequenceNumber=start) == [b"a", b"b"]
