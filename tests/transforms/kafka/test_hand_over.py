"""Partitions change hands: what was read of them is delivered and committed first, for a bounded time."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import Any

import pytest
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.runners.sdf_utils import RestrictionTrackerView, ThreadsafeRestrictionTracker
from apache_beam.transforms.core import _BundleFinalizerParam
from confluent_kafka import ConsumerGroupState
from confluent_kafka.admin import AdminClient

from aep.counted import counted
from testing.services.kafka import KafkaBroker
from testing.services.process import PATIENCE_SECONDS, wait_for
from tests.transforms.conftest import NewTopic
from tests.transforms.kafka.conftest import Join
from tests.transforms.kafka.drive import Member, await_committed, commit, held, hold_back, numbers, source, start_of
from transforms.kafka.client import KafkaCluster, Partition
from transforms.kafka.group_assignment import GroupAssignment
from transforms.kafka.offsets import Committed
from transforms.kafka.read import _ReadShard, close_readers, shard_reader
from transforms.kafka.restriction import PositionsTracker, Shard, deal, decode
from transforms.kafka.source import KafkaSource
from transforms.worker.late_answers import late_answers

pytestmark = pytest.mark.kafka
SECONDS = PATIENCE_SECONDS


def open_both(first: Member) -> dict[Partition, Committed]:
    """Read some of both partitions, without a commit; return how far."""
    read: dict[Partition, Committed] = {}

    def both() -> bool:
        first.bundle(commit=False)
        read.update(first.advanced)
        return len(first.read) == 2

    wait_for(both, SECONDS, "records of both partitions")
    return read


def until_asked(first: Member, second: Member) -> None:
    """Read with the second until the group wants partitions of the first, which has a bundle open."""

    def asked() -> bool:
        second.bundle()
        return first.reader.hands_over()

    wait_for(asked, SECONDS, "the first to be asked for a partition")


def shared(first: Member, second: Member) -> bool:
    first.bundle()
    second.bundle()
    return len(held(first)) == len(held(second)) == 1


def test_a_partition_waits_for_the_delivery_of_what_was_read_of_it(
    broker: KafkaBroker, members: KafkaCluster, new_topic: NewTopic, join: Join
) -> None:
    of = source(members, new_topic(2), share_group=True)
    values = numbers(broker, of.topics[0], 2_000, 2)
    start = start_of(of, stop_at_end=False)
    first = join(of, start)
    delivered = open_both(first)
    read = len(first.values())
    second = join(replace(of, id="second"), start)
    until_asked(first, second)
    # The next bundle ends at once, and what was read is the first's until it is committed.
    assert first.bundle(commit=False) == 0
    assert len(first.values()) == read
    assert held(second) == set()
    first.reader.commit(delivered)
    wait_for(lambda: shared(first, second), SECONDS, "the partitions to be shared")
    wait_for(lambda: shared(first, second) and values <= {*first.values(), *second.values()}, SECONDS, "the rest")
    assert len(first.values()) + len(second.values()) == 2_000
    await_committed(broker, of, {0: 1_000, 1: 1_000})


def test_a_partition_goes_in_time_although_nothing_is_delivered_and_the_log_says_how_much_may_come_twice(
    broker: KafkaBroker, members: KafkaCluster, new_topic: NewTopic, join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    of = source(members, new_topic(2), share_group=True, hand_over_seconds=0.5)
    numbers(broker, of.topics[0], 2_000, 2)
    start = start_of(of, stop_at_end=False)
    first = join(of, start)
    late = open_both(first)
    second = join(replace(of, id="second"), start)

    def handed_over() -> bool:
        return second.bundle() < 0 or bool(held(second))

    with caplog.at_level(logging.WARNING):
        wait_for(handed_over, SECONDS, "a partition to be handed over")
    (gone,) = held(second)
    said = "handing 1 partition to another process, although not all that was read is delivered and committed after"
    may = f"up to {counted(late[gone].offset, 'record')} may be delivered twice ({gone[0]} {gone[1]})"
    assert f"{said} 0.5 s (shutdown_seconds): {may}" in caplog.text
    wait_for(lambda: second.bundle() < 0 or second.offsets().get(gone, [0])[-1] == 999, SECONDS, "all of it")
    assert second.offsets()[gone] == list(range(1_000))
    # The first commits late, and only what is still its own.
    first.reader.commit(late)
    await_committed(broker, of, {gone[1]: 1_000} | {one[1]: at.offset for one, at in late.items() if one != gone})


def test_what_comes_before_another_process_starts_at_the_latest_offsets_is_read_although_nothing_is_delivered(
    broker: KafkaBroker, members: KafkaCluster, new_topic: NewTopic, join: Join
) -> None:
    of = source(members, new_topic(2), share_group=True)
    topic = of.topics[0]
    numbers(broker, topic, 200, 2)
    first = join(of, start_of(of, "latest", stop_at_end=False))
    wait_for(lambda: first.bundle(commit=False) < 0 or len(held(first)) == 2, SECONDS, "the partitions")
    values = numbers(broker, topic, 200, 2, first=200)
    second = join(replace(of, id="second"), start_of(of, "latest", stop_at_end=False))
    # The first has read nothing of the partition, so it goes at once.
    wait_for(lambda: second.bundle() < 0 or bool(held(second)), SECONDS, "a partition to be handed over")
    (one,) = held(second)
    wait_for(lambda: second.bundle() < 0 or second.restriction.next[one] == 200, SECONDS, "its end")
    wait_for(lambda: first.bundle() < 0 or values <= {*first.values(), *second.values()}, SECONDS, "the rest")


def test_a_process_that_ends_with_a_bundle_that_failed_says_so_as_it_hands_over(
    broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic, join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    soon = replace(cluster, config={"heartbeat.interval.ms": "300"})
    of = source(soon, new_topic(2), share_group=True)
    numbers(broker, of.topics[0], 2_000, 2)
    start = start_of(of, stop_at_end=False)
    first = join(of, start)
    open_both(first)
    until_asked(first, join(replace(of, id="second"), start))
    first.reader.close()
    assert "not all that was read is delivered and committed as this process ends: up to" in caplog.text


def test_partitions_that_are_lost_and_come_back_are_read_from_where_this_process_was(
    broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic, join: Join
) -> None:
    impatient = {"max.poll.interval.ms": "3000", "session.timeout.ms": "3000", "heartbeat.interval.ms": "300"}
    of = source(replace(cluster, config=impatient), new_topic(2), share_group=True)
    topic = of.topics[0]
    values = numbers(broker, topic, 2_000, 2)
    member = join(of, start_of(of, stop_at_end=False))
    wait_for(member.bundle, SECONDS, "a bundle that is committed")
    open_both(member)
    # Its thread does not poll for so long that it leaves the group.
    awake = threading.Event()
    hold_back(member, awake)
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})

    def is_empty() -> bool:
        described = admin.describe_consumer_groups([of.group_id])[of.group_id].result()
        return described.state == ConsumerGroupState.EMPTY

    wait_for(is_empty, SECONDS, "the member to be taken for dead")
    awake.set()
    wait_for(lambda: not member.reader._assigned._mine, SECONDS, "the loss to be noticed")  # type: ignore[attr-defined]
    wait_for(lambda: member.bundle() < 0 or values == {*member.values()}, SECONDS, "the rest")
    assert len(member.values()) == 2_000
    await_committed(broker, of, {0: 1_000, 1: 1_000})


def test_a_bundle_that_is_cut_short_for_a_hand_over_leaves_no_answers_to_the_next(
    broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic, join: Join
) -> None:
    soon = replace(cluster, config={"heartbeat.interval.ms": "300"})
    of = source(soon, new_topic(2), share_group=True, late_answers=True)
    numbers(broker, of.topics[0], 2_000, 2)
    start = start_of(of, stop_at_end=False)
    (dealt,) = deal(start, 1)
    restriction = decode(dealt.start)

    def bundle() -> bool:
        """Read a bundle that is never delivered, and return whether it may leave answers."""
        nonlocal restriction
        tracker = PositionsTracker(restriction)
        late_answers(of.id).start_bundle()
        arguments: dict[str, Any] = {
            "bundle_finalizer": _BundleFinalizerParam(),
            "tracker": RestrictionTrackerView(ThreadsafeRestrictionTracker(tracker)),
            "watermark": ManualWatermarkEstimator(None),
        }
        list(_ReadShard(of).process(tuple(dealt), **arguments))
        restriction = tracker.current_restriction()
        return late_answers(of.id).allowed

    try:
        wait_for(lambda: bundle() and min(restriction.next.values()) > 0, SECONDS, "records of both partitions")
        second = join(replace(of, id="second"), start)
        reader = shard_reader(of, Shard(*dealt))
        wait_for(lambda: second.bundle() < 0 or reader.hands_over(), SECONDS, "the first to be asked for a partition")
        assert not bundle()
    finally:
        close_readers(of.id)


def test_a_start_that_the_group_has_gone_beyond_since_is_not_read_again(
    broker: KafkaBroker, members: KafkaCluster, new_topic: NewTopic, join: Join
) -> None:
    of = source(members, new_topic(2), share_group=True, starts_at_committed=True)
    topic = of.topics[0]
    numbers(broker, topic, 200, 2)
    commit(of.cluster, of.group_id, {(topic, 0): 10, (topic, 1): 10})
    start = start_of(of, "committed", stop_at_end=False)
    # Another process ends in between, and commits what it had read. A later position than the log has is none.
    commit(of.cluster, of.group_id, {(topic, 0): 60, (topic, 1): 700})
    member = join(of, start)
    wait_for(lambda: member.bundle() < 0 or len(member.values()) >= 130, SECONDS, "the records")
    assert member.offsets() == {(topic, 0): list(range(60, 100)), (topic, 1): list(range(10, 100))}


def test_that_all_members_are_at_the_ends_is_still_so_when_the_bundle_that_ends_for_it_asks_again(
    broker: KafkaBroker, members: KafkaCluster, new_topic: NewTopic, join: Join
) -> None:
    of = source(members, new_topic(2), share_group=True)
    numbers(broker, of.topics[0], 200, 2)
    start = start_of(of)
    first, second = join(of, start), join(replace(of, id="second"), start)
    wait_for(lambda: shared(first, second), SECONDS, "a partition each")

    def at_ends(member: Member) -> bool:
        member.bundle()
        return member.reader.is_at_ends() and member.reader.is_at_ends()

    wait_for(lambda: at_ends(first) and at_ends(second), SECONDS, "both to be at the ends")


@pytest.mark.parametrize("committed", [None, 50])
def test_a_partition_that_is_handed_over_in_the_first_round_a_process_hears_of_is_known_for_one(
    broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic, join: Join, committed: int | None
) -> None:
    of = source(replace(cluster, config={"heartbeat.interval.ms": "300"}), new_topic(2), share_group=True)
    topic = of.topics[0]
    numbers(broker, topic, 200, 2)
    if committed is not None:
        commit(of.cluster, of.group_id, {(topic, 0): committed, (topic, 1): committed})
    first = join(of, start_of(of, "latest", stop_at_end=False))
    wait_for(lambda: first.bundle(commit=False) < 0 or len(held(first)) == 2, SECONDS, "the partitions")
    second = join(replace(of, id="second"), start_of(of, "earliest", stop_at_end=False))
    group = second.reader._assigned
    assert isinstance(group, GroupAssignment)
    hear = group._on_assign
    # The round in which it gets nothing ends without it: its part comes once the next one has begun.
    group._on_assign = lambda consumer, dealt: hear(consumer, dealt) if dealt else None  # type: ignore[method-assign]
    wait_for(lambda: shared(first, second), SECONDS, "the partitions to be shared")
    for _ in range(3):
        second.bundle()
    assert second.values() == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_fails_ends_the_reading(cluster: KafkaCluster, new_topic: NewTopic, join: Join) -> None:
    of: KafkaSource = source(cluster, new_topic(1), share_group=True)
    member = join(of, start_of(of, stop_at_end=False))
    member.bundle()

    def fail() -> None:
        raise ValueError("a mistake of ours")

    group = member.reader._assigned
    assert isinstance(group, GroupAssignment)
    group._member.ask(fail)
    with pytest.raises(RuntimeError, match=f"the thread that takes part in group {of.group_id} has failed"):
        wait_for(lambda: member.bundle() < 0, SECONDS, "the thread to end")
