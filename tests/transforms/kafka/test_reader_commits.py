"""What a reader commits, and where the next one begins."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException

from testing.services.kafka import KafkaBroker
from testing.services.process import BUSY_SECONDS, PATIENCE_SECONDS, wait_for
from tests.transforms.conftest import NewTopic
from tests.transforms.kafka.conftest import Join
from tests.transforms.kafka.drive import (
    assert_once,
    await_committed,
    commit,
    held,
    numbers,
    read_to_end,
    source,
    start_of,
)
from transforms.kafka.client import KafkaCluster
from transforms.kafka.offsets import Committed, group_offsets
from transforms.kafka.source import KafkaSource

pytestmark = pytest.mark.kafka

SECONDS = PATIENCE_SECONDS


def test_a_reader_knows_of_commits_that_are_still_to_come(broker: KafkaBroker, of: KafkaSource, join: Join) -> None:
    numbers(broker, of.topics[0], 30, 3)
    member = join(of, start_of(of))
    assert not member.reader.awaits_commit()
    wait_for(lambda: member.bundle(commit=False) < 0 or len(member.values()) == 30, SECONDS, "all records")
    finalise = member.reader.commit_later(member.restriction.to_commit(member.restriction.next))
    assert member.reader.awaits_commit()
    finalise()
    wait_for(lambda: not member.reader.awaits_commit(), SECONDS, "the commit to be made")
    await_committed(broker, of, {0: 10, 1: 10, 2: 10})


def test_where_a_start_at_the_end_is_committed_a_restart_misses_nothing(
    broker: KafkaBroker, of: KafkaSource, join: Join
) -> None:
    topic = of.topics[0]
    numbers(broker, topic, 30, 3)
    first = join(of, start_of(of, "latest", stop_at_end=False))
    wait_for(lambda: first.bundle() or broker.committed(of.group_id, topic), SECONDS, "a commit")
    first.reader.close()
    between = numbers(broker, topic, 30, 3, first=30)
    again = replace(of, id="again", reset="latest")
    second = join(again, start_of(again, "committed"))
    read_to_end(second)
    assert_once(second, between)


def test_a_restart_before_anything_is_delivered_misses_nothing(
    broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic, join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    of = source(cluster, new_topic(2), share_group=True, reset="latest", starts_at_committed=True)
    topic = of.topics[0]
    numbers(broker, topic, 20, 2)
    with caplog.at_level(logging.INFO):
        first = join(of, start_of(of, "committed", stop_at_end=False))
    begins = f"group {of.group_id} has no committed offset of 2 partitions; reading begins as kafka_reset=latest says"
    assert f"{begins}: {topic} 0 at 10, 1 at 10" in caplog.text
    wait_for(lambda: first.bundle(commit=False) < 0 or len(held(first)) == 2, SECONDS, "the partitions")
    values = numbers(broker, topic, 20, 2, first=20)
    wait_for(lambda: first.bundle(commit=False) < 0 or len(first.values()) == 20, SECONDS, "the records")
    first.reader.close()
    second = join(replace(of, id="second"), start_of(of, "committed", stop_at_end=False))
    wait_for(lambda: second.bundle() < 0 or sum(second.restriction.next.values()) == 40, SECONDS, "the end")
    assert_once(second, values)


def test_where_a_group_begins_is_held_before_anything_is_delivered_and_only_if_nothing_is_committed(
    broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic, join: Join
) -> None:
    of = source(cluster, new_topic(2), share_group=True)
    topic = of.topics[0]
    numbers(broker, topic, 20, 2)
    commit(of.cluster, of.group_id, {(topic, 1): 5})
    start = start_of(of, "latest", stop_at_end=False)
    member = join(of, start)
    wait_for(lambda: member.bundle(commit=False) < 0 or len(held(member)) == 2, SECONDS, "the partitions")
    await_committed(broker, of, {0: 10, 1: 5})
    member.reader.close()
    assert group_offsets(cluster, of.group_id, [(topic, 0)]) == {(topic, 0): Committed(10, start.ids[topic])}


def test_a_member_that_ends_makes_its_last_commit_again_until_it_is_taken(
    broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = source(cluster, new_topic(2), share_group=True)
    numbers(broker, of.topics[0], 20, 2)
    member = join(of, start_of(of, stop_at_end=False))
    wait_for(lambda: member.bundle(commit=False) < 0 or len(member.values()) == 20, SECONDS, "the records")
    await_committed(broker, of, {0: 0, 1: 0})
    refusing = Refusing(member.reader._commits._consumer, times=2)
    monkeypatch.setattr(member.reader._commits, "_consumer", refusing)
    member.reader.commit(member.restriction.to_commit(member.restriction.next))
    member.reader.close()
    assert refusing.times == 0
    assert broker.committed(of.group_id, of.topics[0]) == {0: 10, 1: 10}


def test_a_member_whose_last_commit_is_never_taken_says_what_may_come_twice(
    broker: KafkaBroker,
    cluster: KafkaCluster,
    new_topic: NewTopic,
    join: Join,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of = source(cluster, new_topic(2), share_group=True, hand_over_seconds=0.1)
    topic = of.topics[0]
    numbers(broker, topic, 20, 2)
    member = join(of, start_of(of, stop_at_end=False))
    wait_for(lambda: member.bundle(commit=False) < 0 or len(member.values()) == 20, SECONDS, "the records")
    await_committed(broker, of, {0: 0, 1: 0})
    commits = member.reader._commits
    monkeypatch.setattr(commits, "_consumer", Refusing(commits._consumer, times=1_000))
    member.reader.commit(member.restriction.to_commit(member.restriction.next))
    member.reader.close()
    said = f"the last offsets of group {of.group_id} could not be committed within 0.1 s"
    assert f"{said}: up to 20 records may be delivered twice ({topic} 0, 1)" in caplog.text


class Refusing:
    """A consumer whose commits are refused for a while, as brokers do amid a rebalance."""

    def __init__(self, consumer: Consumer, times: int):
        self.times = times
        self._consumer = consumer

    def commit(self, **arguments: Any) -> Any:
        if self.times:
            self.times -= 1
            raise KafkaException(KafkaError(KafkaError.REBALANCE_IN_PROGRESS))
        return self._consumer.commit(**arguments)


_CLAIMS = (claims % 9 for claims in count(1))


def test_a_commit_is_never_ahead_of_what_was_handed_out(broker: KafkaBroker, of: KafkaSource, join: Join) -> None:
    topic = of.topics[0]
    numbers(broker, topic, 3_000, 3)
    member = join(of, start_of(of))
    bundles = 0
    while not member.done:
        member.bundle(claims=next(_CLAIMS))
        bundles += 1
        for number, committed in broker.committed(of.group_id, topic).items():
            handed_out = member.offsets().get((topic, number), [-1])
            assert committed <= handed_out[-1] + 1
        assert bundles < 500
    assert len(member.values()) == 3_000


def test_a_commit_while_no_broker_answers_is_not_waited_for_and_made_up_for(
    own_broker: KafkaBroker, join: Join
) -> None:
    # By default a client waits up to 15 s before it connects again, longer than a look-up waits for it: members that
    # look in turn would need minutes until both have done so.
    cluster = KafkaCluster(own_broker.bootstrap_servers, config={"reconnect.backoff.max.ms": "500"})
    broker, topic = own_broker, "t"
    broker.create_topic(topic, 3)
    numbers(broker, topic, 30, 3)
    sources = [source(cluster, topic, share_group=shared) for shared in (True, False)]
    members = [join(of, start_of(of, stop_at_end=False)) for of in sources]

    def all_read() -> bool:
        for member in members:
            member.bundle(commit=False)
        return all(len(member.values()) == 30 for member in members)

    wait_for(all_read, SECONDS, "all records")
    broker.stop()
    try:
        started = time.monotonic()
        for member in members:
            member.reader.commit({(topic, number): Committed(10) for number in range(3)})
        assert time.monotonic() - started < BUSY_SECONDS  # it would be waited for until the broker is back
    finally:
        broker.start()

    def committed() -> bool:
        for member in members:
            member.bundle()
            member.reader.commit({})
        return all(broker.committed(of.group_id, topic) == {0: 10, 1: 10, 2: 10} for of in sources)

    wait_for(committed, SECONDS, "the commits")
