"""The restriction of a Kinesis reader, and its tracker."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinesis.positions import BEGINNING, Change, Checkpoint, ShardState, after
from tests.kinesis.test_checkpoint_file import STATES
from transforms.kinesis.restriction import (
    Share,
    Unread,
    UnreadProvider,
    UnreadTracker,
    behind,
    deal,
    decode,
    encode,
)

ONE = Unread(Checkpoint("s", 1, {"shardId-000000000000": ShardState(BEGINNING, (), "shardId-000000000000")}))
STEP = Change({"shardId-000000000000": ShardState(after("7"), (), "shardId-000000000000", 90_000)})


@given(
    st.builds(Checkpoint, st.text(), st.integers(0, 2**53), st.dictionaries(st.text(), STATES)),
    st.none() | st.integers(0, 2**53),
    st.booleans(),
)
def test_a_restriction_comes_back_from_its_bytes(checkpoint: Checkpoint, end: int | None, finished: bool) -> None:
    assert decode(encode(Unread(checkpoint, end, finished))) == Unread(checkpoint, end, finished)


def test_a_claim_moves_the_restriction_and_a_checkpoint_gives_the_rest_away() -> None:
    tracker = UnreadTracker(ONE)
    assert tracker.try_claim(STEP)
    done, rest = tracker.try_split(0) or (None, None)
    assert rest == Unread(ONE.checkpoint.apply(STEP))
    assert done is not None
    assert done.finished
    assert not tracker.try_claim(STEP)
    assert tracker.try_split(0) is None
    assert tracker.check_done()


def test_only_the_whole_rest_is_given_away() -> None:
    assert UnreadTracker(ONE).try_split(0.5) is None


def test_a_reader_that_is_done_says_so_and_one_that_leaves_work_is_an_error() -> None:
    tracker = UnreadTracker(ONE)
    with pytest.raises(ValueError, match="the Kinesis reader ended with work left"):
        tracker.check_done()
    assert not tracker.try_claim(None)
    assert tracker.check_done()
    assert tracker.current_restriction().finished
    assert not tracker.try_claim(STEP)


def test_progress_and_size_are_how_far_the_slowest_shard_is_behind() -> None:
    assert behind(ONE, lambda: 100.0) == 0  # not known yet
    read = Unread(ONE.checkpoint.apply(STEP))
    assert behind(read, lambda: 100.0) == 10_000
    assert behind(Unread(read.checkpoint, finished=True), lambda: 100.0) == 0
    provider = UnreadProvider()
    assert provider.restriction_size(deal(ONE.checkpoint, None, 1)[0], ONE) == 1
    tracker = provider.create_tracker(ONE)
    assert tracker.try_claim(STEP)
    assert tracker.current_progress().completed_work == 1
    assert tracker.current_progress().remaining_work > 0


def test_a_reader_with_an_end_is_bounded_and_a_drain_reads_no_further() -> None:
    assert not UnreadTracker(ONE).is_bounded()
    assert UnreadTracker(Unread(ONE.checkpoint, end=5)).is_bounded()
    assert UnreadProvider().truncate(Share(0, 1, b""), ONE) is None  # type: ignore[func-returns-value]


def test_each_share_starts_with_all_shards_and_owns_some() -> None:
    shards = [f"shardId-{number:012}" for number in range(4)]
    start = Checkpoint("s", 1, {shard: ShardState(BEGINNING, (), shard) for shard in shards})
    shares = deal(start, 9, 3)
    assert all(decode(share.start) == Unread(start, 9) for share in shares)
    assert all(sum(share.owns(state) for share in shares) == 1 for state in start.shards.values())
