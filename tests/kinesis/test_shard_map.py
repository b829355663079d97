"""Which shard a hash key belongs to, listed and learned."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinesis.shard_map import UNKNOWN, LearnedShards, ListedShards

TOP = 2**128 - 1


def shard(number: int, start: int, end: int, *, closed: bool = False) -> dict[str, object]:
    sequence = {"StartingSequenceNumber": "1", **({"EndingSequenceNumber": "2"} if closed else {})}
    return {
        "ShardId": f"shardId-{number:012}",
        "HashKeyRange": {"StartingHashKey": str(start), "EndingHashKey": str(end)},
        "SequenceNumberRange": sequence,
    }


@pytest.mark.parametrize(("key", "number"), [(0, 1), (2**127 - 1, 1), (2**127, 2), (TOP, 2)])
def test_listed_shards_by_their_ranges(key: int, number: int) -> None:
    half = 2**127
    shards = ListedShards([shard(2, half, TOP), shard(0, 0, TOP, closed=True), shard(1, 0, half - 1)])
    assert shards.ids == {"shardId-000000000001", "shardId-000000000002"}
    assert shards.shard_of(key) == f"shardId-{number:012}"


def test_an_answer_that_names_another_shard_makes_the_list_outdated() -> None:
    shards = ListedShards([shard(0, 0, TOP)])
    assert not shards.observe(5, "shardId-000000000000")
    assert shards.observe(5, "shardId-000000000001")


@given(st.lists(st.integers(1, TOP - 1), min_size=1, max_size=9, unique=True), st.integers(0, 2**32))
def test_what_is_learned_is_right_once_the_ends_were_seen(cuts: list[int], seed: int) -> None:
    cuts = [0, *sorted(cuts), TOP + 1]
    ranges = list(pairwise(cuts))
    learned = LearnedShards()
    assert learned.shard_of(7) == UNKNOWN
    seen = [(key, f"s{number}") for number, (start, end) in enumerate(ranges) for key in (start, end - 1)]
    random.Random(seed).shuffle(seen)
    for key, name in seen:
        learned.observe(key, name)
    for number, (start, end) in enumerate(ranges):
        for key in (start, end - 1, (start + end) // 2):
            assert learned.shard_of(key) == f"s{number}"
    assert not any(learned.observe(key, name) for key, name in seen)


def test_a_split_is_learned_from_what_contradicts_the_parent() -> None:
    learned = LearnedShards()
    learned.observe(0, "parent")
    learned.observe(TOP, "parent")
    assert learned.observe(10, "left")
    assert learned.observe(TOP - 10, "right")
    assert learned.shard_of(0) == "left"
    assert learned.shard_of(TOP) == "right"
