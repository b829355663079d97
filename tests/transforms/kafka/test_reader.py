"""The reader on a real broker: whatever cuts a bundle short, nothing is skipped."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from confluent_kafka import Producer

from testing.services.kafka import KafkaBroker
from testing.services.process import PATIENCE_SECONDS, wait_for
from tests.transforms.conftest import NewTopic
from tests.transforms.kafka.conftest import Join
from tests.transforms.kafka.drive import (
    QUICK,
    assert_once,
    await_committed,
    numbers,
    read_to_end,
    source,
    start_of,
)
from transforms.kafka.client import KafkaCluster, KafkaSetupError
from transforms.kafka.reader import Reader
from transforms.kafka.restriction import Shard, deal
from transforms.kafka.source import KafkaSource
from transforms.kafka.start import Start
from transforms.records.chunk import Record
from transforms.worker import process

pytestmark = pytest.mark.kafka

SECONDS = PATIENCE_SECONDS


def test_all_that_kafka_knows_of_a_record_is_kept(cluster: KafkaCluster, new_topic: NewTopic, join: Join) -> None:
    topic = new_topic()
    producer = Producer({"bootstrap.servers": cluster.bootstrap_servers})
    producer.produce(topic, b"v", b"k", headers=[("a", b"1"), ("a", None)], timestamp=1_700_000_000_123)
    producer.produce(topic, None, b"k", timestamp=1_700_000_000_124)
    producer.produce(topic, b"", None, timestamp=1_700_000_000_125)
    producer.flush()
    of = source(cluster, topic)
    member = join(of, start_of(of))
    read_to_end(member)
    assert member.read[topic, 0] == [
        Record(0, 1_700_000_000_123, b"k", (("a", b"1"), ("a", None)), b"v"),
        Record(1, 1_700_000_000_124, b"k", (), None),
        Record(2, 1_700_000_000_125, None, (), b""),
    ]


def test_each_record_is_read_once_and_everything_is_committed(broker: KafkaBroker, of: KafkaSource, join: Join) -> None:
    values = numbers(broker, of.topics[0], 3_000, 3)
    member = join(of, start_of(of))
    read_to_end(member)
    assert_once(member, values)
    await_committed(broker, of, {0: 1000, 1: 1000, 2: 1000})
    assert member.reader.log_end((of.topics[0], 0)) == 1000


def test_bundles_end_at_their_limits(broker: KafkaBroker, of: KafkaSource, join: Join) -> None:
    topic = of.topics[0]
    numbers(broker, topic, 6_000, 3)
    by_records = join(of, start_of(of, stop_at_end=False))
    wait_for(by_records.bundle, SECONDS, "records")
    assert len(by_records.values()) == QUICK.max_records
    by_bytes = replace(of, id="bytes", group_id=f"{of.group_id}-b", limits=replace(QUICK, max_bytes=1))
    member = join(by_bytes, start_of(by_bytes, stop_at_end=False))
    wait_for(member.bundle, SECONDS, "records")
    assert 1 <= len(member.values()) <= 500


def test_the_lag_is_told_while_a_bundle_waits_for_records(broker: KafkaBroker, of: KafkaSource, join: Join) -> None:
    numbers(broker, of.topics[0], 30, 3)
    patient = replace(of, limits=replace(QUICK, max_records=30, idle_seconds=SECONDS))
    member = join(patient, start_of(patient, stop_at_end=False))
    assert member.bundle() == 30
    waiting = threading.Thread(target=member.bundle)
    waiting.start()
    try:
        wait_for(member.reader._polls.locked, SECONDS, "a poll")
        assert member.reader.measure_lag() == 0
        assert member.reader._polls.locked()
    finally:
        numbers(broker, of.topics[0], 30, 3)
        waiting.join()


def test_nothing_comes_from_a_topic_that_is_read_to_its_end(broker: KafkaBroker, of: KafkaSource, join: Join) -> None:
    numbers(broker, of.topics[0], 30, 3)
    member = join(of, start_of(of, "latest", stop_at_end=False))
    assert [member.bundle() for _ in range(5)] == [0] * 5
    late = numbers(broker, of.topics[0], 30, 3, first=30)
    wait_for(lambda: member.bundle() < 0 or len(member.values()) == 30, SECONDS, "the late records")
    assert_once(member, late)


def test_what_comes_after_the_end_that_was_looked_up_is_left_to_the_next_run(
    broker: KafkaBroker, of: KafkaSource, join: Join
) -> None:
    topic = of.topics[0]
    before = numbers(broker, topic, 300, 3)
    member = join(of, start_of(of))
    after = numbers(broker, topic, 300, 3, first=300)
    read_to_end(member)
    assert_once(member, before)
    await_committed(broker, of, {0: 100, 1: 100, 2: 100})
    member.reader.close()
    again = replace(of, id="again")
    following = join(again, start_of(again, "committed"))
    read_to_end(following)
    assert_once(following, after)


@pytest.mark.parametrize("claims", [0, 1, 2, 5])
def test_a_checkpoint_in_the_middle_of_a_bundle_skips_nothing(
    broker: KafkaBroker, of: KafkaSource, join: Join, claims: int
) -> None:
    values = numbers(broker, of.topics[0], 3_000, 3)
    member = join(of, start_of(of))
    for _ in range(8):
        member.bundle(claims=claims)
    read_to_end(member)
    assert_once(member, values)


def test_a_bundle_that_failed_is_read_again_whole(broker: KafkaBroker, of: KafkaSource, join: Join) -> None:
    values = numbers(broker, of.topics[0], 3_000, 3)
    member = join(of, start_of(of))
    for claims in (None, 3, 1, None):
        member.bundle(fail=True, claims=claims)
        assert sum(broker.committed(of.group_id, of.topics[0]).values()) == 0
        member.bundle(commit=False)
    read_to_end(member)
    assert_once(member, values)


def test_a_bundle_whose_reading_raised_is_read_again_whole(broker: KafkaBroker, of: KafkaSource, join: Join) -> None:
    values = numbers(broker, of.topics[0], 3_000, 3)
    member = join(of, start_of(of))
    wait_for(lambda: member.bundle() and len(member.read) == 3, SECONDS, "all partitions")

    def raise_after(steps: int) -> None:
        member.reader.go_to(member.restriction)
        for at, _ in enumerate(member.reader.read_bundle()):
            if at == steps:
                break
        raise RuntimeError("downstream")

    for steps in range(4):
        with pytest.raises(RuntimeError, match="downstream"):
            raise_after(steps)
        member.bundle()
    read_to_end(member)
    assert_once(member, values)


def test_an_older_restriction_takes_the_reader_back(broker: KafkaBroker, of: KafkaSource, join: Join) -> None:
    values = numbers(broker, of.topics[0], 3_000, 3)
    member = join(of, start_of(of))
    wait_for(lambda: member.bundle() and len(member.read) == 3, SECONDS, "all partitions")
    older, read = member.restriction, {partition: list(records) for partition, records in member.read.items()}
    read_to_end(member)
    member.restriction, member.read = older, read
    read_to_end(member)
    assert_once(member, values)


def test_a_broker_that_is_silent_for_a_while_ends_nothing(own_broker: KafkaBroker, join: Join) -> None:
    own_broker.create_topic("t", 3)
    values = numbers(own_broker, "t", 900, 3)
    cluster = KafkaCluster(own_broker.bootstrap_servers, {})
    members = [join(of, start_of(of)) for of in (source(cluster, "t", share_group=shared) for shared in (True, False))]
    for member in members:
        wait_for(member.bundle, SECONDS, "the first records")
    own_broker.pause()
    try:
        for member in members:
            # Looking for new partitions is in vain now, and so may be a commit.
            member.bundle()
    finally:
        own_broker.resume()
    read_to_end(*members)
    for member in members:
        assert_once(member, values)


def test_a_request_to_stop_ends_the_bundle(broker: KafkaBroker, of: KafkaSource, join: Join) -> None:
    numbers(broker, of.topics[0], 30, 3)
    member = join(of, start_of(of))
    process.request_stop(0)
    assert member.reader.must_stop()
    assert member.bundle() == 0
    process.start_run()
    late = join(replace(of, id="late", deadline=1.0), start_of(of))
    assert late.reader.must_stop()


def test_a_property_that_librdkafka_does_not_know_is_named(of: KafkaSource) -> None:
    wrong = replace(of, cluster=replace(of.cluster, config={"fetch.min.bites": "1"}))
    with pytest.raises(KafkaSetupError, match=r"kafka_config is not accepted .*fetch\.min\.bites"):
        Reader(wrong, Shard(*deal(Start({}, None), 1)[0]))


def test_a_bundle_with_nothing_to_read_ends_as_soon_as_it_may(of: KafkaSource, join: Join) -> None:
    patient = replace(of, limits=replace(of.limits, idle_seconds=PATIENCE_SECONDS))
    member = join(patient, start_of(of, stop_at_end=False))
    asked: list[bool] = []

    def may_end() -> bool:
        asked.append(len(asked) == 3)
        return asked[-1]

    assert [step.chunk for step in member.reader.read_bundle(may_end) if step.chunk is not None] == []
    assert asked == [False, False, False, True]


@pytest.mark.parametrize("owed", [False, True])
def test_a_bundle_with_nothing_to_read_lasts_while_nothing_waits_for_its_end(
    of: KafkaSource, join: Join, monkeypatch: pytest.MonkeyPatch, owed: bool
) -> None:
    """Each end costs the runner time; but a commit that has failed is made again at one."""
    clock = 0.0

    def now() -> float:
        nonlocal clock
        clock += 0.01
        return clock

    patient = replace(of, limits=replace(of.limits, idle_seconds=0.05, quiet_seconds=1.0))
    member = join(patient, start_of(of, stop_at_end=False))
    wait_for(lambda: member.bundle() == 0 and member.reader._assigned.known, SECONDS, "the partitions")
    monkeypatch.setattr(member.reader, "_clock", now)
    monkeypatch.setattr(member.reader._commits, "owed", lambda: owed)
    begun = clock
    assert list(member.reader.read_bundle()) == []
    assert (clock - begun > 0.5) is not owed
