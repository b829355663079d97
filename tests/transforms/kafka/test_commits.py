from __future__ import annotations

import pytest
from confluent_kafka import Consumer, TopicPartition

from testing.services.kafka import KafkaBroker
from testing.services.process import PATIENCE_SECONDS, wait_for
from tests.transforms.conftest import NewTopic
from transforms.kafka.commits import Commits
from transforms.kafka.offsets import Committed

A, B = ("events", 0), ("events", 1)


class Group(Consumer):
    """A consumer that keeps what it was asked to commit; it has no broker."""

    def __init__(self) -> None:
        super().__init__({"group.id": "g"})
        self.asked: dict[tuple[str, int], int] = {}

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool = True) -> list[TopicPartition]:
        self.asked |= {(one.topic, one.partition): one.offset for one in offsets}
        return offsets


def test_bundles_that_are_finalised_in_another_order_leave_the_offsets_of_the_last_one() -> None:
    group = Group()
    commits = Commits(group, "group g", lambda *_: True)
    bundles = [commits.commit_later({A: Committed(at)}) for at in (10, 20, 30)]
    bundles.append(commits.commit_later({B: Committed(5)}))
    for number in (2, 3, 0, 1):
        bundles[number]()
    assert group.asked == {A: 30, B: 5}
    assert not commits.awaited()


def test_a_later_bundle_whose_offsets_are_lower_is_committed() -> None:
    group = Group()
    commits = Commits(group, "group g", lambda *_: True)
    for at in (30, 10):
        commits.commit_later({A: Committed(at)})()
    assert group.asked == {A: 10}


def test_where_a_partition_begins_is_not_committed_over_what_is_delivered_of_it() -> None:
    group = Group()
    commits = Commits(group, "group g", lambda *_: True)
    commits.commit({A: Committed(20)})
    commits.hold({A: Committed(10), B: Committed(5)})
    assert group.asked == {A: 20, B: 5}


def test_what_others_have_gone_beyond_is_not_committed_at_a_hand_over() -> None:
    group, began = Group(), 0
    commits = Commits(group, "group g", lambda _, at: at.offset >= began)
    commits.commit({A: Committed(100), B: Committed(200)})
    began = 150
    group.asked.clear()
    assert commits.commit_now(dict.fromkeys((A, B), Committed(100)), "1")
    assert group.asked == {B: 200}


def test_a_hand_over_is_committed_once_also_where_nothing_is_new_or_delivered() -> None:
    group = Group()
    commits = Commits(group, "group g", lambda *_: True)
    commits.commit({A: Committed(20)})
    commits.on_commit([TopicPartition(*A, 20)])
    for asked in ({A: 20, B: 5}, {}):
        group.asked.clear()
        assert commits.commit_now({A: Committed(10), B: Committed(5)}, "1")
        assert group.asked == asked
    assert not commits.owed()


@pytest.mark.kafka
def test_a_commit_that_fails_is_owed_also_after_one_that_was_waited_for(
    broker: KafkaBroker, new_topic: NewTopic
) -> None:
    topic = new_topic(1)
    config = {"bootstrap.servers": broker.bootstrap_servers, "group.id": topic, "enable.auto.commit": False}
    made: list[Commits] = []
    consumer = Consumer({**config, "on_commit": lambda _, offsets: made[0].on_commit(offsets)})
    commits = Commits(consumer, "group g", lambda *_: True)
    made.append(commits)
    try:
        commits.commit({(topic, 0): Committed(1)})
        assert commits.commit_now({(topic, 0): Committed(0)}, "1")
        wait_for(lambda: consumer.poll(0.05) is None and not commits.owed(), PATIENCE_SECONDS, "the answers")
        assert commits.retry()
        commits.commit({(topic, 7): Committed(1)})  # there is no such partition
        wait_for(lambda: consumer.poll(0.05) is None and commits.owed(), PATIENCE_SECONDS, "the refusal")
        assert commits.retry()  # it would be refused again
    finally:
        consumer.close()
