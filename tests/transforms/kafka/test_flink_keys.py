from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.kafka.flink_keys import Subtasks, _murmur3_128
from transforms.kafka.restriction import PositionsProvider, deal
from transforms.kafka.start import Start


@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 2**40))
@settings(max_examples=30)
def test_shards_are_dealt_in_turn_and_still_say_where_they_start(partitions: int, parallelism: int, at: int) -> None:
    shards = deal(Start({("events", number): at for number in range(partitions)}, None), partitions)
    subtasks = Subtasks(parallelism)
    dealt = subtasks.deal(shards)
    assert [subtasks.of(shard) for shard in dealt] == [number % parallelism for number in range(partitions)]
    first = PositionsProvider().initial_restriction
    assert [first(shard) for shard in dealt] == [first(shard) for shard in shards]


@pytest.mark.parametrize(
    ("parallelism", "groups"), [(1, 128), (4, 128), (85, 128), (86, 256), (200, 512), (30_000, 32_768)]
)
def test_key_groups_are_as_many_as_flink_makes_by_default(parallelism: int, groups: int) -> None:
    assert Subtasks(parallelism).key_groups == groups
    assert Subtasks(parallelism, max_parallelism=200).key_groups == 200


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        (b"", 0),
        (b"hello", 0xCBD8A7B341BD9B02),
        (bytes(range(16)), 0x444924B591903F30),
        (bytes(range(37)), 0x5174AD5EDD02D820),
    ],
)
def test_the_hash_is_murmur3_as_other_programs_compute_it(key: bytes, hashed: int) -> None:
    assert _murmur3_128(key) == hashed
