"""What is not in the log that a reader reads: gaps, transactions, records that were deleted."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import pairwise

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from testing.services.kafka import KafkaBroker
from testing.services.process import PATIENCE_SECONDS, wait_for
from tests.transforms.conftest import NewTopic
from tests.transforms.kafka.conftest import Join
from tests.transforms.kafka.drive import (
    assert_once,
    await_committed,
    delete_before,
    numbers,
    read_to_end,
    start_of,
    transaction,
)
from transforms.kafka import offsets as kafka_offsets
from transforms.kafka import reader as kafka_reader
from transforms.kafka.client import KafkaReadError, Partition, Reset
from transforms.kafka.source import KafkaSource

pytestmark = pytest.mark.kafka

SECONDS = PATIENCE_SECONDS


@pytest.mark.parametrize("end", ["commit", "abort"])
def test_transaction_markers_at_the_end_do_not_keep_it_from_ending(
    broker: KafkaBroker, of: KafkaSource, join: Join, end: str
) -> None:
    topic = of.topics[0]
    values = numbers(broker, topic, 30, 3)
    with transaction(broker, topic, [(0, b"t1"), (0, b"t2"), (1, b"t3")], "commit" if end == "commit" else "abort"):
        pass
    ends = {(topic, 0): 13, (topic, 1): 12, (topic, 2): 10}
    # The coordinator writes the markers a moment after the producer has its answer.
    wait_for(lambda: start_of(of).ends == ends, SECONDS, "the markers")
    member = join(of, start_of(of))
    read_to_end(member)
    assert_once(member, values | ({b"t1", b"t2", b"t3"} if end == "commit" else set()))
    await_committed(broker, of, {0: 13, 1: 12, 2: 10})
    # Nothing more to do for the next run, and for one that starts at the markers.
    again = replace(of, id="again")
    read_to_end(join(again, start_of(again, "committed")))


@pytest.mark.parametrize("claims", [0, 1, 2])
def test_the_end_is_seen_again_when_the_bundle_that_saw_it_was_cut_short(
    broker: KafkaBroker, of: KafkaSource, join: Join, claims: int
) -> None:
    with transaction(broker, of.topics[0], [(0, b"a"), (1, b"b"), (2, b"c")], "abort"):
        pass
    wait_for(lambda: 0 not in (start_of(of).ends or {}).values(), SECONDS, "the markers")
    member = join(of, start_of(of))
    for _ in range(6):
        member.bundle(claims=claims)
    read_to_end(member)
    assert member.values() == []


def test_gaps_of_a_compacted_topic_are_passed(
    broker: KafkaBroker, of: KafkaSource, new_topic: NewTopic, join: Join
) -> None:
    topic = new_topic(
        1, cleanup_policy="compact", segment_ms=1, min_cleanable_dirty_ratio=0.001, min_compaction_lag_ms=0
    )
    _clean_soon(broker)
    for run in range(5):
        broker.produce(topic, [(b"k%d" % (at % 10), b"%d" % at, None, 0) for at in range(run * 20, run * 20 + 20)])
    wait_for(lambda: len(broker.consume_all(topic)) < 60, SECONDS, "the compaction")
    of = replace(of, topics=(topic,))
    member = join(of, start_of(of))
    read_to_end(member)
    offsets = member.offsets()[topic, 0]
    assert len(offsets) < 60
    assert max(offsets) == 99
    assert all(before < after for before, after in pairwise(offsets))
    await_committed(broker, of, {0: 100})


def _clean_soon(broker: KafkaBroker) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    entry = ConfigEntry("log.cleaner.backoff.ms", "200", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.BROKER, "1", incremental_configs=[entry])
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(PATIENCE_SECONDS)


@pytest.mark.parametrize(("reset", "expected"), [("earliest", set(range(60, 100))), ("latest", set())])
def test_records_that_were_deleted_meanwhile_are_passed_and_told(
    broker: KafkaBroker,
    of: KafkaSource,
    join: Join,
    caplog: pytest.LogCaptureFixture,
    reset: Reset,
    expected: set[int],
) -> None:
    of = replace(of, reset=reset)
    topic = of.topics[0]
    broker.produce(topic, [(None, b"%d" % at, None, 0) for at in range(100)])
    member = join(of, start_of(of, stop_at_end=False))
    delete_before(broker, {(topic, 0): 60})
    with caplog.at_level(logging.WARNING):
        wait_for(lambda: member.bundle() < 0 or member.restriction.next[topic, 0] == 100, SECONDS, "the end")
    assert {int(value or b"") for value in member.values()} == expected
    assert "offset 0 of group" in caplog.text
    assert "60 records deleted" in caplog.text
    late = numbers(broker, topic, 30, 3, first=100)
    wait_for(lambda: member.bundle() < 0 or late <= set(member.values()), SECONDS, "the late records")
    wait_for(lambda: broker.committed(of.group_id, topic)[0] == 110, SECONDS, "the commit")


def test_while_no_leader_tells_what_is_left_after_a_deletion_the_partition_waits(
    broker: KafkaBroker, of: KafkaSource, join: Join, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    topic = of.topics[0]
    values = numbers(broker, topic, 300, 3)
    member = join(of, start_of(of))
    delete_before(broker, {(topic, 0): 60, (topic, 1): 60, (topic, 2): 60})
    right, failures = kafka_offsets.log_range, 2

    def fails(consumer: Consumer, partition: Partition, seconds: float) -> tuple[int, int]:
        nonlocal failures
        if failures:
            failures -= 1
            name, number = partition
            raise KafkaReadError(f"the offsets of topic {name} partition {number} cannot be read: timed out")
        return right(consumer, partition, seconds)

    monkeypatch.setattr(kafka_reader, "log_range", fails)
    with caplog.at_level(logging.WARNING):
        wait_for(lambda: member.bundle(fail=True) < 0 or failures == 1, SECONDS, "the first failure")
        read_to_end(member)
    assert failures == 0
    assert_once(member, values - {b"%d" % number for number in range(180)})
    assert f"the offsets of topic {topic}" in caplog.text
    assert caplog.text.count("60 records deleted") == 3


def test_records_that_were_deleted_can_be_an_error_which_is_the_same_each_time(
    broker: KafkaBroker, of: KafkaSource, join: Join
) -> None:
    of = replace(of, reset="error")
    broker.produce(of.topics[0], [(None, b"x", None, 0) for _ in range(100)])
    member = join(of, start_of(of))
    delete_before(broker, {(of.topics[0], 0): 60})
    for _ in range(2):
        with pytest.raises(KafkaReadError, match=f"topic {of.topics[0]} partition 0: offset 0 .*kafka_reset=error"):
            wait_for(lambda: member.bundle() < 0, SECONDS, "the error")
