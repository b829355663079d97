"""A topic that is deleted and created again is read from its beginning: its offsets are not those of the old one."""

from __future__ import annotations

import logging
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from confluent_kafka import Consumer, Producer

from testing.services.kafka import KafkaBroker
from testing.services.process import PATIENCE_SECONDS, wait_for
from tests.transforms.conftest import NewTopic
from tests.transforms.kafka.drive import Member, await_committed, commit, source
from transforms.kafka.client import KafkaCluster, KafkaReadError, NamedStart, Partition, admin_client
from transforms.kafka.offsets import Committed, committed_offsets
from transforms.kafka.restriction import Positions, decode, encode
from transforms.kafka.source import KafkaSource
from transforms.kafka.start import Start, resolve_start
from transforms.kafka.topic_ids import TopicIds, as_metadata, from_metadata

SECONDS = PATIENCE_SECONDS
ID = "0p0lCUIDQN2u4l8vQNvpQQ"


def write(broker: KafkaBroker, topic: str, word: str, amount: int, partitions: int) -> set[bytes]:
    values = [f"{word}{number}".encode() for number in range(amount)]
    wait_for(lambda: broker.leaders(topic).count(-1) == 0, SECONDS, "leaders")
    broker.produce(topic, [(None, value, None, at % partitions) for at, value in enumerate(values)])
    return set(values)


def start_of(of: KafkaSource, start: NamedStart = "committed", stop_at_end: bool = False) -> Start:
    return resolve_start(of.cluster, of.topics, of.group_id, start, of.reset, stop_at_end)


@pytest.fixture(params=["group", "shard"])
def of(request: pytest.FixtureRequest, cluster: KafkaCluster, new_topic: NewTopic) -> KafkaSource:
    """A source of one topic with two partitions, in both ways of sharing them."""
    return source(cluster, new_topic(2), share_group=request.param == "group")


@pytest.fixture
def members() -> Iterator[list[Member]]:
    made: list[Member] = []
    yield made
    for member in made:
        member.reader.close()


def read_until(member: Member, values: set[bytes]) -> None:
    wait_for(lambda: member.bundle() < 0 or values <= set(member.values()), SECONDS, "the records")


def offsets_of(of: KafkaSource) -> dict[Partition, Committed]:
    """Return what the group has committed, with what it is kept with."""
    consumer = Consumer({"bootstrap.servers": of.cluster.bootstrap_servers, "group.id": of.group_id})
    try:
        return committed_offsets(consumer, [(of.topics[0], number) for number in (0, 1)])
    finally:
        consumer.close()


def newest_ids(of: KafkaSource) -> set[str]:
    return set(start_of(of, "latest").ids.values())


def test_brokers_that_take_connections_and_say_nothing_are_silent() -> None:
    now = 100.0
    with socket.create_server(("127.0.0.1", 0)) as mute:
        ids = TopicIds(admin_client(KafkaCluster(f"127.0.0.1:{mute.getsockname()[1]}", {})), lambda: now)
        assert ids.silence() == 0
        ids.ask(["events"])
        now += 7
        assert ids.silence() == 7
        ids.ask(["events"], anew=True)  # which is no answer
        now += 7
        assert ids.silence() == 14


@pytest.mark.kafka
def test_brokers_that_answer_are_not_silent_also_of_a_topic_that_is_not_there(
    cluster: KafkaCluster, new_topic: NewTopic
) -> None:
    now = 100.0
    ids = TopicIds(admin_client(cluster), lambda: now)
    for topic in (new_topic(1), "not-there"):
        ids.ask([topic])
        now += 7
        wait_for(lambda: ids.silence() == 0, SECONDS, "an answer")
        assert ids.hear(SECONDS)
        now += 7
        assert ids.silence() == 0


@pytest.mark.kafka
def test_a_topic_created_again_while_it_is_read_is_read_from_its_beginning(
    broker: KafkaBroker, of: KafkaSource, members: list[Member], caplog: pytest.LogCaptureFixture
) -> None:
    topic = of.topics[0]
    old = write(broker, topic, "old", 100, 2)
    member = Member(of, start_of(of))
    members.append(member)
    assert member.reader.measure_lag() is None
    read_until(member, old)
    before = newest_ids(of)
    assert all(re.fullmatch(r"[\w-]{22}", one, re.ASCII) for one in before)
    broker.create_topic_again(topic, 2)
    new = write(broker, topic, "new", 300, 2)
    read_until(member, new)
    assert f"topic {topic} was deleted and created again (its id was {before.pop()} and is " in caplog.text
    await_committed(broker, of, {0: 150, 1: 150})
    assert member.restriction.next == {(topic, 0): 150, (topic, 1): 150}
    assert set(member.restriction.ids.values()) == newest_ids(of)
    more = write(broker, topic, "more", 100, 2)
    read_until(member, more)
    assert caplog.text.count("created again") == 1
    wait_for(lambda: member.bundle() == 0 and member.reader.measure_lag() == 0, SECONDS, "no lag")


@pytest.mark.kafka
@pytest.mark.parametrize("kept", [True, False])
def test_a_topic_created_again_while_nothing_reads_it_is_read_from_its_beginning(
    broker: KafkaBroker, of: KafkaSource, members: list[Member], caplog: pytest.LogCaptureFixture, kept: bool
) -> None:
    """Apache Kafka forgets the offsets of a topic as it is deleted; tools and other brokers keep or restore them."""
    topic = of.topics[0]
    old = write(broker, topic, "old", 100, 2)
    start = start_of(of)
    first = Member(of, start)
    read_until(first, old)
    first.reader.close()
    committed = offsets_of(of)
    assert {one.offset for one in committed.values()} == {50}
    broker.create_topic_again(topic, 2)
    new = write(broker, topic, "new", 300, 2)
    if kept:
        commit(
            of.cluster, of.group_id, {one: at.offset for one, at in committed.items()}, as_metadata(start.ids[topic])
        )
    again = replace(of, id="again", reset="latest" if kept else "earliest")
    second = Member(again, start_of(again, stop_at_end=True))
    members.append(second)
    wait_for(lambda: second.bundle() < 0 or second.done, SECONDS, "the end")
    assert sorted(filter(None, second.values())) == sorted(new)
    assert caplog.text.count(f"topic {topic} was deleted and created again") == kept
    await_committed(broker, of, {0: 150, 1: 150})
    # What is committed now is of the new topic.
    assert start_of(of).positions == {(topic, 0): 150, (topic, 1): 150}
    assert caplog.text.count("created again") == kept


@pytest.mark.kafka
def test_a_restored_checkpoint_of_a_topic_created_again_reads_it_from_its_beginning_to_its_new_end(
    broker: KafkaBroker, of: KafkaSource, members: list[Member], caplog: pytest.LogCaptureFixture
) -> None:
    topic = of.topics[0]
    write(broker, topic, "old", 100, 2)
    checkpoint = encode(
        Positions({(topic, 0): 40, (topic, 1): 50}, {(topic, 0): 50, (topic, 1): 50}, ids=start_of(of, "latest").ids)
    )
    broker.create_topic_again(topic, 2)
    new = write(broker, topic, "new", 300, 2)
    member = Member(of, Start({}, None))
    members.append(member)
    member.restriction = decode(checkpoint)
    wait_for(lambda: member.bundle() < 0 or member.done, SECONDS, "the end")
    assert sorted(filter(None, member.values())) == sorted(new)
    assert member.restriction.next == member.restriction.ends == {(topic, 0): 150, (topic, 1): 150}
    assert caplog.text.count("created again") == 1


@pytest.mark.kafka
@pytest.mark.parametrize("fail", [True, False])
def test_what_is_found_out_in_a_bundle_that_fails_or_is_cut_short_is_found_out_again(
    broker: KafkaBroker, of: KafkaSource, members: list[Member], fail: bool
) -> None:
    topic = of.topics[0]
    old = write(broker, topic, "old", 100, 2)
    member = Member(of, start_of(of))
    members.append(member)
    read_until(member, old)
    broker.create_topic_again(topic, 2)
    new = write(broker, topic, "new", 300, 2)
    for _ in range(3):
        member.bundle(fail=True) if fail else member.bundle(claims=0)
    read_until(member, new)
    await_committed(broker, of, {0: 150, 1: 150})


@pytest.mark.kafka
def test_a_topic_created_again_with_fewer_partitions_is_read_to_its_end(
    broker: KafkaBroker, of: KafkaSource, members: list[Member]
) -> None:
    topic = of.topics[0]
    old = write(broker, topic, "old", 100, 2)
    member = Member(of, start_of(of, stop_at_end=True))
    members.append(member)
    member.bundle(claims=3)
    broker.create_topic_again(topic, 1)
    new = write(broker, topic, "new", 30, 1)
    wait_for(lambda: member.bundle() < 0 or member.done, SECONDS, "the end")
    assert new <= set(member.values()) <= old | new
    assert member.restriction.next == member.restriction.ends == {(topic, 0): 30}


@pytest.mark.kafka
def test_a_shorter_topic_created_again_is_read_from_its_beginning_whatever_kafka_reset_says(
    broker: KafkaBroker, of: KafkaSource, members: list[Member], caplog: pytest.LogCaptureFixture
) -> None:
    """The offset that is asked for is beyond its end: the broker's error comes before the next look at ids."""
    of = replace(of, reset="latest", discovery_seconds=600.0)
    topic = of.topics[0]
    old = write(broker, topic, "old", 100, 2)
    member = Member(of, start_of(of, "earliest"))
    members.append(member)
    read_until(member, old)
    member.reader._assigned._ask_at = float("inf")
    broker.create_topic_again(topic, 2)
    new = write(broker, topic, "new", 30, 2)
    read_until(member, new)
    await_committed(broker, of, {0: 15, 1: 15})
    assert caplog.text.count("created again") == 1
    assert "cut off" not in caplog.text


@pytest.mark.kafka
def test_a_topic_created_again_with_more_partitions_is_read_whole(
    broker: KafkaBroker, of: KafkaSource, members: list[Member]
) -> None:
    of = replace(of, cluster=replace(of.cluster, config={"topic.metadata.refresh.interval.ms": "200"}))
    topic = of.topics[0]
    old = write(broker, topic, "old", 100, 2)
    member = Member(of, start_of(of))
    members.append(member)
    read_until(member, old)
    broker.create_topic_again(topic, 4)
    new = write(broker, topic, "new", 400, 4)
    read_until(member, new)
    await_committed(broker, of, dict.fromkeys(range(4), 100))


@pytest.mark.kafka
def test_a_topic_created_again_stops_the_run_where_kafka_reset_is_error(
    broker: KafkaBroker, of: KafkaSource, members: list[Member]
) -> None:
    topic = of.topics[0]
    old = write(broker, topic, "old", 100, 2)
    of = replace(of, reset="error")
    start = start_of(of, "earliest")
    member = Member(of, start)
    members.append(member)
    read_until(member, old)
    broker.create_topic_again(topic, 2)
    write(broker, topic, "new", 300, 2)
    for _ in range(2):  # the same each time that a cluster tries again
        with pytest.raises(KafkaReadError, match=f"topic {topic} was deleted and created again .*kafka_reset=error"):
            wait_for(lambda: member.bundle() < 0, SECONDS, "the error")
    member.reader.close()
    commit(of.cluster, of.group_id, {(topic, 0): 50, (topic, 1): 50}, as_metadata(start.ids[topic]))
    with pytest.raises(KafkaReadError, match=f"topic {topic} was deleted and created again .*kafka_reset=error"):
        start_of(of)
    assert start_of(of, "earliest").positions == {(topic, 0): 0, (topic, 1): 0}


@pytest.mark.kafka
def test_members_of_a_group_go_on_in_what_others_have_read_of_the_new_topic(
    broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic, members: list[Member]
) -> None:
    of = source(cluster, new_topic(2), share_group=True)
    topic = of.topics[0]
    old = write(broker, topic, "old", 100, 2)
    start = start_of(of)
    first = Member(of, start)
    members.append(first)
    read_until(first, old)
    broker.create_topic_again(topic, 2)
    new = write(broker, topic, "new", 300, 2)
    read_until(first, new)
    await_committed(broker, of, {0: 150, 1: 150})
    # It was started before the topic was created again, and takes over half of what the first has read.
    second = Member(replace(of, id="second"), start)
    members.append(second)

    def shared() -> bool:
        first.bundle()
        second.bundle()
        return len(second.reader._assigned.positions) == 1 and len(second.restriction.ids) == 1

    wait_for(shared, SECONDS, "a partition to be handed over")
    more = write(broker, topic, "more", 100, 2)
    wait_for(lambda: shared() and more <= {*first.values(), *second.values()}, SECONDS, "the records after that")
    assert set(second.values()) < more


@pytest.mark.kafka
def test_a_named_topic_that_is_deleted_ends_the_reading_with_default_settings(
    broker: KafkaBroker, of: KafkaSource, members: list[Member]
) -> None:
    topic = of.topics[0]
    old = write(broker, topic, "old", 100, 2)
    member = Member(of, start_of(of))
    members.append(member)
    read_until(member, old)
    broker.delete_topic(topic)
    with pytest.raises(KafkaReadError, match=f"topic {topic} .*deleted"):
        wait_for(lambda: member.bundle() < 0, SECONDS, "the error")  # long before librdkafka's next refresh: 5 minutes


@pytest.mark.kafka
def test_offsets_without_an_id_or_with_metadata_of_others_count_as_they_are(
    broker: KafkaBroker, of: KafkaSource, members: list[Member], caplog: pytest.LogCaptureFixture
) -> None:
    topic = of.topics[0]
    values = write(broker, topic, "v", 100, 2)
    commit(of.cluster, of.group_id, {(topic, 0): 10}, "of another consumer")
    commit(of.cluster, of.group_id, {(topic, 1): 20})
    start = start_of(of)
    assert start.positions == {(topic, 0): 10, (topic, 1): 20}
    member = Member(of, start)
    members.append(member)
    # An older version's checkpoint: no ids.
    member.restriction = Positions(start.positions)
    wait_for(lambda: member.bundle() < 0 or len(member.values()) == 70, SECONDS, "the rest")
    assert set(member.values()) < values
    wait_for(lambda: member.bundle() == 0 and member.restriction.ids == start.ids, SECONDS, "the id")
    assert "created again" not in caplog.text


@pytest.mark.parametrize("metadata", [None, "", "x", "beam-aep topic_id=", f"{ID}", f"beam-aep topic_id={ID}x"])
def test_metadata_that_is_not_ours_has_no_id(metadata: str | None) -> None:
    assert from_metadata(metadata) == ("", "")


@pytest.mark.parametrize("hand_over", ["", "0a1b2c3d"])
@pytest.mark.parametrize("topic_id", [ID, "Fw-VAOEFQj_fG8sfB89M2Q", ""])
def test_an_id_and_a_hand_over_come_back_from_metadata(topic_id: str, hand_over: str) -> None:
    assert from_metadata(as_metadata(topic_id, hand_over)) == (topic_id, hand_over)


def test_a_restriction_of_an_older_version_has_no_ids() -> None:
    assert decode(b'[[["t",0,5]],null,[["t",0,9]],false]') == Positions({("t", 0): 5}, None, {("t", 0): 9})


@pytest.mark.kafka
def test_a_topic_counts_as_deleted_only_if_it_was_there_and_stays_away(
    broker: KafkaBroker, cluster: KafkaCluster, new_topic: NewTopic
) -> None:
    topic, now = new_topic(1), [0.0]
    ids = TopicIds(admin_client(cluster), lambda: now[0])

    def deleted_at(seconds: float) -> set[str]:
        now[0] = seconds
        ids.ask([topic, "never-there"])
        assert ids.hear(PATIENCE_SECONDS)
        return ids.deleted()

    assert deleted_at(0) == set()
    assert ids.known.keys() == {topic}
    broker.delete_topic(topic)
    wait_for(lambda: deleted_at(1) == set() and not ids.known, PATIENCE_SECONDS, "the deletion")
    assert deleted_at(2) == set()
    assert deleted_at(9) == {topic}
    broker.create_topic(topic)
    wait_for(lambda: deleted_at(10) == set(), PATIENCE_SECONDS, "the topic")


@pytest.fixture
def embedded() -> Iterator[KafkaCluster]:
    """Librdkafka's embedded broker, which never answers a request for topic ids."""
    host = Producer({"test.mock.num.brokers": 1, "log_level": 3})
    (broker,) = host.list_topics(timeout=PATIENCE_SECONDS).brokers.values()
    yield KafkaCluster(f"{broker.host}:{broker.port}", {})
    host.flush(0)  # it lives until here


@pytest.mark.parametrize("share_group", [True, False])
def test_without_ids_reading_neither_waits_nor_fails_and_says_so_once(
    embedded: KafkaCluster, share_group: bool, caplog: pytest.LogCaptureFixture
) -> None:
    producer = Producer({"bootstrap.servers": embedded.bootstrap_servers})
    for number in range(100):
        producer.produce("t", b"%d" % number)
    producer.flush()
    caplog.set_level(logging.DEBUG)
    of = source(embedded, "t", share_group=share_group)
    started = time.monotonic()
    start = start_of(of, "earliest")
    assert time.monotonic() - started < 10
    assert start.ids == {}
    member = Member(of, start)
    wait_for(lambda: member.bundle() < 0 or len(member.values()) == 100, SECONDS, "all records")
    wait_for(lambda: member.bundle() == 0 and "no topic ids" in caplog.text, SECONDS, "a line")
    assert [one.levelno for one in caplog.records if "no topic ids" in one.message] == [logging.DEBUG]
    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []
    assert member.restriction.ids == {}
    member.reader.close()
    again = replace(of, id="again")
    assert sum(start_of(again).positions.values()) == 100
