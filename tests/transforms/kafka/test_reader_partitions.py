"""Partitions and topics that come and go while a reader reads."""

from __future__ import annotations

from dataclasses import replace

import pytest
from confluent_kafka.admin import AdminClient

from testing.services.kafka import KafkaBroker
from testing.services.process import PATIENCE_SECONDS, wait_for
from tests.transforms.conftest import NewTopic
from tests.transforms.kafka.conftest import Join
from tests.transforms.kafka.drive import assert_once, numbers, source, start_of
from transforms.kafka.client import KafkaCluster, KafkaReadError
from transforms.kafka.source import KafkaSource

pytestmark = pytest.mark.kafka

SECONDS = PATIENCE_SECONDS


def test_partitions_that_are_new_are_read_from_their_beginning(
    broker: KafkaBroker, of: KafkaSource, join: Join
) -> None:
    of = replace(of, cluster=replace(of.cluster, config={"topic.metadata.refresh.interval.ms": "200"}))
    topic = of.topics[0]
    values = numbers(broker, topic, 30, 3)
    member = join(of, start_of(of, stop_at_end=False))
    wait_for(lambda: member.bundle() and len(member.values()) == 30, SECONDS, "the first records")
    broker.add_partitions(topic, 5)
    values |= numbers(broker, topic, 100, 5, first=30)
    wait_for(lambda: member.bundle() < 0 or len(member.values()) >= 130, SECONDS, "the new partitions")
    assert_once(member, values)
    assert set(member.restriction.next) == {(topic, number) for number in range(5)}


@pytest.mark.parametrize("fail", [False, True])
def test_a_new_partition_that_was_not_claimed_is_not_forgotten(
    broker: KafkaBroker, of: KafkaSource, join: Join, fail: bool
) -> None:
    of = replace(of, cluster=replace(of.cluster, config={"topic.metadata.refresh.interval.ms": "200"}))
    topic = of.topics[0]
    member = join(of, start_of(of, stop_at_end=False))
    wait_for(lambda: member.bundle() or member.reader._assigned.positions, SECONDS, "an assignment")
    broker.add_partitions(topic, 6)
    values = numbers(broker, topic, 600, 6)
    for _ in range(20):
        member.bundle(fail=True) if fail else member.bundle(claims=0)
        if len(member.reader._assigned.positions) == 6:
            break
    wait_for(lambda: member.bundle() < 0 or len(member.values()) >= 600, SECONDS, "all records")
    assert_once(member, values)


def test_a_restriction_from_before_a_partition_was_found_reads_it_again(
    broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic, join: Join
) -> None:
    of = source(cluster, new_topic(1))
    member = join(of, start_of(of, stop_at_end=False))
    older = member.restriction
    broker.add_partitions(of.topics[0], 2)
    values = numbers(broker, of.topics[0], 100, 2)
    wait_for(lambda: member.bundle() < 0 or len(member.values()) == 100, SECONDS, "all records")
    member.restriction, member.read = older, {}
    wait_for(lambda: member.bundle() < 0 or len(member.values()) == 100, SECONDS, "all records again")
    assert_once(member, values)


def test_shards_read_their_own_partitions_and_those_that_come_later(
    broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic, join: Join
) -> None:
    of = source(cluster, new_topic(4))
    values = numbers(broker, of.topics[0], 400, 4)
    start = start_of(of, stop_at_end=False)
    shards = [join(of, start, number, 2) for number in (0, 1)]
    broker.add_partitions(of.topics[0], 7)
    values |= numbers(broker, of.topics[0], 700, 7, first=400)

    def all_read() -> list[bytes | None]:
        return [value for shard in shards if shard.bundle() >= 0 for value in shard.values()]

    wait_for(lambda: len(all_read()) >= len(values), SECONDS, "all records")
    read = [value for shard in shards for value in shard.values()]
    assert sorted(filter(None, read)) == sorted(values)
    assert shards[0].read.keys().isdisjoint(shards[1].read)


def test_topics_that_fit_an_expression_are_found_while_reading(
    broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic, join: Join
) -> None:
    first = new_topic()
    # Python's way to write a digit, which librdkafka's expressions do not know.
    of = source(cluster, rf"^{first}(-\d)?$", share_group=True)
    values = numbers(broker, first, 50, 1)
    member = join(of, start_of(of, stop_at_end=False))
    wait_for(lambda: member.bundle() < 0 or len(member.values()) == 50, SECONDS, "the first topic")
    broker.create_topic(f"{first}-2")
    values |= numbers(broker, f"{first}-2", 50, 1, first=50)
    wait_for(lambda: member.bundle() < 0 or len(member.values()) == 100, SECONDS, "the new topic")
    assert_once(member, values)


@pytest.mark.parametrize("share_group", [True, False])
def test_of_topics_that_fit_an_expression_one_may_be_deleted(
    broker: KafkaBroker,
    cluster: KafkaCluster,
    new_topic: NewTopic,
    join: Join,
    caplog: pytest.LogCaptureFixture,
    share_group: bool,
) -> None:
    prefix = new_topic()
    stays, goes = f"{prefix}-stays", f"{prefix}-goes"
    for name in (stays, goes):
        broker.create_topic(name, 2)
    quick = {"topic.metadata.refresh.interval.ms": "200", "topic.metadata.propagation.max.ms": "500"}
    of = source(replace(cluster, config=quick), f"^{prefix}-.*", share_group=share_group, discovery_seconds=60.0)
    member = join(of, start_of(of, stop_at_end=False))
    values = numbers(broker, stays, 30, 2)
    wait_for(lambda: member.bundle() < 0 or len(member.values()) == 30, SECONDS, "the first records")
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.delete_topics([goes])[goes].result(PATIENCE_SECONDS)
    wait_for(lambda: member.bundle() < 0 or goes in caplog.text, SECONDS, "word of it")
    values |= numbers(broker, stays, 30, 2, first=30)
    wait_for(lambda: member.bundle() < 0 or len(member.values()) == 60, SECONDS, "the late records")
    assert_once(member, values)


def test_a_named_topic_that_is_deleted_ends_the_reading(
    broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic, join: Join
) -> None:
    quick = replace(cluster, config={"topic.metadata.refresh.interval.ms": "200"})
    of = source(quick, new_topic(), share_group=True)
    member = join(of, start_of(of, stop_at_end=False))
    numbers(broker, of.topics[0], 30, 1)
    wait_for(lambda: member.bundle() < 0 or len(member.values()) == 30, SECONDS, "the first records")
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.delete_topics([of.topics[0]])[of.topics[0]].result(PATIENCE_SECONDS)
    with pytest.raises(KafkaReadError, match=f"topic {of.topics[0]} .*was it deleted?"):
        wait_for(lambda: member.bundle() < 0, SECONDS, "the error")
