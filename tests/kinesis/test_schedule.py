"""What is sent next: no record lost or twice, requests that fit, keys in order, hot shards out of the way."""

from __future__ import annotations

import random
from collections import defaultdict
from hashlib import md5

from hypothesis import given, settings
from hypothesis import strategies as st

from kinesis.limits import MAX_RECORDS, MAX_REQUEST_BYTES
from kinesis.schedule import Entry, Schedule
from kinesis.shard_map import ListedShards

TOP = 2**128


def shards(number: int) -> ListedShards:
    width = TOP // number
    return ListedShards(
        {
            "ShardId": f"shard-{index}",
            "HashKeyRange": {"StartingHashKey": str(index * width)},
            "SequenceNumberRange": {},
        }
        for index in range(number)
    )


def entry(index: int, key: str, size: int = 100) -> Entry:
    return Entry(b"", key, size, int.from_bytes(md5(key.encode()).digest(), "big"), None, index)


def taken(schedule: Schedule, now: float) -> list[Entry]:
    found = schedule.take(now)
    assert isinstance(found, list)
    return found


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 5),
    st.integers(1, 30),
    st.booleans(),
    st.lists(st.integers(1, 4_000_000), min_size=1, max_size=700),
    st.integers(0, 2**32),
)
def test_each_record_is_answered_once_and_requests_fit(
    count: int, keys: int, ordered: bool, sizes: list[int], seed: int
) -> None:
    rng = random.Random(seed)
    schedule = Schedule(ordered=ordered, now=0.0)
    schedule.use(shards(count))
    waiting = [entry(index, f"k{rng.randrange(keys)}", size) for index, size in enumerate(sizes)]
    answered: list[Entry] = []
    under_way: list[list[Entry]] = []
    now = 0.0
    while len(answered) < len(sizes):
        if waiting and rng.random() < 0.5:
            some, waiting = waiting[:50], waiting[50:]
            schedule.add(some)
        found = schedule.take(now)
        if isinstance(found, list):
            assert 0 < len(found) <= MAX_RECORDS
            assert len(found) == 1 or sum(each.size for each in found) <= MAX_REQUEST_BYTES
            under_way.append(found)
        else:
            now += min(found, 1.0) + 1e-6
        if under_way and (rng.random() < 0.5 or not isinstance(found, list)):
            request = under_way.pop(rng.randrange(len(under_way)))
            again = [each for each in request if rng.random() < 0.2]
            done = [each for each in request if each not in again]
            answered += done
            schedule.done(done)
            schedule.put_back(again, now + rng.random())
        if ordered:
            keys_under_way = [each.key for request in under_way for each in request]
            assert len(keys_under_way) == len(set(keys_under_way))
        if rng.random() < 0.02:
            schedule.use(shards(rng.randrange(1, 6)))
    assert sorted(each.index for each in answered) == list(range(len(sizes)))
    assert schedule.take(now) == float("inf")
    if ordered:
        by_key = defaultdict(list)
        for each in answered:
            by_key[each.key].append(each.index)
        assert all(indices == sorted(indices) for indices in by_key.values())


def test_a_hot_shard_holds_up_its_own_records_only() -> None:
    schedule = Schedule(ordered=False, now=0.0)
    four = shards(4)
    schedule.use(four)
    hot = entry(0, "hot").hash_key
    others = [
        each for each in (entry(n, f"k{n}") for n in range(2_800)) if four.shard_of(each.hash_key) != four.shard_of(hot)
    ]
    schedule.add(entry(n, "hot") for n in range(20_000))
    schedule.add(others)
    sent: list[Entry] = []
    while isinstance(found := schedule.take(0.0), list):
        sent += found
    assert sum(each.key == "hot" for each in sent) == 750  # what a shard is given at once
    assert sum(each.key != "hot" for each in sent) == len(others)


def test_what_is_put_back_waits_for_its_time_and_goes_first() -> None:
    schedule = Schedule(ordered=False, now=0.0)
    schedule.use(shards(1))
    first = [entry(0, "a"), entry(1, "b")]
    schedule.add(first)
    assert taken(schedule, 0.0) == first
    schedule.put_back(first, 5.0)
    assert schedule.take(1.0) == 4.0
    schedule.add([entry(2, "c")])
    assert [each.index for each in taken(schedule, 1.0)] == [2]
    schedule.add([entry(3, "d")])
    assert [each.index for each in taken(schedule, 5.0)] == [0, 1, 3]


def test_pieces_go_by_themselves() -> None:
    schedule = Schedule(ordered=False, now=0.0)
    schedule.use(shards(1))
    schedule.add(entry(n, "a") for n in range(4))
    request = taken(schedule, 0.0)
    schedule.add([entry(4, "a")])
    schedule.add_piece(request[:2])
    schedule.add_piece(request[2:])
    assert [[each.index for each in taken(schedule, 0.0)] for _ in range(3)] == [[0, 1], [2, 3], [4]]


def test_without_a_list_shards_are_learned_and_then_paced() -> None:
    schedule = Schedule(ordered=False, now=0.0)
    schedule.add(entry(n, f"k{n}") for n in range(10))
    first = taken(schedule, 0.0)
    assert len(first) == 10
    schedule.add(entry(n, f"k{n}") for n in range(5_000))
    for each in first:
        assert not schedule.observe(each, "shard-0")
    assert sum(len(taken(schedule, 0.0)) for _ in range(2)) == 750
    assert isinstance(schedule.take(0.0), float)
    assert schedule.paces == {"shard-0": 1.0}


def test_an_answer_from_a_new_shard_asks_for_the_list() -> None:
    schedule = Schedule(ordered=False, now=0.0)
    schedule.use(shards(2))
    assert not schedule.observe(entry(0, "a"), "shard-1")
    assert schedule.observe(entry(0, "a"), "shard-7")
