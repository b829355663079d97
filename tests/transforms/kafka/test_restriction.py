from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.kafka.client import Partition
from transforms.kafka.offsets import Committed
from transforms.kafka.restriction import (
    Claim,
    Positions,
    PositionsProvider,
    PositionsTracker,
    Shard,
    TopicClaim,
    deal,
    decode,
    encode,
)
from transforms.kafka.start import Start

A, B = ("a", 0), ("b", 1)

partitions = st.tuples(st.text(min_size=1, max_size=10), st.integers(0, 500))
offsets = st.integers(0, 2**62)
maps = st.dictionaries(partitions, offsets, max_size=8)
ids = st.dictionaries(st.text(min_size=1, max_size=10), st.text(max_size=22), max_size=4)
restrictions = st.builds(Positions, next=maps, ends=st.none() | maps, log_ends=maps, finished=st.booleans(), ids=ids)


@given(restrictions)
def test_a_restriction_comes_back_equal_and_equal_ones_have_equal_bytes(restriction: Positions) -> None:
    encoded = encode(restriction)
    assert decode(encoded) == restriction
    other_order = Positions(
        dict(reversed(restriction.next.items())),
        None if restriction.ends is None else dict(reversed(restriction.ends.items())),
        dict(reversed(restriction.log_ends.items())),
        restriction.finished,
        dict(reversed(restriction.ids.items())),
    )
    assert encode(other_order) == encoded
    coder = PositionsProvider().restriction_coder()
    assert coder.decode(coder.encode(restriction)) == restriction
    assert coder.is_deterministic()


@given(maps, st.booleans(), st.integers(1, 7), partitions)
def test_each_partition_is_in_exactly_one_shard_also_one_that_comes_later(
    positions: dict[Partition, int], stops: bool, count: int, later: Partition
) -> None:
    ends = {one: offset + 5 for one, offset in positions.items()} if stops else None
    shards = deal(Start(positions, ends), count)
    dealt = [PositionsProvider().initial_restriction(shard) for shard in shards]
    assert [(shard.number, shard.of) for shard in shards] == [(number, count) for number in range(count)]
    assert sum(len(one.next) for one in dealt) == len(positions)
    assert {partition: offset for one in dealt for partition, offset in one.next.items()} == positions
    for shard, one in zip(shards, dealt, strict=True):
        assert all(shard.holds(partition) for partition in one.next)
        assert (one.ends is None) == (ends is None)
        assert one.ends is None or ends is None or one.ends == {partition: ends[partition] for partition in one.next}
    assert [shard.holds(later) for shard in shards].count(True) == 1


def test_neighbouring_partitions_go_to_different_shards() -> None:
    shards = deal(Start({("events", number): 0 for number in range(8)}, None), 8)
    assert [len(PositionsProvider().initial_restriction(shard).next) for shard in shards] == [1] * 8


def test_claims_move_the_positions_and_a_checkpoint_gives_the_rest_away() -> None:
    tracker = PositionsTracker(Positions({A: 10, B: 0}, {A: 100, B: 50}))
    assert tracker.try_claim(Claim(A, 15, 40))
    assert tracker.try_claim(Claim(B, 3, -1001))
    split = tracker.try_split(0)
    assert split is not None
    done, rest = split
    assert done.finished
    assert done.backlog == 0
    assert rest == Positions({A: 15, B: 3}, {A: 100, B: 50}, {A: 40, B: 3})
    # What was given away is not claimed here any more, and not given away twice.
    assert not tracker.try_claim(Claim(A, 20, 40))
    assert tracker.try_split(0) is None
    assert tracker.current_restriction().next == {A: 15, B: 3}
    assert tracker.check_done()


def test_the_rest_goes_on_where_the_checkpoint_was() -> None:
    first = PositionsTracker(Positions({A: 0}))
    first.try_claim(Claim(A, 7, 9))
    split = first.try_split(0)
    assert split is not None
    second = PositionsTracker(split[1])
    assert second.current_restriction().next == {A: 7}
    assert second.try_claim(Claim(A, 9, 9))


def test_a_checkpoint_before_any_claim_gives_all_away() -> None:
    tracker = PositionsTracker(Positions({A: 10}))
    split = tracker.try_split(0)
    assert split is not None
    assert split[1] == Positions({A: 10})
    assert not tracker.try_claim(Claim(A, 11, 11))
    assert tracker.check_done()


def test_a_part_of_the_rest_cannot_be_given_away() -> None:
    tracker = PositionsTracker(Positions({A: 10}))
    assert tracker.try_split(0.5) is None
    assert tracker.try_claim(Claim(A, 11, 20))


def test_finishing_ends_it() -> None:
    tracker = PositionsTracker(Positions({A: 10}, {A: 11}))
    assert tracker.try_claim(Claim(A, 11, 11))
    assert not tracker.try_claim(None)
    assert tracker.check_done()
    assert not tracker.try_claim(Claim(A, 12, 12))
    assert tracker.try_split(0) is None
    assert tracker.current_restriction().finished


def test_ending_with_work_left_is_an_error() -> None:
    tracker = PositionsTracker(Positions({A: 10}))
    tracker.try_claim(Claim(A, 11, 12))
    with pytest.raises(ValueError, match="work left"):
        tracker.check_done()


def test_a_finished_restriction_has_nothing_to_claim() -> None:
    tracker = PositionsTracker(Positions({A: 10}, finished=True))
    assert not tracker.try_claim(Claim(A, 11, 11))
    assert tracker.check_done()


def test_a_new_partition_is_claimed_without_counting_what_lay_before_it() -> None:
    tracker = PositionsTracker(Positions({A: 10}))
    assert tracker.try_claim(Claim(B, 1000, 1000))
    assert tracker.try_claim(Claim(B, 1005, 1100))
    assert tracker.current_restriction().next == {A: 10, B: 1005}
    assert tracker.current_progress().completed_work == 5


def test_a_claim_may_go_back_after_the_log_was_cut_off() -> None:
    tracker = PositionsTracker(Positions({A: 500}))
    assert tracker.try_claim(Claim(A, 0, 20))
    assert tracker.current_restriction().next == {A: 0}
    assert tracker.current_progress().completed_work == 0


def test_backlog_is_the_distance_to_the_log_ends_last_heard_of() -> None:
    assert Positions({A: 10, B: 5}).backlog == 0
    assert Positions({A: 10, B: 5}, log_ends={A: 100, B: 5}).backlog == 90
    assert Positions({A: 10}, log_ends={A: 3, B: 7}).backlog == 0  # heard before the position was known
    provider = PositionsProvider()
    shard = Shard(0, 1, encode(Positions({})))
    assert provider.restriction_size(shard, Positions({A: 10}, log_ends={A: 100})) == 90
    assert provider.restriction_size(shard, Positions({})) == 1
    tracker = PositionsTracker(Positions({A: 10}))
    tracker.try_claim(Claim(A, 30, 100))
    progress = tracker.current_progress()
    assert (progress.completed_work, progress.remaining_work) == (20, 70)


def test_a_restriction_is_bounded_when_it_has_ends() -> None:
    assert PositionsTracker(Positions({A: 1}, {A: 2})).is_bounded()
    assert not PositionsTracker(Positions({A: 1})).is_bounded()


def test_ids_are_dealt_with_the_partitions_of_their_topics() -> None:
    shards = deal(Start({("a", 0): 1, ("b", 0): 2}, None, {"a": "A1", "b": "B1"}), 2)
    for shard in shards:
        positions = PositionsProvider().initial_restriction(shard)
        assert positions.ids.keys() == {topic for topic, _ in positions.next}


def test_an_id_that_was_not_known_is_claimed_and_moves_nothing() -> None:
    tracker = PositionsTracker(Positions({A: 10, B: 3}, {A: 100, B: 5}, {A: 90}))
    assert tracker.try_claim(TopicClaim("a", "A1"))
    assert tracker.current_restriction() == Positions({A: 10, B: 3}, {A: 100, B: 5}, {A: 90}, ids={"a": "A1"})


def test_the_positions_and_ends_of_a_topic_created_again_are_those_of_the_new_one_alone() -> None:
    gone = ("a", 7)
    given = Positions(
        {A: 10, gone: 4, B: 3}, {A: 100, gone: 9, B: 5}, {A: 90, gone: 9, B: 4}, ids={"a": "A1", "b": "B1"}
    )
    tracker = PositionsTracker(given)
    assert tracker.try_claim(TopicClaim("a", "A2", {A: 2, ("a", 1): 0}, {A: 30, ("a", 1): 8}))
    now = Positions(
        {A: 2, ("a", 1): 0, B: 3},
        {A: 30, ("a", 1): 8, B: 5},
        {A: 30, ("a", 1): 8, B: 4},
        ids={"a": "A2", "b": "B1"},
    )
    assert tracker.current_restriction() == now
    assert now.to_commit([A, B, gone]) == {A: Committed(2, "A2"), B: Committed(3, "B1")}
    split = tracker.try_split(0)
    assert split is not None
    assert split[1] == now
    assert not tracker.try_claim(TopicClaim("b", "B2", {B: 0}, {B: 0}))
    assert tracker.current_restriction().ids == now.ids


def test_partitions_that_catch_up_with_their_topics_id_keep_its_ends() -> None:
    claim = TopicClaim("a", "A2", {A: 0}, {A: 30})
    assert claim.apply(Positions({A: 10}, {A: 20}, ids={"a": "A2"})).ends == {A: 20}
    assert claim.apply(Positions({A: 10}, None, ids={"a": "A1"})).ends is None
