"""Which exported profiles are repeats, and which of them are dropped."""

from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.eager import apply
from transforms.kinesis.record import SEQUENCE_NUMBER, SHARD
from transforms.kinesis.repeats import CountRepeats, Found, LastProfiles, Place
from transforms.records.chunk import Chunk, Record
from transforms.worker import metrics

NEW = Found(False, False)


def place(number: int, arrival: int = 0, shard: bytes = b"shardId-0") -> Place:
    return Place(shard, number, arrival)


def look(last: LastProfiles, content: bytes, at: Place, *ids: str, seconds: float = 10) -> Found:
    return last.look([("ecid", one) for one in ids or ("1",)], content, at, seconds)


def test_the_same_again_within_the_time_is_a_repeat_and_later_it_is_one_that_passes() -> None:
    last = LastProfiles()
    assert look(last, b"a", place(1, 0)) == NEW
    assert look(last, b"a", place(2, 9_999)) == Found(True, True)
    assert look(last, b"a", place(3, 10_000)) == Found(True, False)
    assert look(last, b"a", place(4, 19_999)) == Found(True, True)
    assert look(last, b"a", place(5, 20_000), seconds=0) == Found(True, False)


def test_a_profile_that_changes_and_changes_back_is_no_repeat() -> None:
    last = LastProfiles()
    assert [look(last, content, place(number)) for number, content in enumerate((b"a", b"b", b"a"))] == [NEW] * 3


def test_another_profile_with_the_same_content_is_no_repeat() -> None:
    last = LastProfiles()
    assert look(last, b"a", place(1), "1") == NEW
    assert look(last, b"a", place(2), "2") == NEW


def test_all_identities_must_have_been_in_the_last_record() -> None:
    last = LastProfiles()
    assert look(last, b"a", place(1), "1", "2") == NEW
    assert look(last, b"b", place(2), "2", "3") == NEW  # merged with another profile
    assert look(last, b"a", place(3), "1", "2") == NEW
    assert look(last, b"a", place(4), "1", "2") == Found(True, True)


def test_what_is_read_again_after_a_failure_is_no_repeat() -> None:
    last = LastProfiles()
    records = [(b"a", place(1, 1)), (b"b", place(2, 2)), (b"a", place(3, 3)), (b"a", place(4, 4))]
    first = [look(last, *record) for record in records]
    assert first == [NEW, NEW, NEW, Found(True, True)]
    assert [look(last, *record) for record in records] == first


def test_a_repeat_in_the_child_of_a_shard_is_one() -> None:
    last = LastProfiles()
    assert look(last, b"a", place(9, 5)) == NEW
    assert look(last, b"a", place(1, 6, b"shardId-1")) == Found(True, True)
    assert look(last, b"a", place(1, 5, b"shardId-2")) == NEW  # as old as the last one: perhaps read again


def test_a_change_back_after_a_change_in_a_shard_that_is_behind_is_no_repeat() -> None:
    last = LastProfiles()
    assert look(last, b"a", place(1, 100, b"shardId-0")) == NEW
    assert look(last, b"b", place(1, 99, b"shardId-1")) == NEW
    assert look(last, b"b", place(2, 104, b"shardId-1")) == NEW  # for whoever goes by the time, a change of the first
    assert look(last, b"b", place(3, 105, b"shardId-1")) == Found(True, True)
    assert look(last, b"a", place(2, 103, b"shardId-0")) == NEW
    assert look(last, b"a", place(3, 106, b"shardId-0")) == NEW  # for whoever goes by the order, one of the last


def test_of_many_identities_the_oldest_are_forgotten() -> None:
    last = LastProfiles(most=10)
    for number in range(100):
        look(last, b"a", place(number), str(number))
    assert look(last, b"a", place(200), "0") == NEW
    assert look(last, b"a", place(201), "99") == Found(True, True)


@given(st.lists(st.tuples(st.sampled_from("12"), st.sampled_from([b"a", b"b"])), max_size=40))
def test_whoever_keeps_the_last_record_of_each_profile_has_the_same_with_and_without_repeats(
    records: list[tuple[str, bytes]],
) -> None:
    last = LastProfiles()
    kept = [
        (one, content)
        for number, (one, content) in enumerate(records)
        if not look(last, content, place(number), one).within
    ]
    for one in "12":
        changes = [content for name, content in records if name == one]
        changes = [content for at, content in enumerate(changes) if at == 0 or content != changes[at - 1]]
        assert [content for name, content in kept if name == one] == changes


def chunk(*values: tuple[str, str]) -> Chunk:
    records = [
        Record(number, number, None, ((SHARD, b"s"), (SEQUENCE_NUMBER, b"%d" % number)), b"")
        for number in range(len(values))
    ]
    entities = [{"x": value, "identityMap": {"ecid": [{"id": one}]}} for one, value in values]
    return Chunk("stream", 0, records, entities=entities, bodies=[orjson.dumps(one) for one in entities])


def test_repeats_are_counted_and_dropped_when_asked_for() -> None:
    values = ("1", "a"), ("1", "a"), ("2", "a"), ("1", "b"), ("1", "b")
    (kept,) = apply(CountRepeats("kept", 0), [chunk(*values)])
    assert [record.offset for record in kept.records] == [0, 1, 2, 3, 4]
    assert metrics.process_counts() == {metrics.REPEATS: 2}
    metrics.reset()
    (kept,) = apply(CountRepeats("dropped", 1), [chunk(*values)])
    assert [record.offset for record in kept.records] == [0, 2, 3]
    assert metrics.process_counts() == {metrics.REPEATS: 2, metrics.REPEATS_DROPPED: 2}
